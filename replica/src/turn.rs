//! One call of the door: the clocks' readings, the rows, and what is to be done.
//!
//! Every organ needs the same few things: it reads rows, writes rows, stamps, sends. They live here, and an organ is handed
//! them with each call. So the rule of persisting before speaking is kept in one place: whatever a turn reads or writes
//! goes through its buffer, and what it wants done waits until that is on disk.

mod buffer;
mod clock;
mod clock_judge;
mod durable_time;
mod held;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use trine_crdt::clock::Drift;
use trine_crdt::{NodeId, Now, Timestamp};

pub(crate) use self::clock::Clock;

use self::buffer::Buffer;
use self::held::Held;
use crate::counters::Counters;
use crate::effect::Persistence::Synced;
use crate::effect::{Effect, Outbox, Persistence};
use crate::input::BatchId;
use crate::message::PeerMessage;
use crate::rows;
use crate::store::{Store, StoreError};

/// What turns share: rows and effects on their way to the disk, the clock, and what is counted.
#[derive(Debug)]
pub(crate) struct Kept {
    buffer: Buffer,
    held: Held,
    clock: Clock,
    counters: Counters,
}

impl Kept {
    /// Before the first turn.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { buffer: Buffer::default(), held: Held::default(), clock, counters: Counters::default() }
    }

    /// The clock.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What was counted.
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }
}

/// What one call of `handle` may read and write, and what it wants done.
pub(crate) struct Turn<'a> {
    /// What the clocks say.
    pub now: Now,
    /// What is to be done, in order; let out when what it reveals is on disk.
    pub effects: Vec<Effect>,
    /// What is counted.
    pub counters: &'a mut Counters,
    /// What stamps, and judges the wall that it stamps by.
    pub clock: &'a mut Clock,
    store: &'a dyn Store,
    buffer: &'a mut Buffer,
    held: &'a mut Held,
}

impl<'a> Turn<'a> {
    /// Begins a turn on what the last one left.
    pub(crate) fn begin(kept: &'a mut Kept, now: Now, store: &'a dyn Store) -> Self {
        let Kept { buffer, held, clock, counters } = kept;
        Self { now, effects: Vec::new(), counters, clock, store, buffer, held }
    }

    /// Ends it: batches first, then what may leave at once; the rest waits for its batch.
    pub(crate) fn end(self, out: &mut Outbox) {
        let (batches, depends_on) = self.buffer.end_turn();
        out.effects.extend(batches.into_iter().map(Effect::Persist));
        self.held.admit(depends_on, self.effects, &mut out.effects);
    }

    /// A batch is as durable as it asked for, and what waited for it leaves; says whether it was a synced one.
    pub(crate) fn persisted(&mut self, batch: BatchId, out: &mut Outbox) -> bool {
        let synced = self.buffer.persisted(batch);
        if synced {
            self.clock.persisted(batch);
            self.held.release(batch, &mut out.effects);
        }
        synced
    }

    /// Sends a message to a peer.
    pub(crate) fn send(&mut self, to: NodeId, message: PeerMessage) {
        self.effects.push(Effect::Send { to, message });
    }

    /// Reads a row.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn get(&mut self, kind: Persistence, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.buffer.get(self.store, kind, key)
    }

    /// Reads rows `from <= key < to` in key order (from the end when `reverse`).
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn scan(
        &mut self,
        kind: Persistence,
        span: (&[u8], &[u8]),
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.buffer.scan(self.store, kind, span, limit, reverse)
    }

    /// Reads an entry of the region's log.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn entry(&self, index: u64) -> Result<Option<Bytes>, StoreError> {
        self.store.entry(index)
    }

    /// Writes (or deletes) a row in this turn's batch.
    pub(crate) fn put(&mut self, kind: Persistence, key: impl Into<Bytes>, value: Option<Bytes>) {
        self.buffer.put(kind, key, value);
    }

    /// Makes this turn depend on every synced batch so far, this turn's included.
    pub(crate) fn depend_on_all(&mut self) {
        self.buffer.depend_on_all();
    }

    /// What this turn lets out need not wait for what it has read or written.
    pub(crate) fn depend_on_nothing(&mut self) {
        self.buffer.depend_on_nothing();
    }

    /// The number of this turn's synced batch.
    pub(crate) fn upcoming_synced(&self) -> BatchId {
        self.buffer.upcoming_synced()
    }

    /// Bytes of batches under way.
    pub(crate) fn in_flight_bytes(&self) -> usize {
        self.buffer.in_flight_bytes()
    }

    /// Whether a row was written and is not yet as durable as it asked for.
    pub(crate) fn is_under_way(&self, kind: Persistence, key: &[u8]) -> bool {
        self.buffer.is_under_way(kind, key)
    }

    /// A stamp above all that this node has issued or seen. Its high-water mark goes to disk with the batch of this
    /// turn, before anything that bears the stamp leaves.
    ///
    /// # Errors
    /// When the clock is at the end of its range.
    pub(crate) fn stamp(&mut self) -> Result<Timestamp, StoreError> {
        self.mark_clock();
        // The mark that covers this stamp may be a former turn's and not yet on disk.
        self.buffer.rely_on(Synced, rows::CLOCK);
        self.clock.tick(self.now)
    }

    /// Takes note of another's stamp, so that what is stamped here from now on is later, over a restart too.
    ///
    /// # Errors
    /// [`Drift`] for a stamp from the far future: what bears it is not to be taken in yet.
    pub(crate) fn observe(&mut self, stamp: &Timestamp) -> Result<(), Drift> {
        self.clock.observe(self.now, stamp)?;
        self.mark_clock();
        Ok(())
    }

    /// As [`Self::observe`], of what a peer sent. A stamp that lies ahead of the wall is taken from a peer whose wall is
    /// right, and moves nothing.
    ///
    /// # Errors
    /// [`Drift`] for a stamp from the far future of a peer whose wall is wrong, or not measured: what bears it is not to
    /// be taken in yet.
    pub(crate) fn take_stamp(&mut self, from: NodeId, stamp: &Timestamp) -> Result<(), Drift> {
        match self.observe(stamp) {
            Err(_) if self.clock.takes_ahead(from) => Ok(()),
            observed => observed,
        }
    }

    /// Whether a time lies further ahead of the wall than clocks may differ.
    pub(crate) fn is_ahead(&self, time: u64) -> bool {
        self.clock.is_ahead(self.now, time)
    }

    /// The latest hybrid time issued or seen, as far as a restart remembers it.
    pub(crate) fn latest(&self) -> Timestamp {
        self.clock.latest()
    }

    fn mark_clock(&mut self) {
        if let Some(mark) = self.clock.needs_mark(self.now) {
            self.buffer.put(Synced, rows::CLOCK, Some(Bytes::copy_from_slice(&mark.to_be_bytes())));
            self.clock.marked(self.buffer.upcoming_synced(), mark);
        }
    }
}
