//! The links that stand, as the driver sends on them and as the swarm's task settles them.
//!
//! Two nodes that miss each other dial each other at the same time, so two links may arise. Both sides must keep the
//! same one without asking: the link opened by the smaller peer id ranks higher, and of two opened by the same node
//! the later one. A peer that was restarted (its hello names another process) always replaces what stood before.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::swarm::ConnectionId;
use tokio::sync::{Notify, watch};
use trine_crdt::NodeId;
use trine_replica::input::Peer;

use super::queue::Queue;
use crate::net::limits::BEATS_MAX;

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
    pub connection: ConnectionId,
    pub rank: Rank,
    pub process: u64,
    pub queue: Queue,
    pub phase: watch::Sender<Phase>,
    /// Says that the link was replaced, or is to end.
    pub leave: Notify,
    fate: AtomicU8,
    beats: Mutex<VecDeque<(u64, Instant)>>,
    round_trip: Mutex<Option<Duration>>,
}

impl Link {
    pub fn new(peer_id: PeerId, peer: Peer, connection: ConnectionId, rank: Rank, process: u64) -> Self {
        Self {
            peer_id,
            peer,
            connection,
            rank,
            process,
            queue: Queue::default(),
            phase: watch::Sender::new(Phase::Starting),
            leave: Notify::new(),
            fate: AtomicU8::new(LIVE),
            beats: Mutex::default(),
            round_trip: Mutex::default(),
        }
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
    by_peer: BTreeMap<PeerId, Arc<Link>>,
}

impl Table {
    pub fn of_node(&self, node: NodeId) -> Option<Arc<Link>> {
        self.read(|links| links.by_node.get(&node).cloned())
    }

    pub fn of_peer(&self, peer: &PeerId) -> Option<Arc<Link>> {
        self.read(|links| links.by_peer.get(peer).cloned())
    }

    pub fn is_linked(&self, peer: &PeerId) -> bool {
        self.read(|links| links.by_peer.contains_key(peer))
    }

    pub fn nodes(&self) -> Vec<NodeId> {
        self.read(|links| links.by_node.keys().copied().collect())
    }

    pub fn all(&self) -> Vec<Arc<Link>> {
        self.read(|links| links.by_peer.values().cloned().collect())
    }

    /// Puts a link in the place of its peer's last one.
    pub fn insert(&self, link: &Arc<Link>) {
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = links.by_peer.insert(link.peer_id, link.clone()) {
            links.by_node.remove(&last.peer.node);
        }
        links.by_node.insert(link.peer.node, link.clone());
    }

    /// Takes a link out, unless another has taken its place.
    pub fn remove(&self, link: &Arc<Link>) {
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        if links.by_peer.get(&link.peer_id).is_some_and(|standing| Arc::ptr_eq(standing, link)) {
            links.by_peer.remove(&link.peer_id);
        }
        if links.by_node.get(&link.peer.node).is_some_and(|standing| Arc::ptr_eq(standing, link)) {
            links.by_node.remove(&link.peer.node);
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Links) -> T) -> T {
        look(&self.links.read().unwrap_or_else(PoisonError::into_inner))
    }
}
