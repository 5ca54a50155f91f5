//! Who and what there is, as the regions' ledgers say: nodes, and namespaces.
//!
//! Of the own region that is what was applied here, of the others what their log keys signed.

use std::collections::BTreeMap;

use bytes::Bytes;
use trine_crdt::{NamespaceId, NodeId, PartitionId, RegionId};
use trine_ledger::checkpoint::Checkpoint;
use trine_ledger::entry::NamespaceKind as LedgerKind;
use trine_ledger::genesis::GenesisNode;
use trine_ledger::registry::{NamespaceRecord, NodeRecord, Registry};
use trine_protocol::RequestError;
use trine_protocol::request::NamespaceKind;

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
        if registry.retired.contains(&node) {
            let what = format!("node {node} on the roster (it has left, and another one may have its name by now)");
            return Err(RequestError::NotFound { what });
        }
        let what = format!("node {node} on the roster of {} (ask a node of its own region)", self.config.region);
        Err(RequestError::NotFound { what })
    }

    /// A node that may be given up: it is silent, unless that is to be looked past.
    pub(crate) fn lost_node(&self, node: NodeId, force: bool) -> Result<NodeId, RequestError> {
        let node = self.known_node(node)?;
        match self.rostered(node) {
            Some(record) if self.answers(node) && !force => {
                let what = format!(
                    "{} answers; it has been registered since {}. A replacement is for a node that is lost: to take \
                     this one away, remove it; with --force it is given up all the same",
                    self.call(node),
                    record.stamp.utc()
                );
                Err(RequestError::Conflict { what })
            }
            _ => Ok(node),
        }
    }

    /// The node that was removed under a name.
    pub(crate) fn closed_name(&self, name: &str) -> Result<NodeId, RequestError> {
        let registry = &self.own;
        registry.closed_names.get(name).copied().ok_or_else(|| match registry.named(name) {
            Some(record) => {
                let what = format!("the name {name} is not closed: it is that of the node {}", record.node);
                RequestError::Conflict { what }
            }
            None => RequestError::NotFound { what: format!("a removed node named {name} in {}", self.config.region) },
        })
    }

    /// All namespaces known, of all regions, by id.
    pub(crate) fn namespaces(&self) -> BTreeMap<&NamespaceId, &NamespaceRecord> {
        self.registries().flat_map(|registry| &registry.namespaces).collect()
    }

    /// A namespace, by id.
    pub(crate) fn namespace_by_id(&self, id: &NamespaceId) -> Option<&NamespaceRecord> {
        self.registries().find_map(|registry| registry.namespaces.get(id))
    }

    fn registries(&self) -> impl Iterator<Item = &Registry> {
        std::iter::once(&self.own).chain(self.told.values())
    }

    /// The namespace of a label or an id, of the right kind.
    pub(crate) fn namespace(&self, label: &str, kind: NamespaceKind) -> Result<&NamespaceRecord, RequestError> {
        let id: Option<NamespaceId> = label.parse().ok();
        let named = |known: &&NamespaceRecord| known.name == label || Some(&known.id) == id.as_ref();
        let mut found: Vec<&NamespaceRecord> = Vec::new();
        for known in self.registries().flat_map(|registry| registry.namespaces.values()).filter(named) {
            if found.iter().all(|other| other.id != known.id) {
                found.push(known);
            }
        }
        match &found[..] {
            [] => Err(RequestError::NotFound { what: format!("namespace {label}") }),
            [one] if one.kind == ledger_kind(kind) => Ok(one),
            [one] => {
                let holds = if one.kind == LedgerKind::Ledger { "records" } else { "objects" };
                Err(RequestError::Invalid { what: format!("namespace {label} holds {holds}") })
            }
            several => {
                let ids: Vec<String> = several.iter().map(|known| known.id.to_string()).collect();
                let what = format!("several namespaces are named {label}; use an id: {}", ids.join(", "));
                Err(RequestError::Ambiguous { what })
            }
        }
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

/// A kind of namespace, as ledgers say it.
pub(crate) fn ledger_kind(kind: NamespaceKind) -> LedgerKind {
    match kind {
        NamespaceKind::Ledger => LedgerKind::Ledger,
        NamespaceKind::Objects => LedgerKind::Objects,
    }
}
