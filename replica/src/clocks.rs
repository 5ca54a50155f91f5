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

use trine_crdt::clock::{Drift, ntp_of_ns};
use trine_crdt::marks::{self, Mark};
use trine_crdt::mutants::{self, Mutant};
use trine_crdt::{NodeId, Timestamp};
use trine_protocol::RequestError;
use trine_protocol::reply::ClockView;

use crate::clock_judge::Verdict;
use crate::effect::Effect;
use crate::limits::STEP_DOWN_INTERVAL_MS;
use crate::message::PeerMessage;
use crate::replica::Replica;
use crate::turn::Turn;

impl Replica {
    /// Looks at the wall before anything else is done in a turn.
    pub(crate) fn look_at_clock(&mut self, turn: &Turn<'_>) {
        let others = self.others_known();
        self.judge.look(turn.now, others);
    }

    /// How many other nodes are known to belong to the cluster.
    fn others_known(&mut self) -> usize {
        if let Some(others) = self.all_others() {
            return others.len().max(self.peers.len());
        }
        let founders = self.config.genesis.regions.iter().flat_map(|region| &region.nodes);
        let others = founders.filter(|node| node.name != self.config.name).count();
        // A region whose roster is not known has a node at least.
        let regions = self.config.genesis.regions.len().saturating_sub(1);
        others.max(regions).max(self.peers.len())
    }

    /// Asks a peer that has just come up.
    pub(crate) fn clock_up(&mut self, turn: &mut Turn<'_>, node: NodeId) {
        self.judge.up(node);
        self.judge.asked(turn.now, node);
        turn.send(node, PeerMessage::ClockAsk { asked_ns: turn.now.monotonic_ns });
    }

    /// Asks those whose turn it is, and gives leadership away while this node's clock is doubted.
    pub(crate) fn clock_tick(&mut self, turn: &mut Turn<'_>) {
        for node in self.judge.ask(turn.now) {
            turn.send(node, PeerMessage::ClockAsk { asked_ns: turn.now.monotonic_ns });
        }
        let now_ns = turn.now.monotonic_ns;
        let doubted = matches!(self.judge.verdict(), Verdict::Doubted { .. }) && !self.judge.believed();
        if doubted && self.leadership.serving && now_ns >= self.next_step_down_ns {
            // Where all of the region are wrong together nobody is a better leader, and reads go on.
            if self.region_peers().into_iter().any(|node| self.judge.disagrees(node)) {
                self.next_step_down_ns = now_ns + STEP_DOWN_INTERVAL_MS * 1_000_000;
                turn.effects.push(Effect::StepDown);
            }
        }
    }

    /// A peer said what its wall shows.
    pub(crate) fn clock_told(&mut self, turn: &Turn<'_>, from: NodeId, asked_ns: u64, wall_ns: u64) {
        self.judge.heard(turn.now, from, asked_ns, wall_ns);
        self.look_at_clock(turn);
    }

    /// Whether this node stamps; the reason when it does not.
    pub(crate) fn stamps(&self) -> Result<(), String> {
        if self.judge.believed() { Ok(()) } else { Err(self.doubt()) }
    }

    /// As [`Self::stamps`], for a write.
    pub(crate) fn may_write(&self) -> Result<(), RequestError> {
        self.stamps().map_err(|what| {
            marks::reached(Mark::DoubtedRefused);
            RequestError::Unavailable { what }
        })
    }

    fn doubt(&self) -> String {
        match self.judge.verdict() {
            Verdict::Doubted { against, heard, whom, offset_ns } => {
                let way = if offset_ns < 0 { "behind" } else { "ahead of" };
                let whom = self.peers.get(&whom).map_or_else(|| whom.to_string(), |peer| peer.name.to_string());
                format!(
                    "its clock is {} {way} that of {whom}, and {against} of the {heard} nodes that it hears disagree with \
                     it: it takes no writes until its clock is set right",
                    seconds(offset_ns.unsigned_abs())
                )
            }
            _ => "its clock is not yet compared with those of other nodes".to_owned(),
        }
    }

    /// What clients are told of this node's clock.
    pub(crate) fn clock_view(&self) -> ClockView {
        let offsets = self.judge.offsets();
        ClockView {
            believed: self.judge.believed(),
            compared: u32::try_from(offsets.len()).unwrap_or(u32::MAX),
            offsets_ms: offsets.into_iter().map(|(node, offset)| (node, offset.ns / 1_000_000)).collect(),
            hybrid_ahead_ms: self.hybrid_ahead_ns() / 1_000_000,
        }
    }

    /// How far the latest stamp of this node lies ahead of its wall.
    pub(crate) fn hybrid_ahead_ns(&self) -> u64 {
        let last = Timestamp { time: self.clock.last(), writer: self.config.writer };
        last.wall_ns().saturating_sub(self.judge.wall_ns())
    }

    /// How far this node's wall is ahead of each peer's that is heard, by the peers' names, in seconds.
    #[must_use]
    pub fn clock_offsets(&self) -> Vec<(String, f64)> {
        let name = |node: &NodeId| self.peers.get(node).map(|peer| peer.name.to_string());
        let offsets = self.judge.offsets().into_iter();
        offsets.filter_map(|(node, offset)| Some((name(&node)?, offset.ns as f64 / 1e9))).collect()
    }

    /// Whether this node's clock is believed, and how far its stamps lie ahead of its wall, in seconds.
    #[must_use]
    pub fn clock_figures(&self) -> (bool, f64) {
        (self.judge.believed(), self.hybrid_ahead_ns() as f64 / 1e9)
    }

    /// Takes note of another's stamp, so that what is stamped here from now on is later, over a restart too. A stamp that
    /// lies ahead of the wall is taken from a peer whose wall is right, and moves nothing.
    ///
    /// # Errors
    /// [`Drift`] for a stamp from the far future of a peer whose wall is wrong, or not measured: what bears it is not to
    /// be taken in yet.
    pub(crate) fn take_stamp(&mut self, turn: &Turn<'_>, from: NodeId, stamp: &Timestamp) -> Result<(), Drift> {
        match self.observe(turn, stamp) {
            Err(_) if self.judge.vouches(from) && !mutants::is(Mutant::AheadNeverTaken) => {
                marks::reached(Mark::AheadTaken);
                Ok(())
            }
            observed => observed,
        }
    }

    /// The stamp of an edit: above all that its object has seen. Where that lies ahead of the clock, the object counts on
    /// by itself, and the clock, whose stamps others judge, stays with the wall.
    pub(crate) fn above(&self, seen: Timestamp, mut stamp: Timestamp) -> Timestamp {
        if stamp.time <= seen.time && !mutants::is(Mutant::EditBelowSeen) {
            marks::reached(Mark::EditCountsOn);
            stamp.time = seen.time.saturating_add(1);
        }
        stamp
    }

    /// Whether a time lies further ahead of the wall than clocks may differ.
    pub(crate) fn is_ahead(&self, turn: &Turn<'_>, time: u64) -> bool {
        let drift_ns = self.config.clock_drift_ms_max.saturating_mul(1_000_000);
        time > ntp_of_ns(turn.now.wall_ns.saturating_add(drift_ns))
    }
}

fn seconds(ns: u64) -> String {
    format!("{:.1} s", ns as f64 / 1e9)
}
