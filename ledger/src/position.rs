//! Where an entry stands in a region's Raft log.

use serde::{Deserialize, Serialize};
use trine_crdt::NodeId;

/// Term, leader and index of a log entry; equal positions name equal entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogPosition {
    /// The Raft term.
    pub term: u64,
    /// The leader of that term.
    pub leader: NodeId,
    /// The entry's index; the first is 0 (the initial membership).
    pub index: u64,
}

impl std::fmt::Display for LogPosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (term {} of node {})", self.index, self.term, self.leader)
    }
}
