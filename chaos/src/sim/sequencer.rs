//! A region's Raft group as seen from outside: one order, a leader now and then, replies that get lost.
//!
//! Raft itself is judged elsewhere, on the real thing. Here it is the log that it promises to be, with the trouble
//! that it passes on: nobody leads for a while, a proposal is refused, or is committed and its proposer never hears.

use std::collections::BTreeSet;

use bytes::Bytes;
use trine_crdt::NodeId;
use trine_ledger::LogPosition;
use trine_replica::input::{CommittedEntry, Payload};

/// One region's log and who leads.
#[derive(Debug, Default)]
pub struct Sequencer {
    log: Vec<CommittedEntry>,
    /// The leader, by number in the world.
    pub leader: Option<usize>,
    /// The term.
    pub term: u64,
    /// Whether its nodes are about to choose a leader.
    pub voting: bool,
}

impl Sequencer {
    /// The log begins as every region's does: with its membership.
    pub fn found(&mut self, voters: BTreeSet<NodeId>) {
        let bytes = Bytes::from_static(b"initial");
        self.push(NodeId(0), Payload::Membership { bytes, voters });
    }

    /// Puts an entry behind the others.
    pub fn push(&mut self, leader: NodeId, payload: Payload) {
        let position = LogPosition { term: self.term, leader, index: self.log.len() as u64 };
        self.log.push(CommittedEntry { position, payload });
    }

    /// All disks that bear it come back as they were: it ends here again, and knows of no later term.
    pub fn go_back(&mut self, end: u64, term: u64) {
        self.log.truncate(end as usize);
        self.term = term;
    }

    /// The index of the next entry.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.log.len() as u64
    }

    /// The entries from an index on, at most `limit`.
    #[must_use]
    pub fn from(&self, index: u64, limit: usize) -> Vec<CommittedEntry> {
        self.log.iter().skip(index as usize).take(limit).cloned().collect()
    }

    /// The bytes of an entry that bears commands.
    #[must_use]
    pub fn entry(&self, index: u64) -> Option<Bytes> {
        match &self.log.get(index as usize)?.payload {
            Payload::Entry(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }
}
