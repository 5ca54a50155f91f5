//! What can happen to a node.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use trine_crdt::{NodeId, RegionId};
use trine_ledger::LogPosition;
use trine_protocol::request::Options;
use trine_protocol::{Request, Role};

use crate::message::PeerMessage;
use crate::not_ready::WentBack;

/// Names a request at the driver; unique while the process runs.
pub type RequestId = u64;
/// Names a batch of rows; rises from 1 at each start, with gaps.
pub type BatchId = u64;

/// A Raft group, of which a node may belong to several: each has its own log, leader, term and tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupId {
    /// The own region's, whose log is the region's ledger.
    Region,
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// An admitted peer's message, decoded, its size bounded.
    Message {
        /// The sender, as admission proved it.
        from: NodeId,
        /// What it says.
        message: PeerMessage,
    },
    /// A rumor that gossip brought, decoded by the core; `from` is the admitted author.
    Rumor {
        /// The author, as its signature proved it.
        from: NodeId,
        /// What was published.
        bytes: Bytes,
    },
    /// A stream to a peer stands; messages can go.
    PeerUp(Peer),
    /// The stream is gone; messages under way may be lost.
    PeerDown(NodeId),
    /// A client asks.
    Request {
        /// The driver's name for it.
        id: RequestId,
        /// What the caller's certificate allows.
        role: Role,
        /// How it wants to be served.
        options: Options,
        /// The request.
        request: Request,
    },
    /// The batch, and every earlier one of its durability, is as durable as it asked for.
    Persisted(BatchId),
    /// Entries that a group's log committed, in log order without gaps, each exactly once from the position
    /// after the one the store holds.
    Committed {
        /// Whose log.
        group: GroupId,
        /// The entries.
        entries: Vec<CommittedEntry>,
    },
    /// Who leads a group.
    Leadership {
        /// Which.
        group: GroupId,
        /// Who leads it.
        leadership: Leadership,
    },
    /// Who votes in the region's Raft group, and who of it answers; said whenever that changes, before a `Leadership`
    /// that depends on it.
    Voters(Voters),
    /// What became of a proposal.
    Proposed {
        /// To which group.
        group: GroupId,
        /// The core's name for it.
        ticket: u64,
        /// Whether it may yet be committed.
        outcome: ProposeOutcome,
    },
    /// A read barrier: everything acknowledged before it was asked for is at or below this log index.
    ReadIndex {
        /// Of which group's log.
        group: GroupId,
        /// The core's name for it.
        ticket: u64,
        /// The index, or none when no majority answered.
        index: Option<u64>,
    },
    /// What is damaged on this node's disk and not healed, in words; replaces what was said before.
    Damaged(Vec<String>),
    /// Why this node votes for nobody; none: it votes.
    HeldBack(Option<WentBack>),
    /// The names of nodes of this region that are of another Raft group: two were founded.
    OtherGroup(BTreeSet<String>),
    /// Whether the disk has room for writes.
    Disk {
        /// False: refuse writes.
        writable: bool,
    },
}

/// A peer with a stream, as admission proved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its id.
    pub node: NodeId,
    /// Its name.
    pub name: Arc<str>,
    /// Its region.
    pub region: RegionId,
}

/// One committed log entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedEntry {
    /// Where it stands.
    pub position: LogPosition,
    /// What it holds.
    pub payload: Payload,
}

/// What a log entry holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A leader's first entry.
    Blank,
    /// An encoded `trine_ledger::Entry`.
    Entry(Bytes),
    /// Raft membership; the core keeps it as the region's latest.
    Membership {
        /// In the driver's encoding.
        bytes: Bytes,
        /// Whose votes count; while membership changes, those of either side.
        voters: BTreeSet<NodeId>,
    },
}

/// The state of a Raft group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leadership {
    /// The leader, when known.
    pub leader: Option<NodeId>,
    /// The term.
    pub term: u64,
    /// This node leads, and every entry of earlier terms in its log was handed over as `Committed`.
    pub serving: bool,
}

/// The members of the region's Raft group as its leader sees them; on other nodes nobody is known to answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Voters {
    /// The term in which this was so.
    pub term: u64,
    /// The sets of which each needs a majority: one, or two while membership changes.
    pub sets: Vec<BTreeSet<NodeId>>,
    /// Who gets the log only.
    pub learners: BTreeSet<NodeId>,
    /// Members that the leader heard of a short while ago, itself included.
    pub answering: BTreeSet<NodeId>,
}

/// What became of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProposeOutcome {
    /// Committed (its `Committed` comes or came).
    Committed,
    /// Never entered the log; may be proposed again.
    Refused,
    /// May or may not be in the log.
    Unknown,
}
