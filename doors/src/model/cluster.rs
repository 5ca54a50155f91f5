//! Regions, nodes, namespaces, the manifest and a node's status as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trine_protocol::reply::{
    ClockView, ForkView, Health, NamespaceView, NodeView, ProblemView, RaftRole, RecoveryView, RegionView, SegmentView,
    StatusView,
};
use trine_protocol::request::NamespaceKind;
use utoipa::ToSchema;

use super::value::{hex, time_of};

/// How a region's or node's health is named.
#[must_use]
pub fn health_name(health: Health) -> &'static str {
    match health {
        Health::Unknown => "unknown",
        Health::Unreachable => "unreachable",
        Health::Degraded => "degraded",
        Health::Healthy => "healthy",
    }
}

/// How a node's part in its Raft group is named.
#[must_use]
pub fn raft_name(role: RaftRole) -> &'static str {
    match role {
        RaftRole::Leader => "leader",
        RaftRole::Voter => "voter",
        RaftRole::Learner => "learner",
        RaftRole::Unknown => "unknown",
    }
}

/// How a namespace's kind is named.
#[must_use]
pub fn kind_name(kind: NamespaceKind) -> &'static str {
    match kind {
        NamespaceKind::Ledger => "ledger",
        NamespaceKind::Objects => "objects",
    }
}

/// A region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Region {
    /// Its id.
    pub id: String,
    /// As the answering node sees it: `healthy`, `degraded`, `unreachable` or `unknown`.
    pub health: String,
    /// How many nodes are on its roster.
    pub nodes: u32,
    /// How many of them the answering node reaches.
    pub reachable: u32,
    /// How many records of its ledger the answering node holds, verified.
    pub ledger_size: u64,
    /// The root of its ledger at that size, hexadecimal.
    pub ledger_root: String,
    /// How many records its latest checkpoint known here signs.
    pub checkpoint_size: u64,
    /// Evidence that its key signed two histories, when the answering node has met such.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fork: Option<Fork>,
    /// When a majority of it was lost and an operator went on with what one disk held, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recoveries: Vec<Recovery>,
}

/// That a region's majority was written off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Recovery {
    /// When.
    pub time: String,
    /// The id that the disk got.
    pub node: String,
    /// The node whose disk it was.
    pub survivor: String,
    /// How many records it held; what only lost disks held is gone.
    pub records: u64,
}

impl From<&RecoveryView> for Recovery {
    fn from(view: &RecoveryView) -> Self {
        Self {
            time: time_of(view.stamp),
            node: view.node.to_string(),
            survivor: view.survivor.to_string(),
            records: view.records,
        }
    }
}

/// Two signed checkpoints of one ledger that cannot both be true. Keep them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fork {
    /// The checkpoint that was held, as signed.
    pub first: String,
    /// The checkpoint that came, as signed.
    pub second: String,
    /// Whether nothing more of that ledger is taken in.
    pub quarantined: bool,
}

impl From<&ForkView> for Fork {
    fn from(view: &ForkView) -> Self {
        let text = |note: &[u8]| String::from_utf8_lossy(note).into_owned();
        Self { first: text(&view.first), second: text(&view.second), quarantined: view.quarantined }
    }
}

impl From<&RegionView> for Region {
    fn from(view: &RegionView) -> Self {
        Self {
            id: view.id.to_string(),
            health: health_name(view.health).to_owned(),
            nodes: view.nodes,
            reachable: view.reachable,
            ledger_size: view.ledger_size,
            ledger_root: hex(&view.ledger_root),
            checkpoint_size: view.checkpoint_size,
            fork: view.fork.as_ref().map(Fork::from),
            recoveries: view.recoveries.iter().map(Recovery::from).collect(),
        }
    }
}

/// What was brought back of a region's ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Recovered {
    /// The region.
    pub region: String,
    /// How many records its ledger has.
    pub size: u64,
    /// How many of them were put back since its leader started.
    pub restored: u64,
}

/// The regions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Regions {
    /// All of them.
    pub regions: Vec<Region>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// Its id.
    pub id: String,
    /// Its name, such as `us-east-1-a`.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its libp2p peer id.
    pub peer: String,
    /// Its libp2p addresses.
    pub addresses: Vec<String>,
    /// Where its HTTP API listens, when it said so.
    pub http: Option<String>,
    /// Its current incarnation, once registered.
    pub writer: Option<String>,
    /// As the answering node sees it: `healthy`, `degraded`, `unreachable` or `unknown`.
    pub health: String,
    /// What it is in its region's Raft group: `leader`, `voter`, `learner` or `unknown`.
    pub raft: String,
    /// Since when it serves under this id and incarnation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// For how many milliseconds the answering node has not heard of it, when it had before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<u64>,
}

impl From<&NodeView> for Node {
    fn from(view: &NodeView) -> Self {
        Self {
            id: view.id.to_string(),
            name: view.name.clone(),
            region: view.region.to_string(),
            peer: view.peer.clone(),
            addresses: view.addresses.clone(),
            http: view.http.clone(),
            writer: view.writer.map(|writer| writer.to_string()),
            health: health_name(view.health).to_owned(),
            raft: raft_name(view.raft).to_owned(),
            since: view.since.map(time_of),
            silent_ms: view.silent_ms,
        }
    }
}

/// The nodes of all regions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Nodes {
    /// All of them.
    pub nodes: Vec<Node>,
}

/// A namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Namespace {
    /// Its id: stands for it wherever its label does, and for no other one.
    pub id: String,
    /// Its id as it stands in a path of this API: percent-encoded.
    pub address: String,
    /// Its label.
    pub name: String,
    /// What it holds: `ledger` or `objects`.
    pub kind: String,
    /// How many partitions (objects).
    pub slots: u32,
}

impl From<&NamespaceView> for Namespace {
    fn from(view: &NamespaceView) -> Self {
        Self {
            id: view.id.to_string(),
            // Regions' names need no encoding.
            address: view.id.to_string().replace('/', "%2F"),
            name: view.name.clone(),
            kind: kind_name(view.kind).to_owned(),
            slots: view.slots,
        }
    }
}

/// Namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Namespaces {
    /// All of them, or all of one label.
    pub namespaces: Vec<Namespace>,
}

/// A sealed segment of a region's ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Segment {
    /// Whose ledger.
    pub region: String,
    /// Its number there, from 0.
    pub number: u64,
    /// The index of its first record.
    pub first: u64,
    /// How many records.
    pub count: u64,
    /// The bytes of its canonical records.
    pub bytes: u64,
    /// SHA-256 hash chain over its canonical records, hexadecimal.
    pub identity: String,
    /// The ledger's root at its end, hexadecimal.
    pub root: String,
}

impl From<&SegmentView> for Segment {
    fn from(view: &SegmentView) -> Self {
        Self {
            region: view.region.to_string(),
            number: view.number,
            first: view.first,
            count: view.count,
            bytes: view.bytes,
            identity: hex(&view.identity),
            root: hex(&view.root),
        }
    }
}

/// The manifest: the sealed segments of all regions' ledgers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Manifest {
    /// The segments.
    pub segments: Vec<Segment>,
}

/// A ledger as a node holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Head {
    /// How many records.
    pub size: u64,
    /// The tree's root at that size, hexadecimal.
    pub root: String,
}

/// The objects of a namespace as a node holds them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Objects {
    /// How many.
    pub count: u64,
    /// The sum of their digests, hexadecimal: equal on nodes that hold the same.
    pub digest: String,
}

/// One node's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The cluster's id.
    pub cluster: String,
    /// The node that answers.
    pub node: Node,
    /// The format level that the cluster writes: the newest that every node on a roster reads; none: no roster is known.
    pub format_level: Option<u16>,
    /// Whether it serves reads.
    pub ready: bool,
    /// Why it does not serve reads, or not take all writes.
    pub reason: Option<String>,
    /// Why edits of objects made there cannot be acknowledged by a majority of its region; none: they can.
    pub edits: Option<String>,
    /// Why appends asked for there cannot be acknowledged; none: they can.
    pub appends: Option<String>,
    /// The node that leads its region's Raft group, when a majority said so lately.
    pub leader: Option<String>,
    /// The Raft term.
    pub term: u64,
    /// The regions' ledgers, as the node holds them.
    pub ledgers: BTreeMap<String, Head>,
    /// The objects, by namespace id.
    pub objects: BTreeMap<String, Objects>,
    /// The latest hybrid time.
    pub timestamp: String,
    /// The stamp's wall-clock time, UTC.
    pub time: String,
    /// Remote stamps held because they are too far ahead.
    pub stamps_held: u64,
    /// On what grounds the node signs what its region's ledger says, or why it does not.
    pub standing: String,
    /// Regions whose keys signed two histories, as this node has seen, and that no operator released here.
    pub forked: Vec<String>,
    /// The nodes that it is connected to.
    pub connected: Vec<String>,
    /// Whether it mirrors the other regions' ledgers; what one holds of them that mirrors no more stands still.
    pub mirrors: bool,
    /// What is wrong, as far as it knows; nothing when all is well.
    pub problems: Vec<Problem>,
    /// What its peers' clocks say of its own.
    pub clock: NodeClock,
}

/// A node's clock, compared with those of the nodes that it hears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeClock {
    /// Whether the node stamps by it: most of those heard agree, or nobody is heard.
    pub believed: bool,
    /// With how many nodes it is compared.
    pub compared: u32,
    /// How far it is ahead of each, in milliseconds, by the node's id; below zero: behind.
    pub offsets_ms: BTreeMap<String, i64>,
    /// How far the node's latest stamp lies ahead of its wall, in milliseconds.
    pub hybrid_ahead_ms: u64,
}

impl From<&ClockView> for NodeClock {
    fn from(view: &ClockView) -> Self {
        Self {
            believed: view.believed,
            compared: view.compared,
            offsets_ms: view.offsets_ms.iter().map(|(node, ms)| (node.to_string(), *ms)).collect(),
            hybrid_ahead_ms: view.hybrid_ahead_ms,
        }
    }
}

/// Something that is wrong.
// Schemas share one room of names, and what a request is refused with bears this one already.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[schema(as = StatusProblem)]
pub struct Problem {
    /// The kind, stable, such as `unreachable`.
    pub code: String,
    /// A sentence that names who or what it is about, and what to do when that is known.
    pub what: String,
    /// The name of the node that it is about, when it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The region that it is about, when it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

impl From<&ProblemView> for Problem {
    fn from(view: &ProblemView) -> Self {
        Self {
            code: view.code.clone(),
            what: view.what.clone(),
            node: view.node.clone(),
            region: view.region.as_ref().map(ToString::to_string),
        }
    }
}

impl From<&StatusView> for Status {
    fn from(view: &StatusView) -> Self {
        let head = |head: &trine_protocol::reply::LedgerHead| Head { size: head.size, root: hex(&head.root) };
        let objects = |sum: &trine_protocol::reply::ObjectsView| Objects { count: sum.count, digest: hex(&sum.digest) };
        Self {
            cluster: view.cluster.clone(),
            format_level: view.format_level,
            node: Node::from(&view.node),
            ready: view.ready,
            reason: view.reason.clone(),
            edits: view.edits.clone(),
            appends: view.appends.clone(),
            leader: view.leader.map(|leader| leader.to_string()),
            term: view.term,
            ledgers: view.ledgers.iter().map(|(region, at)| (region.to_string(), head(at))).collect(),
            objects: view.objects.iter().map(|(namespace, sum)| (namespace.to_string(), objects(sum))).collect(),
            timestamp: view.timestamp.to_string(),
            time: time_of(view.timestamp),
            stamps_held: view.stamps_held,
            standing: view.standing.clone(),
            forked: view.forked.iter().map(ToString::to_string).collect(),
            connected: view.connected.iter().map(ToString::to_string).collect(),
            mirrors: view.mirrors,
            problems: view.problems.iter().map(Problem::from).collect(),
            clock: NodeClock::from(&view.clock),
        }
    }
}
