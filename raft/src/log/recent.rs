//! Recent entries in memory: everything that is not in a file yet, and what else fits.

use std::collections::VecDeque;

use openraft::EntryPayload;

use crate::types::Entry;

/// Entries of consecutive indexes.
#[derive(Debug)]
pub struct Recent {
    entries: VecDeque<Entry>,
    bytes: usize,
    bytes_max: usize,
}

impl Recent {
    /// Empty, to be kept below `bytes_max` except for what is in no file.
    pub fn new(bytes_max: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Adds the entry after the last one.
    pub fn push(&mut self, entry: Entry) {
        if self.entries.back().is_some_and(|last| last.log_id.index + 1 != entry.log_id.index) {
            self.entries.clear();
            self.bytes = 0;
        }
        self.bytes += weight(&entry);
        self.entries.push_back(entry);
    }

    /// The first index that is here.
    pub fn first(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.log_id.index)
    }

    /// The entry of this index, if it is here.
    pub fn get(&self, index: u64) -> Option<&Entry> {
        let first = self.entries.front()?.log_id.index;
        self.entries.get(usize::try_from(index.checked_sub(first)?).ok()?)
    }

    /// Forgets `from` and all after it.
    pub fn truncate(&mut self, from: u64) {
        while self.entries.back().is_some_and(|entry| entry.log_id.index >= from) {
            self.bytes -= self.entries.pop_back().as_ref().map_or(0, weight);
        }
    }

    /// Drops the oldest entries below `written` until the rest fits.
    pub fn shrink(&mut self, written: u64) {
        while self.bytes > self.bytes_max && self.entries.front().is_some_and(|entry| entry.log_id.index < written) {
            self.bytes -= self.entries.pop_front().as_ref().map_or(0, weight);
        }
    }
}

/// About how much memory an entry takes.
pub fn weight(entry: &Entry) -> usize {
    const BASE: usize = 96;
    BASE + match &entry.payload {
        EntryPayload::Blank => 0,
        EntryPayload::Normal(data) => data.0.len(),
        EntryPayload::Membership(membership) => membership.nodes().count() * BASE,
    }
}
