//! Why a node does not serve, or does not take a write: a closed list, with the words for each.
//!
//! Readiness, the list of problems and the refusal of a request all say the same, and here alone stand the words. Whoever has to
//! know which reason it is matches on it.

use std::fmt;
use std::time::Duration;

use trine_crdt::{NodeId, RegionId, Timestamp, VersionRange};
use trine_protocol::RequestError;

use crate::ledger::Withheld;

/// Why a node does not serve, or takes no edits, or no appends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// It has not said yet whether it serves. Only a program that runs a core says so.
    #[error("the node is starting")]
    Starting,
    /// It says nothing any more. Only a program that runs a core says so.
    #[error("the core is stuck for {silence:?}")]
    Stuck {
        /// For how long.
        silence: Duration,
    },
    /// It is about to end. Only a program that runs a core says so.
    #[error("the node is stopping")]
    Stopping,
    /// Its disk is older than what it acknowledged, so it does not vote.
    #[error(transparent)]
    WentBack(WentBack),
    /// It was taken off its region's roster, and its vote is still missed.
    #[error(
        "this node was removed from its region's roster: it votes until the others can do without it, and then stops"
    )]
    Leaving,
    /// Its clock was not compared yet.
    #[error("its clock is not yet compared with those of other nodes")]
    ClockUncompared,
    /// Most of the nodes that it hears contradict its clock.
    #[error(
        "its clock is {} {} that of {whom}, and {against} of the {heard} nodes that it hears disagree with it: it takes no \
         writes until its clock is set right",
        seconds(.offset_ns.unsigned_abs()),
        if *.offset_ns < 0 { "behind" } else { "ahead of" }
    )]
    ClockDoubted {
        /// How far it is ahead of one of them, in nanoseconds; negative: behind.
        offset_ns: i64,
        /// Of which one, by name.
        whom: String,
        /// How many contradict it.
        against: usize,
        /// How many are heard.
        heard: usize,
    },
    /// A node was removed under its name, which is closed since.
    #[error(
        "its name is closed since the node {node} was removed under it: it waits until an administrator lets it in with \
         `trine nodes readmit {name}`"
    )]
    NameClosed {
        /// The name.
        name: Box<str>,
        /// The node that was removed.
        node: NodeId,
    },
    /// Another node has its name, and answers.
    #[error(
        "the name {name} is that of the node {node}, which answers and has been registered since {}: stop that one first, or \
         give this one a certificate of another name",
        .since.utc()
    )]
    NameHeld {
        /// The name.
        name: Box<str>,
        /// The node that has it.
        node: NodeId,
        /// Since when.
        since: Timestamp,
    },
    /// It does not read what the cluster writes.
    #[error(
        "the cluster writes format level {cluster}, and this program reads {} to {}: start one that reads it",
        .node.lowest, .node.highest
    )]
    Level {
        /// The cluster's format level.
        cluster: u16,
        /// Those that this node reads.
        node: VersionRange,
    },
    /// It holds nothing of its region's log, which exists elsewhere.
    #[error(
        "the region's Raft group exists, since {joined} joined it: this node founds nothing, and waits until the region's \
         leader adds it"
    )]
    GroupExists {
        /// A node that joined the group after it was founded, by name.
        joined: String,
    },
    /// Its incarnation does not stand in the region's ledger yet.
    #[error(
        "its incarnation is not yet registered in the region's ledger{}",
        if *.leader { "" } else { ": the region has no leader" }
    )]
    Unregistered {
        /// Whether the region has a leader.
        leader: bool,
    },
    /// It does not hold yet what its peers held when it joined.
    #[error(transparent)]
    CatchingUp(CatchingUp),
    /// Its disk has no room for writes.
    #[error("{}", RequestError::DiskFull)]
    DiskFull,
    /// It reaches too few nodes of its region to have an edit on a majority of them.
    #[error(
        "taken at durability local only: {others} other nodes of the region are reached where a majority needs {needed}"
    )]
    Minority {
        /// How many others are reached.
        others: usize,
        /// How many others a majority needs.
        needed: usize,
    },
    /// The region has no leader.
    #[error("the region has no leader that a majority knows")]
    NoLeader,
    /// This node leads and has not applied yet what former terms committed.
    #[error("this node has been elected and is not up to date yet")]
    LeaderBehind,
    /// The leader is not linked.
    #[error("the region's leader is not reached from here")]
    LeaderUnreached,
    /// No record may be proposed now.
    #[error(transparent)]
    Withheld(#[from] Withheld),
}

/// That a node's disk is older than what it acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WentBack {
    /// Up to which index it has to apply the log before it votes; none: as far as a leader has committed it.
    pub upto: Option<u64>,
}

impl std::error::Error for WentBack {}

impl fmt::Display for WentBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "this node's disk is older than what it acknowledged: it votes for nobody until a leader elected without it \
             has brought ",
        )?;
        match self.upto {
            None => f.write_str("all of the log"),
            Some(index) => write!(f, "the log up to {index}"),
        }
    }
}

/// How far a node has come that catches up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatchingUp {
    /// It asks what there is.
    #[error("it is catching up: {told} of {peers} peers have said what they hold")]
    Asking {
        /// How many peers have said all that they hold.
        told: usize,
        /// How many there are.
        peers: usize,
    },
    /// Objects are missing.
    #[error("it is catching up: it holds {held} of {all} partitions that its peers held when it joined")]
    Objects {
        /// How many partitions are here.
        held: usize,
        /// How many there were.
        all: usize,
    },
    /// Records are missing.
    #[error("it is catching up: it holds {held} of {all} records of {region} that were there when it joined")]
    Records {
        /// Whose ledger.
        region: RegionId,
        /// How many of its records are here.
        held: u64,
        /// How many there were.
        all: u64,
    },
}

/// Which writes a node does not take, and why; at least one of the two is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTaken {
    /// Why edits of objects cannot be acknowledged as edits are by default.
    pub edits: Option<NotReady>,
    /// Why appends cannot be acknowledged.
    pub appends: Option<NotReady>,
}

impl std::error::Error for NotTaken {}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |why: &Option<NotReady>| why.as_ref().map_or_else(|| "taken".to_owned(), ToString::to_string);
        match self {
            Self { edits: Some(edits), appends: Some(appends) } if edits == appends => write!(f, "{edits}"),
            Self { edits, appends } => write!(f, "edits: {}; appends: {}", words(edits), words(appends)),
        }
    }
}

impl From<NotReady> for NotTaken {
    fn from(why: NotReady) -> Self {
        Self { edits: Some(why.clone()), appends: Some(why) }
    }
}

/// What a client is told, which may ask another node.
impl From<NotReady> for RequestError {
    fn from(why: NotReady) -> Self {
        Self::Unavailable { what: why.to_string() }
    }
}

fn seconds(ns: u64) -> String {
    format!("{:.1} s", ns as f64 / 1e9)
}
