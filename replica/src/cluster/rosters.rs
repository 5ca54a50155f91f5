//! What follows from the rosters of all regions, kept until one of them changes: in a wide cluster they have thousands of
//! nodes, and are asked about at every tick.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trine_crdt::{NodeId, RegionId};
use trine_ledger::genesis::GenesisRegion;
use trine_ledger::registry::Registry;
use trine_placement::rendezvous::{self, Candidate};

use crate::cluster::Cluster;
use crate::effect::PeerAddress;

/// What follows from the rosters.
#[derive(Debug, Default)]
pub(super) struct Rosters {
    /// The nodes of this region that mirror the other regions' ledgers, first choice first.
    mirrors: Vec<NodeId>,
    /// All other nodes on any region's roster; outer none: not counted yet, inner: some region's is not known.
    others: Option<Option<Arc<BTreeSet<NodeId>>>>,
    /// By region a digest of where its nodes are reached, as the driver knows it.
    reached: BTreeMap<RegionId, [u8; 32]>,
}

impl Cluster {
    /// The nodes of this region that mirror the other regions' ledgers, first choice first.
    pub(crate) fn mirror_nodes(&self) -> &[NodeId] {
        &self.rosters.mirrors
    }

    /// Whether this node mirrors the other regions' ledgers.
    pub(crate) fn mirrors_here(&self) -> bool {
        self.rosters.mirrors.contains(&self.config.node)
    }

    /// Chooses the mirrors anew, because this region's roster changed.
    pub(crate) fn choose_mirrors(&mut self) {
        let nodes: Vec<Candidate> = self.own.roster.values().map(|record| Candidate::plain(record.node)).collect();
        self.rosters.mirrors = rendezvous::choose(b"mirrors", &nodes, self.config.mirrors_per_region);
    }

    /// All other nodes that stand on any region's roster now; none while some region's is not known.
    pub(crate) fn all_others(&mut self) -> Option<Arc<BTreeSet<NodeId>>> {
        if self.rosters.others.is_none() {
            self.rosters.others = Some(self.count_others().map(Arc::new));
        }
        self.rosters.others.clone().flatten()
    }

    fn count_others(&self) -> Option<BTreeSet<NodeId>> {
        let mut all = BTreeSet::new();
        for region in &self.config.genesis.regions {
            let registry = self.registry(&region.id).filter(|registry| !registry.roster.is_empty())?;
            all.extend(registry.roster.keys().copied());
        }
        all.remove(&self.config.node);
        Some(all)
    }

    /// Rosters of these regions changed. Whom the driver is to be connected with, if that is not what it knows.
    pub(crate) fn reached_anew(&mut self, changed: &BTreeSet<RegionId>) -> Option<Vec<PeerAddress>> {
        self.rosters.others = None;
        let mut news = false;
        for region in self.config.genesis.regions.iter().filter(|region| changed.contains(&region.id)) {
            let digest = digest(&reached(region, self.registry(&region.id)));
            news |= self.rosters.reached.insert(region.id.clone(), digest) != Some(digest);
        }
        news.then(|| self.peer_addresses())
    }

    fn peer_addresses(&self) -> Vec<PeerAddress> {
        let mut peers: BTreeMap<&str, PeerAddress> = BTreeMap::new();
        for region in &self.config.genesis.regions {
            for (peer, addresses) in reached(region, self.registry(&region.id)) {
                let (region, addresses) = (region.id.clone(), addresses.to_vec());
                peers.insert(peer, PeerAddress { peer: peer.to_owned(), region, addresses });
            }
        }
        peers.remove(self.config.peer.as_str());
        peers.into_values().collect()
    }
}

/// Where a region's nodes are reached: its founders where the genesis says, whoever registered where it said.
fn reached<'a>(region: &'a GenesisRegion, registry: Option<&'a Registry>) -> BTreeMap<&'a str, &'a [String]> {
    let founders = region.nodes.iter().map(|node| (node.peer.as_str(), node.addresses.as_slice()));
    let registered = registry.into_iter().flat_map(|registry| registry.roster.values());
    founders.chain(registered.map(|record| (record.peer.as_str(), record.addresses.as_slice()))).collect()
}

fn digest(reached: &BTreeMap<&str, &[String]>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let mut put = |text: &str| {
        hasher.update(&(text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    };
    for (peer, addresses) in reached {
        put(peer);
        addresses.iter().for_each(|address| put(address));
        put("");
    }
    *hasher.finalize().as_bytes()
}
