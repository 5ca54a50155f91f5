//! The types that openraft is told to use.
//!
//! openraft has two leader ids: the standard one, whose committed form forgets who led, and the advanced one, which
//! allows several leaders in a term. A position in our log names its leader, so ours is standard in how votes
//! compare (one vote a term, whoever asks first) and keeps the node in the committed form; since a term has one
//! leader at most, that changes no comparison.

use std::cmp::Ordering;
use std::fmt;

use bytes::Bytes;
use openraft::RaftTypeConfig;
use openraft::vote::RaftLeaderId;
use serde::{Deserialize, Serialize};
use trine_crdt::NodeId;
use trine_ledger::LogPosition;

openraft::declare_raft_types!(
    /// The types of a region's Raft group.
    pub TypeConfig:
        D = AppData,
        R = (),
        NodeId = u64,
        Node = Member,
        Term = u64,
        LeaderId = Leader,
);

/// Any configuration of openraft with our types: the daemon's [`TypeConfig`], or one on another runtime.
pub trait Types:
    RaftTypeConfig<
        D = AppData,
        R = (),
        NodeId = u64,
        Node = Member,
        Term = u64,
        LeaderId = Leader,
        Vote = Vote,
        Payload = Payload,
        Entry = Entry,
    >
{
}

impl<C> Types for C where
    C: RaftTypeConfig<
            D = AppData,
            R = (),
            NodeId = u64,
            Node = Member,
            Term = u64,
            LeaderId = Leader,
            Vote = Vote,
            Payload = Payload,
            Entry = Entry,
        >
{
}

/// An application's entry: an encoded `trine_ledger::Entry`, opaque here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppData(pub Bytes);

impl fmt::Display for AppData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What membership says of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Where its Raft connections arrive, `host:port`.
    pub address: String,
    /// Its name, as its certificate says.
    pub name: String,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.address)
    }
}

/// Who was voted for in a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Leader {
    /// The term.
    pub term: u64,
    /// The node.
    pub node: u64,
}

impl PartialOrd for Leader {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.term.cmp(&other.term) {
            Ordering::Equal => (self.node == other.node).then_some(Ordering::Equal),
            decided => Some(decided),
        }
    }
}

impl fmt::Display for Leader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "T{}-N{:016x}", self.term, self.node)
    }
}

/// Who led a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Led {
    /// The term.
    pub term: u64,
    /// Its only leader.
    pub node: u64,
}

impl fmt::Display for Led {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "T{}-N{:016x}", self.term, self.node)
    }
}

impl PartialEq<Led> for Leader {
    fn eq(&self, _other: &Led) -> bool {
        // A candidate and an elected leader are never the same.
        false
    }
}

impl PartialOrd<Led> for Leader {
    fn partial_cmp(&self, other: &Led) -> Option<Ordering> {
        match self.term.cmp(&other.term) {
            // In one term the elected leader stands above every candidate.
            Ordering::Equal => Some(Ordering::Less),
            decided => Some(decided),
        }
    }
}

impl RaftLeaderId for Leader {
    type Term = u64;
    type NodeId = u64;
    type Committed = Led;

    fn new(term: u64, node: u64) -> Self {
        Self { term, node }
    }

    fn term(&self) -> u64 {
        self.term
    }

    fn node_id(&self) -> &u64 {
        &self.node
    }

    fn to_committed(&self) -> Led {
        Led { term: self.term, node: self.node }
    }
}

/// A log id in openraft's form.
pub type LogId = openraft::LogId<Led>;
/// A log entry in openraft's form.
pub type Entry = openraft::alias::EntryOf<TypeConfig>;
/// What an entry holds.
pub type Payload = openraft::EntryPayload<AppData, u64, Member>;
/// A vote.
pub type Vote = openraft::alias::VoteOf<TypeConfig>;
/// A membership.
pub type Membership = openraft::Membership<u64, Member>;
/// A membership with its position.
pub type StoredMembership = openraft::alias::StoredMembershipOf<TypeConfig>;

/// What a snapshot covers.
pub type SnapshotMeta = openraft::alias::SnapshotMetaOf<TypeConfig>;
/// A snapshot.
pub type Snapshot = openraft::alias::SnapshotOf<TypeConfig, super::prefix::Prefix>;

/// openraft, with our state machine.
pub type Raft = openraft::Raft<TypeConfig, super::machine::Machine>;

/// openraft's form of a position.
#[must_use]
pub fn log_id(position: LogPosition) -> LogId {
    LogId::new(Led { term: position.term, node: position.leader.0 }, position.index)
}

/// The position that a log id names.
#[must_use]
pub fn position(id: &LogId) -> LogPosition {
    LogPosition { term: id.leader_id.term, leader: NodeId(id.leader_id.node), index: id.index }
}
