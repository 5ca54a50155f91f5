//! What a node derived of its own region's ledger, row by row: does each record have its place in the log, its leaf and
//! its version?
//!
//! A node applies an entry once. Had it kept that it did, and lost a row that came of it, nothing would ever write that
//! row again: the ledger's size and root would be right, and a read or a proof of that one record fail for ever.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use trine_crdt::RegionId;
use trine_replica::rows;

/// The first letters of the rows that [`Derived::row`] looks at.
pub const LETTERS: [u8; 3] = [b'i', b'l', b'k'];
/// Before a record's numbers stands the index of their entry in the log.
const PLACES_HEAD_BYTES: usize = 8;
const PLACE_BYTES: usize = 4;
const LEAF_BYTES: usize = 32;

/// The rows that were seen.
#[derive(Debug)]
pub struct Derived {
    region: RegionId,
    /// Runs of places and of leaves: how many begin where.
    places: BTreeMap<u64, u64>,
    leaves: BTreeMap<u64, u64>,
    versions: BTreeSet<u64>,
}

impl Derived {
    /// Of this region's ledger none yet.
    #[must_use]
    pub fn of(region: RegionId) -> Self {
        Self { region, places: BTreeMap::new(), leaves: BTreeMap::new(), versions: BTreeSet::new() }
    }

    /// Takes note of a row; of other rows than those of the region's ledger it takes none.
    pub fn row(&mut self, key: &[u8], value: &Bytes) {
        let Some(number) = rows::last_number(key) else { return };
        if *key == rows::own_records(number)[..] {
            let count = value.len().saturating_sub(PLACES_HEAD_BYTES) / PLACE_BYTES;
            self.places.insert(number, count as u64);
        } else if *key == rows::leaves(&self.region, number)[..] {
            self.leaves.insert(number, (value.len() / LEAF_BYTES) as u64);
        } else if let Some((_, region, _, index)) = rows::read_version(key)
            && region == self.region
        {
            self.versions.insert(index);
        }
    }

    /// What a ledger of this size lacks, one sentence a kind of row.
    #[must_use]
    pub fn missing(&self, size: u64) -> Vec<String> {
        let version = (0..size).find(|index| !self.versions.contains(index));
        let first = [("place", gap(&self.places, size)), ("leaf", gap(&self.leaves, size)), ("version", version)];
        let told = |(kind, index): (&str, Option<u64>)| {
            Some(format!("record {} of its own ledger, of {size}, has no {kind}", index?))
        };
        first.into_iter().filter_map(told).collect()
    }
}

/// The first index below `size` that no run covers.
fn gap(runs: &BTreeMap<u64, u64>, size: u64) -> Option<u64> {
    let mut next = 0;
    for (first, count) in runs {
        if *first > next {
            break;
        }
        next = next.max(first + count);
    }
    (next < size).then_some(next)
}

#[cfg(test)]
mod tests {
    use trine_crdt::{NamespaceId, Timestamp};

    use super::*;

    fn region(name: &str) -> RegionId {
        name.parse().expect("a region's name")
    }

    /// Two entries of two records each.
    fn ledger() -> Vec<(Bytes, Bytes)> {
        let us = region("us-east-1");
        let mut all = Vec::new();
        for first in [0, 2] {
            all.push((rows::own_records(first), Bytes::from(vec![0; PLACES_HEAD_BYTES + 2 * PLACE_BYTES])));
            all.push((rows::leaves(&us, first), Bytes::from(vec![0; 2 * LEAF_BYTES])));
        }
        let namespace = NamespaceId::default_ledger();
        for index in 0..4 {
            let row = rows::version(&namespace, b"key", &us, &Timestamp::ZERO, index);
            all.push((row, Bytes::from(vec![0; LEAF_BYTES])));
        }
        all
    }

    fn missing(rows: &[(Bytes, Bytes)]) -> Vec<String> {
        let mut derived = Derived::of(region("us-east-1"));
        rows.iter().for_each(|(key, value)| derived.row(key, value));
        derived.missing(4)
    }

    #[test]
    fn each_row_that_is_lost_is_missed() {
        let rows = ledger();
        assert_eq!(missing(&rows), [""; 0]);
        for lost in 0..rows.len() {
            let rest: Vec<_> =
                rows.iter().enumerate().filter(|(at, _)| *at != lost).map(|(_, row)| row.clone()).collect();
            assert_eq!(missing(&rest).len(), 1, "without row {lost}: {:?}", missing(&rest));
        }
    }

    #[test]
    fn another_regions_rows_do_not_stand_for_the_own() {
        let mut rows = ledger();
        rows.retain(|(key, _)| key[0] != b'l');
        let eu = region("eu-west-1");
        rows.push((rows::leaves(&eu, 0), Bytes::from(vec![0; 4 * LEAF_BYTES])));
        assert_eq!(missing(&rows), ["record 0 of its own ledger, of 4, has no leaf"]);
    }
}
