//! The versions of a key, over all regions: one row each, and the latest of recently asked keys in memory.
//!
//! Every append asks for the latest version of its key, to name it as seen. In the rows that is a scan, which costs more
//! the larger the ledger has grown; so answers are kept, and brought up to date with each version that comes. What is
//! kept is bounded: when the young half is full it becomes the old one, and what was old is forgotten.
//!
//! A region's versions of a key stand together and in the order of their stamps, so that both the latest in the own
//! region (which conditions are about) and the latest of all are the last rows of as many stretches as there are regions
//! that have the key.

use std::collections::BTreeMap;

use bytes::Bytes;
use trine_crdt::{NamespaceId, RegionId, Timestamp};
use trine_ledger::record::RecordHeader;
use trine_ledger::tree::Hash;

use super::Records;
use crate::effect::Persistence::Derived;
use crate::marks::{self, Mark};
use crate::mutants::{self, Mutant};
use crate::rows;
use crate::store::StoreError;
use crate::turn::Turn;

/// A version of a key; later ones are greater.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    /// When it was appended.
    pub stamp: Timestamp,
    /// In which region.
    pub region: RegionId,
    /// The record's index there.
    pub index: u64,
    /// Its leaf.
    pub leaf: Hash,
}

/// What is known of a key's versions.
#[derive(Debug, Clone, Default)]
struct Latest {
    /// The latest of all.
    any: Option<Version>,
    /// The index of the own region's latest.
    own: Option<u64>,
}

/// The latest versions of recently asked keys, under the prefix of their rows.
#[derive(Debug)]
pub(super) struct LatestKept {
    kept_max: usize,
    young: BTreeMap<Bytes, Latest>,
    old: BTreeMap<Bytes, Latest>,
}

impl LatestKept {
    /// None yet, and room for `kept_max`.
    pub(super) fn new(kept_max: usize) -> Self {
        Self { kept_max, young: BTreeMap::new(), old: BTreeMap::new() }
    }

    fn get(&mut self, prefix: &Bytes) -> Option<Latest> {
        if let Some(latest) = self.young.get(prefix) {
            return Some(latest.clone());
        }
        let latest = self.old.remove(prefix)?;
        self.insert(prefix.clone(), latest.clone());
        Some(latest)
    }

    fn insert(&mut self, prefix: Bytes, latest: Latest) {
        if self.young.len() >= self.kept_max / 2 {
            if !self.old.is_empty() {
                marks::reached(Mark::LatestForgotten);
            }
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(prefix, latest);
    }

    fn get_mut(&mut self, prefix: &[u8]) -> Option<&mut Latest> {
        match self.young.get_mut(prefix) {
            Some(latest) => Some(latest),
            None if mutants::is(Mutant::LatestStale) => None,
            None => self.old.get_mut(prefix),
        }
    }
}

/// Finds the latest versions of a key, in memory or in the rows.
fn latest(
    kept: &mut LatestKept,
    turn: &mut Turn<'_>,
    own: &RegionId,
    (namespace, key): (&NamespaceId, &str),
) -> Result<Latest, StoreError> {
    let prefix = rows::versions(namespace, key.as_bytes());
    if let Some(latest) = kept.get(&prefix) {
        return Ok(latest);
    }
    let mut latest = Latest::default();
    let mut to = rows::after_prefix(&prefix);
    while let Some((row, leaf)) = turn.scan(Derived, (&prefix, &to), 1, true)?.first() {
        let damaged = || StoreError::Damaged(format!("a version of key {key}"));
        let (_, region, stamp, index) = rows::read_version(row).ok_or_else(damaged)?;
        let leaf = leaf.as_ref().try_into().map_err(|_| damaged())?;
        to = rows::versions_in(namespace, key.as_bytes(), &region);
        if region == *own {
            latest.own = Some(index);
        }
        latest.any = latest.any.max(Some(Version { stamp, region, index, leaf }));
    }
    kept.insert(prefix, latest.clone());
    Ok(latest)
}

impl Records {
    /// The latest version of a key.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn latest(
        &mut self,
        turn: &mut Turn<'_>,
        namespace: &NamespaceId,
        key: &str,
    ) -> Result<Option<Version>, StoreError> {
        Ok(latest(&mut self.latest, turn, &self.own, (namespace, key))?.any)
    }

    /// The index of the own region's latest version of a key.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn latest_own(
        &mut self,
        turn: &mut Turn<'_>,
        namespace: &NamespaceId,
        key: &str,
    ) -> Result<Option<u64>, StoreError> {
        Ok(latest(&mut self.latest, turn, &self.own, (namespace, key))?.own)
    }

    /// Versions of a key behind a place, the oldest first, at least `limit` of them when there are as many.
    pub(super) fn history(
        &self,
        turn: &mut Turn<'_>,
        (namespace, key): (&NamespaceId, &str),
        after: Option<&(Timestamp, RegionId, u64)>,
        limit: usize,
    ) -> Result<Vec<Version>, StoreError> {
        let key = key.as_bytes();
        let damaged = || StoreError::Damaged("a version's row".to_owned());
        let prefix = rows::versions(namespace, key);
        let (mut from, end) = (prefix.clone(), rows::after_prefix(&prefix));
        let mut found = Vec::new();
        while let Some((row, _)) = turn.scan(Derived, (&from, &end), 1, false)?.first() {
            let (_, region, ..) = rows::read_version(row).ok_or_else(damaged)?;
            let stretch = rows::versions_in(namespace, key, &region);
            from = rows::after_prefix(&stretch);
            let first = after.map_or(stretch, |(stamp, ..)| rows::version(namespace, key, &region, stamp, 0));
            // One more than asked for: the first may be the place itself.
            for (row, leaf) in turn.scan(Derived, (&first, &from), limit + 1, false)? {
                let (_, region, stamp, index) = rows::read_version(&row).ok_or_else(damaged)?;
                if after.is_none_or(|after| (stamp, &region, index) > (after.0, &after.1, after.2)) {
                    let leaf = leaf.as_ref().try_into().map_err(|_| damaged())?;
                    found.push(Version { stamp, region, index, leaf });
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Adds a record to the versions of its key.
    pub(crate) fn index(
        &mut self,
        turn: &mut Turn<'_>,
        region: &RegionId,
        index: u64,
        header: &RecordHeader,
        key: &str,
        leaf: Hash,
    ) {
        let key = key.as_bytes();
        if let Some(latest) = self.latest.get_mut(&rows::versions(&header.namespace, key)) {
            if *region == self.own {
                latest.own = Some(index);
            }
            let version = Version { stamp: header.stamp, region: region.clone(), index, leaf };
            latest.any = latest.any.take().max(Some(version));
        }
        let row = rows::version(&header.namespace, key, region, &header.stamp, index);
        turn.put(Derived, row, Some(Bytes::copy_from_slice(&leaf)));
    }
}
