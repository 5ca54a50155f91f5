//! What a run leaves behind for the checkers: the history, what each node held in the end, and what was done to it.
//!
//! What nodes held is read from their disks by who runs them, never asked of them. Nothing in here is judged yet.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trine_crdt::Timestamp;

use crate::history::{History, View};
use crate::plan::Bounds;

/// All that is known of a run. As JSON it is the `--held` file of `trine-chaos check`; the history has its own file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Evidence {
    /// What clients did and were told.
    #[serde(skip)]
    pub history: History,
    /// What had to be well again within which time.
    pub bounds: Bounds,
    /// What each node held in the end; empty: not known.
    pub held: Vec<Held>,
    /// The faults as they really happened.
    pub faults: Vec<Happened>,
    /// When the clients ended, in nanoseconds of the run.
    pub ended_ns: Option<u64>,
    /// When everything was healed and every node had been started.
    pub healed_ns: Option<u64>,
    /// When all nodes held the same, first seen after the heal.
    pub converged_ns: Option<u64>,
    /// What nodes' clocks had issued when they stopped and started.
    pub clocks: Vec<ClockMark>,
    /// What nodes did of themselves.
    pub events: Vec<NodeEvent>,
    /// The true time at the run's beginning, in nanoseconds since 1970; none: not known.
    pub wall_ns: Option<u64>,
    /// How far nodes' wall clocks were ahead of the true time; empty: not known.
    pub walls: Vec<Wall>,
    /// What nodes said of themselves.
    pub said: Vec<Said>,
    /// When nodes' processes ran; empty: not known.
    pub uptimes: Vec<Uptime>,
    /// The heads that regions' own nodes showed under their region's key; empty: nobody asked.
    pub heads: Vec<SignedHead>,
    /// For how long of a ledger's time an idempotency key is remembered, where that is shorter than any call lasts.
    pub key_window_ns: Option<u64>,
}

/// What one node held in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Held {
    /// The node.
    pub node: String,
    /// Its region.
    pub region: String,
    /// Whether it had to hold all ledgers whole; false: of other regions' what it has must be a beginning.
    pub mirrors: bool,
    /// The objects, by key.
    pub objects: BTreeMap<String, HeldObject>,
    /// The objects summed up, by namespace.
    pub namespaces: BTreeMap<String, Sum>,
    /// Per partition what its objects sum up to, and the sum that the node kept.
    pub partitions: BTreeMap<String, KeptSum>,
    /// The ledgers, by region.
    pub ledgers: BTreeMap<String, HeldLedger>,
    /// What could not be read, or not be verified.
    pub damage: Vec<String>,
}

/// An object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldObject {
    /// BLAKE3 of its canonical bytes.
    #[serde(with = "crate::history::hex")]
    pub digest: [u8; 32],
    /// What a reader sees: one view a kind.
    pub views: Vec<View>,
}

/// Objects summed up.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// The sum of their digests, in hexadecimal.
    pub digest: String,
}

/// A sum recomputed and as kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptSum {
    /// Recomputed from the objects.
    pub counted: Sum,
    /// As the node kept it.
    pub kept: Option<Sum>,
}

/// A ledger, or the beginning of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeldLedger {
    /// The records, from the first on.
    pub records: Vec<HeldRecord>,
    /// The root that the node says its records have; none: not known.
    #[serde(with = "maybe_hex", skip_serializing_if = "Option::is_none")]
    pub root: Option<[u8; 32]>,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldRecord {
    /// Its key.
    pub key: String,
    /// Its value; none: not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Its stamp.
    #[serde(with = "crate::history::text")]
    pub stamp: Timestamp,
    /// The leaf hash of its header.
    #[serde(with = "crate::history::hex")]
    pub leaf: [u8; 32],
}

/// A fault as it really happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Happened {
    /// Its kind, as plans write it.
    pub kind: String,
    /// Whom it met: nodes, regions, or `clients`.
    pub targets: Vec<String>,
    /// When it began, in nanoseconds of the run.
    pub from_ns: u64,
    /// When it ended; none: with the heal.
    pub until_ns: Option<u64>,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// The highest stamp that a node had issued, as far as it was known, when it stopped or started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockMark {
    /// The node.
    pub node: String,
    /// When, in nanoseconds of the run.
    pub at_ns: u64,
    /// The stamp: when it stopped the last one issued, when it started the first.
    #[serde(with = "crate::history::text")]
    pub stamp: Timestamp,
}

/// How far a node's wall clock was ahead of the true time, and behind it, at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wall {
    /// The node.
    pub node: String,
    /// By how much, in nanoseconds.
    pub ahead_ns: u64,
    /// How far it was ever behind, in nanoseconds.
    #[serde(default)]
    pub behind_ns: u64,
    /// How often the node was started.
    pub starts: u64,
}

/// A node's status, as it told it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Said {
    /// The node.
    pub node: String,
    /// When, in nanoseconds of the run.
    pub at_ns: u64,
    /// Whether everything was healed by then, and nothing changed any longer.
    pub at_rest: bool,
    /// Whether it is ready.
    pub ready: bool,
    /// Why it takes no writes.
    pub reason: Option<String>,
    /// Who leads its region.
    pub leader: Option<String>,
    /// Whom it is connected to.
    pub connected: Vec<String>,
    /// The ledgers, by region.
    pub ledgers: BTreeMap<String, SaidLedger>,
    /// The objects summed up, by namespace; none where there are no objects.
    pub objects: BTreeMap<String, Sum>,
}

/// A ledger as a node says that it holds it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaidLedger {
    /// How many records.
    pub size: u64,
    /// Their root.
    #[serde(with = "crate::history::hex")]
    pub root: [u8; 32],
}

/// A head of a region's ledger, as a node of that region showed it, signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedHead {
    /// The node that showed it first.
    pub node: String,
    /// Whose ledger.
    pub region: String,
    /// How many records.
    pub size: u64,
    /// Their root.
    #[serde(with = "crate::history::hex")]
    pub root: [u8; 32],
}

/// When a node's process ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uptime {
    /// The node.
    pub node: String,
    /// When it began, in nanoseconds of the run.
    pub from_ns: u64,
    /// When it ended; none: it runs.
    pub until_ns: Option<u64>,
    /// The incarnation that it was; empty: not known.
    #[serde(default)]
    pub writer: String,
}

/// Something that a node did of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeEvent {
    /// The node.
    pub node: String,
    /// When, in nanoseconds of the run.
    pub at_ns: u64,
    /// What.
    pub what: Did,
    /// In its own words.
    pub words: String,
}

/// What a node can do of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Did {
    /// Ended with a reason.
    Halt,
    /// Refused to start with what its disk holds.
    RefuseToStart,
    /// Anything else worth telling.
    Tell,
}

/// Faults after which a node has another disk under its name, or hands reads on.
const SPEAKS_FOR_ANOTHER: [&str; 6] = ["disk-lost", "disk-restored", "disk-full", "replace", "leave", "join"];
/// So long after such a fault the other disk may be put in, in nanoseconds.
const CHANGES_WITHIN_NS: u64 = 10_000_000_000;

/// One state of an object, and the nodes that hold it.
pub type State<'a> = (Vec<&'a str>, Option<&'a HeldObject>);

impl Evidence {
    /// The different states of an object at the end, each with the nodes that hold it; the first of nodes that lack it.
    #[must_use]
    pub fn states<'a>(&'a self, key: &str) -> Vec<State<'a>> {
        let mut states: BTreeMap<Option<[u8; 32]>, State<'a>> = BTreeMap::new();
        for held in &self.held {
            let object = held.objects.get(key);
            let state = states.entry(object.map(|object| object.digest)).or_insert((Vec::new(), object));
            state.0.push(&held.node);
        }
        states.into_values().collect()
    }

    /// Whether what a node said in a time may be no word of its own: it had another disk, or a full one, so that another
    /// node answered in its place.
    #[must_use]
    pub fn speaks_for_another(&self, node: &str, from_ns: u64, until_ns: u64) -> bool {
        self.life(node, from_ns, until_ns).is_none()
    }

    /// How often a node had been given another disk before a time in which it spoke for itself; none: it did not. What it
    /// said in one life may be compared.
    #[must_use]
    pub fn life(&self, node: &str, from_ns: u64, until_ns: u64) -> Option<usize> {
        let is_change = |fault: &&Happened| {
            SPEAKS_FOR_ANOTHER.contains(&fault.kind.as_str()) && fault.targets.iter().any(|target| target == node)
        };
        let mut lives = 0;
        for change in self.faults.iter().filter(is_change) {
            let over = change.until_ns.is_some_and(|until_ns| until_ns.saturating_add(CHANGES_WITHIN_NS) < from_ns);
            if change.from_ns <= until_ns && !over {
                return None;
            }
            lives += usize::from(over);
        }
        Some(lives)
    }

    /// A region's ledger as the node of that region holds it that holds most of it.
    #[must_use]
    pub fn ledger(&self, region: &str) -> Option<&HeldLedger> {
        let own = self.held.iter().filter(|held| held.region == region);
        own.filter_map(|held| held.ledgers.get(region)).max_by_key(|ledger| ledger.records.len())
    }

    /// The regions of which a node is known.
    #[must_use]
    pub fn regions(&self) -> Vec<&str> {
        let mut regions: Vec<&str> = self.held.iter().map(|held| held.region.as_str()).collect();
        regions.sort_unstable();
        regions.dedup();
        regions
    }
}

/// A hash that may be missing.
mod maybe_hex {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::history::hex;

    pub fn serialize<S: Serializer>(hash: &Option<[u8; 32]>, serializer: S) -> Result<S::Ok, S::Error> {
        match hash {
            Some(hash) => hex::serialize(hash, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[u8; 32]>, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        let read = |text: String| hex::read(&text).ok_or_else(|| serde::de::Error::custom("not a hash of 32 bytes"));
        text.map(read).transpose()
    }
}
