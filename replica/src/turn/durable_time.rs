//! Up to which time the clock's marks are on disk: a node tells nobody a later one, or it would forget what it had told.
//!
//! A stamp waits for the batch with its mark; an answer that merely tells the time does not wait for a disk that may
//! stall or be full, and tells the latest time that a restart remembers. Each mark on its way is told apart: were one
//! forgotten for a later one, an edit that it had covered would be acknowledged, and the next answer tell an earlier time.

use std::collections::VecDeque;

use crate::marks::{self, Mark};
use crate::mutants::{self, Mutant};

use crate::input::BatchId;

/// The mark that is on disk, and those on their way there: one a batch at most, and what batches under way hold is
/// bounded by their bytes.
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

    /// A higher mark goes to disk with this batch.
    pub fn put(&mut self, batch: BatchId, mark: u64) {
        match self.under_way.back_mut() {
            Some(last) if last.0 == batch || mutants::is(Mutant::MarkEarly) => last.1 = mark,
            Some(_) => {
                marks::reached(Mark::MarksUnderWay);
                self.under_way.push_back((batch, mark));
            }
            None => self.under_way.push_back((batch, mark)),
        }
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
