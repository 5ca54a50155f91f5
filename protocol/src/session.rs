//! What a session has seen and written, small enough to travel with each request.
//!
//! A token holds, per region, how far the session has read its ledger, and at most sixteen exact object writes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trine_crdt::{PartitionId, RegionId, WriterId};

use crate::limits::SESSION_POSITIONS_MAX;
use crate::mutants::{self, Mutant};

/// One exact write of the session to an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The partition written.
    pub partition: PartitionId,
    /// The writer that took the write.
    pub writer: WriterId,
    /// The sequence number of the write.
    pub seq: u64,
}

/// What a session must not read behind of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionToken {
    /// Per region the number of records of its ledger that the session knows of.
    pub ledgers: BTreeMap<RegionId, u64>,
    /// The session's latest object writes and reads, the newest last.
    pub positions: Vec<Position>,
}

impl SessionToken {
    /// Takes in that the session knows of `size` records of a region's ledger.
    pub fn see_ledger(&mut self, region: &RegionId, size: u64) {
        let known = self.ledgers.entry(region.clone()).or_default();
        *known = (*known).max(size);
    }

    /// Takes in a position; the oldest gives way when there are too many.
    pub fn see_position(&mut self, position: Position) {
        self.positions.retain(|known| {
            (&known.partition, known.writer) != (&position.partition, position.writer) || known.seq > position.seq
        });
        let covered = self
            .positions
            .iter()
            .any(|known| (&known.partition, known.writer) == (&position.partition, position.writer));
        if !covered {
            self.positions.push(position);
        }
        if self.positions.len() > SESSION_POSITIONS_MAX {
            let place = if mutants::is(Mutant::SessionDropsNewest) { self.positions.len() - 1 } else { 0 };
            self.positions.remove(place);
        }
    }

    /// Takes in all that another token knows.
    pub fn merge(&mut self, other: &Self) {
        for (region, size) in &other.ledgers {
            self.see_ledger(region, *size);
        }
        for position in &other.positions {
            self.see_position(position.clone());
        }
    }
}
