//! Writing a history down while clients of real processes run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::history::{Call, History};

/// Takes calls as they end. Shared by clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    start: Instant,
    next: Arc<AtomicU64>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { start: Instant::now(), next: Arc::default(), calls: Arc::default() }
    }
}

impl Recorder {
    /// Nanoseconds of the run.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The number of a new call.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Writes a call down.
    pub fn push(&self, call: Call) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }

    /// How many calls ended so far.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// All calls so far.
    #[must_use]
    pub fn history(&self) -> History {
        History::new(self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
