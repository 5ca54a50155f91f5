//! The machine's clocks, read in one place.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use metrics::gauge;
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

    /// When the monotonic clock will say this number of nanoseconds.
    #[must_use]
    pub fn instant(&self, monotonic_ns: u64) -> Instant {
        // A year from now is as good as never, and never overflows.
        let ahead = Duration::from_nanos(monotonic_ns).min(self.start.elapsed() + Duration::from_secs(365 * 86_400));
        self.start + ahead
    }
}

/// A node's clock beside those of its peers, as figures.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Clocks {
    /// Whether it is believed.
    pub believed: bool,
    /// How far the node's stamps lie ahead of it, in seconds.
    pub hybrid_ahead_s: f64,
    /// By the peer's name how far it is ahead of that one's, in seconds.
    pub offsets_s: Vec<(String, f64)>,
}

impl Clocks {
    /// Sets the figures.
    pub(super) fn publish(self) {
        gauge!("trine_clock_believed").set(f64::from(self.believed));
        gauge!("trine_clock_hybrid_ahead_seconds").set(self.hybrid_ahead_s);
        for (peer, ahead_s) in self.offsets_s {
            gauge!("trine_clock_offset_seconds", "peer" => peer).set(ahead_s);
        }
    }
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
