//! What the core wants done, and the outbox it is written to.

use std::collections::BTreeSet;

use bytes::Bytes;
use trine_crdt::{NodeId, PartitionId, RegionId, WriterId};
use trine_protocol::RequestError;
use trine_protocol::reply::Answer;

use crate::input::{BatchId, GroupId, RequestId};
use crate::message::PeerMessage;
use crate::not_ready::NotReady;
use crate::store::StoreError;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "lives for one turn; a box for each message would cost more")]
pub enum Effect {
    /// Write rows; atomic.
    Persist(Batch),
    /// Send to an admitted peer; may be lost.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: PeerMessage,
    },
    /// Tell every node by gossip; may be lost.
    Publish(Bytes),
    /// Put an entry into a group's log; only at its leader. Entries are appended in the order of this effect.
    Propose {
        /// Which group's.
        group: GroupId,
        /// The core's name for it.
        ticket: u64,
        /// An encoded `trine_ledger::Entry`.
        entry: Bytes,
    },
    /// Ask for a read barrier of a group's log; only at its leader.
    ReadIndex {
        /// Which group's.
        group: GroupId,
        /// The core's name for it.
        ticket: u64,
    },
    /// Answer a client.
    Reply {
        /// Whose request.
        request: RequestId,
        /// The answer.
        answer: Result<Box<Answer>, RequestError>,
    },
    /// The nodes to be connected with, all of them; replaces the last list.
    Peers(Vec<PeerAddress>),
    /// Who belongs to a group; its leader's driver makes Raft membership follow it.
    Roster {
        /// Which group.
        group: GroupId,
        /// Who belongs to it.
        roster: Roster,
    },
    /// Hand leadership of the region's log to another voter, if this node has it: its clock is not believed.
    StepDown,
    /// This node was taken off its region's roster and its vote is not missed any more: stop.
    Leave {
        /// What happened, for the log and the operator.
        reason: String,
    },
    /// This node may not go on: stop, and tell the log and the operator why.
    Halt(Halt),
}

/// Why a node may not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// Its disk is older than what it acknowledged: going on would reuse or lose dots.
    #[error(
        "this disk is older than what it acknowledged: of writer {writer} in {partition} a peer holds {theirs}, this disk \
         {here}; start again with an empty data directory"
    )]
    OldDisk {
        /// One of this disk's own writers.
        writer: WriterId,
        /// A partition that it wrote.
        partition: PartitionId,
        /// Up to which number a peer has its writes there.
        theirs: u64,
        /// Up to which this disk has them.
        here: u64,
    },
    /// Its region has no place for it.
    #[error(transparent)]
    NotAdmitted(NotReady),
    /// What it holds could not be read, outside of any request.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A node to be connected with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// Its libp2p peer id.
    pub peer: String,
    /// Its region.
    pub region: RegionId,
    /// Its libp2p addresses.
    pub addresses: Vec<String>,
}

/// This region's roster, as far as Raft membership follows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roster {
    /// The nodes that registered.
    pub nodes: Vec<RosterNode>,
    /// The nodes that were retired. Who is in neither list has yet to register.
    pub retired: BTreeSet<NodeId>,
}

/// A node of this region's roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterNode {
    /// Its id; also its Raft id.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Where its Raft connections arrive.
    pub raft: String,
    /// Its incarnation.
    pub writer: WriterId,
}

/// How durable a batch must be before `Persisted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Persistence {
    /// On disk: it survives the loss of power.
    Synced,
    /// Visible to the store; a suffix of such batches may be lost with power, because the log or a peer has it.
    Derived,
}

/// Rows to be written atomically. The two kinds live in two databases, each with its own key space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Rises; not every number is used.
    pub id: BatchId,
    /// How durable.
    pub persistence: Persistence,
    /// Row key and value; none deletes the row. Later rows of the same key win.
    pub rows: Vec<(Bytes, Option<Bytes>)>,
}

/// Where `handle` writes its effects, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    /// The effects.
    pub effects: Vec<Effect>,
}
