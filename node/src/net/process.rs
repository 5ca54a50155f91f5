//! Two processes that claim one disk, and which of them is the node.
//!
//! A copy of a running node's files has the node's key, name and id. The process that began first is the node: whoever is
//! linked with it refuses the other and says so ([`LinkFrame::Taken`]), and who was linked with the other turns to the first as
//! soon as that one comes. A process that hears nothing else for a while is a copy, and ends. While anybody else speaks with
//! it, it goes on: one peer among several that says so, from malice or by mistake, ends nobody.
//!
//! A process that was restarted is no copy, though its peers may not have missed the one before yet. What that one left in
//! buffers counts for nothing: only the echo of a beat that was sent a moment ago says that a process lives.
//!
//! [`LinkFrame::Taken`]: super::frame::LinkFrame::Taken

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::limits::{BEGAN_APART_MIN, TAKEN_MAX, TAKEN_QUIET_MAX};

/// A process, and when it began, by this node's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Drawn when it began.
    pub number: u64,
    /// When it began.
    pub began: Instant,
}

impl Process {
    /// One that begins now.
    ///
    /// # Errors
    /// When the system has no random source.
    pub fn begin() -> Result<Self, getrandom::Error> {
        Ok(Self { number: getrandom::u64()?, began: Instant::now() })
    }

    /// As a hello that came at `now` says.
    #[must_use]
    pub fn said(number: u64, running_ms: u64, now: Instant) -> Self {
        Self { number, began: now.checked_sub(Duration::from_millis(running_ms)).unwrap_or(now) }
    }

    /// For how long it has run, in milliseconds.
    #[must_use]
    pub fn running_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether it is the node, where the other claims its disk.
    #[must_use]
    pub fn precedes(&self, other: &Self) -> bool {
        let apart = self.began.max(other.began) - self.began.min(other.began);
        // What travels takes time, so that two peers may see two that began together in two orders.
        if apart < BEGAN_APART_MIN { self.number < other.number } else { self.began < other.began }
    }
}

/// Whether others say that this process is a copy.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The first and the last time that it was said, with nothing else heard between.
    said: Mutex<Option<(Instant, Instant)>>,
}

impl Taken {
    /// It was said; true: for long enough.
    pub fn told(&self, now: Instant) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let first = match *said {
            Some((first, last)) if now.duration_since(last) < TAKEN_QUIET_MAX => first,
            _ => now,
        };
        *said = Some((first, now));
        now.duration_since(first) >= TAKEN_MAX
    }

    /// A peer speaks with this process.
    pub fn heard(&self) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_began_first_is_the_node_and_of_two_that_began_together_all_choose_one() {
        let now = Instant::now();
        let apart_ms = u64::try_from(BEGAN_APART_MIN.as_millis()).expect("short");
        for (older_ms, first) in [(60_000, 9), (apart_ms, 9), (apart_ms - 1, 1), (0, 1)] {
            let (old, young) = (Process::said(9, 2_000 + older_ms, now), Process::said(1, 2_000, now));
            assert_eq!(old.precedes(&young), first == 9, "{older_ms}");
            assert_eq!(young.precedes(&old), first == 1, "{older_ms}");
        }
    }

    #[test]
    fn who_hears_nothing_else_for_long_is_a_copy() {
        let (taken, begun) = (Taken::default(), Instant::now());
        let at = |ms| begun + Duration::from_millis(ms);
        for ms in (0..5_000).step_by(500) {
            assert!(!taken.told(at(ms)), "{ms}");
        }
        taken.heard();
        for ms in (5_000..10_000).step_by(500) {
            assert!(!taken.told(at(ms)), "somebody spoke with it: {ms}");
        }
        assert!(taken.told(at(10_000)));
        assert!(!taken.told(at(20_000)), "what was said long ago counts no more");
    }
}
