//! Up to which time the clock's marks are on disk: a node tells nobody a later one, or it would forget what it had told.
//!
//! A stamp waits for the batch with its mark; an answer that merely tells the time does not wait for a disk that may
//! stall or be full, and tells the latest time that a restart remembers.

use std::collections::VecDeque;

use crate::input::BatchId;
use crate::limits::CLOCK_MARKS_UNDER_WAY_MAX;

/// The mark that is on disk, and those on their way there.
#[derive(Debug)]
pub struct DurableTime {
    mark: u64,
    under_way: VecDeque<(BatchId, u64)>,
}

impl DurableTime {
    /// With the mark that the disk held at the start.
    #[must_use]
    pub fn new(mark: u64) -> Self {
        Self { mark, under_way: VecDeque::new() }
    }

    /// A higher mark goes to disk with this batch. When too many are under way the latest takes the place of the one
    /// before it, which is then believed to be durable only with this batch.
    pub fn put(&mut self, batch: BatchId, mark: u64) {
        if self.under_way.len() >= CLOCK_MARKS_UNDER_WAY_MAX {
            self.under_way.pop_back();
        }
        self.under_way.push_back((batch, mark));
    }

    /// This batch and all earlier ones are on disk.
    pub fn persisted(&mut self, batch: BatchId) {
        while let Some((_, mark)) = self.under_way.pop_front_if(|(put, _)| *put <= batch) {
            self.mark = mark;
        }
    }

    /// This time, or the latest one that a restart remembers.
    #[must_use]
    pub fn at_most(&self, time: u64) -> u64 {
        time.min(self.mark)
    }
}
