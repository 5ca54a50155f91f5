//! An object: the entries that stand, and what was seen.
//!
//! All kinds share one representation. Every edit has a dot, and leaves at most one entry: a writer's share of a
//! counter, a register's value, an element, at a path through the maps. The object maps dots to entries. Kinds, names
//! and elements are what entries say; they are grouped when somebody reads. So an edit is: *one entry comes,
//! these dots go*; and merging never has to know about kinds, names or nesting:
//!
//! ```text
//! join(a, b):   a dot stays if both have it, or if one has it and the other's context does not cover it
//! ```
//!
//! Why this converges: an object's knowledge is, per writer, a prefix of that writer's edits to it. The state is a
//! function of that knowledge: the entries of known edits that no known edit removed; per writer the last known dot;
//! and removals of dots not yet known. Deltas and whole objects only ever extend prefixes, in whatever order.
//! Nothing is removed but exact dots that the remover had seen, so an edit that happens at the same time as a removal
//! survives it: adds win, and so do edits below a removed field.
//!
//! An object that holds nothing is not nothing: its context remembers what was removed, so keep it.

use std::collections::{BTreeMap, BTreeSet};

use crate::context::Context;
use crate::delta::Delta;
use crate::entry::{Entry, Kind, Value};
use crate::limits::WRITER_OVERHEAD_BYTES;
use crate::marks::{self, Mark};
use crate::mutants::{self, Mutant};
use crate::operation::{EditError, Operation};
use crate::path::Path;
use crate::view::{self, View};
use crate::{Dot, Timestamp, WriterId};

/// A value that is written in many places and merges. Equal knowledge means equal state, see the module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Object {
    /// What stands, by writer and dot. No writer has an empty map.
    pub(crate) entries: BTreeMap<WriterId, BTreeMap<u64, Entry>>,
    pub(crate) context: Context,
    pub(crate) latest: Timestamp,
}

impl Object {
    /// Whether there is nothing to read: never written, or all of it removed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What it is: several kinds where several were made at the same time, none when it is empty.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<Kind> {
        self.kinds_at(&Path::new(Vec::new()))
    }

    /// What it looks like to a reader: one view a kind, in the order of kinds.
    #[must_use]
    pub fn view(&self) -> Vec<View> {
        view::views(self.entries().map(|(_, _, entry)| entry).collect(), 0)
    }

    /// The latest stamp that touched it; [`Timestamp::ZERO`] if none did.
    #[must_use]
    pub fn latest_stamp(&self) -> Timestamp {
        self.latest
    }

    /// What it has seen.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// An upper bound of its encoding's length, in bytes, by which local edits are limited.
    #[must_use]
    pub fn weight(&self) -> usize {
        let entries: usize = self.entries().map(|(_, _, entry)| entry.weight()).sum();
        64 + entries + self.context.writers().count() * WRITER_OVERHEAD_BYTES + self.context.ahead_len() * 10
    }

    /// Does one operation here and now, and says what it did: the delta of the interval that holds `dot` alone.
    ///
    /// `dot` is the writer's next in the partition and `after` the one before it (which need not have touched this
    /// object). Every accepted operation uses its dot up, also one that finds nothing to remove. A refused one leaves
    /// the object as it was, and the dot may be used for another.
    ///
    /// # Errors
    /// [`EditError`], each for good: trying again does not help while the object stays as it is.
    ///
    /// # Panics
    /// When `dot` is not after `after`.
    pub fn edit(&mut self, dot: Dot, after: u64, stamp: Timestamp, operation: &Operation) -> Result<Delta, EditError> {
        assert!(dot.counter > after, "{dot:?} does not follow {after}");
        // Contexts come from peers as well, so this is no assertion.
        if self.context.covers(&dot.actor, dot.counter) {
            return Err(EditError::Used { seq: dot.counter, last: self.context.last(&dot.actor) });
        }
        let change = operation.change(self, dot.actor, stamp)?;
        let delta = Delta::of_edit(dot.actor, dot.counter, stamp, change.entry, change.gone);
        self.apply(dot.actor, after, &delta);
        Ok(delta)
    }

    /// Takes in what `writer` did to this object in the interval that begins after dot `after`.
    ///
    /// The caller sees to it that this object has all of the writer's edits up to `after`: a gap is not visible here.
    /// More than that does no harm: intervals may overlap what is known, and come twice.
    pub fn apply(&mut self, writer: WriterId, after: u64, delta: &Delta) {
        let known = self.context.last(&writer);
        if known > after {
            // Own dots inside the interval that left nothing in it.
            self.retain(&writer, |seq| seq <= after || seq > delta.last || delta.entries.contains_key(&seq));
        }
        for seq in &delta.removed_own {
            self.take(&writer, *seq);
        }
        for (other, seq) in delta.removed.iter() {
            self.take(&other, seq);
        }
        for (seq, entry) in &delta.entries {
            let known = self.context.covers(&writer, *seq) && !mutants::is(Mutant::ApplyDeltaTwice);
            if !known && !delta.removed.contains(&writer, *seq) {
                if entry.value.kind() == Kind::Register && mutants::is(Mutant::RegisterByArrival) {
                    self.entries.clear();
                }
                self.entries.entry(writer).or_default().insert(*seq, entry.clone());
            }
        }
        self.context.reach(writer, delta.last);
        for (other, seq) in delta.removed.iter() {
            self.context.cover(other, seq);
        }
        if self.entries.is_empty() && mutants::is(Mutant::CollectTombstonesEarly) {
            self.context = Context::default();
        }
        self.latest = self.latest.max(delta.stamp);
    }

    /// Takes in all that `other` knows.
    pub fn join(&mut self, other: &Self) {
        let none = BTreeMap::new();
        let mine: Vec<_> = self.entries.keys().copied().collect();
        for writer in mine {
            let theirs = other.entries.get(&writer).unwrap_or(&none);
            let removed = |seq| other.context.covers(&writer, seq) && !mutants::is(Mutant::JoinResurrects);
            self.retain(&writer, |seq| {
                let stays = theirs.contains_key(&seq) || !removed(seq);
                if !stays {
                    marks::reached(Mark::JoinRemoves);
                }
                stays
            });
        }
        for (writer, seq, entry) in other.entries() {
            if !self.context.covers(&writer, seq) {
                self.entries.entry(writer).or_default().insert(seq, entry.clone());
            }
        }
        self.context.join(&other.context);
        self.latest = self.latest.max(other.latest);
    }

    /// BLAKE3 of [`Self::to_bytes`]: equal where the same is known.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        *blake3::hash(&self.to_bytes()).as_bytes()
    }

    /// Every entry with its dot, by writer and dot.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (WriterId, u64, &Entry)> {
        self.entries.iter().flat_map(|(writer, entries)| entries.iter().map(|(seq, entry)| (*writer, *seq, entry)))
    }

    /// The kinds that stand at a path.
    pub(crate) fn kinds_at(&self, at: &Path) -> BTreeSet<Kind> {
        self.entries()
            .filter(|(_, _, entry)| entry.path.is_under(at))
            .map(|(_, _, entry)| if entry.path.depth() > at.depth() { Kind::Map } else { entry.value.kind() })
            .collect()
    }

    /// The writers that its encoding names.
    pub(crate) fn writers(&self) -> BTreeSet<WriterId> {
        let mut writers: BTreeSet<_> = self.context.writers().copied().collect();
        writers.insert(self.latest.writer);
        writers.extend(self.entries().filter_map(|(_, _, entry)| match &entry.value {
            Value::Register { stamp, .. } => Some(stamp.writer),
            _ => None,
        }));
        writers
    }

    fn take(&mut self, writer: &WriterId, seq: u64) {
        if let Some(entries) = self.entries.get_mut(writer) {
            entries.remove(&seq);
            if entries.is_empty() {
                self.entries.remove(writer);
            }
        }
    }

    fn retain(&mut self, writer: &WriterId, keep: impl Fn(u64) -> bool) {
        if let Some(entries) = self.entries.get_mut(writer) {
            entries.retain(|seq, _| keep(*seq));
            if entries.is_empty() {
                self.entries.remove(writer);
            }
        }
    }
}

impl crdts::CvRDT for Object {
    type Validation = std::convert::Infallible;

    fn validate_merge(&self, _other: &Self) -> Result<(), Self::Validation> {
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        self.join(&other);
    }
}
