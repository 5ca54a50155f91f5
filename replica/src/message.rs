//! What nodes say to each other over region links, once admission has proved who they are.
//!
//! Nothing here depends on arriving: each message may be lost, repeated, late. A frame is a length, checked before
//! anything is allocated, and one value of `trine_crdt::codec`.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use trine_crdt::{PartitionId, RegionId, VersionVector, WriterId};
use trine_protocol::reply::Answer;
use trine_protocol::request::Options;
use trine_protocol::{Request, RequestError, Role};

/// One message between nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerMessage {
    /// Repair of the metadata lattice: an encoded `trine_gossip::repair` message.
    Metadata(Bytes),
    /// Intervals of deltas, pushed or asked for.
    Intervals {
        /// Numbers the batch on this link; the acknowledgement bears it.
        batch: u64,
        /// The intervals.
        intervals: Vec<Interval>,
    },
    /// What of the intervals is on the sender's disk, cumulative per partition and writer.
    Have {
        /// The batch this answers, which frees its place in the link's window.
        batch: u64,
        /// Partition, writer, and the last sequence number of the unbroken prefix on disk.
        upto: Vec<(PartitionId, WriterId, u64)>,
    },
    /// A summary of what the sender holds, to find what is missing: per namespace partitions' vector hashes.
    Vectors(Vec<(PartitionId, u64)>),
    /// The full vectors of the partitions whose hashes differ; `reply` asks for the receiver's in return.
    Vector {
        /// Partitions and their vectors.
        vectors: Vec<(PartitionId, VersionVector)>,
        /// Whether the receiver should answer with its own.
        reply: bool,
    },
    /// Asks for a partition as whole objects, because its deltas are no longer kept.
    PullPartition {
        /// Which.
        partition: PartitionId,
        /// After this key; empty: from the start.
        after: Bytes,
        /// The sender's vector when the pull began; none on the first page.
        vector: Option<VersionVector>,
    },
    /// A page of whole objects.
    PartitionPage {
        /// Which partition.
        partition: PartitionId,
        /// Keys and encoded objects, in key order.
        objects: Vec<(Bytes, Bytes)>,
        /// The sender's vector when the pull began; the receiver takes it in after the last page only.
        vector: VersionVector,
        /// Ask for the next page after this key; none: this was the last.
        next: Option<Bytes>,
    },
    /// Asks for a region's ledger from an index on, as it grows.
    Follow {
        /// Whose ledger.
        ledger: RegionId,
        /// The first record wanted; everything below it is held and verified.
        from: u64,
        /// How many bytes may be under way unacknowledged; 0: follow no more.
        window_bytes: u64,
    },
    /// Records of a ledger, and a checkpoint at or after their end.
    Tail {
        /// Whose ledger.
        ledger: RegionId,
        /// The index of the first record.
        from: u64,
        /// Encoded records, in order.
        records: Vec<Bytes>,
        /// A signed checkpoint of the size that these records end at.
        checkpoint: Bytes,
    },
    /// Frees a follower's window: everything below `from` is held and verified.
    Followed {
        /// Whose ledger.
        ledger: RegionId,
        /// The first record wanted next.
        from: u64,
    },
    /// A request handed on to the node that can serve it.
    Forward {
        /// Numbers it on this link.
        number: u64,
        /// What the client's certificate allows.
        role: Role,
        /// How it wants to be served.
        options: Options,
        /// The request.
        request: Request,
        /// How many nodes have handed it on.
        hops: u8,
    },
    /// Its answer.
    Forwarded {
        /// The number.
        number: u64,
        /// The answer.
        answer: Result<Box<Answer>, RequestError>,
    },
    /// Asks what is held, partitions after this one; the sender's disk is new and catches up.
    AskHoldings {
        /// None: from the first on.
        after: Option<PartitionId>,
    },
    /// A page of what the sender holds.
    Holdings(Holdings),
    /// Whether the sender is catching up, and had better not be asked for what it lacks.
    CatchingUp(bool),
    /// Asks the leader to put this node (name, disk, incarnation, addresses) on the roster.
    Register(Registration),
    /// A node that asked to be registered is not, for now.
    NotAdmitted {
        /// Which node asked.
        node: trine_crdt::NodeId,
        /// Why it is not registered.
        reason: NotAdmitted,
    },
    /// The receiver is a voter of its region no more, as its neighbour's log has it: when it was retired, it may stop.
    LetGo,
    /// Asks what the receiver's wall clock shows.
    ClockAsk {
        /// When it was asked, by the asker's monotonic clock, in nanoseconds.
        asked_ns: u64,
    },
    /// What the sender's wall clock shows.
    ClockTell {
        /// The asker's word, as it came.
        asked_ns: u64,
        /// Nanoseconds since 1970.
        wall_ns: u64,
    },
    /// Asks what the receiver holds of the sender's own region's ledger.
    HeadAsked,
    /// What the sender holds of a ledger.
    HeadTold(HeadTold),
    /// Asks for proof that what the receiver holds of a ledger extends what the sender does.
    ExtensionAsked {
        /// Whose ledger.
        ledger: RegionId,
        /// How many records the sender holds.
        from: u64,
    },
    /// That proof, or that it does not.
    ExtensionTold {
        /// Whose ledger.
        ledger: RegionId,
        /// How many records the receiver said that it holds.
        from: u64,
        /// The root of the sender's tree there.
        root: Bytes,
        /// The signed checkpoint of all that the sender holds.
        note: Bytes,
        /// The consistency proof between the two.
        path: Vec<Bytes>,
    },
}

/// What a node holds, for one that catches up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holdings {
    /// The page begins after this partition.
    pub after: Option<PartitionId>,
    /// Partitions and their vectors, in order.
    pub partitions: Vec<(PartitionId, VersionVector)>,
    /// Whether there are more partitions after these.
    pub more: bool,
    /// How many records of which ledger.
    pub ledgers: BTreeMap<RegionId, u64>,
    /// Whether the sender is catching up itself.
    pub joining: bool,
}

/// What a node holds of a region's ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadTold {
    /// Whose ledger.
    pub ledger: RegionId,
    /// The largest checkpoint known, signed by the region's key; its records need not be held.
    pub note: Option<Bytes>,
    /// How many records are held.
    pub size: u64,
    /// The root of their tree.
    pub root: Bytes,
    /// Whether the sender mirrors ledgers: it then holds all that its region does.
    pub mirrors: bool,
    /// Whether the sender is of that region, and signs what its ledger says.
    pub asked: bool,
    /// A node on that region's roster that did not found it, as far as the sender knows.
    pub joined: Option<String>,
}

/// Deltas of one writer in one partition: everything after `after` up to `upto`, joined per object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// The partition.
    pub partition: PartitionId,
    /// The writer.
    pub writer: WriterId,
    /// The receiver must have everything of this writer up to here.
    pub after: u64,
    /// Where the interval ends.
    pub upto: u64,
    /// Keys and encoded `trine_crdt::Delta`s, in key order.
    pub deltas: Vec<(Bytes, Bytes)>,
}

/// What a node says of itself when it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Its disk.
    pub node: trine_crdt::NodeId,
    /// Its name, as its certificate says.
    pub name: String,
    /// Its libp2p peer id.
    pub peer: String,
    /// Its libp2p addresses.
    pub addresses: Vec<String>,
    /// Where its Raft connections arrive, `host:port`.
    pub raft: String,
    /// Where its HTTP API listens.
    pub http: Option<String>,
    /// Its incarnation.
    pub writer: WriterId,
    /// The format levels that it reads.
    pub levels: trine_crdt::VersionRange,
}

/// Why a node is not put on its region's roster, and what it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotAdmitted {
    /// Its name is closed since the node that had it was removed.
    NameClosed {
        /// The removed node.
        node: trine_crdt::NodeId,
    },
    /// Its name is another node's, and that one answers.
    NameHeld {
        /// The node that has the name.
        node: trine_crdt::NodeId,
        /// When that one was registered.
        since: trine_crdt::Timestamp,
    },
    /// It does not read what the cluster writes.
    Level {
        /// The cluster's format level.
        cluster: u16,
        /// Those that the node reads.
        node: trine_crdt::VersionRange,
    },
}
