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
use crate::mutants::{self, Mutant};
use crate::store::{Store, StoreError, laid_over};

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
        let mut depends_on = 0;
        let value = |(batch, value): &(BatchId, Option<Bytes>)| {
            depends_on = depends_on.max(*batch);
            value.clone()
        };
        let below = |from: &[u8], to: &[u8], limit| store.scan(kind, from, to, limit, reverse);
        let found = laid_over::scan(below, &self.overlay(kind).rows, value, (from, to), limit, reverse)?;
        self.depend(kind, depends_on);
        Ok(found)
    }

    /// Makes this turn depend on a row that it relies upon without reading it.
    pub fn rely_on(&mut self, kind: Persistence, key: &[u8]) {
        if let Some((batch, _)) = self.overlay(kind).rows.get(key) {
            let batch = *batch;
            self.depend(kind, batch);
        }
    }

    /// Whether a row was written and is not yet as durable as it asked for.
    #[must_use]
    pub fn is_under_way(&self, kind: Persistence, key: &[u8]) -> bool {
        match kind {
            Persistence::Synced => self.synced.rows.contains_key(key),
            Persistence::Derived => self.derived.rows.contains_key(key),
        }
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

    /// The number of this turn's synced batch.
    #[must_use]
    pub fn upcoming_synced(&self) -> BatchId {
        self.last_batch + 1
    }

    /// Makes this turn depend on every synced batch so far, this turn's included.
    pub fn depend_on_all(&mut self) {
        let upcoming = if self.synced.turn.is_empty() { 0 } else { self.last_batch + 1 };
        let last = self.synced.in_flight.back().map_or(0, |(batch, ..)| *batch);
        self.depends_on = self.depends_on.max(last).max(upcoming);
    }

    /// What this turn lets out need not wait for what it has read or written.
    pub fn depend_on_nothing(&mut self) {
        self.depends_on = 0;
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
            let (rows, late) = atomic(kind, rows);
            for (id, rows) in [(id, rows), (id + 2, late)].into_iter().filter(|(_, rows)| !rows.is_empty()) {
                let bytes = rows.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len)).sum();
                overlay.in_flight.push_back((id, rows.iter().map(|(key, _)| key.clone()).collect(), bytes));
                overlay.in_flight_bytes += bytes;
                batches.push(Batch { id, persistence: kind, rows });
            }
        }
        if let Some(last) = batches.iter().map(|batch| batch.id).max() {
            // A turn's batches have an odd and an even number, whether or not it has both.
            self.last_batch = last + last % 2;
        }
        let depends_on = std::mem::take(&mut self.depends_on);
        let waits = self.synced.in_flight.front().is_some_and(|(oldest, ..)| *oldest <= depends_on);
        (batches, if waits { depends_on } else { 0 })
    }

    /// The batch and all earlier ones of its durability are persisted; says whether it was a synced one.
    pub fn persisted(&mut self, batch: BatchId) -> bool {
        // Synced batches have odd numbers, derived ones even: see `put`.
        let synced = batch % 2 == 1;
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

type Rows = Vec<(Bytes, Option<Bytes>)>;

/// The rows of a turn reach the disk together: what is held of a writer with its deltas, a position with what was applied.
/// The second part is for mutants, and empty.
fn atomic(kind: Persistence, rows: Rows) -> (Rows, Rows) {
    let (mutant, letter) = match kind {
        Persistence::Synced => (Mutant::VectorBeforeDelta, b'v'),
        Persistence::Derived => (Mutant::PositionBeforeRows, b'a'),
    };
    let early = |(key, _): &(Bytes, Option<Bytes>)| key.first() == Some(&letter);
    if rows.iter().any(early) && mutants::is(mutant) {
        return rows.into_iter().partition(early);
    }
    (rows, Vec::new())
}
