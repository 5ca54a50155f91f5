//! Who belongs: what a node says of itself, whom its region lets in, and who was sent away.

use trine_crdt::{NodeId, RegionId};
use trine_ledger::registry::NodeRecord;

use crate::cluster::Cluster;
use crate::effect::{Roster, RosterNode};
use crate::marks::{self, Mark};
use crate::message::{NotAdmitted, Registration};
use crate::mutants::{self, Mutant};

impl Cluster {
    pub(crate) fn registration(&self) -> Registration {
        let config = &self.config;
        Registration {
            node: config.node,
            name: config.name.clone(),
            peer: config.peer.clone(),
            addresses: config.addresses.clone(),
            raft: config.raft.clone(),
            http: config.http.clone(),
            writer: config.writer,
            levels: config.levels,
        }
    }

    /// Why a node may not be registered now, though what it says makes sense.
    pub(crate) fn not_admitted(&self, registration: &Registration) -> Option<NotAdmitted> {
        let registry = &self.own;
        // Who is on the roster counts already; who is not would take a level from all that have it.
        if let Some(cluster) = self.level()
            && !registration.levels.contains(cluster)
        {
            return Some(NotAdmitted::Level { cluster, node: registration.levels });
        }
        if let Some(node) = registry.closed_names.get(&registration.name) {
            return Some(NotAdmitted::NameClosed { node: *node });
        }
        let holder = registry.named(&registration.name).filter(|holder| holder.node != registration.node)?;
        if !self.answers(holder.node) || mutants::is(Mutant::NameTaken) {
            return None;
        }
        marks::reached(Mark::NameHeld);
        Some(NotAdmitted::NameHeld { node: holder.node, since: holder.stamp })
    }

    /// The cluster's format level: the newest that every node on a roster reads, as far as they are known. Nobody writes
    /// above it. None: nobody is on a roster.
    pub(crate) fn level(&self) -> Option<u16> {
        let registries = self.told.iter().filter(|(region, _)| **region != self.config.region);
        let registries = registries.map(|(_, registry)| registry).chain([&self.own]);
        registries.flat_map(|registry| registry.roster.values()).map(|record| record.levels.highest).min()
    }

    /// Whether a node was retired from its region, by that region's own word: a region that lies could send all others'
    /// nodes away.
    pub(crate) fn retired(&self, node: NodeId, region: &RegionId) -> bool {
        let own = (*region == self.config.region).then_some(&self.own);
        let mut said = own.into_iter().chain(self.told.get(region));
        said.any(|registry| registry.retired.contains(&node))
    }

    /// Whether a node was retired and its vote is not missed any more: there is nothing to be said to it but that.
    pub(crate) fn gone(&self, node: NodeId, region: &RegionId) -> bool {
        let votes = *region == self.config.region && self.standing.voters.contains(&node);
        self.retired(node, region) && !votes
    }

    /// This region's roster, as its ledger has it here.
    pub(crate) fn roster(&self) -> Roster {
        let node = |record: &NodeRecord| RosterNode {
            node: record.node,
            name: record.name.clone(),
            raft: record.raft.clone(),
            writer: record.writer,
        };
        let retired = self.own.retired.clone();
        Roster { nodes: self.own.roster.values().map(node).collect(), retired }
    }
}
