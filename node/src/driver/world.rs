//! The two sides of the driver: the core that decides, and the world that its decisions go to.

use super::clock::Clocks;
use bytes::Bytes;
use trine_crdt::{NodeId, Now};
use trine_replica::effect::{PeerAddress, Roster};
use trine_replica::input::GroupId;
use trine_replica::{Batch, Counters, Founds, Input, NotReady, NotTaken, Outbox, PeerMessage, Replica, Store};

/// Somebody to drive: the node's [`trine_replica::Replica`], or in tests a script.
pub trait Core: Send {
    /// Takes an input and writes effects.
    fn handle(&mut self, now: Now, store: &dyn Store, input: Input, outbox: &mut Outbox);

    /// When to call again with `Tick`, on the monotonic clock, in nanoseconds.
    fn deadline(&self) -> u64;

    /// Whether it serves.
    ///
    /// # Errors
    /// Why not.
    fn ready(&self) -> Result<(), NotReady>;

    /// Whether it takes writes.
    ///
    /// # Errors
    /// Why not.
    fn writes(&self) -> Result<(), NotTaken> {
        Ok(self.ready()?)
    }

    /// Whether it may found its region's Raft group, should the log be empty.
    fn founds(&self) -> Founds {
        Founds::Yes
    }

    /// What it counts.
    fn counters(&self) -> Counters;

    /// What its peers' clocks say of its own.
    fn clocks(&self) -> Clocks {
        Clocks::default()
    }
}

impl Core for Replica {
    fn handle(&mut self, now: Now, store: &dyn Store, input: Input, outbox: &mut Outbox) {
        Self::handle(self, now, store, input, outbox);
    }

    fn deadline(&self) -> u64 {
        Self::deadline(self)
    }

    fn ready(&self) -> Result<(), NotReady> {
        Self::ready(self)
    }

    fn writes(&self) -> Result<(), NotTaken> {
        Self::writes(self)
    }

    fn founds(&self) -> Founds {
        Self::founds(self)
    }

    fn counters(&self) -> Counters {
        Self::counters(self)
    }

    fn clocks(&self) -> Clocks {
        let (believed, hybrid_ahead_s) = self.clock_figures();
        Clocks { believed, hybrid_ahead_s, offsets_s: self.clock_offsets() }
    }
}

/// Where effects go. Only `persist` may wait, and only for a disk.
pub trait World: Send {
    /// Hands a batch to its committer.
    fn persist(&mut self, batch: Batch);

    /// Sends to a peer; may be lost.
    fn send(&mut self, to: NodeId, message: PeerMessage);

    /// Publishes by gossip; may be lost.
    fn publish(&mut self, rumor: Bytes);

    /// Replaces the list of nodes to be connected with.
    fn peers(&mut self, peers: Vec<PeerAddress>);

    /// Puts an entry into a group's log; `term` is that in which the core believes to lead it. Entries of a group enter in the
    /// order of these calls.
    fn propose(&mut self, group: GroupId, term: u64, ticket: u64, entry: Bytes);

    /// Asks for a read barrier of a group's log.
    fn read_index(&mut self, group: GroupId, ticket: u64);

    /// Replaces the list of nodes that a group's Raft membership follows.
    fn roster(&mut self, group: GroupId, roster: Roster);

    /// The node has left its region: it is to be stopped in order.
    fn leave(&mut self, reason: String);

    /// Hands leadership of the region's log to another voter, if this node has it.
    fn step_down(&mut self);

    /// The node may not go on.
    fn halt(&mut self, reason: String);
}
