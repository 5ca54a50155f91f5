//! What one writer's edits in an interval did to one object.
//!
//! The unit of transfer is an interval `(after, upto]` of one writer in one partition; per object that it touched it
//! carries one delta: the join of the writer's edits there.
//!
//! ```text
//!        after                                      last      upto
//!   ───────┼──────o───────x───────o───────x──────────o──────────┼───▶  the writer's dots
//!   removed_own   │    (absent: dead)     │          │
//!   names these   └───── entries ─────────┴──────────┘   `removed` names dots of other writers
//! ```
//!
//! An own dot within the interval that has no entry in the delta is dead: the writer replaced or removed it again, or
//! it never left anything (a removal has a dot, too). So only dots *outside* the interval are named as removed.
//! That is what makes consecutive intervals coalesce without growing: see [`Delta::then`].

use std::collections::{BTreeMap, BTreeSet};

use crate::context::DotSet;
use crate::entry::{Entry, Value};
use crate::mutants::{self, Mutant};
use crate::{Timestamp, WriterId};

/// One writer's effect on one object in an interval. Which writer and which interval stand beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// The writer's last dot in the interval that touched this object.
    pub last: u64,
    /// The latest stamp among the edits.
    pub stamp: Timestamp,
    /// What the interval left, by the writer's own dot.
    pub(crate) entries: BTreeMap<u64, Entry>,
    /// The writer's own dots, all before the interval, that the interval removed.
    pub(crate) removed_own: BTreeSet<u64>,
    /// Dots of other writers that the interval removed.
    pub(crate) removed: DotSet,
}

impl Delta {
    /// The delta of one edit.
    pub(crate) fn of_edit(
        writer: WriterId,
        seq: u64,
        stamp: Timestamp,
        entry: Option<Entry>,
        mut gone: DotSet,
    ) -> Self {
        let removed_own = gone.take(&writer);
        if mutants::is(Mutant::RemoveForgetsDots) {
            gone = DotSet::default();
        }
        let entries = entry.map(|entry| (seq, entry)).into_iter().collect();
        Self { last: seq, stamp, entries, removed_own, removed: gone }
    }

    /// Takes in the delta of the interval that directly follows: `(a, b]` then `(b, c]` gives that of `(a, c]`.
    /// Both must be of one writer and one object. An object that one of the intervals did not touch needs no call.
    /// Applying the result has the effect of applying both in turn.
    pub fn then(&mut self, later: Self) {
        for seq in later.removed_own {
            // One that this interval made is dead by its absence, and need not be named any more.
            if self.entries.remove(&seq).is_none() {
                self.removed_own.insert(seq);
            }
        }
        for (writer, seq) in later.removed.iter() {
            self.removed.insert(writer, seq);
        }
        self.entries.extend(later.entries);
        self.last = self.last.max(later.last);
        self.stamp = self.stamp.max(later.stamp);
    }

    /// Takes in the delta of an interval that begins after dot `after`, inside or at the end of this one: `(a, b]`
    /// then `(after, c]`, with `a <= after <= b <= c`, gives that of `(a, c]`. What both cover the later one knows best.
    pub fn then_overlapping(&mut self, after: u64, later: Self) {
        self.entries.retain(|seq, _| *seq <= after || mutants::is(Mutant::CoalesceResurrects));
        self.then(later);
    }

    /// Whether nothing came and nothing went: the edit found nothing to remove.
    #[must_use]
    pub fn changes_nothing(&self) -> bool {
        self.entries.is_empty() && self.removed_own.is_empty() && self.removed.len() == 0
    }

    /// An upper bound of its encoding's length, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        let entries: usize = self.entries.values().map(Entry::weight).sum();
        64 + entries + 10 * (self.removed_own.len() + self.removed.len()) + 26 * self.writers().len()
    }

    /// The writers that its encoding names.
    pub(crate) fn writers(&self) -> BTreeSet<WriterId> {
        let mut writers: BTreeSet<_> = self.removed.writers().copied().collect();
        writers.insert(self.stamp.writer);
        writers.extend(self.entries.values().filter_map(|entry| match &entry.value {
            Value::Register { stamp, .. } => Some(stamp.writer),
            _ => None,
        }));
        writers
    }
}
