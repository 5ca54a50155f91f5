//! The streams between nodes, and what becomes of messages on them.
//!
//! A pair of nodes has a stream while both run and neither direction is cut. Both notice late, and apart, that it stands
//! or is gone; a message arrives only in the lives for which it was sent, and in no order.

use std::sync::Arc;

use bytes::Bytes;
use trine_crdt::NodeId;
use trine_replica::Input;
use trine_replica::PeerMessage;
use trine_replica::input::Peer;

use crate::sim::event::Event;
use crate::sim::faults::Shape;
use crate::sim::world::{MS, World};

/// How long a silent link takes to be noticed.
const SILENCE_NS: u64 = 1_500 * MS;
/// The share of nodes that a rumor reaches.
const RUMOR_SHARE: f64 = 0.7;

/// What a pair of nodes knows of the stream between them.
#[derive(Debug, Default, Clone, Copy)]
pub struct Pair {
    wanted: bool,
    epoch: u64,
    /// Whom the lower and the higher node believe it to stand with: a peer may have got another disk since.
    up: (Option<NodeId>, Option<NodeId>),
}

impl Pair {
    fn seen_by(&mut self, lower: bool) -> &mut Option<NodeId> {
        if lower { &mut self.up.0 } else { &mut self.up.1 }
    }
}

/// All pairs, each at a place of its own: in a wide world there are millions.
#[derive(Debug, Default)]
pub struct Pairs(Vec<Pair>);

impl Pairs {
    /// What these two, in whichever order, know of the stream between them.
    fn of(&mut self, one: usize, other: usize) -> &mut Pair {
        let (lower, higher) = (one.min(other), one.max(other));
        let place = higher * higher.saturating_sub(1) / 2 + lower;
        if place >= self.0.len() {
            self.0.resize(higher * (higher + 1) / 2, Pair::default());
        }
        &mut self.0[place]
    }
}

impl World {
    /// A message leaves, and arrives later, twice, or never.
    pub(super) fn send(&mut self, from: usize, to: usize, mut message: PeerMessage) {
        self.count(from, to, || trine_crdt::codec::encode(&message).len());
        let shape = self.faults.shape(from, to);
        if self.faults.is_cut(from, to) || self.chance.happens(shape.loss) {
            return;
        }
        self.disorder(from, &mut message);
        let lives = (self.nodes[from].life, self.nodes[to].life);
        let message = Box::new(message);
        if self.chance.happens(shape.duplicate) {
            self.post((from, to), lives, shape, message.clone());
        }
        self.post((from, to), lives, shape, message);
    }

    /// A rumor reaches most nodes, each by a way of its own.
    pub(super) fn publish(&mut self, from: usize, bytes: &Bytes) {
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            if self.chance.happens(RUMOR_SHARE) {
                let shape = self.faults.shape(from, to);
                let wait = shape.delay_ns.unwrap_or_else(|| self.delay(from, to)) + self.chance.below(100 * MS);
                self.count(from, to, || bytes.len());
                if !self.chance.happens(shape.loss) {
                    self.schedule(wait, Event::Rumor { from, to, bytes: bytes.clone() });
                }
            }
        }
    }

    /// A copy of a message is under way.
    fn post(&mut self, (from, to): (usize, usize), lives: (u64, u64), shape: Shape, message: Box<PeerMessage>) {
        let mut wait = shape.delay_ns.unwrap_or_else(|| self.delay(from, to)) + self.chance.below(shape.jitter_ns);
        if self.chance.happens(shape.reorder) {
            wait += self.chance.below(shape.late_ns);
        }
        if let Some(rate) = shape.bytes_per_s {
            let bytes = trine_crdt::codec::encode(&*message).len() as u64;
            let (a, b) = (self.nodes[from].region, self.nodes[to].region);
            let free_ns = self.busy_until_ns.entry((a, b)).or_default();
            *free_ns = (*free_ns).max(self.now_ns) + bytes * 1_000_000_000 / rate.max(1);
            wait += *free_ns - self.now_ns;
        }
        self.schedule(wait, Event::Message { from, to, lives, message });
    }

    /// Counts a message that is sent, whatever becomes of it.
    fn count(&mut self, from: usize, to: usize, bytes: impl FnOnce() -> usize) {
        let inside = self.nodes[from].region == self.nodes[to].region;
        let traffic = if inside { &mut self.inside } else { &mut self.between };
        traffic.messages += 1;
        if self.measure {
            traffic.bytes += bytes() as u64;
        }
    }

    /// A node that does not hold to its ledger's order puts a tail's records in a wrong one, now and then; each is still
    /// a record of that ledger.
    fn disorder(&mut self, from: usize, message: &mut PeerMessage) {
        if let PeerMessage::Tail { records, .. } = message
            && records.len() > 1
            && self.chance.happens(self.faults.disorder(from))
        {
            let last = records.len() - 1;
            records.swap(0, last);
        }
    }

    /// One-way delay between two nodes, by geography, with jitter.
    pub(super) fn delay(&mut self, from: usize, to: usize) -> u64 {
        let (a, b) = (self.nodes[from].region, self.nodes[to].region);
        let base = match (a.min(b), a.max(b)) {
            (a, b) if a == b => MS / 2,
            (0, 1) => 38 * MS,
            (0, 2) => 110 * MS,
            (1, 2) => 80 * MS,
            _ => 60 * MS,
        };
        base + self.chance.below(base / 4 + MS)
    }

    /// Brings what two nodes will notice of each other up to date.
    pub fn relink(&mut self, a: usize, b: usize) {
        if a == b {
            return;
        }
        let (a, b) = (a.min(b), a.max(b));
        let awake = self.nodes[a].awake() && self.nodes[b].awake();
        let wanted = awake && !self.faults.is_cut(a, b) && !self.faults.is_cut(b, a);
        let pair = self.pairs.of(a, b);
        if pair.wanted == wanted {
            return;
        }
        (pair.wanted, pair.epoch) = (wanted, pair.epoch + 1);
        let epoch = pair.epoch;
        let crashed = self.nodes[a].replica.is_none() || self.nodes[b].replica.is_none();
        for (node, peer) in [(a, b), (b, a)] {
            let distance = self.delay(a, b);
            let wait = match (wanted, crashed) {
                (true, _) => 3 * distance + self.chance.below(50 * MS),
                (false, true) => distance,
                (false, false) => SILENCE_NS + self.chance.below(250 * MS),
            };
            let event =
                if wanted { Event::LinkUp { node, peer, epoch } } else { Event::LinkDown { node, peer, epoch } };
            self.schedule(wait, event);
        }
    }

    /// The same for a node and all others.
    pub(super) fn relink_all(&mut self, node: usize) {
        for peer in 0..self.nodes.len() {
            self.relink(node, peer);
        }
    }

    /// A node's process is gone: whatever it believed of its links, it believes nothing when it comes back.
    pub(super) fn unlink(&mut self, node: usize) {
        for peer in 0..self.nodes.len() {
            self.relink(node, peer);
            if peer != node {
                *self.pairs.of(node, peer).seen_by(node < peer) = None;
            }
        }
    }

    /// A node notices that a link stands or is gone.
    pub(super) fn link(&mut self, node: usize, peer: usize, epoch: u64, up: bool) {
        let (life, id) = (self.nodes[node].life, self.nodes[peer].id);
        let pair = self.pairs.of(node, peer);
        if pair.epoch != epoch {
            return;
        }
        if let Some(before) = std::mem::replace(pair.seen_by(node < peer), up.then_some(id)) {
            self.input(node, life, Input::PeerDown(before));
        }
        if up {
            let region = self.regions[self.nodes[peer].region].clone();
            let name = Arc::clone(&self.nodes[peer].name);
            self.input(node, life, Input::PeerUp(Peer { node: id, name, region }));
        }
    }
}
