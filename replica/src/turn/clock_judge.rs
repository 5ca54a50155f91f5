//! Whether this node's wall clock may be believed: it is compared with those of all peers, all the time.
//!
//! A wall that is wrong stamps what nobody can take back. No node can see that by itself, so each asks its peers what
//! their walls say. The answer was read somewhere between the asking and its arrival, both by the asker's monotonic
//! clock: that gives the peer's wall less our monotonic time, to within half the round trip.
//!
//! ```text
//!   asked ──────────────┐                  sample = their wall − (asked + heard) / 2
//!                       ▼ their wall       error  = (heard − asked) / 2, and more as it ages
//!   heard ◄─────────────┘                  offset = our wall − our monotonic time − sample, at any later time
//! ```
//!
//! A sample speaks of the peer and of monotonic time, never of our wall. So when our wall leaps, every offset leaps with
//! it at that very turn, before anything is stamped; and what was measured stays of use when the peer is gone.
//!
//! A peer *disagrees* when the offset is larger than the allowed drift, whatever the error. The clock is *doubted* while
//! most of the peers that are heard disagree, ahead or behind. After a start nothing is believed until most of all nodes
//! known have answered, or for a bounded patience: a node that hears nobody goes on then, and says so.
//!
//! Source: Marzullo: Maintaining the time in a distributed system (1984), in the form that TigerBeetle's clock gave it.

use std::collections::BTreeMap;

use trine_crdt::{NodeId, Now};

use crate::limits::{
    CLOCK_ASK_INTERVAL_MS, CLOCK_ASK_SOON_MS, CLOCK_ASKS_PER_TICK_MAX, CLOCK_ERROR_GROWTH_PER_MILLE, CLOCK_LEAP_MS,
    CLOCK_PATIENCE_MS, CLOCK_SAMPLE_AGE_MS_MAX, CLOCK_SAMPLES_KEPT_MAX,
};
use crate::marks::{self, Mark};
use crate::mutants::{self, Mutant};

const MS: u64 = 1_000_000;

/// How far our wall is ahead of a peer's, in nanoseconds; below zero: behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    /// The measured difference.
    pub ns: i64,
    /// By how much it may be wrong.
    pub error_ns: u64,
}

/// What is thought of this node's wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was not compared with enough others since the start.
    Waiting,
    /// Nobody was heard for as long as one waits: it is believed because nothing speaks against it.
    Alone,
    /// Most of those heard agree.
    Agrees,
    /// Most of those heard disagree.
    Doubted {
        /// How many disagree.
        against: usize,
        /// Of how many.
        heard: usize,
        /// The one in the middle of those that disagree.
        whom: NodeId,
        /// How far our wall is ahead of that one's.
        offset_ns: i64,
    },
}

/// What is known of one peer's wall.
#[derive(Debug, Default)]
struct Heard {
    up: bool,
    asked_ns: Option<u64>,
    sample: Option<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    /// The peer's wall less our monotonic time.
    base_ns: i128,
    error_ns: u64,
    at_ns: u64,
}

impl Sample {
    fn error_at(&self, monotonic_ns: u64) -> u64 {
        let age_ns = monotonic_ns.saturating_sub(self.at_ns);
        self.error_ns.saturating_add(age_ns / 1000 * CLOCK_ERROR_GROWTH_PER_MILLE)
    }

    fn offset(&self, now: Now) -> Offset {
        let ns = base(now) - self.base_ns;
        let ns = i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX });
        Offset { ns, error_ns: self.error_at(now.monotonic_ns) }
    }
}

/// Compares the wall with the peers'.
#[derive(Debug)]
pub struct ClockJudge {
    drift_ns: u64,
    peers: BTreeMap<NodeId, Heard>,
    /// When the first turn was, by monotonic time.
    started_ns: Option<u64>,
    /// Our wall less monotonic time when it was last looked at.
    base_ns: i128,
    /// When it leapt last, by monotonic time.
    leapt_ns: u64,
    /// Something changed since.
    changed: bool,
    /// Most of the cluster, this node included, agrees; or there is nobody else.
    confirmed: bool,
    /// What follows a start is over.
    settled: bool,
    verdict: Verdict,
    last: Now,
}

impl ClockJudge {
    /// Nobody was heard. Walls may differ by `drift_ns`.
    #[must_use]
    pub fn new(drift_ns: u64) -> Self {
        Self {
            drift_ns,
            peers: BTreeMap::new(),
            started_ns: None,
            base_ns: 0,
            leapt_ns: 0,
            changed: true,
            confirmed: false,
            settled: false,
            verdict: Verdict::Waiting,
            last: Now::default(),
        }
    }

    /// A peer can be asked.
    pub fn up(&mut self, node: NodeId) {
        let heard = self.peers.entry(node).or_default();
        (heard.up, heard.asked_ns) = (true, None);
        self.changed = true;
    }

    /// A peer is gone. What was measured is kept, in case nobody else is heard.
    pub fn down(&mut self, node: NodeId) {
        if let Some(heard) = self.peers.get_mut(&node) {
            heard.up = false;
        }
        while self.peers.len() > CLOCK_SAMPLES_KEPT_MAX
            && let Some(gone) = self.peers.iter().find(|(_, heard)| !heard.up).map(|(node, _)| *node)
        {
            self.peers.remove(&gone);
        }
        self.changed = true;
    }

    /// Whom to ask now: those that never answered soon again, the others in turn. They count as asked.
    pub fn ask(&mut self, now: Now) -> Vec<NodeId> {
        let now_ns = now.monotonic_ns;
        let due = |heard: &Heard| {
            let every_ms = if heard.sample.is_some() { CLOCK_ASK_INTERVAL_MS } else { CLOCK_ASK_SOON_MS };
            heard.up && heard.asked_ns.is_none_or(|asked_ns| now_ns >= asked_ns.saturating_add(every_ms * MS))
        };
        let mut due: Vec<(Option<u64>, NodeId)> =
            self.peers.iter().filter(|(_, heard)| due(heard)).map(|(node, heard)| (heard.asked_ns, *node)).collect();
        due.sort_unstable();
        due.truncate(CLOCK_ASKS_PER_TICK_MAX);
        for (_, node) in &due {
            self.asked(now, *node);
        }
        due.into_iter().map(|(_, node)| node).collect()
    }

    /// A peer is asked now.
    pub fn asked(&mut self, now: Now, node: NodeId) {
        if let Some(heard) = self.peers.get_mut(&node) {
            heard.asked_ns = Some(now.monotonic_ns);
        }
    }

    /// A peer that was asked at `asked_ns` of our monotonic time said what its wall showed.
    pub fn heard(&mut self, now: Now, node: NodeId, asked_ns: u64, wall_ns: u64) {
        let Some(heard) = self.peers.get_mut(&node) else { return };
        // Nothing comes back before it was sent.
        let Some(round_trip_ns) = now.monotonic_ns.checked_sub(asked_ns) else { return };
        let middle_ns = asked_ns + round_trip_ns / 2;
        let base_ns = i128::from(wall_ns) - i128::from(middle_ns);
        let new = Sample { base_ns, error_ns: round_trip_ns.div_ceil(2), at_ns: now.monotonic_ns };
        let better = heard.sample.is_none_or(|old| {
            let error_ns = old.error_at(now.monotonic_ns);
            let apart = (old.base_ns - new.base_ns).unsigned_abs() > u128::from(error_ns) + u128::from(new.error_ns);
            // What contradicts the old one tells of a wall that was set.
            apart
                || new.error_ns <= error_ns
                || now.monotonic_ns.saturating_sub(old.at_ns) > CLOCK_SAMPLE_AGE_MS_MAX * MS
        });
        if better {
            heard.sample = Some(new);
            self.changed = true;
        }
    }

    /// Looks at our wall; `others` is how many other nodes are known to belong to the cluster.
    pub fn look(&mut self, now: Now, others: usize) {
        self.last = now;
        let base_ns = base(now);
        if self.started_ns.is_none() {
            self.base_ns = base_ns;
        }
        let started_ns = *self.started_ns.get_or_insert(now.monotonic_ns);
        let leapt = (base_ns - self.base_ns).unsigned_abs() > u128::from(CLOCK_LEAP_MS * MS);
        let waits = !self.settled;
        if !self.changed && !leapt && !waits {
            return;
        }
        if leapt {
            (self.base_ns, self.leapt_ns) = (base_ns, now.monotonic_ns);
            // The machine slept, or somebody set the clocks of all: what was measured is of before.
            self.peers.values_mut().for_each(|heard| heard.asked_ns = None);
        }
        self.changed = false;
        let patient = now.monotonic_ns.saturating_sub(started_ns) < CLOCK_PATIENCE_MS * MS;
        let heard = self.peers.values().filter(|heard| heard.up && heard.sample.is_some()).count();
        self.settled |= heard * 2 > others || !patient || others == 0;
        self.verdict = if self.settled { self.judge(now) } else { Verdict::Waiting };
        self.confirmed = others == 0 || (self.verdict == Verdict::Agrees && (heard + 1) * 2 > others + 1);
    }

    fn judge(&self, now: Now) -> Verdict {
        let offsets = |up: bool| -> Vec<(NodeId, Offset)> {
            let of = self.peers.iter().filter(|(_, heard)| heard.up || !up);
            of.filter_map(|(node, heard)| Some((*node, heard.sample?.offset(now)))).collect()
        };
        let mut heard = offsets(true);
        if heard.is_empty() {
            heard = offsets(false);
        }
        if heard.is_empty() {
            marks::reached(Mark::ClockAlone);
            return Verdict::Alone;
        }
        let mut against: Vec<(i64, NodeId)> =
            heard.iter().filter(|(_, offset)| self.beyond(*offset)).map(|(node, offset)| (offset.ns, *node)).collect();
        if against.len() * 2 <= heard.len() {
            return Verdict::Agrees;
        }
        marks::reached(Mark::ClockDoubted);
        against.sort_unstable();
        let (offset_ns, whom) = against[against.len() / 2];
        Verdict::Doubted { against: against.len(), heard: heard.len(), whom, offset_ns }
    }

    fn beyond(&self, offset: Offset) -> bool {
        offset.ns.unsigned_abs().saturating_sub(offset.error_ns) > self.drift_ns
    }

    /// What is thought of this node's wall.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// What our wall showed when it was last looked at.
    #[must_use]
    pub fn wall_ns(&self) -> u64 {
        self.last.wall_ns
    }

    /// Whether this node may stamp by its wall.
    #[must_use]
    pub fn believed(&self) -> bool {
        matches!(self.verdict, Verdict::Agrees | Verdict::Alone) || mutants::is(Mutant::ClockAlwaysBelieved)
    }

    /// Whether most of the cluster, and not only those that happen to be heard, agrees.
    #[must_use]
    pub fn confirmed(&self) -> bool {
        self.confirmed
    }

    /// Whether a peer's wall was measured, and agrees with ours, which is believed. Then what the peer sends was judged by
    /// a right clock, whatever it is stamped.
    #[must_use]
    pub fn vouches(&self, node: NodeId) -> bool {
        let offset = self.peers.get(&node).and_then(|heard| heard.sample).map(|sample| sample.offset(self.last));
        self.believed() && offset.is_some_and(|offset| !self.beyond(offset) && offset.error_ns <= self.drift_ns)
    }

    /// Whether a peer's wall was measured since ours leapt, and disagrees with ours.
    #[must_use]
    pub fn disagrees(&self, node: NodeId) -> bool {
        let sample = self.peers.get(&node).and_then(|heard| heard.sample);
        sample.is_some_and(|sample| sample.at_ns > self.leapt_ns && self.beyond(sample.offset(self.last)))
    }

    /// How far our wall is ahead of those of the peers that are heard.
    #[must_use]
    pub fn offsets(&self) -> BTreeMap<NodeId, Offset> {
        let heard = self.peers.iter().filter(|(_, heard)| heard.up);
        heard.filter_map(|(node, heard)| Some((*node, heard.sample?.offset(self.last)))).collect()
    }
}

/// What our wall shows less monotonic time: it stays as it is while nobody sets the clock.
fn base(now: Now) -> i128 {
    i128::from(now.wall_ns) - i128::from(now.monotonic_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON_NS: u64 = 1_700_000_000_000_000_000;
    const SECOND: u64 = 1_000_000_000;
    const HOUR: i64 = 3_600_000_000_000;

    /// A judge, and what time it is for it.
    struct Bench {
        judge: ClockJudge,
        monotonic_ns: u64,
        ahead_ns: i64,
    }

    impl Bench {
        fn new() -> Self {
            Self { judge: ClockJudge::new(SECOND), monotonic_ns: 7 * SECOND, ahead_ns: 0 }
        }

        fn true_ns(&self) -> u64 {
            NOON_NS + self.monotonic_ns
        }

        fn now(&self) -> Now {
            Now { wall_ns: self.true_ns().saturating_add_signed(self.ahead_ns), monotonic_ns: self.monotonic_ns }
        }

        fn look(&mut self, others: usize) -> Verdict {
            let now = self.now();
            self.judge.look(now, others);
            self.judge.verdict()
        }

        /// A peer whose wall is so far ahead answers after a round trip.
        fn exchange(&mut self, node: u64, ahead_ns: i64, round_trip_ns: u64) {
            let asked_ns = self.monotonic_ns;
            let told = (self.true_ns() + round_trip_ns / 3).saturating_add_signed(ahead_ns);
            self.monotonic_ns += round_trip_ns;
            self.judge.heard(self.now(), NodeId(node), asked_ns, told);
        }

        fn peers(&mut self, ahead_ns: &[i64]) {
            for (node, ahead_ns) in (1..).zip(ahead_ns) {
                self.judge.up(NodeId(node));
                self.exchange(node, *ahead_ns, 10 * MS);
            }
        }
    }

    #[test]
    fn nothing_is_believed_until_most_of_those_known_have_answered() {
        let mut bench = Bench::new();
        assert_eq!(bench.look(4), Verdict::Waiting);
        bench.peers(&[0, 0]);
        assert_eq!(bench.look(4), Verdict::Waiting, "half is not most");
        bench.peers(&[0, 0, 0]);
        assert_eq!(bench.look(4), Verdict::Agrees);
    }

    #[test]
    fn who_hears_nobody_goes_on_after_a_while_and_who_has_nobody_at_once() {
        let mut bench = Bench::new();
        assert_eq!(bench.look(2), Verdict::Waiting);
        bench.monotonic_ns += CLOCK_PATIENCE_MS * MS;
        assert_eq!(bench.look(2), Verdict::Alone);
        assert!(bench.judge.believed());
        assert_eq!(Bench::new().look(0), Verdict::Alone);
    }

    #[test]
    fn most_of_those_heard_decide_and_a_region_that_is_wrong_together_is_found() {
        for (walls, doubted) in [
            (&[HOUR, HOUR, 0][..], true),
            (&[HOUR, 0, 0], false),
            (&[-HOUR, -HOUR], true),
            (&[0, 0, -HOUR, -HOUR, -HOUR], true),
            (&[900_000_000, 900_000_000], false),
        ] {
            let mut bench = Bench::new();
            bench.peers(walls);
            let verdict = bench.look(walls.len());
            assert_eq!(matches!(verdict, Verdict::Doubted { .. }), doubted, "{walls:?}: {verdict:?}");
        }
    }

    #[test]
    fn a_leap_of_the_wall_is_seen_at_that_very_turn_and_so_is_its_end() {
        let mut bench = Bench::new();
        bench.peers(&[0, 0]);
        assert_eq!(bench.look(2), Verdict::Agrees);
        bench.ahead_ns = 8 * HOUR;
        let Verdict::Doubted { against: 2, heard: 2, offset_ns, .. } = bench.look(2) else { panic!("doubted") };
        assert!(offset_ns.abs_diff(8 * HOUR) < 10 * MS);
        assert_eq!(bench.judge.ask(bench.now()).len(), 2, "all are asked anew at once");
        // Also when nobody is heard any more, and it is set right.
        bench.judge.down(NodeId(1));
        bench.judge.down(NodeId(2));
        assert!(matches!(bench.look(2), Verdict::Doubted { .. }));
        bench.ahead_ns = 0;
        assert_eq!(bench.look(2), Verdict::Agrees);
    }

    #[test]
    fn a_long_round_trip_proves_little_and_does_not_displace_a_short_one() {
        let mut bench = Bench::new();
        bench.judge.up(NodeId(1));
        bench.exchange(1, HOUR, 10 * MS);
        bench.exchange(1, HOUR, 4 * SECOND);
        assert!(bench.judge.offsets()[&NodeId(1)].error_ns < SECOND);
        let mut bench = Bench::new();
        bench.judge.up(NodeId(1));
        bench.exchange(1, 2_500_000_000, 4 * SECOND);
        assert_eq!(bench.look(1), Verdict::Agrees, "it may be as little as half a second");
        assert!(!bench.judge.vouches(NodeId(1)), "nor is that known");
    }

    #[test]
    fn a_peer_whose_wall_was_set_is_believed_anew_at_once() {
        let mut bench = Bench::new();
        bench.judge.up(NodeId(1));
        bench.exchange(1, HOUR, 10 * MS);
        bench.look(1);
        assert!(bench.judge.disagrees(NodeId(1)) && !bench.judge.vouches(NodeId(1)));
        bench.exchange(1, 0, 200 * MS);
        bench.look(1);
        assert!(bench.judge.vouches(NodeId(1)), "the old sample, though tighter, is contradicted");
    }

    #[test]
    fn asking_is_bounded_and_takes_turns() {
        let mut bench = Bench::new();
        let peers = CLOCK_ASKS_PER_TICK_MAX as u64 + 3;
        (1..=peers).for_each(|node| bench.judge.up(NodeId(node)));
        let first = bench.judge.ask(bench.now());
        let second = bench.judge.ask(bench.now());
        assert_eq!((first.len(), second.len()), (CLOCK_ASKS_PER_TICK_MAX, 3));
        assert!(bench.judge.ask(bench.now()).is_empty());
        bench.monotonic_ns += CLOCK_ASK_SOON_MS * MS;
        assert!(!bench.judge.ask(bench.now()).is_empty(), "who has not answered is asked again soon");
    }

    #[test]
    fn answers_from_the_future_or_of_strangers_are_passed_over() {
        let mut bench = Bench::new();
        bench.judge.up(NodeId(1));
        let (now, later) = (bench.now(), bench.monotonic_ns + 1);
        bench.judge.heard(now, NodeId(1), later, NOON_NS);
        bench.judge.heard(now, NodeId(2), now.monotonic_ns, NOON_NS);
        assert!(bench.judge.offsets().is_empty());
        bench.judge.heard(Now { wall_ns: u64::MAX, monotonic_ns: u64::MAX }, NodeId(1), 0, u64::MAX);
        bench.judge.look(Now { wall_ns: 0, monotonic_ns: 0 }, 1);
    }
}
