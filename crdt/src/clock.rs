//! The hybrid logical clock: stamps that follow both causality and the wall.
//!
//! A stamp is NTP time (see [`Timestamp`]). The clock takes the wall's reading when that is ahead, and counts on
//! from its last stamp when it is not: a wall that steps back slows the clock down and never turns it back. Seeing
//! another's stamp moves the clock up to it, so that what is written after reading is stamped later. The rules and the
//! four low bits left to counting are those of `uhlc`, whose `NTP64` the time is; its `HLC` reads the wall itself and
//! cannot be told where to start, so ticking and observing are done here.
//!
//! **Restarts.** Stamps must not go back over a restart either, though a wall may, and a crash forgets the last stamp.
//! Writing each one to disk would cost a sync per stamp; so a *mark* ahead of use is written, no stamp above it is
//! issued, and a restarted clock starts above it. The caller's duties, in order:
//!
//! 1. [`Clock::new`] with the last mark on disk (0 on a new disk).
//! 2. On every input, `if let Some(mark) = clock.needs_mark(wall_ns)`, persist `mark` (it may ride along with any
//!    batch), and call [`Clock::marked`] when it is on disk. A mark is asked for once, when half of what the last
//!    one covers is used up, so that an active clock never waits.
//! 3. [`Clock::tick`] says [`TickError::Unmarked`] when no mark that covers the stamp is on disk yet: keep the request
//!    and try again after `marked`. That happens at the start, after a long idle time, and when the disk is slow.
//!
//! A caller that lets nothing out before the batch of the same turn is on disk may put the mark into that very batch
//! and call `marked` at once, before it ticks: then no tick is ever unmarked, and what a crash forgets nobody has seen.
//!
//! A clock that restarts at once runs up to [`CLOCK_MARK_AHEAD_NS`] ahead of the wall; `drift_max_ns` of its
//! peers must be larger.
//!
//! **Strangers' clocks.** One peer whose wall is years ahead would drag along everybody who believes it. So a stamp
//! further ahead of our wall than `drift_max_ns` is refused: the caller holds what bears it until the wall has come
//! near, and counts it.
//!
//! Source: Kulkarni et al.: Logical Physical Clocks (2014).

use std::time::Duration;

use uhlc::NTP64;

use crate::limits::CLOCK_MARK_AHEAD_NS;
use crate::marks::{self, Mark};
use crate::mutants::{self, Mutant};
use crate::{Timestamp, WriterId};

/// The bits at the low end that count stamps within one reading of the wall, as `uhlc` has them.
const COUNT_MASK: u64 = 0xf;

/// Why there is no stamp now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TickError {
    /// The next stamp is above what is on disk: persist what [`Clock::needs_mark`] says, then try again.
    #[error("the clock's mark is not on disk yet")]
    Unmarked,
    /// The clock has reached the end of time, in 2106 or by a broken wall clock.
    #[error("the clock is at the end of its range")]
    Exhausted,
}

/// A stamp is too far in the future to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stamp is {ahead_ns} ns ahead of the wall clock")]
pub struct Drift {
    /// How far ahead of our wall it is, in nanoseconds.
    pub ahead_ns: u64,
}

/// One writer's clock. Reads no wall: readings are arguments, in nanoseconds since 1970.
#[derive(Debug, Clone)]
pub struct Clock {
    writer: WriterId,
    /// The latest time issued or seen. Everything issued from now on is later.
    last: u64,
    /// On disk. Nothing above it is issued.
    mark: u64,
    /// On its way to the disk.
    asked: u64,
}

impl Clock {
    /// A clock that starts above `high_water`, the last mark that was persisted on this disk; 0 if none was.
    #[must_use]
    pub fn new(writer: WriterId, high_water: u64) -> Self {
        Self { writer, last: high_water, mark: high_water, asked: high_water }
    }

    /// The next stamp, later than all that this clock has issued or seen.
    ///
    /// # Errors
    /// [`TickError`]; the clock is as it was.
    pub fn tick(&mut self, wall_ns: u64) -> Result<Timestamp, TickError> {
        let time = self.next(wall_ns).ok_or(TickError::Exhausted)?;
        if time > self.mark {
            return Err(TickError::Unmarked);
        }
        self.last = time;
        Ok(Timestamp { time, writer: self.writer })
    }

    /// Takes note of another's stamp: what this clock issues from now on is later.
    ///
    /// # Errors
    /// [`Drift`] for a stamp more than `drift_max_ns` ahead of our wall. The clock does not move: hold what bears it.
    pub fn observe(&mut self, wall_ns: u64, stamp: &Timestamp, drift_max_ns: u64) -> Result<(), Drift> {
        let ahead = stamp.time.saturating_sub(ntp_of_ns(wall_ns));
        if ahead > ntp_of_ns(drift_max_ns) && !mutants::is(Mutant::AcceptAnyDrift) {
            marks::reached(Mark::DriftRefused);
            return Err(Drift { ahead_ns: NTP64(ahead).as_nanos() });
        }
        self.last = self.last.max(stamp.time);
        Ok(())
    }

    /// A mark to persist, if one is due: once it is on disk, call [`Self::marked`]. Each is asked for once.
    pub fn needs_mark(&mut self, wall_ns: u64) -> Option<u64> {
        let next = self.next(wall_ns)?;
        let ahead = ntp_of_ns(CLOCK_MARK_AHEAD_NS);
        if self.asked > next.saturating_add(ahead / 2) || self.asked == u64::MAX {
            return None;
        }
        self.asked = next.saturating_add(ahead);
        Some(self.asked)
    }

    /// A mark is on disk.
    pub fn marked(&mut self, mark: u64) {
        self.mark = self.mark.max(mark);
        self.asked = self.asked.max(mark);
    }

    /// The mark that is on disk: nothing above it was ever issued.
    #[must_use]
    pub fn high_water(&self) -> u64 {
        self.mark
    }

    /// The latest time that was issued or seen.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The writer whose stamps these are.
    #[must_use]
    pub fn writer(&self) -> WriterId {
        self.writer
    }

    /// The wall's time if it is ahead of the last stamp, otherwise the one after that.
    fn next(&self, wall_ns: u64) -> Option<u64> {
        let wall = ntp_of_ns(wall_ns) & !COUNT_MASK;
        if mutants::is(Mutant::StampByWallAlone) {
            return Some(wall);
        }
        let next = self.last.checked_add(1).or_else(|| mutants::is(Mutant::ClockWraps).then_some(0))?;
        if wall < next {
            marks::reached(Mark::WallBehind);
        }
        Some(wall.max(next))
    }
}

/// NTP time of nanoseconds since 1970, rounded down. Ends in 2106: what is later is the last moment.
#[must_use]
pub fn ntp_of_ns(ns: u64) -> u64 {
    let span = Duration::from_nanos(ns);
    if span.as_secs() > u64::from(u32::MAX) { u64::MAX } else { NTP64::from(span).as_u64() }
}
