//! What a node answers.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use trine_crdt::{NamespaceId, NodeId, RegionId, Timestamp, WriterId};

use crate::request::NamespaceKind;
use crate::session::SessionToken;
use crate::{ObjectPage, ObjectView};

/// One record as read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordView {
    /// Whose ledger it stands in.
    pub region: RegionId,
    /// Its index there.
    pub index: u64,
    /// The namespace.
    pub namespace: NamespaceId,
    /// The key.
    pub key: String,
    /// When it was appended.
    pub timestamp: Timestamp,
    /// The value.
    pub value: Bytes,
    /// The value's media type.
    pub content_type: String,
    /// Names and values that travel with it.
    pub metadata: BTreeMap<String, String>,
    /// The record's header: the leaf of the tree, byte for byte.
    pub header: Bytes,
    /// The salts of the commitments to key, metadata and value, 32 bytes each, in this order.
    pub salts: Bytes,
    /// An inclusion proof, when asked for.
    pub proof: Option<InclusionView>,
}

/// Why a record is in a ledger: a signed checkpoint and the path from the leaf to its root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InclusionView {
    /// The signed note (C2SP tlog-checkpoint), byte for byte.
    pub checkpoint: Bytes,
    /// The sibling hashes from the leaf upwards (RFC 9162, 2.1.3), 32 bytes each.
    pub path: Vec<Bytes>,
}

/// A page of records.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// The records.
    pub records: Vec<RecordView>,
    /// Where to go on, when there is more.
    pub next: Option<String>,
}

/// The answer to an append.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Appended {
    /// The ledger's region.
    pub region: RegionId,
    /// The record's index.
    pub index: u64,
    /// The record's stamp.
    pub timestamp: Timestamp,
    /// Whether the idempotency key was seen before and this is the first append's answer.
    pub duplicate: bool,
    /// SHA-256 leaf hash (RFC 9162) of the record's header.
    #[serde(with = "serde_bytes")]
    pub leaf: [u8; 32],
    /// An inclusion proof, when asked for, with the header it proves.
    pub proof: Option<InclusionView>,
    /// The record's header, when a proof was asked for.
    pub header: Option<Bytes>,
}

/// A namespace as listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceView {
    /// Its id.
    pub id: NamespaceId,
    /// Its label.
    pub name: String,
    /// What it holds.
    pub kind: NamespaceKind,
    /// How many partitions (objects).
    pub slots: u32,
}

/// Whether something can be reached. "Not known" is never "healthy".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Nothing is known.
    Unknown,
    /// Does not answer.
    Unreachable,
    /// Answers in part.
    Degraded,
    /// Answers.
    Healthy,
}

/// A region as listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionView {
    /// Its id.
    pub id: RegionId,
    /// As this node sees it.
    pub health: Health,
    /// How many nodes are on its roster.
    pub nodes: u32,
    /// How many of them this node reaches (itself included).
    pub reachable: u32,
    /// How many records of its ledger this node holds, verified.
    pub ledger_size: u64,
    /// The root of its ledger at that size.
    #[serde(with = "serde_bytes")]
    pub ledger_root: [u8; 32],
    /// How many records its latest checkpoint known here signs.
    pub checkpoint_size: u64,
    /// Evidence that its log key signed two histories, when this node has met such.
    pub fork: Option<ForkView>,
    /// When lost majorities of it were written off, the oldest first.
    pub recoveries: Vec<RecoveryView>,
}

/// That a region's majority was lost, and an operator went on with what one disk held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryView {
    /// When.
    pub stamp: Timestamp,
    /// The id that the disk got.
    pub node: NodeId,
    /// The node whose disk it was.
    pub survivor: NodeId,
    /// How many records it held.
    pub records: u64,
}

/// Two signed checkpoints of one ledger that cannot both be true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForkView {
    /// The one that was held.
    pub first: Bytes,
    /// The one that came.
    pub second: Bytes,
    /// Whether nothing more of that ledger is taken in; an operator may have released it.
    pub quarantined: bool,
}

/// What a node is in its Raft group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RaftRole {
    /// Leads.
    Leader,
    /// Votes.
    Voter,
    /// Follows without a vote.
    Learner,
    /// Not known here.
    Unknown,
}

/// A node as listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeView {
    /// Its id.
    pub id: NodeId,
    /// Its name, such as `us-east-1-a`.
    pub name: String,
    /// Its region.
    pub region: RegionId,
    /// Its libp2p peer id.
    pub peer: String,
    /// Its libp2p addresses.
    pub addresses: Vec<String>,
    /// Where its HTTP API listens, when it said so.
    pub http: Option<String>,
    /// Its current incarnation, once registered.
    pub writer: Option<WriterId>,
    /// As this node sees it.
    pub health: Health,
    /// What it is in its region's Raft group.
    pub raft: RaftRole,
    /// When its present incarnation was registered; none: not yet.
    pub since: Option<Timestamp>,
    /// For how many milliseconds this node has not heard of it; none: it is linked, or was never heard.
    pub silent_ms: Option<u64>,
}

/// The state of one ledger on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerHead {
    /// How many records.
    pub size: u64,
    /// The tree's root at that size.
    #[serde(with = "serde_bytes")]
    pub root: [u8; 32],
}

/// One node's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusView {
    /// The cluster's id.
    pub cluster: String,
    /// The format level that the cluster writes: the newest that every node on a roster reads; none: no roster is known.
    pub format_level: Option<u16>,
    /// The node as its roster names it.
    pub node: NodeView,
    /// Whether it serves reads.
    pub ready: bool,
    /// Why it does not serve reads, or not take all writes.
    pub reason: Option<String>,
    /// Why edits of objects made there cannot be acknowledged by a majority of its region; none: they can.
    pub edits: Option<String>,
    /// Why appends asked for there cannot be acknowledged; none: they can.
    pub appends: Option<String>,
    /// The node that leads its region's Raft group, when a majority said so lately.
    pub leader: Option<NodeId>,
    /// The Raft term.
    pub term: u64,
    /// The regions' ledgers, as this node holds them.
    pub ledgers: BTreeMap<RegionId, LedgerHead>,
    /// Per objects namespace the digest of all objects: equal on nodes that hold the same.
    pub objects: BTreeMap<NamespaceId, ObjectsView>,
    /// The latest hybrid time that a restart remembers.
    pub timestamp: Timestamp,
    /// Remote stamps held because they are too far ahead.
    pub stamps_held: u64,
    /// On what grounds the node signs what its region's ledger says, or why it does not, in words.
    pub standing: String,
    /// Regions whose keys signed two histories, as this node has seen, and that no operator released here.
    pub forked: Vec<RegionId>,
    /// The nodes that this one is connected to.
    pub connected: Vec<NodeId>,
    /// Whether it mirrors the other regions' ledgers; what one holds of them that mirrors no more stands still.
    pub mirrors: bool,
    /// What is wrong, as far as it knows; nothing when all is well.
    pub problems: Vec<ProblemView>,
    /// What its peers' clocks say of its own.
    pub clock: ClockView,
}

/// A node's clock, compared with those of the nodes that it hears.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockView {
    /// Whether the node stamps by it: most of those heard agree, or nobody is heard.
    pub believed: bool,
    /// With how many nodes it is compared.
    pub compared: u32,
    /// How far it is ahead of each, in milliseconds; below zero: behind.
    pub offsets_ms: Vec<(NodeId, i64)>,
    /// How far the node's latest stamp lies ahead of its wall, in milliseconds.
    pub hybrid_ahead_ms: u64,
}

/// Something that is wrong, as a node or a client of it sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProblemView {
    /// The kind, stable, such as `unreachable`.
    pub code: String,
    /// A sentence that names who or what it is about, and what to do when that is known.
    pub what: String,
    /// The name of the node that it is about, when it is about one.
    pub node: Option<String>,
    /// The region that it is about, when it is about one.
    pub region: Option<RegionId>,
}

/// The objects of a namespace on a node, summed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectsView {
    /// How many objects.
    pub count: u64,
    /// The sum of their digests.
    #[serde(with = "serde_bytes")]
    pub digest: [u8; 32],
}

/// A sealed segment as the manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentView {
    /// Whose ledger.
    pub region: RegionId,
    /// Its number there, from 0.
    pub number: u64,
    /// The index of its first record.
    pub first: u64,
    /// How many records.
    pub count: u64,
    /// The bytes of its canonical records.
    pub bytes: u64,
    /// What it holds: a SHA-256 hash chain over its canonical records (`trine_ledger::segment`).
    #[serde(with = "serde_bytes")]
    pub identity: [u8; 32],
    /// The ledger's root at its end.
    #[serde(with = "serde_bytes")]
    pub root: [u8; 32],
}

/// That all records of a region that were lost are back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// How many records the region's ledger has.
    pub size: u64,
    /// How many of them were put back since the answering node started.
    pub restored: u64,
}

/// The answer to one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reply {
    /// To `Append`.
    Appended(Appended),
    /// To `LedgerGet` and `LedgerRecord`.
    Record(RecordView),
    /// To `LedgerHistory` and `LedgerRange`.
    Page(Page),
    /// To `Checkpoint`: the signed note.
    Checkpoint(Bytes),
    /// To `Consistency`: the nodes of the proof (RFC 9162, 2.1.4), 32 bytes each.
    Consistency(Vec<Bytes>),
    /// To `ObjectGet`, and to `ObjectEdit`: the object after it.
    Object(ObjectView),
    /// To `ObjectList`.
    Objects(ObjectPage),
    /// To `Genesis`: the signed document.
    Genesis(Bytes),
    /// To `NamespaceCreate` and `NamespaceRename`.
    Namespace(NamespaceView),
    /// To `NamespaceList` and `NamespaceShow`.
    Namespaces(Vec<NamespaceView>),
    /// To `RegionList`.
    Regions(Vec<RegionView>),
    /// To `NodeList`.
    Nodes(Vec<NodeView>),
    /// To `Status`.
    Status(Box<StatusView>),
    /// To `ManifestShow`.
    Segments(Vec<SegmentView>),
    /// Done; to `NamespaceDelete`, `NodeRemove`, `NodeReplace` and `NodeReadmit`.
    Done,
    /// To `RegionRecover`: all is here.
    Recovered(Recovered),
}

/// A reply with what the session has seen by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The reply.
    pub reply: Reply,
    /// What the session must not read behind of from now on (to be merged into its token).
    pub session: SessionToken,
    /// A write's stamp, or the node's hybrid time when it was asked, as far as a restart remembers it.
    pub timestamp: Timestamp,
}
