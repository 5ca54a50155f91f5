//! A store in memory: two ordered maps and a log, for tests, simulators and whoever tries the core out.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use crate::effect::{Batch, Persistence};
use crate::store::{Store, StoreError};

/// Ordered rows.
pub type Rows = BTreeMap<Bytes, Bytes>;

/// Rows and log entries in memory.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    synced: Rows,
    derived: Rows,
    entries: BTreeMap<u64, Bytes>,
}

impl Memory {
    /// The rows of a durability.
    #[must_use]
    pub fn rows(&self, kind: Persistence) -> &Rows {
        match kind {
            Persistence::Synced => &self.synced,
            Persistence::Derived => &self.derived,
        }
    }

    /// As [`Self::rows`], to be changed.
    pub fn rows_mut(&mut self, kind: Persistence) -> &mut Rows {
        match kind {
            Persistence::Synced => &mut self.synced,
            Persistence::Derived => &mut self.derived,
        }
    }

    /// Writes a batch, as a whole.
    pub fn write(&mut self, batch: &Batch) {
        write(self.rows_mut(batch.persistence), batch);
    }

    /// The log has an entry of commands at an index.
    pub fn append(&mut self, index: u64, entry: Bytes) {
        self.entries.insert(index, entry);
    }
}

/// Writes a batch's rows.
pub fn write(rows: &mut Rows, batch: &Batch) {
    for (key, value) in &batch.rows {
        match value {
            Some(value) => rows.insert(key.clone(), value.clone()),
            None => rows.remove(key),
        };
    }
}

/// Reads as [`Store::scan`] does.
#[must_use]
pub fn scan(rows: &Rows, from: &[u8], to: &[u8], limit: usize, reverse: bool) -> Vec<(Bytes, Bytes)> {
    if from >= to {
        return Vec::new();
    }
    let range = rows.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
    let rows = range.map(|(key, value)| (key.clone(), value.clone()));
    if reverse { rows.rev().take(limit).collect() } else { rows.take(limit).collect() }
}

impl Store for Memory {
    fn get(&self, kind: Persistence, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.rows(kind).get(key).cloned())
    }

    fn scan(
        &self,
        kind: Persistence,
        from: &[u8],
        to: &[u8],
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        Ok(scan(self.rows(kind), from, to, limit, reverse))
    }

    fn entry(&self, index: u64) -> Result<Option<Bytes>, StoreError> {
        Ok(self.entries.get(&index).cloned())
    }
}
