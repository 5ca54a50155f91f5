//! What a node says of itself, its region and the cluster, as far as it knows.

use std::collections::BTreeMap;

use trine_crdt::{NodeId, RegionId};
use trine_ledger::genesis::GenesisNode;
use trine_ledger::registry::{NodeRecord, Recovery};
use trine_protocol::reply::{
    Answer, ForkView, Health, LedgerHead, NodeView, ObjectsView, RaftRole, RecoveryView, RegionView, SegmentView,
    StatusView,
};
use trine_protocol::request::{ManifestShow, NamespaceShow};
use trine_protocol::{Missing, Reply, Request, RequestError};

use super::Organs;
use crate::answers::{namespace_view, plain};
use crate::mutants::{self, Mutant};
use crate::turn::Turn;
use crate::waiting::Asked;

impl Organs {
    /// Answers what is known here without asking anyone.
    pub(super) fn view(&mut self, turn: &Turn<'_>, asked: &Asked) -> Result<Answer, RequestError> {
        let now_ns = turn.now.monotonic_ns;
        let reply = match &asked.request {
            Request::NamespaceList => {
                Reply::Namespaces(self.cluster.namespaces().values().map(|known| namespace_view(known)).collect())
            }
            Request::NamespaceShow(NamespaceShow { namespace }) => {
                let id = namespace.parse().ok();
                let named: Vec<_> = self
                    .cluster
                    .namespaces()
                    .values()
                    .filter(|known| known.name == *namespace || Some(&known.id) == id.as_ref())
                    .map(|known| namespace_view(known))
                    .collect();
                if named.is_empty() {
                    return Err(Missing::namespace(namespace).into());
                }
                Reply::Namespaces(named)
            }
            Request::RegionList => {
                let regions: Vec<RegionId> =
                    self.cluster.config().genesis.regions.iter().map(|region| region.id.clone()).collect();
                Reply::Regions(regions.iter().map(|region| self.region_view(region)).collect())
            }
            Request::Genesis if self.cluster.config().genesis_document.is_empty() => {
                return Err(Missing::Genesis.into());
            }
            Request::Genesis => Reply::Genesis(self.cluster.config().genesis_document.clone()),
            Request::NodeList => Reply::Nodes(self.node_views(now_ns)),
            Request::Status => Reply::Status(Box::new(self.status_view(turn))),
            Request::ManifestShow(ManifestShow { region: Some(region) })
                if self.cluster.config().genesis.region(region).is_none() =>
            {
                return Err(Missing::Region { region: region.clone() }.into());
            }
            Request::ManifestShow(ManifestShow { region }) => Reply::Segments(self.segment_views(region.as_ref())),
            _ => return Err(RequestError::Unsupported { what: "this request".to_owned() }),
        };
        Ok(plain(turn, reply))
    }

    fn region_view(&mut self, region: &RegionId) -> RegionView {
        let nodes: Vec<NodeId> =
            self.cluster.registry(region).map(|known| known.roster.keys().copied().collect()).unwrap_or_default();
        let up = |node: &&NodeId| **node == self.cluster.config().node || self.cluster.linked(**node);
        let reachable = nodes.iter().filter(up).count();
        let health = match (nodes.len(), reachable) {
            (0, _) => Health::Unknown,
            (_, 0) => Health::Unreachable,
            (all, up) if up < all => Health::Degraded,
            _ => Health::Healthy,
        };
        let recoveries = self.cluster.registry(region).map(|known| &known.recoveries[..]).unwrap_or_default();
        let recoveries = recoveries.iter().map(recovery_view).collect();
        let head = self.ledger_head(region);
        let signed = if self.cluster.is_own(region) {
            self.ledger.note().map_or(0, |_| self.ledger.size())
        } else {
            self.cluster.head(region).map_or(0, |(_, checkpoint)| checkpoint.size)
        };
        RegionView {
            id: region.clone(),
            health,
            nodes: u32::try_from(nodes.len()).unwrap_or(u32::MAX),
            reachable: u32::try_from(reachable).unwrap_or(u32::MAX),
            ledger_size: head.size,
            ledger_root: head.root,
            checkpoint_size: signed,
            fork: self.mirrors.evidence(region).map(|evidence| ForkView {
                first: evidence.first.clone(),
                second: evidence.second.clone(),
                quarantined: self.mirrors.quarantined(&self.cluster, region),
            }),
            recoveries,
        }
    }

    fn ledger_head(&self, region: &RegionId) -> LedgerHead {
        let (size, root) = self.head(region).unwrap_or((0, trine_ledger::tree::empty_root()));
        LedgerHead { size, root }
    }

    fn node_views(&self, now_ns: u64) -> Vec<NodeView> {
        let regions = self.cluster.config().genesis.regions.iter();
        let rosters = regions.filter_map(|region| Some((&region.id, self.cluster.registry(&region.id)?)));
        let mut views: Vec<NodeView> = rosters
            .flat_map(|(region, registry)| registry.roster.values().map(move |record| (region, record)))
            .map(|(region, record)| self.node_view(region, record, now_ns))
            .collect();
        // Before it is registered, a node knows of itself at least.
        if !views.iter().any(|view| view.id == self.cluster.config().node) {
            views.push(self.own_view(now_ns));
        }
        let unheard = self.cluster.unheard_founders().into_iter();
        views.extend(unheard.map(|(region, founder)| founder_view(region, founder)));
        views.sort_by(|a, b| (&a.region, &a.name).cmp(&(&b.region, &b.name)));
        views
    }

    fn node_view(&self, region: &RegionId, record: &NodeRecord, now_ns: u64) -> NodeView {
        let here = record.node == self.cluster.config().node;
        let up = here || self.cluster.peers().contains_key(&record.node);
        let raft = if self.cluster.is_own(region) && self.cluster.leadership().leader == Some(record.node) {
            RaftRole::Leader
        } else if self.cluster.is_own(region) {
            // Who is let in follows for a while before it votes.
            let votes = self.cluster.voters().is_empty() || self.cluster.voters().contains(&record.node);
            if votes { RaftRole::Voter } else { RaftRole::Learner }
        } else {
            RaftRole::Unknown
        };
        NodeView {
            id: record.node,
            name: record.name.clone(),
            region: region.clone(),
            peer: record.peer.clone(),
            addresses: record.addresses.clone(),
            http: record.http.clone(),
            writer: Some(record.writer),
            health: match (up, here && self.joining.waits().is_some() || self.joining.of(record.node)) {
                (false, _) => Health::Unreachable,
                (true, true) => Health::Degraded,
                (true, false) => Health::Healthy,
            },
            raft,
            since: Some(record.stamp),
            silent_ms: self.cluster.silent_ms(record.node, now_ns),
        }
    }

    fn own_view(&self, now_ns: u64) -> NodeView {
        if let Some(record) = self.cluster.rostered(self.cluster.config().node) {
            return self.node_view(&self.cluster.config().region, record, now_ns);
        }
        NodeView {
            id: self.cluster.config().node,
            name: self.cluster.config().name.clone(),
            region: self.cluster.config().region.clone(),
            peer: self.cluster.config().peer.clone(),
            addresses: self.cluster.config().addresses.clone(),
            http: self.cluster.config().http.clone(),
            writer: None,
            health: Health::Healthy,
            raft: RaftRole::Unknown,
            since: None,
            silent_ms: None,
        }
    }

    fn status_view(&mut self, turn: &Turn<'_>) -> StatusView {
        let (ready, writes, own) = (self.ready(turn.clock), self.writes(turn.clock), self.cluster.config().node);
        let regions: Vec<RegionId> =
            self.cluster.config().genesis.regions.iter().map(|region| region.id.clone()).collect();
        let ledgers: BTreeMap<RegionId, LedgerHead> =
            regions.into_iter().map(|region| (region.clone(), self.ledger_head(&region))).collect();
        let objects = self
            .objects
            .namespaces()
            .into_iter()
            .map(|namespace| {
                let (count, digest) = self.objects.digest(&namespace);
                let digest = if mutants::is(Mutant::StatusSumless) { [0; 32] } else { digest.0 };
                (namespace, ObjectsView { count, digest })
            })
            .collect();
        StatusView {
            cluster: self.cluster.config().genesis.cluster.clone(),
            format_level: self.cluster.level(),
            node: self.own_view(turn.now.monotonic_ns),
            ready: ready.is_ok(),
            reason: writes.err().map(|why| why.to_string()),
            edits: self.edits(turn.clock).err().map(|why| why.to_string()),
            appends: self.appends(turn.clock).err().map(|why| why.to_string()),
            leader: self
                .cluster
                .leadership()
                .leader
                .map(|leader| if mutants::is(Mutant::StatusLeads) { own } else { leader }),
            term: self.cluster.leadership().term,
            ledgers,
            objects,
            timestamp: turn.latest(),
            stamps_held: turn.counters.stamps_held,
            standing: self.ledger.signing_words(&self.cluster),
            forked: self.mirrors.forked(&self.cluster),
            connected: self.cluster.peers().keys().copied().collect(),
            mirrors: self.cluster.mirrors_here(),
            problems: self.problems(turn),
            clock: turn.clock.view(),
        }
    }

    fn segment_views(&self, only: Option<&RegionId>) -> Vec<SegmentView> {
        let listed = self.metadata.segments().into_iter().filter(|(region, _)| only.is_none_or(|only| only == region));
        listed
            .map(|(region, segment)| SegmentView {
                region,
                number: segment.number,
                first: segment.first,
                count: segment.count,
                bytes: segment.bytes,
                identity: segment.identity,
                root: segment.root,
            })
            .collect()
    }
}

fn recovery_view(recovery: &Recovery) -> RecoveryView {
    let Recovery { index: _, stamp, node, survivor, records } = *recovery;
    RecoveryView { stamp, node, survivor, records }
}

/// A founder as the genesis names it. Its disk, and so its id, is not known.
fn founder_view(region: &RegionId, founder: &GenesisNode) -> NodeView {
    NodeView {
        id: NodeId(0),
        name: founder.name.clone(),
        region: region.clone(),
        peer: founder.peer.clone(),
        addresses: founder.addresses.clone(),
        http: None,
        writer: None,
        health: Health::Unknown,
        raft: RaftRole::Unknown,
        since: None,
        silent_ms: None,
    }
}
