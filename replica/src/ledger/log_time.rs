//! How a ledger's time goes on: beside monotonic time, whatever walls do.
//!
//! Idempotency keys are remembered for a time of the log's own, its stamps. A wall that leaps an hour would make the log
//! forget them all at once. So a leader lets the log's time run ahead of monotonic time by a little, as walls of different
//! leaders differ, and by half of what went by, so that a log that is behind comes up. This is a bucket of time: room for
//! [`LOG_LEAP_MS_MAX`], filled again at half the pace of time.

use trine_crdt::Now;
use trine_crdt::clock::ntp_of_ns;

use crate::limits::LOG_LEAP_MS_MAX;

/// The latest stamp of a log, and when it was seen.
#[derive(Debug)]
pub struct LogTime {
    /// Its time.
    pub stamped: u64,
    /// A stamp was seen that was fresh by this node's wall, so that it is known how much time went by since.
    pub live: bool,
    at_ns: Option<u64>,
    room: u64,
}

impl LogTime {
    /// Of a log whose latest stamp this is; 0: it has none.
    #[must_use]
    pub fn new(stamped: u64) -> Self {
        Self { stamped, live: false, at_ns: None, room: room() }
    }

    /// How much monotonic time went by since the latest stamp, or since the first that was asked for after a start.
    #[must_use]
    pub fn elapsed(&self, now: Now) -> u64 {
        ntp_of_ns(self.at_ns.map_or(0, |at_ns| now.monotonic_ns.saturating_sub(at_ns)))
    }

    /// Whether the log's time would leap to this one.
    #[must_use]
    pub fn leaps(&self, now: Now, time: u64) -> bool {
        self.stamped > 0 && time.saturating_sub(self.stamped) > self.spare(now)
    }

    /// By how much it may go on now.
    fn spare(&self, now: Now) -> u64 {
        let elapsed = self.elapsed(now);
        self.room.saturating_add(elapsed).saturating_add(elapsed / 2)
    }

    /// A stamp stands in the log, or is about to.
    pub fn note(&mut self, now: Now, time: u64) {
        self.live |= time.saturating_add(room()) >= ntp_of_ns(now.wall_ns);
        if time <= self.stamped && self.at_ns.is_some() {
            return;
        }
        self.room = self.spare(now).saturating_sub(time.saturating_sub(self.stamped)).min(room());
        (self.stamped, self.at_ns) = (self.stamped.max(time), Some(now.monotonic_ns));
    }
}

fn room() -> u64 {
    ntp_of_ns(LOG_LEAP_MS_MAX * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(wall_s: u64, monotonic_s: u64) -> Now {
        Now { wall_ns: wall_s * SECOND, monotonic_ns: monotonic_s * SECOND }
    }

    fn s(seconds: u64) -> u64 {
        ntp_of_ns(seconds * SECOND)
    }

    #[test]
    fn a_leap_is_one_whatever_the_number_of_stamps_and_time_that_goes_by_is_none() {
        let mut time = LogTime::new(s(1_000));
        time.note(at(1_000, 10), s(1_000));
        assert!(time.live && !time.leaps(at(4_600, 3_610), s(4_600)), "an idle hour");
        assert!(time.leaps(at(4_600, 11), s(4_600)));
        for step in 1..=4 {
            let next = time.stamped + s(1) / 2;
            assert!(!time.leaps(at(4_600, 10), next), "the room is for two seconds, step {step}");
            time.note(at(4_600, 10), next);
        }
        assert!(time.leaps(at(4_600, 10), time.stamped + s(1) / 2), "and is used up");
        assert!(!time.leaps(at(4_600, 14), time.stamped + s(6)), "time brings it back");
    }

    #[test]
    fn what_is_replayed_after_a_start_tells_nothing_of_the_time_that_went_by() {
        let mut time = LogTime::new(s(1_000));
        time.note(at(9_000, 5), s(1_001));
        assert!(!time.live);
        time.note(at(9_000, 6), s(9_000));
        assert!(time.live);
    }
}
