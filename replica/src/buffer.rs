//! Rows written but not yet on disk, laid over the store.
//!
//! The core must read what it has just written while the disk is still busy with it. Each row therefore stays
//! here from the turn that writes it until the driver says that its batch is as durable as it asked for. A turn
//! that reads such a row depends on its batch: what the turn lets out must wait for it. That is the whole of
//! "persist before speaking", held in one place.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::effect::{Batch, Persistence};
use crate::input::BatchId;
use crate::store::{Store, StoreError};

/// Two overlays, one per durability, and the rows of the turn under way.
#[derive(Debug, Default)]
pub struct Buffer {
    synced: Overlay,
    derived: Overlay,
    last_batch: BatchId,
    /// The latest synced batch whose rows this turn has read or written; 0: none.
    depends_on: BatchId,
}

#[derive(Debug, Default)]
struct Overlay {
    rows: BTreeMap<Bytes, (BatchId, Option<Bytes>)>,
    turn: Vec<(Bytes, Option<Bytes>)>,
    in_flight: VecDeque<(BatchId, Vec<Bytes>, usize)>,
    in_flight_bytes: usize,
}

impl Buffer {
    /// Reads a row through the overlay.
    ///
    /// # Errors
    /// What the store says.
    pub fn get(&mut self, store: &dyn Store, kind: Persistence, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.overlay(kind).rows.get(key).cloned() {
            Some((batch, value)) => {
                self.depend(kind, batch);
                Ok(value)
            }
            None => store.get(kind, key),
        }
    }

    /// Reads rows `from <= key < to` through the overlay, in key order (from the end when `reverse`).
    ///
    /// # Errors
    /// What the store says.
    pub fn scan(
        &mut self,
        store: &dyn Store,
        kind: Persistence,
        (from, to): (&[u8], &[u8]),
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let overlay = self.overlay(kind);
        let range = overlay.rows.range::<[u8], _>((std::ops::Bound::Included(from), std::ops::Bound::Excluded(to)));
        let over: Vec<_> = range.map(|(key, (batch, value))| (key.clone(), *batch, value.clone())).collect();
        let below = store.scan(kind, from, to, limit.saturating_add(over.len()), reverse)?;
        // What the store cut off beyond its last row must not be shown from the overlay alone: the store was
        // asked for enough rows that the merged prefix of `limit` rows is complete.
        let mut merged: BTreeMap<Bytes, Bytes> = below.into_iter().collect();
        for (key, batch, value) in over {
            self.depend(kind, batch);
            match value {
                Some(value) => merged.insert(key, value),
                None => merged.remove(&key),
            };
        }
        Ok(if reverse {
            merged.into_iter().rev().take(limit).collect()
        } else {
            merged.into_iter().take(limit).collect()
        })
    }

    /// Writes (or deletes) a row in this turn's batch.
    pub fn put(&mut self, kind: Persistence, key: impl Into<Bytes>, value: Option<Bytes>) {
        let key = key.into();
        let batch = self.last_batch
            + match kind {
                Persistence::Synced => 1,
                Persistence::Derived => 2,
            };
        let overlay = self.overlay(kind);
        overlay.rows.insert(key.clone(), (batch, value.clone()));
        overlay.turn.push((key, value));
        self.depend(kind, batch);
    }

    /// Makes this turn depend on every synced batch so far, this turn's included.
    pub fn depend_on_all(&mut self) {
        let upcoming = if self.synced.turn.is_empty() { 0 } else { self.last_batch + 1 };
        let last = self.synced.in_flight.back().map_or(0, |(batch, ..)| *batch);
        self.depends_on = self.depends_on.max(last).max(upcoming);
    }

    /// Ends the turn: its batches, and the batch that its effects must wait for (0: none).
    pub fn end_turn(&mut self) -> (Vec<Batch>, BatchId) {
        let mut batches = Vec::new();
        let first = self.last_batch + 1;
        for kind in [Persistence::Synced, Persistence::Derived] {
            let id = first + (kind == Persistence::Derived) as u64;
            let overlay = self.overlay(kind);
            let rows = std::mem::take(&mut overlay.turn);
            if rows.is_empty() {
                continue;
            }
            let bytes = rows.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len)).sum();
            overlay.in_flight.push_back((id, rows.iter().map(|(key, _)| key.clone()).collect(), bytes));
            overlay.in_flight_bytes += bytes;
            batches.push(Batch { id, persistence: kind, rows });
        }
        if !batches.is_empty() {
            self.last_batch = first + 1;
        }
        let depends_on = std::mem::take(&mut self.depends_on);
        let waits = self.synced.in_flight.front().is_some_and(|(oldest, ..)| *oldest <= depends_on);
        (batches, if waits { depends_on } else { 0 })
    }

    /// The batch and all earlier ones of its durability are persisted; says whether it was a synced one.
    pub fn persisted(&mut self, batch: BatchId) -> bool {
        let synced = self.synced.in_flight.iter().any(|(id, ..)| *id == batch);
        let overlay = if synced { &mut self.synced } else { &mut self.derived };
        while overlay.in_flight.front().is_some_and(|(id, ..)| *id <= batch) {
            let (id, keys, bytes) = overlay.in_flight.pop_front().expect("just seen");
            overlay.in_flight_bytes -= bytes;
            for key in keys {
                if overlay.rows.get(&key).is_some_and(|(last, _)| *last == id) {
                    overlay.rows.remove(&key);
                }
            }
        }
        synced
    }

    /// Bytes of batches under way.
    #[must_use]
    pub fn in_flight_bytes(&self) -> usize {
        self.synced.in_flight_bytes + self.derived.in_flight_bytes
    }

    fn overlay(&mut self, kind: Persistence) -> &mut Overlay {
        match kind {
            Persistence::Synced => &mut self.synced,
            Persistence::Derived => &mut self.derived,
        }
    }

    fn depend(&mut self, kind: Persistence, batch: BatchId) {
        if kind == Persistence::Synced {
            self.depends_on = self.depends_on.max(batch);
        }
    }
}
