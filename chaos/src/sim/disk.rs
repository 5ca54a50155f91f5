//! A node's disk in memory: what is durable, what is merely visible, and what a crash leaves of it.
//!
//! Synced rows become visible and durable together, when their write ends. Derived rows are visible at once; until
//! they are flushed a crash may take a suffix of them, batch by batch, never a part of one. A crash also decides, of
//! the synced batches under way, how many had reached the disk although nobody was told.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
pub use trine_replica::store::memory::Rows;
use trine_replica::store::memory::{scan, write};
use trine_replica::{Batch, Persistence, Store, StoreError};

use crate::chance::Chance;
use crate::sim::sequencer::Sequencer;

/// One node's disk.
#[derive(Debug)]
pub struct Disk {
    /// What is synced.
    pub synced: Rows,
    /// What is derived, as the node sees it.
    pub derived: Rows,
    flushed: Rows,
    unflushed: VecDeque<Batch>,
    writing: VecDeque<Batch>,
    log: Rc<RefCell<Sequencer>>,
}

impl Disk {
    /// An empty disk beside its region's log.
    #[must_use]
    pub fn new(log: Rc<RefCell<Sequencer>>) -> Self {
        Self {
            synced: Rows::new(),
            derived: Rows::new(),
            flushed: Rows::new(),
            unflushed: VecDeque::new(),
            writing: VecDeque::new(),
            log,
        }
    }

    /// A batch begins to be written.
    pub fn write(&mut self, batch: Batch) {
        match batch.persistence {
            Persistence::Synced => self.writing.push_back(batch),
            Persistence::Derived => {
                write(&mut self.derived, &batch);
                self.unflushed.push_back(batch);
            }
        }
    }

    /// All synced batches up to this one have reached the disk.
    pub fn synced(&mut self, id: u64) {
        while self.writing.front().is_some_and(|batch| batch.id <= id) {
            let batch = self.writing.pop_front().expect("just seen");
            write(&mut self.synced, &batch);
        }
    }

    /// What was derived so far survives from now on.
    pub fn flush(&mut self) {
        for batch in self.unflushed.drain(..) {
            write(&mut self.flushed, &batch);
        }
    }

    /// What would be left of it if the power went now and nothing under way had reached it.
    #[must_use]
    pub fn image(&self) -> Self {
        let mut image = Self::new(Rc::clone(&self.log));
        (image.synced, image.flushed) = (self.synced.clone(), self.flushed.clone());
        image.derived = image.flushed.clone();
        image
    }

    /// The process is gone; its machine goes on, and keeps what it was given.
    pub fn abandon(&mut self, chance: &mut Chance) {
        self.flush();
        self.crash(chance);
    }

    /// The power goes.
    pub fn crash(&mut self, chance: &mut Chance) {
        let reached = chance.below(self.writing.len() as u64 + 1);
        for batch in self.writing.drain(..).take(reached as usize) {
            write(&mut self.synced, &batch);
        }
        let reached = chance.below(self.unflushed.len() as u64 + 1);
        for batch in self.unflushed.drain(..).take(reached as usize) {
            write(&mut self.flushed, &batch);
        }
        self.derived = self.flushed.clone();
    }

    fn rows(&self, kind: Persistence) -> &Rows {
        match kind {
            Persistence::Synced => &self.synced,
            Persistence::Derived => &self.derived,
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
        Ok(scan(self.rows(kind), from, to, limit, reverse))
    }

    fn entry(&self, index: u64) -> Result<Option<Bytes>, StoreError> {
        Ok(self.log.borrow().entry(index))
    }
}
