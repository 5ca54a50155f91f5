//! What a node does about clocks: its own, when its peers doubt it, and stamps that lie ahead.
//!
//! **Its own.** While it is doubted, or not yet compared after a start, it stamps nothing: it takes no writes, proposes
//! nothing, is not ready, and gives leadership away where somebody of its region may be right.
//!
//! **Stamps ahead.** What was stamped ahead all the same (alone, or together with a whole region) cannot be stamped anew.
//! But a stamp need not be the wall. So it is held only while the wall of whoever sends it is wrong, or not measured: a
//! peer whose wall is right has judged its own sender in the same way. It is taken in without moving this node's clock,
//! which stays with the wall; what is written to such an object is stamped just above it, as a log counts on above its
//! last stamp. So nobody is dragged along, nothing is withheld once clocks are right, and whoever has seen the value that
//! lies ahead replaces it.

use std::collections::BTreeMap;

use trine_crdt::clock::{Drift, ntp_of_ns};
use trine_crdt::{NodeId, Now, Timestamp, WriterId};
use trine_protocol::RequestError;
use trine_protocol::reply::ClockView;

use super::clock_judge::{ClockJudge, Verdict};
use super::durable_time::DurableTime;
use crate::effect::Effect;
use crate::input::{BatchId, Peer};
use crate::limits::STEP_DOWN_INTERVAL_MS;
use crate::marks::{self, Mark};
use crate::message::PeerMessage;
use crate::mutants::{self, Mutant};
use crate::not_ready::NotReady;
use crate::store::StoreError;
use crate::turn::Turn;

/// What stamps, and what is thought of the wall that it stamps by.
#[derive(Debug)]
pub(crate) struct Clock {
    hybrid: trine_crdt::Clock,
    durable: DurableTime,
    judge: ClockJudge,
    /// Stamps may lie so far ahead of the wall.
    drift_ns: u64,
    writer: WriterId,
    next_step_down_ns: u64,
}

impl Clock {
    /// A clock whose high-water mark on disk is this one.
    pub(crate) fn new(writer: WriterId, mark: u64, drift_ms_max: u64) -> Self {
        let drift_ns = drift_ms_max.saturating_mul(1_000_000);
        Self {
            hybrid: trine_crdt::Clock::new(writer, mark),
            durable: DurableTime::new(mark),
            judge: ClockJudge::new(drift_ns),
            drift_ns,
            writer,
            next_step_down_ns: 0,
        }
    }

    /// Looks at the wall before anything else is done in a turn; the number of other nodes known is given.
    pub(crate) fn look(&mut self, now: Now, others: usize) {
        self.judge.look(now, others);
    }

    /// A peer is gone.
    pub(crate) fn down(&mut self, node: NodeId) {
        self.judge.down(node);
    }

    /// A peer said what its wall shows.
    pub(crate) fn told(&mut self, now: Now, from: NodeId, asked_ns: u64, wall_ns: u64) {
        self.judge.heard(now, from, asked_ns, wall_ns);
    }

    /// Whether most of the cluster agrees with the wall.
    pub(crate) fn confirmed(&self) -> bool {
        self.judge.confirmed()
    }

    /// Whether this node stamps.
    pub(crate) fn believed(&self) -> bool {
        self.judge.believed()
    }

    /// Whether this node stamps; the reason when it does not.
    pub(crate) fn stamps(&self, peers: &BTreeMap<NodeId, Peer>) -> Result<(), NotReady> {
        if self.judge.believed() { Ok(()) } else { Err(self.doubt(peers)) }
    }

    /// As [`Self::stamps`], for a write.
    pub(crate) fn may_write(&self, peers: &BTreeMap<NodeId, Peer>) -> Result<(), RequestError> {
        self.stamps(peers).map_err(|why| {
            marks::reached(Mark::DoubtedRefused);
            why.into()
        })
    }

    fn doubt(&self, peers: &BTreeMap<NodeId, Peer>) -> NotReady {
        match self.judge.verdict() {
            Verdict::Doubted { against, heard, whom, offset_ns } => {
                let whom = peers.get(&whom).map_or_else(|| whom.to_string(), |peer| peer.name.to_string());
                NotReady::ClockDoubted { offset_ns, whom, against, heard }
            }
            _ => NotReady::ClockUncompared,
        }
    }

    /// What clients are told of this node's clock.
    pub(crate) fn view(&self) -> ClockView {
        let offsets = self.judge.offsets();
        ClockView {
            believed: self.judge.believed(),
            compared: u32::try_from(offsets.len()).unwrap_or(u32::MAX),
            offsets_ms: offsets.into_iter().map(|(node, offset)| (node, offset.ns / 1_000_000)).collect(),
            hybrid_ahead_ms: self.hybrid_ahead_ns() / 1_000_000,
        }
    }

    /// How far the latest stamp of this node lies ahead of its wall.
    fn hybrid_ahead_ns(&self) -> u64 {
        let last = Timestamp { time: self.hybrid.last(), writer: self.writer };
        last.wall_ns().saturating_sub(self.judge.wall_ns())
    }

    /// How far this node's wall is ahead of each peer's that is heard, by the peers' names, in seconds.
    pub(crate) fn offsets(&self, peers: &BTreeMap<NodeId, Peer>) -> Vec<(String, f64)> {
        let name = |node: &NodeId| peers.get(node).map(|peer| peer.name.to_string());
        let offsets = self.judge.offsets().into_iter();
        offsets.filter_map(|(node, offset)| Some((name(&node)?, offset.ns as f64 / 1e9))).collect()
    }

    /// Whether the clock is believed, and how far its stamps lie ahead of its wall, in seconds.
    pub(crate) fn figures(&self) -> (bool, f64) {
        (self.judge.believed(), self.hybrid_ahead_ns() as f64 / 1e9)
    }

    /// Whether what lies ahead of the wall is taken in from this peer: its wall is right, and it judged its own sender.
    pub(super) fn takes_ahead(&self, from: NodeId) -> bool {
        let takes = self.judge.vouches(from) && !mutants::is(Mutant::AheadNeverTaken);
        if takes {
            marks::reached(Mark::AheadTaken);
        }
        takes
    }

    /// The stamp of an edit: above all that its object has seen. Where that lies ahead of the clock, the object counts on
    /// by itself, and the clock, whose stamps others judge, stays with the wall.
    pub(crate) fn above(seen: Timestamp, mut stamp: Timestamp) -> Timestamp {
        if stamp.time <= seen.time && !mutants::is(Mutant::EditBelowSeen) {
            marks::reached(Mark::EditCountsOn);
            stamp.time = seen.time.saturating_add(1);
        }
        stamp
    }

    /// Whether a time lies further ahead of the wall than clocks may differ.
    pub(super) fn is_ahead(&self, now: Now, time: u64) -> bool {
        time > ntp_of_ns(now.wall_ns.saturating_add(self.drift_ns))
    }

    /// The latest hybrid time issued or seen, as far as a restart remembers it.
    pub(super) fn latest(&self) -> Timestamp {
        Timestamp { time: self.durable.at_most(self.hybrid.last()), writer: self.writer }
    }

    pub(super) fn tick(&mut self, now: Now) -> Result<Timestamp, StoreError> {
        self.hybrid.tick(now.wall_ns).map_err(|error| StoreError::Failed(error.to_string()))
    }

    pub(super) fn observe(&mut self, now: Now, stamp: &Timestamp) -> Result<(), Drift> {
        self.hybrid.observe(now.wall_ns, stamp, self.drift_ns)
    }

    /// The mark that is to go to disk before a stamp leaves; none: the last one covers it.
    pub(super) fn needs_mark(&mut self, now: Now) -> Option<u64> {
        self.hybrid.needs_mark(now.wall_ns)
    }

    /// The mark goes to disk with this batch.
    pub(super) fn marked(&mut self, batch: BatchId, mark: u64) {
        self.durable.put(batch, mark);
        self.hybrid.marked(mark);
    }

    /// This batch and all earlier ones are on disk.
    pub(super) fn persisted(&mut self, batch: BatchId) {
        self.durable.persisted(batch);
    }
}

impl Turn<'_> {
    /// Asks a peer that has just come up what its wall shows.
    pub(crate) fn clock_up(&mut self, node: NodeId) {
        self.clock.judge.up(node);
        self.clock.judge.asked(self.now, node);
        self.send(node, PeerMessage::ClockAsk { asked_ns: self.now.monotonic_ns });
    }

    /// Asks those whose turn it is; and, while this node's clock is doubted, gives leadership away to one of these, the
    /// others of its region, where somebody may be right: where all of the region are wrong together nobody is a better
    /// leader, and reads go on.
    pub(crate) fn clock_tick(&mut self, leads: bool, region: &[NodeId]) {
        for node in self.clock.judge.ask(self.now) {
            self.send(node, PeerMessage::ClockAsk { asked_ns: self.now.monotonic_ns });
        }
        let now_ns = self.now.monotonic_ns;
        let doubted = matches!(self.clock.judge.verdict(), Verdict::Doubted { .. }) && !self.clock.believed();
        let due = doubted && leads && now_ns >= self.clock.next_step_down_ns;
        if due && region.iter().any(|node| self.clock.judge.disagrees(*node)) {
            self.clock.next_step_down_ns = now_ns + STEP_DOWN_INTERVAL_MS * 1_000_000;
            self.effects.push(Effect::StepDown);
        }
    }
}
