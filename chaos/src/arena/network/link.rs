//! One direction between two regions: what becomes of each packet, and when it arrives.
//!
//! Pure: time and chance are arguments. Bandwidth is a token bucket kept as one number, the time at which all bytes
//! admitted so far will have left at the link's rate. A packet that comes before it waits; the wait times the
//! rate is the queue, and what finds the queue full is dropped (tail drop). Jitter is drawn a packet, yet no packet
//! arrives before an earlier one, because a path through routers keeps order; disorder has to be asked for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limits::{LINK_BURST_BYTES, LINK_QUEUE_BYTES_DEFAULT};
use crate::chance::Chance;

/// How one direction behaves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shape {
    /// The one-way delay.
    pub delay: Duration,
    /// At most this is added to it, drawn evenly.
    pub jitter: Duration,
    /// The share of packets lost, 0 to 1.
    pub loss: f64,
    /// The share of packets that arrive twice.
    pub duplicate: f64,
    /// The share of packets that arrive late, after those sent behind them.
    pub reorder: f64,
    /// How late.
    pub reorder_late: Duration,
    /// Bytes a second; none: without bound.
    pub rate_bytes: Option<u64>,
    /// How many bytes may wait when there is a rate.
    pub queue_bytes: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            reorder_late: Duration::from_millis(10),
            rate_bytes: None,
            queue_bytes: LINK_QUEUE_BYTES_DEFAULT,
        }
    }
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Arrives at this time; and once more at the other, when there is one.
    Arrives {
        /// When, in the router's nanoseconds.
        at_ns: u64,
        /// When its double does.
        again_ns: Option<u64>,
    },
    /// Lost by chance.
    Lost,
    /// The queue was full.
    Overflow,
}

/// The state of one direction.
#[derive(Debug, Clone, Default)]
pub struct Link {
    all_sent_ns: u64,
    last_arrival_ns: u64,
}

impl Link {
    /// Decides about a packet of `bytes` that enters at `now_ns`.
    pub fn pass(&mut self, shape: &Shape, now_ns: u64, bytes: usize, chance: &mut Chance) -> Verdict {
        if chance.happens(shape.loss) {
            return Verdict::Lost;
        }
        let Some(leaves_ns) = self.leave(shape, now_ns, bytes as u64) else { return Verdict::Overflow };
        let jitter = chance.below(nanos(shape.jitter));
        let mut at_ns = leaves_ns + nanos(shape.delay) + jitter;
        if chance.happens(shape.reorder) {
            at_ns += nanos(shape.reorder_late);
        } else {
            at_ns = at_ns.max(self.last_arrival_ns);
            self.last_arrival_ns = at_ns;
        }
        let again_ns = chance.happens(shape.duplicate).then_some(at_ns);
        Verdict::Arrives { at_ns, again_ns }
    }

    /// When the packet leaves the bottleneck; none when its queue is full.
    fn leave(&mut self, shape: &Shape, now_ns: u64, bytes: u64) -> Option<u64> {
        let Some(rate) = shape.rate_bytes else { return Some(now_ns) };
        let rate = rate.max(1);
        let burst_ns = time_of(LINK_BURST_BYTES, rate);
        let started = self.all_sent_ns.max(now_ns.saturating_sub(burst_ns));
        let finished = started + time_of(bytes, rate);
        let wait_ns = finished.saturating_sub(now_ns);
        if wait_ns > time_of(shape.queue_bytes, rate) {
            return None;
        }
        self.all_sent_ns = finished;
        Some(finished.max(now_ns))
    }

    /// Forgets what is under way; after a change of shape a shorter delay must not wait for a longer one.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4)
}

fn time_of(bytes: u64, rate: u64) -> u64 {
    u64::try_from(u128::from(bytes) * 1_000_000_000 / u128::from(rate)).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn arrival(verdict: Verdict) -> u64 {
        match verdict {
            Verdict::Arrives { at_ns, .. } => at_ns,
            other => panic!("it should arrive: {other:?}"),
        }
    }

    #[test]
    fn a_packet_arrives_after_the_delay() {
        let shape = Shape { delay: Duration::from_millis(38), ..Shape::default() };
        let verdict = Link::default().pass(&shape, 5 * MS, 1000, &mut Chance::new(1));
        assert_eq!(verdict, Verdict::Arrives { at_ns: 43 * MS, again_ns: None });
    }

    #[test]
    fn jitter_keeps_order_and_stays_within_its_bound() {
        let shape = Shape { delay: Duration::from_millis(10), jitter: Duration::from_millis(5), ..Shape::default() };
        let (mut link, mut chance, mut last) = (Link::default(), Chance::new(3), 0);
        for sent in (0..1000).map(|n| n * 10_000) {
            let at = arrival(link.pass(&shape, sent, 100, &mut chance));
            assert!(at >= last, "no packet overtakes another");
            assert!(at >= sent + 10 * MS && at < sent + 15 * MS);
            last = at;
        }
    }

    #[test]
    fn disorder_comes_only_when_asked_for() {
        let shape = Shape { reorder: 0.1, reorder_late: Duration::from_millis(2), ..Shape::default() };
        let (mut link, mut chance) = (Link::default(), Chance::new(3));
        let arrivals: Vec<u64> = (0..1000).map(|n| arrival(link.pass(&shape, n * 100_000, 100, &mut chance))).collect();
        let overtaken = arrivals.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!((50..150).contains(&overtaken), "about a tenth is overtaken, got {overtaken}");
    }

    #[test]
    fn a_rate_spreads_packets_and_a_full_queue_drops() {
        let shape = Shape { rate_bytes: Some(1_000_000), queue_bytes: 10_000, ..Shape::default() };
        let (mut link, mut chance) = (Link::default(), Chance::new(1));
        let start = 1000 * MS;
        let verdicts: Vec<Verdict> = (0..60).map(|_| link.pass(&shape, start, 1000, &mut chance)).collect();
        let passed: Vec<u64> = verdicts.iter().filter(|v| **v != Verdict::Overflow).map(|v| arrival(*v)).collect();
        // 16 KiB at once, 10 kB in the queue; then nothing more.
        assert_eq!(passed.len(), 26, "a burst and a queue, then drops");
        assert_eq!(passed.iter().filter(|at| **at == start).count(), 16);
        let last = *passed.last().expect("some passed");
        assert!(last > start + 9 * MS && last < start + 10 * MS, "the queue drains at the rate");
        // A second later the bucket is full again.
        assert_eq!(arrival(link.pass(&shape, start + 1000 * MS, 1000, &mut chance)), start + 1000 * MS);
    }

    #[test]
    fn a_long_run_keeps_to_the_rate() {
        let shape = Shape { rate_bytes: Some(1_000_000), queue_bytes: 20_000, ..Shape::default() };
        let (mut link, mut chance) = (Link::default(), Chance::new(1));
        // Twice the rate for ten seconds.
        let passed =
            (0..20_000u64).filter(|n| link.pass(&shape, n * 500_000, 1000, &mut chance) != Verdict::Overflow).count();
        assert!((10_000..10_100).contains(&passed), "ten seconds at 1000 packets a second, got {passed}");
    }

    #[test]
    fn loss_and_doubles_come_in_their_shares() {
        let shape = Shape { loss: 0.1, duplicate: 0.2, ..Shape::default() };
        let (mut link, mut chance) = (Link::default(), Chance::new(9));
        let verdicts: Vec<Verdict> = (0..10_000).map(|_| link.pass(&shape, 0, 100, &mut chance)).collect();
        let lost = verdicts.iter().filter(|v| **v == Verdict::Lost).count();
        let doubled = verdicts.iter().filter(|v| matches!(v, Verdict::Arrives { again_ns: Some(_), .. })).count();
        assert!((850..1150).contains(&lost), "got {lost}");
        assert!((1600..2000).contains(&doubled), "got {doubled}");
    }
}
