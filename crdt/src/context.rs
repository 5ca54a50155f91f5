//! What an object has seen: the causal context.
//!
//! An object holds entries, each named by the dot of the edit that made it, and no tombstones. Whether an entry
//! that one side holds and the other lacks is *new* to the other or was *removed* there is decided by contexts: a
//! dot that the other's context covers and its store lacks was removed.
//!
//! A context names, per writer, the object's **own** last dot: the last edit of that writer *to this object*. The
//! partition's version vector is delivery state and never stands in for it. As one writer's edits arrive in order,
//! everything of that writer up to its last dot has been seen.
//!
//! A removal names exact dots, and may arrive before the edits that made them: region A removes what region B wrote,
//! and C hears from A first. Such dots are kept aside as *ahead*. They are covered as well (when the edit arrives, its
//! entry is dead on arrival) and are dropped once the writer's last dot has reached them. Hence a context has one form
//! only: `ahead` holds nothing that `last` covers. That makes it a function of what was seen, not of the order.
//!
//! Source: Almeida, Shoker, Baquero: Delta State Replicated Data Types (2016), causal CRDTs; the dot cloud there is
//! our `ahead`.

use std::collections::{BTreeMap, BTreeSet};

use crdts::CmRDT;

use crate::marks::{self, Mark};
use crate::mutants::{self, Mutant};
use crate::{Dot, VersionVector, WriterId};

/// A set of dots, by writer. No writer has an empty set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DotSet(BTreeMap<WriterId, BTreeSet<u64>>);

impl DotSet {
    pub(crate) fn insert(&mut self, writer: WriterId, seq: u64) -> bool {
        self.0.entry(writer).or_default().insert(seq)
    }

    pub(crate) fn contains(&self, writer: &WriterId, seq: u64) -> bool {
        self.0.get(writer).is_some_and(|seqs| seqs.contains(&seq))
    }

    /// Takes out one writer's.
    pub(crate) fn take(&mut self, writer: &WriterId) -> BTreeSet<u64> {
        self.0.remove(writer).unwrap_or_default()
    }

    /// Puts in one writer's, sorted.
    pub(crate) fn put(&mut self, writer: WriterId, seqs: BTreeSet<u64>) {
        if !seqs.is_empty() {
            self.0.entry(writer).or_default().extend(seqs);
        }
    }

    pub(crate) fn of(&self, writer: &WriterId) -> Option<&BTreeSet<u64>> {
        self.0.get(writer)
    }

    pub(crate) fn writers(&self) -> impl Iterator<Item = &WriterId> {
        self.0.keys()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (WriterId, u64)> + '_ {
        self.0.iter().flat_map(|(writer, seqs)| seqs.iter().map(|seq| (*writer, *seq)))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    fn retain_above(&mut self, writer: &WriterId, last: u64) {
        if let Some(seqs) = self.0.get_mut(writer) {
            seqs.retain(|seq| *seq > last);
            if seqs.is_empty() {
                self.0.remove(writer);
            }
        }
    }
}

/// The dots that an object has seen, see the module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    last: VersionVector,
    ahead: DotSet,
}

impl Context {
    /// The object's own last dot of `writer`; 0 when it has none.
    #[must_use]
    pub fn last(&self, writer: &WriterId) -> u64 {
        self.last.get(writer)
    }

    /// Whether the edit was seen, or its removal.
    #[must_use]
    pub fn covers(&self, writer: &WriterId, seq: u64) -> bool {
        seq <= self.last(writer) || self.ahead.contains(writer, seq)
    }

    /// How many removals wait for the edits that they remove.
    #[must_use]
    pub fn ahead_len(&self) -> usize {
        self.ahead.len()
    }

    /// The writers whose edits were seen, and each one's last dot.
    #[must_use]
    pub fn seen(&self) -> &VersionVector {
        &self.last
    }

    /// All of `writer` up to `last` was seen.
    pub(crate) fn reach(&mut self, writer: WriterId, last: u64) {
        if last > self.last(&writer) {
            self.last.apply(Dot::new(writer, last));
            let before = self.ahead.len();
            self.ahead.retain_above(&writer, last);
            if self.ahead.len() < before {
                marks::reached(Mark::RemovalAbsorbed);
            }
        }
    }

    /// One dot was removed, whether or not its edit was seen.
    pub(crate) fn cover(&mut self, writer: WriterId, seq: u64) {
        if seq > self.last(&writer) && !mutants::is(Mutant::ForgetRemovalsAhead) {
            marks::reached(Mark::RemovalAhead);
            self.ahead.insert(writer, seq);
        }
    }

    pub(crate) fn join(&mut self, other: &Self) {
        for dot in other.last.iter() {
            self.reach(*dot.actor, dot.counter);
        }
        for (writer, seq) in other.ahead.iter() {
            self.cover(writer, seq);
        }
    }

    pub(crate) fn ahead(&self) -> &DotSet {
        &self.ahead
    }

    pub(crate) fn writers(&self) -> impl Iterator<Item = &WriterId> {
        self.last.dots.keys().chain(self.ahead.writers())
    }
}
