//! A node's disk in memory, beside its region's log, which all nodes of the region share.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use trine_replica::input::{CommittedEntry, Payload};
use trine_replica::{Batch, Persistence, Store, StoreError};

/// A region's log, shared by its nodes.
pub type Log = Rc<RefCell<Vec<CommittedEntry>>>;

/// Rows in memory.
#[derive(Clone)]
pub struct Disk {
    synced: BTreeMap<Bytes, Bytes>,
    derived: BTreeMap<Bytes, Bytes>,
    log: Log,
}

impl Disk {
    /// Nothing, beside a region's log.
    pub fn new(log: Log) -> Self {
        Self { synced: BTreeMap::new(), derived: BTreeMap::new(), log }
    }

    fn rows(&self, kind: Persistence) -> &BTreeMap<Bytes, Bytes> {
        match kind {
            Persistence::Synced => &self.synced,
            Persistence::Derived => &self.derived,
        }
    }

    /// A copy of all that is on it now, with the log beside it.
    pub fn copy(&self) -> (Self, Vec<CommittedEntry>) {
        (self.clone(), self.log.borrow().clone())
    }

    /// How many rows the delta log has.
    pub fn delta_rows(&self) -> usize {
        self.synced.keys().filter(|key| key.starts_with(b"d")).count()
    }

    /// How many rows there are of objects, their deltas, vectors and sums.
    pub fn object_rows(&self) -> usize {
        self.synced.keys().filter(|key| b"odvg".contains(&key[0])).count()
    }

    /// Every object's row turns into something that is none.
    pub fn damage_objects(&mut self) {
        let objects = self.synced.iter_mut().filter(|(key, _)| key.starts_with(b"o"));
        objects.for_each(|(_, value)| *value = Bytes::from_static(b"no object"));
    }

    /// A batch is on it, as a whole.
    pub fn write(&mut self, batch: Batch) {
        let rows = match batch.persistence {
            Persistence::Synced => &mut self.synced,
            Persistence::Derived => &mut self.derived,
        };
        for (key, value) in batch.rows {
            match value {
                Some(value) => drop(rows.insert(key, value)),
                None => drop(rows.remove(&key)),
            }
        }
    }
}

impl Store for Disk {
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
        let bounds = (std::ops::Bound::Included(from), std::ops::Bound::Excluded(to));
        let rows = self.rows(kind).range::<[u8], _>(bounds).map(|(key, value)| (key.clone(), value.clone()));
        Ok(if reverse { rows.rev().take(limit).collect() } else { rows.take(limit).collect() })
    }

    fn entry(&self, index: u64) -> Result<Option<Bytes>, StoreError> {
        Ok(self.log.borrow().get(index as usize).and_then(|entry| match &entry.payload {
            Payload::Entry(bytes) => Some(bytes.clone()),
            _ => None,
        }))
    }
}
