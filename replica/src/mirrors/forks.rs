//! Two checkpoints of one region that cannot both be true: its log key signed two histories.
//!
//! One of size n with another root than the records held here have at n is enough, where these were verified against
//! a checkpoint, too. Of a longer one a proof is asked for (`extension`). Both notes are kept for ever, on disk, because
//! together they convict whoever holds the key, before anybody. From then on nothing more of that region's ledger is taken
//! in, until an operator has looked at the evidence and releases the region (`Config::forks_released`): this node then
//! follows the history that it holds. Who finds that the other history is the right one starts this node with an empty
//! directory.
//!
//! Of its own region a node keeps the evidence as well. It then proposes no record and signs nothing (`signing`), until
//! an operator releases the region here too: which of the two histories goes on is nothing that a program can know.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use trine_crdt::RegionId;
use trine_gossip::entry::Entry;
use trine_ledger::checkpoint::Checkpoint;

use super::{Beside, Mirrors};
use crate::cluster::Cluster;
use crate::cluster::head_of;
use crate::effect::Persistence::{Derived, Synced};
use crate::mutants::{self, Mutant};
use crate::rows;
use crate::store::{Store, StoreError};
use crate::turn::Turn;

/// The evidence found so far, by region: the first of each.
#[derive(Debug, Default)]
pub(super) struct Forks {
    found: BTreeMap<RegionId, Evidence>,
    /// When a peer was last asked to prove that its head of a ledger extends what is held.
    pub(super) asked_ns: BTreeMap<RegionId, u64>,
}

/// Two signed checkpoints, byte by byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// What was held.
    pub first: Bytes,
    /// What came.
    pub second: Bytes,
}

impl Forks {
    /// Reads the evidence from the store.
    ///
    /// # Errors
    /// What the store says, and rows that cannot be read.
    pub fn open(store: &dyn Store) -> Result<Self, StoreError> {
        let mut found = BTreeMap::new();
        for (key, value) in store.scan(Synced, b"q", &rows::after_prefix(b"q"), usize::MAX, false)? {
            let damaged = || StoreError::Damaged("evidence of a fork".to_owned());
            let (region, first, second): (RegionId, Bytes, Bytes) =
                trine_crdt::codec::decode(&value).map_err(|_| damaged())?;
            if key != rows::fork(&region) {
                return Err(damaged());
            }
            found.insert(region, Evidence { first, second });
        }
        Ok(Self { found, asked_ns: BTreeMap::new() })
    }
}

impl Mirrors {
    /// Whether nothing more of another region's ledger is to be taken in.
    pub(crate) fn quarantined(&self, cluster: &Cluster, region: &RegionId) -> bool {
        *region != cluster.config().region
            && self.forks.found.contains_key(region)
            && !cluster.config().forks_released.contains(region)
    }

    /// The regions whose keys signed two histories, and that no operator released.
    pub(crate) fn forked(&self, cluster: &Cluster) -> Vec<RegionId> {
        let released = &cluster.config().forks_released;
        self.forks.found.keys().filter(|region| !released.contains(*region)).cloned().collect()
    }

    /// Looks at the heads among entries that came, before they count: at each beside what is held, and beside the others.
    pub(crate) fn compare_heads(
        &mut self,
        turn: &mut Turn<'_>,
        beside: &mut Beside<'_>,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        let mut seen: BTreeMap<(RegionId, u64), (&Bytes, Checkpoint)> = BTreeMap::new();
        for entry in entries {
            let Some(name) = head_of(&entry.key) else { continue };
            let genesis = Arc::clone(&beside.cluster.config().genesis);
            let Some(region) = genesis.regions.iter().find(|region| region.id == name) else {
                continue;
            };
            if beside.cluster.head(&name).is_some_and(|(held, _)| *held == entry.value) {
                continue;
            }
            if let Some(told) = self.notes.open(&genesis.cluster, region, &entry.value) {
                self.compare(turn, beside, &region.id, &entry.value, &told)?;
                let (first, known) =
                    seen.entry((region.id.clone(), told.size)).or_insert_with(|| (&entry.value, told.clone()));
                if known.root != told.root {
                    self.keep_evidence(turn, beside, &region.id, first, &entry.value);
                }
            }
        }
        Ok(())
    }

    /// Compares a checkpoint that the region's key signed with what is held of its ledger; keeps both when they
    /// cannot both be true. Whether they can, as far as is known here.
    pub(crate) fn compare(
        &mut self,
        turn: &mut Turn<'_>,
        beside: &mut Beside<'_>,
        region: &RegionId,
        note: &Bytes,
        told: &Checkpoint,
    ) -> Result<bool, StoreError> {
        let own = beside.cluster.is_own(region);
        let held = self.held(beside, region);
        let known = if (1..=held).contains(&told.size) {
            let root = beside.records.root_at(turn, region, told.size)?;
            match (root == told.root, own) {
                (true, _) => None,
                (false, true) => Some(beside.own.statement(told.size, root)),
                (false, false) => self.note_from(turn, region, told.size)?,
            }
        } else {
            let head = beside.cluster.head(region);
            head.filter(|(_, head)| head.size == told.size && head.root != told.root).map(|(note, _)| note.clone())
        };
        let known = known.filter(|_| !mutants::is(Mutant::ForkIgnored));
        if let Some(known) = &known {
            self.keep_evidence(turn, beside, region, known, note);
        }
        Ok(known.is_none())
    }

    /// Keeps the first evidence of a region; counts all.
    pub(crate) fn keep_evidence(
        &mut self,
        turn: &mut Turn<'_>,
        beside: &mut Beside<'_>,
        region: &RegionId,
        first: &Bytes,
        second: &Bytes,
    ) {
        turn.counters.fork_evidence += 1;
        if self.forks.found.contains_key(region) {
            return;
        }
        let row = trine_crdt::codec::encode(&(region, first, second));
        turn.put(Synced, rows::fork(region), Some(row.into()));
        let evidence = Evidence { first: first.clone(), second: second.clone() };
        self.forks.found.insert(region.clone(), evidence);
        if beside.cluster.is_own(region) {
            beside.own.fork_found();
        }
    }

    /// The first checkpoint at or above `size` that a mirror was verified against.
    pub(super) fn note_from(
        &self,
        turn: &mut Turn<'_>,
        region: &RegionId,
        size: u64,
    ) -> Result<Option<Bytes>, StoreError> {
        let (first, last) = (rows::note(region, size), rows::note(region, u64::MAX));
        let notes = turn.scan(Derived, (&first, &last), 1, false)?;
        Ok(notes.into_iter().next().map(|(_, note)| note).or_else(|| self.note(region)))
    }

    /// Nothing was ever found of any region.
    pub(crate) fn no_forks(&self) -> bool {
        self.forks.found.is_empty()
    }

    /// What was found of a region.
    pub(crate) fn evidence(&self, region: &RegionId) -> Option<&Evidence> {
        self.forks.found.get(region)
    }
}
