//! Who there is, as the regions' ledgers say: nodes, and how many partitions namespaces have.
//!
//! Of the own region that is what was applied here, of the others what their log keys signed.

use std::collections::BTreeMap;

use bytes::Bytes;
use trine_crdt::{NodeId, PartitionId, RegionId};
use trine_ledger::checkpoint::Checkpoint;
use trine_ledger::genesis::GenesisNode;
use trine_ledger::registry::{NodeRecord, Registry};
use trine_protocol::request::{NodeReadmit, NodeRemove, NodeReplace, RegionRecover};
use trine_protocol::{Conflict, Missing, Request, RequestError};

use crate::cluster::Cluster;

impl Cluster {
    /// The own region's registry, as it was applied here.
    pub(crate) fn own(&self) -> &Registry {
        &self.own
    }

    /// The own region's registry changed.
    pub(crate) fn set_own(&mut self, registry: &Registry) {
        self.own.clone_from(registry);
    }

    /// The registries that regions signed, the own one too.
    pub(crate) fn told(&self) -> &BTreeMap<RegionId, Registry> {
        &self.told
    }

    /// As [`Self::told`], for whoever has verified what changes in it.
    pub(crate) fn told_mut(&mut self) -> &mut BTreeMap<RegionId, Registry> {
        &mut self.told
    }

    /// The latest head known of a region's ledger: its note and what it says.
    pub(crate) fn head(&self, region: &RegionId) -> Option<&(Bytes, Checkpoint)> {
        self.heads.get(region)
    }

    /// A region signed a later head; whoever has verified it says so.
    pub(crate) fn set_head(&mut self, region: RegionId, note: Bytes) {
        if let Ok(head) = Checkpoint::peek(&note) {
            self.heads.insert(region, (note, head));
        }
    }

    /// What is known of a region's roster and namespaces.
    pub(crate) fn registry(&self, region: &RegionId) -> Option<&Registry> {
        if *region == self.config.region {
            return Some(&self.own);
        }
        self.told.get(region)
    }

    /// A node on a region's roster that is none of its founders by name: the region was founded, and it joined later.
    pub(crate) fn joined_later(&self, region: &RegionId) -> Option<String> {
        let genesis = self.config.genesis.regions.iter().find(|known| known.id == *region)?;
        let own = (*region == self.config.region).then_some(&self.own);
        let nodes = own.into_iter().chain(self.told.get(region)).flat_map(|registry| registry.roster.values());
        let founder = |name: &str| genesis.nodes.iter().any(|node| node.name == name);
        nodes.map(|node| &node.name).find(|name| !founder(name)).cloned()
    }

    /// A node of the own region, by id.
    #[must_use]
    pub(crate) fn rostered(&self, node: NodeId) -> Option<&NodeRecord> {
        self.own.roster.get(&node)
    }

    /// Founders that no roster known here names, nor ever took off: nobody has heard of them yet, or not told this node.
    pub(crate) fn unheard_founders(&self) -> Vec<(&RegionId, &GenesisNode)> {
        let regions = self.config.genesis.regions.iter();
        let founders = regions.flat_map(|region| region.nodes.iter().map(move |node| (&region.id, node)));
        let unheard = |(region, founder): &(&RegionId, &GenesisNode)| {
            let known = self.registry(region);
            let named = known.is_some_and(|known| {
                known.named(&founder.name).is_some() || known.closed_names.contains_key(&founder.name)
            });
            // A region that has retired nodes has outgrown its genesis.
            !named && known.is_none_or(|known| known.retired.is_empty()) && founder.name != self.config.name
        };
        founders.filter(unheard).collect()
    }

    /// The other region whose ledger keeps what a request is about: the node or name whose place on a roster it changes, or what
    /// a region lost. None: this one, or nobody known here.
    ///
    /// # Errors
    /// When there is no such region.
    pub(crate) fn elsewhere(&self, request: &Request) -> Result<Option<RegionId>, RequestError> {
        let others = self.config.genesis.regions.iter().map(|region| &region.id).filter(|id| !self.is_own(id));
        let told = |such: &dyn Fn(&Registry) -> bool| {
            let mut others = others.clone();
            others.find(|id| self.told.get(*id).is_some_and(such)).cloned()
        };
        let has = |registry: &Registry, node: &NodeId| {
            let closed = registry.closed_names.values().any(|closed| closed == node);
            closed || registry.roster.contains_key(node) || registry.retired.contains(node)
        };
        Ok(match request {
            Request::NodeRemove(NodeRemove { node, .. }) | Request::NodeReplace(NodeReplace { node, .. })
                if !has(&self.own, node) =>
            {
                told(&|registry| has(registry, node))
            }
            Request::NodeReadmit(NodeReadmit { name }) if !self.own.closed_names.contains_key(name) => {
                // A name that a node has is refused by that one's region, in the right words.
                let named = |registry: &Registry| registry.named(name).is_some();
                let closed = told(&|registry| registry.closed_names.contains_key(name));
                closed.or_else(|| if named(&self.own) { None } else { told(&named) })
            }
            Request::RegionRecover(RegionRecover { region }) if self.config.genesis.region(region).is_none() => {
                return Err(Missing::Region { region: region.clone() }.into());
            }
            Request::RegionRecover(RegionRecover { region }) if !self.is_own(region) => Some(region.clone()),
            _ => None,
        })
    }

    /// A node of the own region, on its roster or removed under a name that is closed since.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn known_node(&self, node: NodeId) -> Result<NodeId, RequestError> {
        let registry = &self.own;
        let closed = registry.closed_names.values().any(|closed| *closed == node);
        if registry.roster.contains_key(&node) || closed {
            return Ok(node);
        }
        Err(self.no_node(node).into())
    }

    /// That a node is not on the own region's roster.
    pub(crate) fn no_node(&self, node: NodeId) -> Missing {
        Missing::Node { node, region: self.config.region.clone(), left: self.own.retired.contains(&node) }
    }

    /// A node that may be given up: it is silent, unless that is to be looked past.
    pub(crate) fn lost_node(&self, node: NodeId, force: bool) -> Result<NodeId, RequestError> {
        let node = self.known_node(node)?;
        match self.rostered(node) {
            Some(record) if self.answers(node) && !force => {
                Err(Conflict::NodeAnswers { name: record.name.clone(), node, since: record.stamp }.into())
            }
            _ => Ok(node),
        }
    }

    /// The node that was removed under a name.
    pub(crate) fn closed_name(&self, name: &str) -> Result<NodeId, RequestError> {
        let registry = &self.own;
        registry.closed_names.get(name).copied().ok_or_else(|| match registry.named(name) {
            Some(record) => Conflict::NameTaken { name: name.to_owned(), node: record.node }.into(),
            None => Missing::ClosedName { name: name.to_owned(), region: self.config.region.clone() }.into(),
        })
    }

    /// Whether a partition is one of a namespace known here.
    pub(crate) fn admits(&self, partition: &PartitionId) -> bool {
        self.slots_of(partition).is_some()
    }

    /// How many partitions the namespace of a partition has, when it is known here and holds objects.
    pub(crate) fn slots_of(&self, partition: &PartitionId) -> Option<u32> {
        self.namespace_by_id(&partition.namespace)
            .filter(|known| known.kind == trine_ledger::entry::NamespaceKind::Objects && partition.slot < known.slots)
            .map(|known| known.slots)
    }
}
