//! What an organ is tested with: a cluster of two regions, a store in memory, and turns that reach the disk at once.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::SigningKey;
use trine_crdt::{FORMAT_LEVELS, NodeId, Now, RegionId, Timestamp, WriterId};
use trine_ledger::Genesis;
use trine_ledger::genesis::{GenesisNode, GenesisRegion};
use trine_ledger::registry::{NodeRecord, Registry};

use crate::cluster::Cluster;
use crate::config::Config;
use crate::effect::{Effect, Outbox};
use crate::input::Peer;
use crate::store::Memory;
use crate::turn::{Clock, Kept, Turn};

/// The node that is tested, and another one of its region.
pub(crate) const HERE: NodeId = NodeId(1);
pub(crate) const NEAR: NodeId = NodeId(2);
/// A node of the other region.
pub(crate) const FAR: NodeId = NodeId(11);
/// The incarnation of the node that is tested.
pub(crate) const WRITER: WriterId = WriterId([1; 16]);
/// An incarnation of another.
pub(crate) const OTHER: WriterId = WriterId([2; 16]);
pub(crate) const NOW: Now = Now { wall_ns: 1_800_000_000_000_000_000, monotonic_ns: 1_000_000_000 };

pub(crate) fn region(name: &str) -> RegionId {
    name.parse().expect("a region's name")
}

/// A stamp of this moment.
pub(crate) fn stamp(writer: WriterId) -> Timestamp {
    Timestamp { time: trine_crdt::clock::ntp_of_ns(NOW.wall_ns), writer }
}

pub(crate) fn record(node: NodeId, writer: WriterId) -> NodeRecord {
    let (name, raft) = (format!("node-{}", node.0), String::new());
    let (stamp, peer, addresses) = (stamp(writer), format!("peer-{}", node.0), vec![format!("/{node}")]);
    NodeRecord { stamp, node, name, peer, addresses, raft, http: None, writer, levels: FORMAT_LEVELS }
}

/// The registry of a region with these nodes.
pub(crate) fn registry(nodes: &[NodeId]) -> Registry {
    let record = |node: &NodeId| (*node, record(*node, WriterId([node.0 as u8; 16])));
    Registry { roster: nodes.iter().map(record).collect(), ..Registry::default() }
}

/// The log key of the region `here`.
pub(crate) fn here_key() -> SigningKey {
    SigningKey::from_bytes(&[6; 32])
}

/// The log key of the region `there`.
pub(crate) fn there_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// Of the region `here`, whose founders have these names, and of the region `there`.
pub(crate) fn config(founders: &[&str]) -> Config {
    let founder = |name: &&str| GenesisNode {
        name: (*name).to_owned(),
        peer: format!("peer-{name}"),
        addresses: Vec::new(),
        raft: String::new(),
    };
    let nodes = founders.iter().map(founder).collect();
    let regions = vec![
        GenesisRegion { id: region("here"), log_key: here_key().verifying_key().to_bytes(), nodes },
        GenesisRegion { id: region("there"), log_key: there_key().verifying_key().to_bytes(), nodes: Vec::new() },
    ];
    let mut config = Config::new(Genesis { cluster: "c".to_owned(), regions }, HERE, "node-1", region("here"), WRITER);
    config.peer = "peer-1".to_owned();
    config.log_key = Some(here_key().to_bytes());
    config
}

/// The picture of the node that is tested: registered, with all others linked.
pub(crate) fn cluster() -> Cluster {
    cluster_of(HERE, WRITER)
}

/// The picture of another node of the region `here`.
pub(crate) fn cluster_of(node: NodeId, writer: WriterId) -> Cluster {
    let told = BTreeMap::from([(region("there"), registry(&[FAR]))]);
    let own = registry(&[HERE, NEAR]);
    let config = Config { node, writer, ..config(&[]) };
    let mut cluster = Cluster::new(config, own, told, BTreeSet::from([writer]), None);
    cluster.look_registered();
    for (other, of) in [(HERE, "here"), (NEAR, "here"), (FAR, "there")].into_iter().filter(|(other, _)| *other != node)
    {
        cluster.link(Peer { node: other, name: format!("node-{}", other.0).into(), region: region(of) });
    }
    cluster.choose_mirrors();
    cluster
}

/// Turns over a store in memory.
pub(crate) struct Bench {
    kept: Kept,
    store: Memory,
    pub(crate) now: Now,
}

impl Bench {
    pub(crate) fn new(writer: WriterId) -> Self {
        let clock = Clock::new(writer, 0, crate::limits::CLOCK_DRIFT_MS_MAX);
        Self { kept: Kept::new(clock), store: Memory::default(), now: NOW }
    }

    pub(crate) fn store(&self) -> &Memory {
        &self.store
    }

    /// One turn, what it let out, and what became durable by it.
    pub(crate) fn turn<T>(&mut self, call: impl FnOnce(&mut Turn<'_>) -> T) -> (T, Vec<Effect>) {
        let (mut out, mut let_out) = (Outbox::default(), Vec::new());
        let mut turn = Turn::begin(&mut self.kept, self.now, &self.store);
        let value = call(&mut turn);
        turn.end(&mut out);
        while !out.effects.is_empty() {
            for effect in std::mem::take(&mut out.effects) {
                match effect {
                    Effect::Persist(batch) => {
                        self.store.write(&batch);
                        let mut turn = Turn::begin(&mut self.kept, self.now, &self.store);
                        turn.persisted(batch.id, &mut out);
                        turn.end(&mut out);
                    }
                    effect => let_out.push(effect),
                }
            }
        }
        (value, let_out)
    }
}
