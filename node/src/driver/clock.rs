//! The machine's clocks, read in one place.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use trine_crdt::Now;

/// Reads both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock {
    /// What the clocks say.
    #[must_use]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { wall_ns: nanoseconds(wall), monotonic_ns: nanoseconds(self.start.elapsed()) }
    }

    /// When the monotonic clock will say so many nanoseconds.
    #[must_use]
    pub fn instant(&self, monotonic_ns: u64) -> Instant {
        // A year from now is as good as never, and never overflows.
        let ahead = Duration::from_nanos(monotonic_ns).min(self.start.elapsed() + Duration::from_secs(365 * 86_400));
        self.start + ahead
    }
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
