//! Anti-entropy of the metadata: two nodes compare digests and send each other what differs.
//!
//! Rumors get lost, nodes sleep, regions are cut off; nothing that was told once may be relied upon. So every node
//! compares itself with one peer of its region and one beyond it each second, in turn, and with each peer whose
//! link comes up. Equal states cost 16 bytes a comparison. A round is
//!
//! ```text
//!   A ── Root ──────────► B      B's differs
//!   A ◄── Buckets ─────── B      which of the 64 buckets differ
//!   A ── Summary ───────► B      keys and versions of those, in chunks of at most 64 KiB
//!   A ◄── Entries, Want ─ B      what A lacks, and what B wants
//!   A ── Entries ───────► B
//! ```
//!
//! but nobody remembers being in one: each message says all that its answer needs, so loss costs a period,
//! repetition costs bytes and reordering nothing. Entries climb a lattice, hence whatever arrives late is
//! harmless, and every round that gets through makes two states equal as far as their bounds allow.
//!
//! After a long cut many links come up at once and many peers have the same news. So a node fetches from one peer
//! at a time: while it awaits what it asked one for, it asks no other (it answers all), begins no round, and
//! notes who is to be asked next. What is missing crosses about once, not once a peer.

mod answer;
mod greetings;
mod message;

use std::collections::BTreeMap;
use std::ops::Bound;

use trine_crdt::NodeId;

pub use message::{MessageError, RepairMessage};

use crate::entry::Entry;
use crate::limits::{REPAIR_ANSWER_BYTES_MAX, REPAIR_PAYLOAD_BYTES_MAX};
use crate::repair::greetings::Greetings;
use crate::versioned::{Applied, Versioned};

/// How often to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The time between rounds, give or take a quarter, in nanoseconds.
    pub period_ns: u64,
    /// The least time between two greetings, in nanoseconds.
    pub greeting_pause_ns: u64,
    /// How long the node with the greater id waits for the other one to greet it, in nanoseconds.
    pub greeting_yield_ns: u64,
    /// How long to wait for what a peer was asked for before another may be asked, in nanoseconds.
    pub patience_ns: u64,
    /// How many bytes of entries, keys or versions a message carries; a single one may have more.
    pub payload_bytes_max: usize,
    /// How many bytes of entries one message may call forth, the first message of them left out.
    pub answer_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            period_ns: 1_000_000_000,
            greeting_pause_ns: 50_000_000,
            greeting_yield_ns: 100_000_000,
            patience_ns: 500_000_000,
            payload_bytes_max: REPAIR_PAYLOAD_BYTES_MAX,
            answer_bytes_max: REPAIR_ANSWER_BYTES_MAX,
        }
    }
}

/// Whether a peer is in this node's region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proximity {
    /// It is.
    Near,
    /// An ocean may lie between.
    Far,
}

/// What came of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What it changed in the state.
    pub applied: Applied,
    /// Entries that were not admitted.
    pub turned_away: Vec<Entry>,
    /// What to send, all of it to the message's sender.
    pub send: Vec<(NodeId, RepairMessage)>,
}

/// One node's side of repair.
#[derive(Debug)]
pub struct Repair {
    config: Config,
    own: NodeId,
    peers: BTreeMap<NodeId, Proximity>,
    greetings: Greetings,
    /// Whose turn it was last, near and far.
    last_near: Option<NodeId>,
    last_far: Option<NodeId>,
    /// Rises with each answer and round; says where to begin.
    turn: u64,
    round_at_ns: u64,
    greeting_open_at_ns: u64,
    /// Whom this node is fetching from, and until when it waits for more.
    fetching: Option<(NodeId, u64)>,
}

impl Repair {
    /// No peers yet.
    #[must_use]
    pub fn new(own: NodeId, config: Config) -> Self {
        Self {
            config,
            own,
            peers: BTreeMap::new(),
            greetings: Greetings::new(own),
            last_near: None,
            last_far: None,
            turn: own.0,
            round_at_ns: 0,
            greeting_open_at_ns: 0,
            fetching: None,
        }
    }

    /// A peer can be reached: it is greeted, at once unless others are to be greeted first.
    pub fn on_peer_up(
        &mut self,
        now_ns: u64,
        peer: NodeId,
        proximity: Proximity,
        state: &Versioned,
    ) -> Vec<(NodeId, RepairMessage)> {
        let wait_ns = if self.own < peer { 0 } else { self.config.greeting_yield_ns };
        if self.peers.is_empty() {
            self.round_at_ns = now_ns + self.pause_ns();
        }
        self.peers.insert(peer, proximity);
        self.greetings.at(peer, now_ns + wait_ns);
        self.on_tick(now_ns, state)
    }

    /// A peer cannot be reached any more.
    pub fn on_peer_down(&mut self, peer: NodeId) {
        self.peers.remove(&peer);
        self.greetings.cancel(peer);
        self.fetching = self.fetching.filter(|(from, _)| *from != peer);
    }

    /// Time has passed: begins the rounds that are due.
    pub fn on_tick(&mut self, now_ns: u64, state: &Versioned) -> Vec<(NodeId, RepairMessage)> {
        let mut to = Vec::new();
        if self.greeting_at_ns().is_some_and(|at| at <= now_ns) {
            to.extend(self.greetings.next(now_ns));
            self.greeting_open_at_ns = now_ns + self.config.greeting_pause_ns;
        }
        if !self.peers.is_empty() && self.next_round_ns() <= now_ns {
            self.last_near = self.next_peer(Proximity::Near, self.last_near);
            self.last_far = self.next_peer(Proximity::Far, self.last_far);
            to.extend(self.last_near.iter().chain(&self.last_far));
            self.round_at_ns = now_ns + self.pause_ns();
        }
        to.into_iter().map(|peer| (peer, RepairMessage::Root(state.root()))).collect()
    }

    /// When [`Self::on_tick`] is wanted, in monotonic nanoseconds.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        let round = (!self.peers.is_empty()).then(|| self.next_round_ns());
        round.into_iter().chain(self.greeting_at_ns()).min()
    }

    /// A peer said something. `admit` judges each entry that it brings: whether its author may say it, and whether
    /// its stamp is not from the far future.
    pub fn on_message(
        &mut self,
        now_ns: u64,
        from: NodeId,
        message: RepairMessage,
        state: &mut Versioned,
        mut admit: impl FnMut(&Entry) -> bool,
    ) -> Outcome {
        self.turn = self.turn.wrapping_add(1);
        let answer = match message {
            RepairMessage::Root(root) => answer::to_root(root, state),
            RepairMessage::Buckets(digests) => {
                let summaries = answer::to_buckets(&digests, state, self.turn, &self.config);
                if summaries.is_empty() || !self.may_fetch(now_ns, from) {
                    return Outcome::default();
                }
                summaries
            }
            RepairMessage::Summary { bucket, after, upto, versions } => {
                let part = (&*after, &*upto);
                let (mut answer, want) = answer::to_summary(bucket, part, &versions, state, self.turn, &self.config);
                // As many keys as came in one message fit into one.
                if !want.is_empty() && self.may_fetch(now_ns, from) {
                    answer.push(RepairMessage::Want(want));
                }
                answer
            }
            RepairMessage::Want(keys) => answer::to_want(&keys, state, self.turn, &self.config),
            RepairMessage::Entries(entries) => {
                self.fetched(now_ns, from, entries.iter().map(Entry::cost_bytes).sum());
                // What is held already, or a later version of, need not be judged.
                let news = entries.into_iter().filter(|entry| state.is_news(entry));
                let (admitted, turned_away): (Vec<_>, Vec<_>) = news.partition(|entry| admit(entry));
                return Outcome { applied: state.apply(admitted), turned_away, send: Vec::new() };
            }
        };
        Outcome { send: answer.into_iter().map(|message| (from, message)).collect(), ..Outcome::default() }
    }

    /// Whether this peer may be asked now; if so it is the one that is fetched from. Otherwise it is greeted later.
    fn may_fetch(&mut self, now_ns: u64, from: NodeId) -> bool {
        let until_ns = self.busy_until_ns();
        if until_ns > now_ns && self.fetching.is_some_and(|(other, _)| other != from) {
            if self.peers.contains_key(&from) {
                self.greetings.at(from, until_ns);
            }
            return false;
        }
        self.fetching = Some((from, now_ns + self.config.patience_ns));
        true
    }

    /// Entries came: after a full chunk more are awaited, after a small one others may be asked.
    fn fetched(&mut self, now_ns: u64, from: NodeId, bytes: usize) {
        if self.fetching.is_some_and(|(fetching, _)| fetching == from) {
            let more = bytes > self.config.payload_bytes_max / 2;
            self.fetching = more.then_some((from, now_ns + self.config.patience_ns));
        }
    }

    fn busy_until_ns(&self) -> u64 {
        self.fetching.map_or(0, |(_, until_ns)| until_ns)
    }

    fn next_round_ns(&self) -> u64 {
        self.round_at_ns.max(self.busy_until_ns())
    }

    fn greeting_at_ns(&self) -> Option<u64> {
        let first = self.greetings.first_ns()?;
        Some(first.max(self.greeting_open_at_ns).max(self.busy_until_ns()))
    }

    /// The peer behind `last` in the ring of those near or far.
    fn next_peer(&self, proximity: Proximity, last: Option<NodeId>) -> Option<NodeId> {
        let behind = last.map_or(Bound::Unbounded, Bound::Excluded);
        let ring = self.peers.range((behind, Bound::Unbounded)).chain(self.peers.iter());
        ring.filter(|(_, known)| **known == proximity).map(|(peer, _)| *peer).next()
    }

    /// The time to the next round: the period give or take a quarter, so that nodes do not move in step.
    fn pause_ns(&mut self) -> u64 {
        self.turn = self.turn.wrapping_add(1);
        let spread = self.config.period_ns / 2;
        self.config.period_ns - spread / 2 + scatter(self.own.0 ^ self.turn) % spread.max(1)
    }
}

/// Spreads numbers that lie close together over all of `u64` (the finaliser of SplitMix64).
fn scatter(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
