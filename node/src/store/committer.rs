//! The committers: one thread a database, which makes many small batches into one group and one sync.
//!
//! The order is the safety argument: take what is queued; wait for room on the disk; write it as one atomic batch; sync; only
//! then report the last batch's number. An error of the disk on the way is the end of the process, because after a
//! failed sync nobody knows what is on the disk, and a second try may say yes to what is gone. Nothing was reported, so nothing
//! was promised.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fjall::PersistMode;
use metrics::histogram;
use trine_journal::passing::exhausted;
use trine_replica::input::BatchId;
use trine_replica::{Batch, Persistence};

use super::damage::{Damage, Part};
use super::disk::DiskRoom;
use super::floor::{Floor, NUMBER_KEY};
use super::limits::{BATCHES_WAITING_MAX, DERIVED_GATHER, FLOOR_INTERVAL, GROUP_BYTES_MAX};
use super::manifest;
use super::row;
use super::rows::{Databases, Table};
use crate::mutants::{self, Mutant};

/// Told the number of the last batch that is as durable as it asked for.
pub type Report = Box<dyn Fn(BatchId) + Send>;
/// Told why the disk cannot be trusted any more; the process must not go on.
pub type Fatal = Box<dyn Fn(String) + Send>;

/// One thread that writes one database.
pub struct Committer {
    queue: Option<SyncSender<Batch>>,
    thread: Option<JoinHandle<()>>,
}

/// Both.
pub struct Committers {
    synced: Committer,
    derived: Committer,
}

impl Committers {
    /// Starts both threads.
    ///
    /// # Errors
    /// When there are no threads to be had.
    pub fn start(
        databases: &Databases,
        room: &DiskRoom,
        derived_flush: Duration,
        reports: (Report, Report),
        fatal: (Fatal, Fatal),
    ) -> std::io::Result<Self> {
        let synced = Writer {
            disk: (Part::Synced, databases.data_dir.clone(), databases.damage.clone()),
            table: databases.synced.clone(),
            room: room.clone(),
            report: reports.0,
            fatal: fatal.0,
            kind: Kind::Synced {
                number: databases.number,
                floor: Floor::new(&databases.data_dir),
                written: Instant::now(),
            },
        };
        let derived = Writer {
            disk: (Part::Derived, databases.data_dir.clone(), databases.damage.clone()),
            table: databases.derived.clone(),
            room: room.clone(),
            report: reports.1,
            fatal: fatal.1,
            kind: Kind::Derived { every: derived_flush, dirty_since: None },
        };
        Ok(Self { synced: Committer::start(synced)?, derived: Committer::start(derived)? })
    }

    /// Hands a batch over; waits while too many are under way.
    pub fn write(&self, batch: Batch) {
        match batch.persistence {
            Persistence::Synced => self.synced.write(batch),
            Persistence::Derived => self.derived.write(batch),
        }
    }
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

enum Kind {
    Synced { number: u64, floor: Floor, written: Instant },
    Derived { every: Duration, dirty_since: Option<Instant> },
}

struct Writer {
    table: Table,
    room: DiskRoom,
    report: Report,
    fatal: Fatal,
    /// Whose files these are, and where damage in them is noted.
    disk: (Part, PathBuf, Option<Damage>),
    kind: Kind,
}

impl Writer {
    fn run(mut self, batches: &Receiver<Batch>) {
        if let Err(reason) = self.write_all(batches).and_then(|()| self.finish()) {
            let (part, data_dir, damage) = &self.disk;
            // A database whose tables cannot be merged any more stops without a word of why.
            if self.table.stopped_itself()
                && let (Some(damage), Some(what)) = (damage, manifest::damaged_file(&data_dir.join(part.name())))
            {
                damage.found(*part, &what);
            }
            (self.fatal)(format!("the database `{}` cannot be written: {reason}", self.table.name));
        }
    }

    /// Until the queue's other end is gone.
    fn write_all(&mut self, batches: &Receiver<Batch>) -> Result<(), String> {
        loop {
            let first = match self.wait() {
                None => batches.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(wait) => batches.recv_timeout(wait),
            };
            match first {
                Ok(first) => self.write_group(first, batches)?,
                Err(RecvTimeoutError::Timeout) => self.idle()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn write_group(&mut self, first: Batch, batches: &Receiver<Batch>) -> Result<(), String> {
        if let Kind::Derived { .. } = &self.kind {
            // Nobody waits for these rows, the core reads them from its overlay; a thread woken for every batch is what
            // they would cost most.
            std::thread::sleep(DERIVED_GATHER);
        }
        let mut group = Group::default();
        group.add(first);
        while group.bytes < GROUP_BYTES_MAX
            && let Ok(next) = batches.try_recv()
        {
            group.add(next);
        }
        if !self.room.wait_for(group.bytes) {
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
        if let Kind::Synced { number, .. } = &mut self.kind {
            *number += 1;
            batch.insert(&self.table.keyspace, NUMBER_KEY, row::seal(NUMBER_KEY, &number.to_be_bytes()));
            let unsynced = mutants::is(Mutant::StoreAnswersBeforeSync);
            batch = batch.durability(Some(if unsynced { PersistMode::Buffer } else { PersistMode::SyncData }));
        }
        batch.commit().map_err(|error| error.to_string())?;
        histogram!("trine_fsync_seconds", "database" => self.table.name).record(started.elapsed());
        histogram!("trine_commit_batches", "database" => self.table.name).record(group.batches as f64);
        (self.report)(group.last);
        self.idle()
    }

    /// How long to wait for a batch before there is something else to do.
    fn wait(&self) -> Option<Duration> {
        match &self.kind {
            Kind::Synced { .. } => None,
            Kind::Derived { every, dirty_since } => dirty_since.map(|since| every.saturating_sub(since.elapsed())),
        }
    }

    /// What is due now and then.
    fn idle(&mut self) -> Result<(), String> {
        match &mut self.kind {
            Kind::Synced { number, floor, written } => {
                if written.elapsed() >= FLOOR_INTERVAL {
                    write_floor(floor, *number)?;
                    *written = Instant::now();
                }
            }
            Kind::Derived { every, dirty_since } => {
                let since = *dirty_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= *every {
                    self.table.database.persist(PersistMode::SyncData).map_err(|error| error.to_string())?;
                    *dirty_since = None;
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), String> {
        self.table.database.persist(PersistMode::SyncAll).map_err(|error| error.to_string())?;
        match &self.kind {
            Kind::Synced { number, floor, .. } if *number > 0 => write_floor(floor, *number),
            _ => Ok(()),
        }
    }
}

/// A floor that lags is safe: without room for it on a full disk, or a descriptor to write it with, the old one stands.
fn write_floor(floor: &Floor, number: u64) -> Result<(), String> {
    match floor.write(number) {
        Err(error) if exhausted(&error) => {
            tracing::warn!(%error, "the floor is written later");
            Ok(())
        }
        Err(error) if error.kind() != std::io::ErrorKind::StorageFull => Err(format!("the floor: {error}")),
        _ => Ok(()),
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
