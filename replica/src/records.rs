//! Records as they are held here, the own region's and those of all others: read, found by key, and proven.
//!
//! A record of the own region lives in its log entry, another's in its mirror's row; of either there is a leaf of its tree,
//! which whoever reads it compares it with.

mod page;
mod read;
mod tree;
mod versions;

use std::collections::VecDeque;

use trine_crdt::RegionId;
use trine_ledger::entry::AppendCommand;
use trine_ledger::tree::{Hash, TreeNode};

use self::versions::LatestKept;
use crate::config::Config;
use crate::store::StoreError;
use crate::turn::Turn;

/// A place in a ledger.
pub(crate) type Place = (RegionId, u64);

/// Any region's records.
#[derive(Debug)]
pub(crate) struct Records {
    own: RegionId,
    /// One level of a tree in this many is stored.
    levels: u8,
    latest: LatestKept,
    /// The own region's that were applied last, without a gap.
    recent: VecDeque<(u64, Box<AppendCommand>)>,
    recent_bytes: usize,
    recent_bytes_max: usize,
}

impl Records {
    /// Nothing is kept in memory yet.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            own: config.region.clone(),
            levels: config.sizes.tree_levels,
            latest: LatestKept::new(config.sizes.latest_kept),
            recent: VecDeque::new(),
            recent_bytes: 0,
            recent_bytes_max: config.sizes.recent_records_bytes,
        }
    }

    /// Writes the nodes that became complete with leaves that came together, the first of them at index `first`.
    pub(crate) fn grow(&self, turn: &mut Turn<'_>, ledger: &RegionId, first: u64, nodes: &[TreeNode]) {
        tree::store(turn, ledger, first, nodes, self.levels);
    }

    /// Calls a function of a ledger's tree with a reader of its nodes.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn with_tree<T>(
        &self,
        turn: &mut Turn<'_>,
        ledger: &RegionId,
        call: impl FnOnce(&dyn Fn(u8, u64) -> Option<Hash>) -> T,
    ) -> Result<T, StoreError> {
        tree::with_tree(turn, self.levels, ledger, call)
    }

    /// The root of a ledger held here at an earlier size.
    ///
    /// # Errors
    /// What the store says; `Damaged` when nodes are missing.
    pub(crate) fn root_at(&self, turn: &mut Turn<'_>, ledger: &RegionId, size: u64) -> Result<Hash, StoreError> {
        self.with_tree(turn, ledger, |read| trine_ledger::tree::root_at(size, read))?
            .map_err(|error| StoreError::Damaged(format!("the tree of {ledger}: {error}")))
    }
}
