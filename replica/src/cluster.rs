//! The cluster as this node sees it: who it is itself, who there is, who is linked, who leads.
//!
//! Every organ asks this, so that what a turn decides it decides from one picture. Links and leadership are what the driver
//! said last; rosters, namespaces and heads are what the regions' ledgers say, and change with what was applied (`ledger`) or
//! signed (`metadata`).

mod authored;
mod membership;
mod metadata;
mod namespaces;
mod registries;
mod rosters;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use trine_crdt::{NodeId, RegionId, WriterId};
use trine_ledger::checkpoint::Checkpoint;
use trine_ledger::registry::Registry;

pub(crate) use self::metadata::{Metadata, head_key, head_of, registry_bytes};
pub(crate) use self::namespaces::{check_name, check_slots, ledger_kind, name_taken, unreached, unreached_there};
use self::rosters::Rosters;
use self::standing::Standing;
use crate::config::Config;
use crate::input::{Leadership, Peer};
use crate::limits::SILENT_NODES_MAX;
use crate::mutants::{self, Mutant};
use crate::not_ready::WentBack;
use crate::turn::Turn;

/// One node's picture of its cluster, and of its own place in it.
#[derive(Debug)]
pub(crate) struct Cluster {
    config: Config,
    peers: BTreeMap<NodeId, Peer>,
    leadership: Leadership,
    /// The own region's registry, as it was applied here.
    own: Registry,
    /// The registries that regions signed.
    told: BTreeMap<RegionId, Registry>,
    /// The latest heads that regions signed, and what they say.
    heads: BTreeMap<RegionId, (Bytes, Checkpoint)>,
    rosters: Rosters,
    standing: Standing,
    /// Incarnations that this disk has written under, this one included.
    own_writers: BTreeSet<WriterId>,
    /// This incarnation stands in the region's roster.
    registered: bool,
    writable: bool,
    /// Why this node votes for nobody.
    held_back: Option<WentBack>,
    other_group: BTreeSet<String>,
    /// How often a neighbour was asked for what only a leader can do.
    asked_neighbours: usize,
}

impl Cluster {
    /// Nobody is linked, nobody leads.
    pub(crate) fn new(
        config: Config,
        own: Registry,
        told: BTreeMap<RegionId, Registry>,
        own_writers: BTreeSet<WriterId>,
        voters: Option<&Bytes>,
    ) -> Self {
        Self {
            config,
            peers: BTreeMap::new(),
            leadership: Leadership::default(),
            own,
            told,
            heads: BTreeMap::new(),
            rosters: Rosters::default(),
            standing: Standing::open(voters),
            own_writers,
            registered: false,
            writable: true,
            held_back: None,
            other_group: BTreeSet::new(),
            asked_neighbours: 0,
        }
    }

    /// Who this node is, and its settings.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Whether a region is the own one.
    pub(crate) fn is_own(&self, region: &RegionId) -> bool {
        *region == self.config.region
    }

    /// The nodes that are linked.
    pub(crate) fn peers(&self) -> &BTreeMap<NodeId, Peer> {
        &self.peers
    }

    /// Whether a node is linked.
    pub(crate) fn linked(&self, node: NodeId) -> bool {
        self.peers.contains_key(&node)
    }

    /// Whether a node is linked and of the own region.
    pub(crate) fn near(&self, node: NodeId) -> bool {
        self.peers.get(&node).is_some_and(|peer| peer.region == self.config.region)
    }

    /// A link stands.
    pub(crate) fn link(&mut self, peer: Peer) {
        self.peers.insert(peer.node, peer);
    }

    /// A link is gone.
    pub(crate) fn unlink(&mut self, node: NodeId, now_ns: u64) {
        if self.peers.remove(&node).is_some() && self.standing.silent_since_ns.len() < SILENT_NODES_MAX {
            self.standing.silent_since_ns.insert(node, now_ns);
        }
    }

    /// A node is heard of again.
    pub(crate) fn heard(&mut self, node: NodeId) {
        self.standing.silent_since_ns.remove(&node);
    }

    /// For how long a node that was linked is not, in milliseconds.
    pub(crate) fn silent_ms(&self, node: NodeId, now_ns: u64) -> Option<u64> {
        let since_ns = self.standing.silent_since_ns.get(&node)?;
        Some(now_ns.saturating_sub(*since_ns) / 1_000_000)
    }

    /// Who leads the region's Raft group.
    pub(crate) fn leadership(&self) -> &Leadership {
        &self.leadership
    }

    /// Whether this node leads, and has applied what former terms committed.
    pub(crate) fn serving(&self) -> bool {
        self.leadership.serving
    }

    /// Leadership changed.
    pub(crate) fn set_leadership(&mut self, leadership: Leadership) {
        if leadership.term != self.leadership.term {
            self.standing.removals_over();
        }
        self.leadership = leadership;
    }

    /// Incarnations that this disk has written under, this one included.
    pub(crate) fn own_writers(&self) -> &BTreeSet<WriterId> {
        &self.own_writers
    }

    /// Whether this incarnation stands in the region's roster.
    pub(crate) fn registered(&self) -> bool {
        self.registered
    }

    /// Looks whether this incarnation stands in the region's roster by now; it stays registered.
    pub(crate) fn look_registered(&mut self) -> bool {
        let stands = self.rostered(self.config.node).is_some_and(|record| record.writer == self.config.writer);
        self.registered |= stands;
        self.registered
    }

    /// Whether the disk has room for writes.
    pub(crate) fn writable(&self) -> bool {
        self.writable
    }

    /// Whether this node can take more in: its disk has room and keeps up.
    pub(crate) fn has_room(&self, turn: &Turn<'_>) -> bool {
        self.writable && turn.in_flight_bytes() <= self.config.sizes.unpersisted_bytes
    }

    /// The driver says whether the disk has room for writes.
    pub(crate) fn set_writable(&mut self, writable: bool) {
        self.writable = writable;
    }

    /// Why this node votes for nobody.
    pub(crate) fn held_back(&self) -> Option<&WentBack> {
        self.held_back.as_ref()
    }

    /// Nodes of this region that are of another Raft group.
    pub(crate) fn other_group(&self) -> &BTreeSet<String> {
        &self.other_group
    }

    /// The driver says which nodes of this region are of another Raft group.
    pub(crate) fn set_other_group(&mut self, names: BTreeSet<String>) {
        self.other_group = names;
    }

    /// The driver says why this node votes for nobody.
    pub(crate) fn set_held_back(&mut self, why: Option<WentBack>) {
        self.held_back = why;
    }

    /// The driver says what is damaged on this node's disk.
    pub(crate) fn set_damage(&mut self, words: Vec<String>) {
        self.config.damage = words;
    }

    /// The nodes of this region that a partition's deltas go to.
    pub(crate) fn region_peers(&self) -> Vec<NodeId> {
        let own = |peer: &&Peer| peer.region == self.config.region;
        self.peers.values().filter(own).map(|peer| peer.node).collect()
    }

    /// A node of the region, another one each time: who is asked may be as new as who asks, and know no more.
    pub(crate) fn neighbour_in_turn(&mut self) -> Option<NodeId> {
        let near = self.region_peers();
        self.asked_neighbours = self.asked_neighbours.wrapping_add(1);
        near.get(self.asked_neighbours % near.len().max(1)).copied()
    }

    /// How many other nodes are known to belong to the cluster.
    pub(crate) fn others_known(&mut self) -> usize {
        if let Some(others) = self.all_others() {
            return others.len().max(self.peers.len());
        }
        let founders = self.config.genesis.regions.iter().flat_map(|region| &region.nodes);
        let others = founders.filter(|node| node.name != self.config.name).count();
        // A region whose roster is not known has a node at least.
        let regions = self.config.genesis.regions.len().saturating_sub(1);
        others.max(regions).max(self.peers.len())
    }

    /// How many other nodes make a majority of the region together with this one. Founders that have yet to register
    /// count: otherwise the first one of the roster would be a majority alone.
    pub(crate) fn majority_others(&self) -> usize {
        if mutants::is(Mutant::RegionMajorityOfOne) {
            return 0;
        }
        let registry = &self.own;
        let own = self.config.genesis.regions.iter().find(|region| region.id == self.config.region);
        let founders = own.map_or(0, |region| region.nodes.len()).saturating_sub(registry.retired.len());
        registry.roster.len().max(founders) / 2
    }
}
