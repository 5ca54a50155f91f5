//! Rows that are on the disk in the journal and not yet in the table, laid over it.
//!
//! A row that changes often is written to the table once in a while and not each time. What gathers is bounded, in memory
//! ([`UNFLUSHED_BYTES_MAX`]) and in the journal ([`JOURNALED_BYTES_MAX`]): then it is set aside to be put into the table, and
//! the next rows gather meanwhile; when these have grown as large before that is done, who writes waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use trine_replica::StoreError;
use trine_replica::store::laid_over;

use super::limits::{JOURNALED_BYTES_MAX, ROW_BYTES, UNFLUSHED_BYTES_MAX};

/// Rows, and the number of the last group that wrote any of them.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// By key; none where the row is deleted.
    pub(super) rows: BTreeMap<Bytes, Option<Bytes>>,
    /// The last group.
    pub(super) upto: u64,
    /// What they take in memory, roughly.
    bytes: usize,
    /// What was written of them, those included that were written again.
    journaled: usize,
}

impl Gathered {
    /// What they take in memory, roughly: more than in a table.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn is_due(&self) -> bool {
        self.bytes >= UNFLUSHED_BYTES_MAX || self.journaled >= JOURNALED_BYTES_MAX
    }
}

#[derive(Debug, Default)]
struct State {
    gathers: Gathered,
    /// Being put into the table.
    aside: Option<Arc<Gathered>>,
    /// Up to which group the table has all.
    kept: u64,
    /// No more rows come.
    closing: bool,
    /// Nobody puts anything into the table any more.
    failed: bool,
}

/// The rows, shared by who writes, who reads and who puts them into the table.
#[derive(Debug, Clone, Default)]
pub(super) struct Unflushed(Arc<(Mutex<State>, Condvar)>);

impl Unflushed {
    /// Adds a group's rows; waits while there is no room for them. False: there never will be.
    pub(super) fn add(&self, number: u64, rows: impl IntoIterator<Item = (Bytes, Option<Bytes>)>) -> bool {
        let mut state = self.lock();
        while state.gathers.is_due() && state.aside.is_some() && !state.failed {
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.add(number, rows);
        if state.gathers.is_due() {
            self.0.1.notify_all();
        }
        !state.failed
    }

    /// As [`Self::add`], while nobody is there yet to make room: what a journal holds is bounded, too.
    pub(super) fn replay(&self, number: u64, rows: Vec<(Bytes, Option<Bytes>)>) {
        // Copied: each row would keep all of the group's bytes in memory.
        let copied = |bytes: Bytes| Bytes::copy_from_slice(&bytes);
        self.lock().add(number, rows.into_iter().map(|(key, value)| (copied(key), value.map(copied))));
    }

    /// The row of a key, and none in it where the row is deleted; none where the table says.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        let state = self.lock();
        let aside = || state.aside.as_ref().and_then(|aside| aside.rows.get(key));
        state.gathers.rows.get(key).or_else(aside).cloned()
    }

    /// The rows of a range laid over those of `table`; nothing moves into the table meanwhile.
    pub(super) fn scan(
        &self,
        mut table: impl FnMut(&[u8], &[u8], usize) -> Result<Vec<(Bytes, Bytes)>, StoreError>,
        (from, to): (&[u8], &[u8]),
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let state = self.lock();
        let value = |value: &Option<Bytes>| value.clone();
        match &state.aside {
            None => laid_over::scan(table, &state.gathers.rows, value, (from, to), limit, reverse),
            Some(aside) => {
                let below = |from: &[u8], to: &[u8], limit| {
                    laid_over::scan(&mut table, &aside.rows, value, (from, to), limit, reverse)
                };
                laid_over::scan(below, &state.gathers.rows, value, (from, to), limit, reverse)
            }
        }
    }

    /// Waits until rows are to be put into the table, and sets them aside; none when there are no more.
    pub(super) fn take(&self) -> Option<Arc<Gathered>> {
        let mut state = self.lock();
        while !state.gathers.is_due() && !state.closing {
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.gathers.rows.is_empty() {
            return None;
        }
        let aside = Arc::new(std::mem::take(&mut state.gathers));
        state.aside = Some(Arc::clone(&aside));
        self.0.1.notify_all();
        Some(aside)
    }

    /// What was set aside is in the table, synced.
    pub(super) fn flushed(&self) {
        let mut state = self.lock();
        if let Some(aside) = state.aside.take() {
            state.kept = aside.upto;
        }
        self.0.1.notify_all();
    }

    /// Nothing will be put into the table any more.
    pub(super) fn fail(&self) {
        self.lock().failed = true;
        self.0.1.notify_all();
    }

    /// No more rows come: what there is goes to the table now.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.0.1.notify_all();
    }

    /// Up to which group the table has all, as far as this process put it there.
    pub(super) fn kept(&self) -> u64 {
        self.lock().kept
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, number: u64, rows: impl IntoIterator<Item = (Bytes, Option<Bytes>)>) {
        let gathers = &mut self.gathers;
        gathers.upto = number;
        for (key, value) in rows {
            let bytes = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
            let length = key.len();
            gathers.bytes += length + bytes(&value) + ROW_BYTES;
            gathers.journaled += length + bytes(&value);
            if let Some(before) = gathers.rows.insert(key, value) {
                gathers.bytes -= length + bytes(&before) + ROW_BYTES;
            }
        }
    }
}
