//! Whether this node, whose log is empty, may found its region's Raft group, as far as others tell.
//!
//! All founders may be empty, and the group exist all the same: nodes joined it later, and hold its log. Founding another
//! one beside it would give the region two logs. So a founder founds nothing before it has asked:
//!
//! ```text
//! told     of a node on the region's roster that is none of its founders     founds nothing, and waits to be added
//! asked    every other region, and the linked nodes of its own               founds
//!          after a while: nobody who would know answers                      founds: a new cluster's regions start apart
//!          there is no other region: for a moment, who links to it           founds
//! ```
//!
//! A roster that names founders alone does not count: they say themselves, over Raft's connections, whether they are
//! empty, and a region all of whose disks were lost begins anew. Whoever cannot be asked can still not be overwritten:
//! nodes of two groups do not speak Raft with each other.

use std::collections::BTreeMap;

use trine_crdt::NodeId;

use super::OwnLedger;
use crate::cluster::Cluster;
use crate::limits::{ASK_HEADS_PATIENCE_MS, FOUND_LISTEN_MS};
use crate::not_ready::NotReady;
use crate::turn::Turn;

/// Whether this node may found its region's Raft group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Founds {
    /// The others are being asked.
    #[default]
    Asking,
    /// Nobody tells of a group.
    Yes,
    /// A node stands on the region's roster that is none of its founders: the group exists.
    Exists {
        /// Its name.
        name: String,
    },
}

impl Founds {
    /// Why this node founds nothing; none where it may, or does not know yet.
    #[must_use]
    pub fn refusal(&self) -> Option<NotReady> {
        let Self::Exists { name } = self else { return None };
        Some(NotReady::GroupExists { joined: name.clone() })
    }
}

/// What was asked and told.
#[derive(Debug, Default)]
pub(super) struct Founding {
    began_ns: Option<u64>,
    founds: Founds,
    /// Whether each peer told of a node on the roster that is no founder.
    told: BTreeMap<NodeId, bool>,
    /// That node, as one of the own region told. Of others only a registry is believed that the region's key signed.
    joined: Option<String>,
}

impl OwnLedger {
    /// Whether this node may found its region's Raft group, should its log be empty.
    pub(crate) fn founds(&self) -> &Founds {
        &self.founding.founds
    }

    /// Whether this node holds nothing of its region's log.
    pub(crate) fn holds_nothing(&self) -> bool {
        self.position().is_none()
    }

    /// A peer tells who joined this region after it was founded.
    pub(crate) fn take_joined(&mut self, cluster: &Cluster, from: NodeId, joined: Option<String>) {
        self.founding.told.insert(from, joined.is_some());
        if cluster.near(from) && joined.is_some() {
            self.founding.joined = joined;
        }
    }

    /// A peer is gone, which may have told of nobody before it knew.
    pub(super) fn forget_told(&mut self, node: NodeId) {
        self.founding.told.remove(&node);
    }

    /// Judges what was told.
    pub(crate) fn founding_tick(&mut self, turn: &Turn<'_>, cluster: &Cluster) {
        let now_ns = turn.now.monotonic_ns;
        let began_ns = *self.founding.began_ns.get_or_insert(now_ns);
        if self.holds_nothing() {
            self.founding.founds = self.judged(cluster, now_ns.saturating_sub(began_ns) / 1_000_000);
        }
    }

    fn judged(&self, cluster: &Cluster, waited_ms: u64) -> Founds {
        let own = &cluster.config().region;
        if cluster.config().forks_released.contains(own) {
            return Founds::Yes;
        }
        if let Some(name) = self.founding.joined.clone().or_else(|| cluster.joined_later(own)) {
            return Founds::Exists { name };
        }
        let mut others = cluster.config().genesis.regions.iter().filter(|other| other.id != *own).peekable();
        let patience_ms = if others.peek().is_none() { FOUND_LISTEN_MS } else { ASK_HEADS_PATIENCE_MS };
        if waited_ms >= patience_ms {
            return Founds::Yes;
        }
        // Who tells of somebody is waited for: the signed registry that it knows is on its way.
        let answered = |node: &NodeId| self.founding.told.get(node) == Some(&false);
        let linked = cluster.peers();
        let near = linked.values().filter(|peer| peer.region == *own).all(|peer| answered(&peer.node));
        let mut every = others.peek().is_some();
        for other in others {
            every &= linked.values().any(|peer| peer.region == other.id && answered(&peer.node));
        }
        if near && every { Founds::Yes } else { Founds::Asking }
    }
}
