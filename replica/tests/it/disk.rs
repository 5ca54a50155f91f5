//! A node's disk in memory, beside its region's log, which all nodes of the region share.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use trine_replica::input::{CommittedEntry, Payload};
use trine_replica::store::Memory;
use trine_replica::store::memory::Rows;
use trine_replica::{Batch, Persistence, Store, StoreError};

/// A region's log, shared by its nodes.
pub type Log = Rc<RefCell<Vec<CommittedEntry>>>;

/// Rows in memory.
#[derive(Clone)]
pub struct Disk {
    rows: Memory,
    log: Log,
}

impl Disk {
    /// Nothing, beside a region's log.
    pub fn new(log: Log) -> Self {
        Self { rows: Memory::default(), log }
    }

    fn synced(&self) -> &Rows {
        self.rows.rows(Persistence::Synced)
    }

    /// A copy of all that is on it now, with the log beside it.
    pub fn copy(&self) -> (Self, Vec<CommittedEntry>) {
        (self.clone(), self.log.borrow().clone())
    }

    /// How many rows the delta log has.
    pub fn delta_rows(&self) -> usize {
        self.synced().keys().filter(|key| key.starts_with(b"d")).count()
    }

    /// How many rows there are of objects, their deltas, vectors and sums.
    pub fn object_rows(&self) -> usize {
        self.synced().keys().filter(|key| b"odvg".contains(&key[0])).count()
    }

    /// Every object's row turns into something that is none.
    pub fn damage_objects(&mut self) {
        let objects = self.rows.rows_mut(Persistence::Synced).iter_mut().filter(|(key, _)| key.starts_with(b"o"));
        objects.for_each(|(_, value)| *value = Bytes::from_static(b"no object"));
    }

    /// A batch is on it, as a whole.
    pub fn write(&mut self, batch: Batch) {
        self.rows.write(&batch);
    }
}

impl Store for Disk {
    fn get(&self, kind: Persistence, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.rows.get(kind, key)
    }

    fn scan(
        &self,
        kind: Persistence,
        from: &[u8],
        to: &[u8],
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.rows.scan(kind, from, to, limit, reverse)
    }

    fn entry(&self, index: u64) -> Result<Option<Bytes>, StoreError> {
        Ok(self.log.borrow().get(index as usize).and_then(|entry| match &entry.payload {
            Payload::Entry(bytes) => Some(bytes.clone()),
            _ => None,
        }))
    }
}
