//! A node whose disk is new holds nothing of what its peers hold, and says so until it does.
//!
//! It asks each peer what it holds, page by page: the vectors of its partitions and the sizes of its ledgers. What a peer
//! answered first is what there was when this node joined; deltas, pulls, the log and mirrors bring it, and once all of it
//! is here the node serves. Until then it hands reads on and takes no edits, because an edit is an answer as well.
//!
//! Nothing here waits for ever. A peer that goes away is not waited for; where nobody can be heard the node goes on after a
//! while, since a region that is cut off must be able to start; and where nothing comes any more for a long time it serves
//! what it has and tells what is missing as a problem. Where the disk stands is a row, so that a restart goes on.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use trine_crdt::{NodeId, PartitionId, RegionId, VersionVector};

use crate::cluster::Cluster;
use crate::effect::Persistence::Synced;
use crate::limits::{JOIN_PARTITIONS_MAX, VECTORS_PER_MESSAGE_MAX};
use crate::marks::{self, Mark};
use crate::message::{Holdings, PeerMessage};
use crate::not_ready::CatchingUp;
use crate::objects::Objects;
use crate::rows;
use crate::turn::Turn;

/// A page that did not come is asked for again.
const ASK_AGAIN_NS: u64 = 1_000_000_000;
/// How often peers are told that this node is catching up; one not told for three times as long believes it no more.
const TELL_NS: u64 = 1_000_000_000;
/// A peer that does not answer for so long is not waited for.
const SILENT_NS: u64 = 5_000_000_000;
/// So long a node that founds its region waits for other regions' nodes.
const FOUNDER_ALONE_NS: u64 = 1_000_000_000;
/// So long any other waits for somebody who was there before it.
const ALONE_NS: u64 = 5_000_000_000;
/// Without any progress for so long, the node serves what it has.
const STALLED_NS: u64 = 30_000_000_000;

/// How much of a ledger is held, as far as it matters to who catches up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Followed {
    /// How many records are here.
    pub held: u64,
    /// Whether more of it comes here: it is the own one, or it is mirrored.
    pub comes: bool,
}

/// Whether this node catches up, and which of its peers do.
#[derive(Debug, Default)]
pub(crate) struct Joining {
    state: Option<State>,
    /// Peers that said they catch up, and when they said so last.
    others: BTreeMap<NodeId, u64>,
}

#[derive(Debug, Default)]
struct State {
    /// It held what was acknowledged and lost it: it serves nothing until somebody gave that back.
    damaged: bool,
    began_ns: Option<u64>,
    told_ns: Option<u64>,
    peers: BTreeMap<NodeId, Told>,
    /// All partitions that some peer held.
    partitions: BTreeSet<PartitionId>,
    /// How many of them are not here yet.
    missing: usize,
    /// A ledger that is not here yet: how much of it is, and was there.
    ledger: Option<(RegionId, u64, u64)>,
    /// What progress is seen by, and when it was seen last.
    seen: (u64, u64, usize),
    moved_ns: u64,
    /// Serves although something is missing.
    gave_up: bool,
}

/// What a peer held.
#[derive(Debug, Default)]
struct Told {
    since_ns: u64,
    asked_ns: Option<u64>,
    after: Option<PartitionId>,
    whole: bool,
    /// It was catching up itself.
    joining: bool,
    /// What of it is not here yet.
    partitions: BTreeMap<PartitionId, VersionVector>,
    ledgers: BTreeMap<RegionId, u64>,
}

impl Joining {
    /// Begins to catch up when the disk is new, or was new and never caught up, which a row marks.
    pub(crate) fn begin(turn: &mut Turn<'_>, fresh: bool, marked: Option<&Bytes>) -> Self {
        if fresh && marked.is_none() {
            turn.put(Synced, rows::JOINING, Some(Bytes::new()));
        }
        let damaged = marked.is_some_and(|mark| mark == rows::JOINING_DAMAGED);
        let state = (fresh || marked.is_some()).then(|| State { damaged, ..State::default() });
        Self { state, others: BTreeMap::new() }
    }

    /// Whether a peer is catching up, as far as it said.
    pub(crate) fn of(&self, node: NodeId) -> bool {
        self.others.contains_key(&node)
    }

    /// How far this node has come, while it serves nothing for it.
    pub(crate) fn waits(&self) -> Option<CatchingUp> {
        self.state.as_ref().filter(|state| !state.gave_up).map(State::how_far)
    }

    /// How far it has come, when it serves although something is missing.
    pub(crate) fn incomplete(&self) -> Option<CatchingUp> {
        self.state.as_ref().filter(|state| state.gave_up).map(State::how_far)
    }

    /// Asks, tells, and looks whether all is here.
    pub(crate) fn tick(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &Cluster,
        objects: &Objects,
        ledgers: &BTreeMap<RegionId, Followed>,
    ) {
        let now_ns = turn.now.monotonic_ns;
        self.others.retain(|_, said_ns| now_ns < *said_ns + 3 * TELL_NS);
        let Some(mut state) = self.state.take() else { return };
        let began_ns = *state.began_ns.get_or_insert(now_ns);
        state.peers.retain(|node, _| cluster.linked(*node));
        for node in cluster.peers().keys() {
            let told = state.peers.entry(*node).or_insert_with(|| Told { since_ns: now_ns, ..Told::default() });
            if !told.whole && told.asked_ns.is_none_or(|asked_ns| now_ns >= asked_ns + ASK_AGAIN_NS) {
                told.asked_ns = Some(now_ns);
                turn.send(*node, PeerMessage::AskHoldings { after: told.after.clone() });
            }
        }
        if state.told_ns.is_none_or(|told_ns| now_ns >= told_ns + TELL_NS) {
            state.told_ns = Some(now_ns);
            tell_joining(turn, cluster, true);
        }
        state.look_what_is_missing(objects, ledgers);
        let records: u64 = ledgers.values().map(|ledger| ledger.held).sum();
        let seen = (turn.counters.deltas_received, records, state.missing);
        if seen != state.seen {
            (state.seen, state.moved_ns) = (seen, now_ns);
        }
        let answered = state.peers.values().all(|told| told.whole || now_ns >= told.since_ns + SILENT_NS);
        // Before this node is registered it does not know its own region's roster.
        let here = cluster.registered() && answered && state.missing == 0 && state.ledger.is_none();
        if here && state.heard_enough(cluster, began_ns, now_ns) {
            marks::reached(Mark::JoinCaughtUp);
            turn.put(Synced, rows::JOINING, None);
            tell_joining(turn, cluster, false);
            return;
        }
        state.gave_up = answered && !state.damaged && now_ns >= state.moved_ns.max(began_ns) + STALLED_NS;
        self.state = Some(state);
    }

    /// A peer says whether it is catching up.
    pub(crate) fn take_catching_up(&mut self, turn: &mut Turn<'_>, from: NodeId, joining: bool) {
        if joining {
            self.others.insert(from, turn.now.monotonic_ns);
        } else {
            self.others.remove(&from);
        }
    }

    /// A peer that is catching up asks what is held here.
    pub(crate) fn serve_holdings(
        &self,
        turn: &mut Turn<'_>,
        objects: &Objects,
        ledgers: BTreeMap<RegionId, u64>,
        (to, after): (NodeId, Option<PartitionId>),
    ) {
        let (partitions, more) = objects.vectors_after(after.as_ref(), VECTORS_PER_MESSAGE_MAX);
        let joining = self.state.is_some();
        // What is told here is to be on disk, as with any vector.
        turn.depend_on_all();
        turn.send(to, PeerMessage::Holdings(Holdings { after, partitions, more, ledgers, joining }));
    }

    /// A peer says what it holds, a page of it.
    pub(crate) fn take_holdings(&mut self, turn: &mut Turn<'_>, from: NodeId, holdings: Holdings) {
        let Holdings { after, partitions, more, ledgers, joining } = holdings;
        let Some(state) = &mut self.state else { return };
        let Some(told) = state.peers.get_mut(&from).filter(|told| !told.whole && told.after == after) else {
            return;
        };
        told.joining = joining;
        told.ledgers = ledgers;
        // A page that ends nowhere would be asked for for ever.
        let last = partitions.last().map(|(partition, _)| partition.clone()).filter(|last| Some(last) > after.as_ref());
        state.partitions.extend(partitions.iter().map(|(partition, _)| partition.clone()));
        told.partitions.extend(partitions);
        if more
            && told.partitions.len() < JOIN_PARTITIONS_MAX
            && let Some(last) = last
        {
            told.asked_ns = Some(turn.now.monotonic_ns);
            told.after = Some(last.clone());
            turn.send(from, PeerMessage::AskHoldings { after: Some(last) });
        } else {
            told.whole = true;
        }
    }
}

impl State {
    /// Whether somebody answered who was there before, or there is nobody to be waited for.
    fn heard_enough(&self, cluster: &Cluster, began_ns: u64, now_ns: u64) -> bool {
        if self.peers.values().any(|told| told.whole && !told.joining) {
            return true;
        }
        let known = cluster.config().genesis.regions.iter().filter_map(|region| cluster.registry(&region.id));
        let others = known.flat_map(|known| known.roster.keys()).filter(|node| **node != cluster.config().node);
        let all_here = { others }.all(|node| cluster.linked(*node)) && cluster.unheard_founders().is_empty();
        let founds = cluster.config().genesis.regions.iter().any(|region| {
            let named = region.nodes.iter().any(|node| node.name == cluster.config().name);
            named && cluster.is_own(&region.id) && cluster.own().retired.is_empty()
        });
        let patience_ns = if founds { FOUNDER_ALONE_NS } else { ALONE_NS };
        all_here || !self.damaged && now_ns >= began_ns + patience_ns
    }

    fn look_what_is_missing(&mut self, objects: &Objects, ledgers: &BTreeMap<RegionId, Followed>) {
        let mut missing = BTreeSet::new();
        for told in self.peers.values_mut() {
            told.partitions.retain(|partition, vector| {
                vector.dots.iter().any(|(writer, seq)| objects.held(partition, *writer) < *seq)
            });
            missing.extend(told.partitions.keys());
        }
        self.missing = missing.len();
        let mut most: BTreeMap<&RegionId, u64> = BTreeMap::new();
        for (region, size) in self.peers.values().flat_map(|told| &told.ledgers) {
            let known = most.entry(region).or_default();
            *known = (*known).max(*size);
        }
        let lacks = most.into_iter().find_map(|(region, was)| {
            let ledger = ledgers.get(region).filter(|ledger| ledger.comes && ledger.held < was)?;
            Some((region.clone(), ledger.held, was))
        });
        self.ledger = lacks;
    }

    fn how_far(&self) -> CatchingUp {
        let (told, peers) = (self.peers.values().filter(|told| told.whole).count(), self.peers.len());
        if told < peers || peers == 0 {
            return CatchingUp::Asking { told, peers };
        }
        if let Some((region, held, all)) = self.ledger.clone().filter(|_| self.missing == 0) {
            return CatchingUp::Records { region, held, all };
        }
        let all = self.partitions.len();
        CatchingUp::Objects { held: all - self.missing, all }
    }
}

fn tell_joining(turn: &mut Turn<'_>, cluster: &Cluster, joining: bool) {
    for node in cluster.peers().keys() {
        turn.send(*node, PeerMessage::CatchingUp(joining));
    }
}
