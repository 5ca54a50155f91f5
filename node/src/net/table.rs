//! The links that stand, as the driver sends on them and as the swarm's task settles them.
//!
//! Two nodes that miss each other dial each other at the same time, so two links may arise. Both sides must keep the
//! same one without asking: the link opened by the smaller peer id ranks higher, and of two opened by the same node
//! the later one. A peer that was restarted (its hello names another process) replaces what stood before, unless that was
//! alive a moment ago: then two processes claim one disk, and the first of them stays ([`super::process`]).
//!
//! A link is one with a *disk*, and a key may be that of two: a node that begins anew on an empty disk, or a second one that
//! was started with a copy of its files. The newcomer's link stands beside the first one's, which it takes nothing from: it
//! is the core that knows whose name it is, and must be able to tell it so. Of a key's links the first one's word counts
//! where its node is reached.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::swarm::ConnectionId;
use tokio::sync::{Notify, watch};
use trine_crdt::NodeId;
use trine_identity::admission::Claims;
use trine_replica::input::Peer;

use super::frame::Reached;
use super::link::Candidate;
use super::process::Process;
use super::queue::Queue;
use crate::net::limits::{ANSWER_MAX, BEATS_MAX};

const LIVE: u8 = 0;
const ENDED: u8 = 1;
const REPLACED: u8 = 2;

/// Which of two links of a pair stays: the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub opened_by_smaller: bool,
    pub number: u64,
}

/// What the driver was told of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Up,
    Down,
}

/// One link.
#[derive(Debug)]
pub(super) struct Link {
    pub peer_id: PeerId,
    pub peer: Peer,
    pub claims: Claims,
    /// Where the peer is reached, as it said.
    pub reached: Reached,
    pub connection: ConnectionId,
    pub rank: Rank,
    pub process: Process,
    pub queue: Queue,
    pub phase: watch::Sender<Phase>,
    /// Says that the link was replaced, or is to end.
    pub leave: Notify,
    fate: AtomicU8,
    beats: Mutex<VecDeque<(u64, Instant)>>,
    round_trip: Mutex<Option<Duration>>,
    heard: Mutex<Instant>,
}

impl Link {
    /// What the hellos of a candidate say.
    pub fn new(candidate: &Candidate, rank: Rank) -> Self {
        let Candidate { peer, connection, hello, claims, .. } = candidate;
        let named = Peer { node: hello.node, name: claims.name.as_str().into(), region: claims.region.clone() };
        Self {
            peer_id: *peer,
            peer: named,
            claims: claims.clone(),
            reached: hello.reached.clone(),
            connection: *connection,
            rank,
            process: candidate.process,
            queue: Queue::default(),
            phase: watch::Sender::new(Phase::Starting),
            leave: Notify::new(),
            fate: AtomicU8::new(LIVE),
            beats: Mutex::default(),
            round_trip: Mutex::default(),
            heard: Mutex::new(Instant::now()),
        }
    }

    /// A beat came back in time.
    fn hears(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether the peer lived a moment ago. What it has said may have lain in buffers since before it ended.
    pub fn answers(&self) -> bool {
        !self.ended() && self.heard.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < ANSWER_MAX
    }

    /// Another link takes over; false when this one has ended already.
    pub fn replace(&self) -> bool {
        let won = self.fate.compare_exchange(LIVE, REPLACED, Ordering::AcqRel, Ordering::Acquire).is_ok();
        self.queue.close();
        self.leave.notify_one();
        won
    }

    /// The link ends; false when another one has taken over.
    pub fn end(&self) -> bool {
        self.queue.close();
        self.fate.compare_exchange(LIVE, ENDED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub fn ended(&self) -> bool {
        self.fate.load(Ordering::Acquire) == ENDED
    }

    pub fn replaced(&self) -> bool {
        self.fate.load(Ordering::Acquire) == REPLACED
    }

    /// A beat leaves.
    pub fn beat(&self, number: u64) {
        let mut beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        beats.push_back((number, Instant::now()));
        if beats.len() > BEATS_MAX {
            beats.pop_front();
        }
    }

    /// A beat's echo came: the round trip.
    pub fn echoed(&self, number: u64) -> Option<Duration> {
        let mut beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        let place = beats.iter().position(|(sent, _)| *sent == number)?;
        let (_, at) = beats[place];
        beats.drain(..=place);
        let measured = at.elapsed();
        *self.round_trip.lock().unwrap_or_else(PoisonError::into_inner) = Some(measured);
        if measured < ANSWER_MAX {
            self.hears();
        }
        Some(measured)
    }

    /// The round trip measured last.
    pub fn round_trip(&self) -> Option<Duration> {
        *self.round_trip.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All links that stand, by node and by peer id.
#[derive(Debug, Default)]
pub(super) struct Table {
    links: RwLock<Links>,
}

#[derive(Debug, Default)]
struct Links {
    by_node: BTreeMap<NodeId, Arc<Link>>,
    /// Of one key, the first one first.
    by_peer: BTreeMap<PeerId, Vec<Arc<Link>>>,
}

impl Table {
    pub fn of_node(&self, node: NodeId) -> Option<Arc<Link>> {
        self.read(|links| links.by_node.get(&node).cloned())
    }

    /// The link with the first of a key's disks.
    pub fn first_of(&self, peer: &PeerId) -> Option<Arc<Link>> {
        self.read(|links| links.by_peer.get(peer)?.first().cloned())
    }

    /// With how many of a key's disks a link stands.
    pub fn count_of(&self, peer: &PeerId) -> usize {
        self.read(|links| links.by_peer.get(peer).map_or(0, Vec::len))
    }

    pub fn is_linked(&self, peer: &PeerId) -> bool {
        self.read(|links| links.by_peer.contains_key(peer))
    }

    pub fn nodes(&self) -> Vec<NodeId> {
        self.read(|links| links.by_node.keys().copied().collect())
    }

    pub fn all(&self) -> Vec<Arc<Link>> {
        self.read(|links| links.by_node.values().cloned().collect())
    }

    /// Puts a link in the place of its node's last one, or behind those of its key's other nodes.
    pub fn insert(&self, link: &Arc<Link>) {
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        links.by_node.insert(link.peer.node, link.clone());
        let of_key = links.by_peer.entry(link.peer_id).or_default();
        match of_key.iter_mut().find(|last| last.peer.node == link.peer.node) {
            Some(last) => *last = link.clone(),
            None => of_key.push(link.clone()),
        }
    }

    /// Takes a link out, unless another has taken its place.
    pub fn remove(&self, link: &Arc<Link>) {
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_key) = links.by_peer.get_mut(&link.peer_id) {
            of_key.retain(|standing| !Arc::ptr_eq(standing, link));
            if of_key.is_empty() {
                links.by_peer.remove(&link.peer_id);
            }
        }
        if links.by_node.get(&link.peer.node).is_some_and(|standing| Arc::ptr_eq(standing, link)) {
            links.by_node.remove(&link.peer.node);
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Links) -> T) -> T {
        look(&self.links.read().unwrap_or_else(PoisonError::into_inner))
    }
}
