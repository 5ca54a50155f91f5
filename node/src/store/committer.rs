//! The committers: who makes the core's batches durable, as far as each asks for it.
//!
//! Synced rows go to a journal first (`synced`). Derived ones go to their database as they come, many small batches as one,
//! and are synced now and then: what is lost with power comes again from the log and from peers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fjall::PersistMode;
use metrics::histogram;
use trine_replica::input::BatchId;
use trine_replica::{Batch, Persistence};

use super::damage::{Damage, Part};
use super::disk::DiskRoom;
use super::limits::{BATCHES_WAITING_MAX, DERIVED_GATHER, GROUP_BYTES_MAX};
use super::manifest;
use super::row;
use super::rows::{Databases, Table};
use super::synced::SyncedCommitter;

/// Told the number of the last batch that is as durable as it asked for.
pub type Report = Box<dyn Fn(BatchId) + Send>;
/// Told why the disk cannot be trusted any more; the process must not go on.
pub type Fatal = Box<dyn Fn(String) + Send>;

/// Both kinds.
pub struct Committers {
    synced: SyncedCommitter,
    derived: Committer,
}

impl Committers {
    /// Starts the threads.
    ///
    /// # Errors
    /// When there are no threads to be had, or the databases have committers already.
    pub fn start(
        databases: &Databases,
        room: &DiskRoom,
        derived_flush: Duration,
        reports: (Report, Report),
        fatal: (Fatal, Fatal),
    ) -> std::io::Result<Self> {
        let Databases { synced, data_dir, damage, .. } = databases;
        let synced = SyncedCommitter::start(synced, data_dir, damage.as_ref(), room, reports.0, fatal.0)?;
        let derived = Writer {
            data_dir: data_dir.clone(),
            damage: damage.clone(),
            table: databases.derived.clone(),
            room: room.clone(),
            report: reports.1,
            fatal: fatal.1,
            every: derived_flush,
            dirty_since: None,
        };
        Ok(Self { synced, derived: Committer::start(derived)? })
    }

    /// Hands a batch over; waits while too many are under way.
    pub fn write(&self, batch: Batch) {
        match batch.persistence {
            Persistence::Synced => self.synced.write(batch),
            Persistence::Derived => self.derived.write(batch),
        }
    }
}

/// The thread that writes derived rows.
struct Committer {
    queue: Option<SyncSender<Batch>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    fn start(writer: Writer) -> std::io::Result<Self> {
        let (queue, batches) = sync_channel(BATCHES_WAITING_MAX);
        let name = format!("trine-{}", writer.table.name);
        let thread = std::thread::Builder::new().name(name).spawn(move || writer.run(&batches))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    fn write(&self, batch: Batch) {
        // The thread ends early only on a fatal error, of which the process is being told.
        let _ = self.queue.as_ref().map(|queue| queue.send(batch));
    }
}

/// Writes what is queued, then ends.
impl Drop for Committer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Writer {
    table: Table,
    room: DiskRoom,
    report: Report,
    fatal: Fatal,
    data_dir: PathBuf,
    /// Where damage is noted.
    damage: Option<Damage>,
    every: Duration,
    dirty_since: Option<Instant>,
}

impl Writer {
    fn run(mut self, batches: &Receiver<Batch>) {
        if let Err(reason) = self.write_all(batches).and_then(|()| self.finish()) {
            // A database whose tables cannot be merged any more stops without a word of why.
            if self.table.stopped_itself()
                && let (Some(damage), Some(what)) =
                    (&self.damage, manifest::damaged_file(&self.data_dir.join(Part::Derived.name())))
            {
                damage.found(Part::Derived, &what);
            }
            (self.fatal)(format!("the database `{}` cannot be written: {reason}", self.table.name));
        }
    }

    /// Until the queue's other end is gone.
    fn write_all(&mut self, batches: &Receiver<Batch>) -> Result<(), String> {
        loop {
            let first = match self.dirty_since {
                None => batches.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(since) => batches.recv_timeout(self.every.saturating_sub(since.elapsed())),
            };
            match first {
                Ok(first) => self.write_group(first, batches)?,
                Err(RecvTimeoutError::Timeout) => self.sync_when_due()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn write_group(&mut self, first: Batch, batches: &Receiver<Batch>) -> Result<(), String> {
        // Nobody waits for these rows, the core reads them from its overlay; a thread woken for every batch is what they
        // would cost most.
        std::thread::sleep(DERIVED_GATHER);
        let mut group = Group::default();
        group.add(first);
        while group.bytes < GROUP_BYTES_MAX
            && let Ok(next) = batches.try_recv()
        {
            group.add(next);
        }
        // Twice: once in the database's journal, once in a table.
        if !self.room.wait_for(2 * group.bytes) {
            return Ok(());
        }
        let started = Instant::now();
        let mut batch = self.table.database.batch();
        for (key, value) in &group.rows {
            match value {
                Some(value) => batch.insert(&self.table.keyspace, key.clone(), row::seal(key, value)),
                None => batch.remove(&self.table.keyspace, key.clone()),
            }
        }
        batch.commit().map_err(|error| error.to_string())?;
        histogram!("trine_fsync_seconds", "database" => self.table.name).record(started.elapsed());
        histogram!("trine_commit_batches", "database" => self.table.name).record(group.batches as f64);
        (self.report)(group.last);
        self.sync_when_due()
    }

    fn sync_when_due(&mut self) -> Result<(), String> {
        let since = *self.dirty_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.every {
            self.table.database.persist(PersistMode::SyncData).map_err(|error| error.to_string())?;
            self.dirty_since = None;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), String> {
        self.table.database.persist(PersistMode::SyncAll).map_err(|error| error.to_string())
    }
}

/// Batches on their way to the disk as one: of rows with the same key only the last is written.
#[derive(Default)]
struct Group {
    rows: BTreeMap<Bytes, Option<Bytes>>,
    bytes: usize,
    batches: usize,
    last: BatchId,
}

impl Group {
    fn add(&mut self, batch: Batch) {
        self.last = batch.id;
        self.batches += 1;
        for (key, value) in batch.rows {
            self.bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
            self.rows.insert(key, value);
        }
    }
}
