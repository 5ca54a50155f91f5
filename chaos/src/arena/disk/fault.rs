//! What is wrong with a disk at the moment. Each operation asks here first.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::limits::SLOW_SECONDS_MAX;
use super::loss::Loss;
use crate::chance::Chance;

/// One change of what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Only this many more bytes can be written; a removed file gives its bytes back.
    Full {
        /// How many.
        left_bytes: u64,
        /// Whether the disk says so when it is asked how much is free.
        told: bool,
    },
    /// Each sync takes this much longer.
    SlowSync(Duration),
    /// Each operation does.
    SlowAll(Duration),
    /// The n-th sync from now on fails, counted from 1; none: each.
    FailSync(Option<u64>),
    /// The same of writes.
    FailWrite(Option<u64>),
    /// A share of writes and syncs fails, drawn for each.
    FailSome {
        /// This many of a thousand.
        per_mille: u64,
        /// What chance starts from.
        seed: u64,
    },
    /// Writes are done in part.
    ShortWrites,
    /// How power is lost when it is.
    Loss(Loss),
    /// Nothing is wrong any more.
    Nothing,
}

/// Which operations of a kind fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Failing {
    #[default]
    None,
    All,
    /// The one after this many more.
    After(u64),
}

impl Failing {
    fn new(which: Option<u64>) -> Self {
        which.map_or(Self::All, |number| Self::After(number.saturating_sub(1)))
    }

    fn next(&mut self) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::After(0) => {
                *self = Self::None;
                true
            }
            Self::After(left) => {
                *left -= 1;
                false
            }
        }
    }
}

#[derive(Debug, Clone, Default)]
struct State {
    slow_sync: Duration,
    slow_all: Duration,
    fail_sync: Failing,
    fail_write: Failing,
    fail_some: Option<(u64, Chance)>,
    short_writes: bool,
    full: Option<(u64, bool)>,
    loss: Loss,
}

impl State {
    /// Whether this operation is among the share that fails.
    fn draw(&mut self) -> bool {
        self.fail_some.as_mut().is_some_and(|(per_mille, chance)| chance.below(1_000) < *per_mille)
    }
}

/// What a disk did and was spared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DiskCounts {
    /// Writes.
    pub writes: u64,
    /// Syncs of files and directories.
    pub syncs: u64,
    /// Operations that were made to fail.
    pub failed: u64,
}

/// The faults of a disk; shared with those who serve it.
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<State>,
    counts: Mutex<DiskCounts>,
    changed: Condvar,
}

impl Faults {
    /// Makes something wrong, or everything right.
    pub fn set(&self, fault: Fault) {
        let mut state = self.lock();
        match fault {
            Fault::Full { left_bytes, told } => state.full = Some((left_bytes, told)),
            Fault::SlowSync(time) => state.slow_sync = time,
            Fault::SlowAll(time) => state.slow_all = time,
            Fault::FailSync(which) => state.fail_sync = Failing::new(which),
            Fault::FailWrite(which) => state.fail_write = Failing::new(which),
            Fault::FailSome { per_mille, seed } => state.fail_some = Some((per_mille, Chance::new(seed))),
            Fault::ShortWrites => state.short_writes = true,
            Fault::Loss(loss) => state.loss = loss,
            Fault::Nothing => *state = State::default(),
        }
        self.changed.notify_all();
    }

    /// How power is lost.
    #[must_use]
    pub fn loss(&self) -> Loss {
        self.lock().loss
    }

    /// What the disk did.
    #[must_use]
    pub fn counts(&self) -> DiskCounts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Any operation.
    pub fn operation(&self) {
        self.dawdle(|state| state.slow_all);
    }

    /// A sync.
    ///
    /// # Errors
    /// `EIO` when it is to fail.
    pub fn sync(&self) -> Result<(), Errno> {
        self.dawdle(|state| state.slow_all + state.slow_sync);
        self.count(|counts| &mut counts.syncs);
        let mut state = self.lock();
        let fails = state.fail_sync.next() || state.draw();
        drop(state);
        if fails {
            self.count(|counts| &mut counts.failed);
            return Err(Errno::EIO);
        }
        Ok(())
    }

    /// A write of `bytes`, of which `new` need room; how many may be written.
    ///
    /// # Errors
    /// `EIO` when it is to fail, `ENOSPC` when there is no room.
    pub fn write(&self, bytes: u64, new: u64) -> Result<u64, Errno> {
        self.operation();
        self.count(|counts| &mut counts.writes);
        let mut state = self.lock();
        let refused = if state.fail_write.next() || state.draw() {
            Some(Errno::EIO)
        } else {
            match &mut state.full {
                Some((left, _)) if *left < new => Some(Errno::ENOSPC),
                Some((left, _)) => {
                    *left -= new;
                    None
                }
                None => None,
            }
        };
        let short = state.short_writes && bytes > 1;
        drop(state);
        match refused {
            Some(errno) => {
                self.count(|counts| &mut counts.failed);
                Err(errno)
            }
            None => Ok(if short { bytes / 2 } else { bytes }),
        }
    }

    /// A file was removed.
    pub fn removed(&self, bytes: u64) {
        if let Some((left, _)) = &mut self.lock().full {
            *left = left.saturating_add(bytes);
        }
    }

    /// How many bytes the disk says are free; none: what the real one says.
    #[must_use]
    pub fn free_bytes(&self) -> Option<u64> {
        self.lock().full.and_then(|(left, told)| told.then_some(left))
    }

    /// Waits as long as the disk is slow; a change of the faults is felt at once.
    fn dawdle(&self, slow: impl Fn(&State) -> Duration) {
        let start = Instant::now();
        let mut state = self.lock();
        loop {
            let wanted = slow(&state).min(Duration::from_secs(SLOW_SECONDS_MAX));
            let Some(left) = wanted.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) else { return };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn count(&self, which: impl Fn(&mut DiskCounts) -> &mut u64) {
        *which(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner)) += 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
