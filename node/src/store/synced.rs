//! The committer of synced rows: one thread that makes many small batches into one group of the journal and one sync.
//!
//! The order is the safety argument: take what is queued; wait for room on the disk; write it to the journal as one group;
//! sync; lay the rows over the table; only then report the last batch's number. Another thread puts what has gathered into
//! the table, as tables of its own that are synced before they count, and only then are the journal's files removed that
//! hold nothing else, at the latest when the node stops. An error of the disk on the way is the end of the process, because
//! after a failed sync nobody knows what is on the disk, and a second try may say yes to what is gone. Nothing was reported,
//! so nothing was promised.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use metrics::histogram;
use trine_journal::appender::{Closing as _, Sizes, Stop};
use trine_journal::disk::FileSystem;
use trine_journal::groups::{GroupSizes, Groups};
use trine_journal::limits::GROUP_PART_BYTES_MAX;
use trine_journal::rows::{self as group, Encoder};
use trine_journal::{LogError, passing};
use trine_replica::input::BatchId;
use trine_replica::{Batch, StoreError};

use super::committer::{Fatal, Report};
use super::damage::{Damage, Part};
use super::disk::DiskRoom;
use super::floor::{Floor, NUMBER_KEY};
use super::limits::{
    BATCHES_WAITING_MAX, DISK_INTERVAL, FLOOR_INTERVAL, GROUP_BYTES_MAX, JOURNAL_FILE_BYTES, JOURNAL_ROOM_BYTES,
    MERGE_PAUSE, UNMERGED_TABLES_MAX,
};
use super::manifest;
use super::row;
use super::rows::{Table, goes_over};
use super::unflushed::{Gathered, Unflushed};
use crate::mutants::{self, Mutant};

/// The directory of the journal, in a data directory.
pub(super) const JOURNAL: &str = "journal";

/// The synced rows: a table, and over it those of the journal that are not in it yet.
#[derive(Clone)]
pub(super) struct Synced {
    pub(super) table: Table,
    unflushed: Unflushed,
    /// Until a committer has taken it.
    journal: Arc<Mutex<Option<Groups<FileSystem>>>>,
}

impl Synced {
    /// Reads the journal of a directory over a table that has all up to the group `number`.
    ///
    /// # Errors
    /// [`LogError`]: damage, fewer groups than were acknowledged, a disk that does not answer.
    pub(super) fn over(table: Table, directory: &Path, floor: Option<u64>, number: u64) -> Result<Self, LogError> {
        let unflushed = Unflushed::default();
        // Zeros are made where as much is left: the committer's own look at the disk comes before.
        let reserve_bytes = JOURNAL_ROOM_BYTES as u64;
        let files = Sizes { segment_bytes: JOURNAL_FILE_BYTES, reserve_bytes, room_bytes: JOURNAL_ROOM_BYTES };
        let sizes = GroupSizes { files, part_bytes: GROUP_PART_BYTES_MAX };
        let replay = |number, bytes: Bytes| {
            unflushed.replay(number, group::decode(&bytes)?);
            Ok(())
        };
        let groups = Groups::open(FileSystem, directory, sizes, (floor, number), replay)?;
        Ok(Self { table, unflushed, journal: Arc::new(Mutex::new(Some(groups))) })
    }

    /// The number of the last group.
    pub(super) fn last(&self) -> u64 {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, Groups::last)
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.unflushed.get(key).map_or_else(|| self.table.get(key), Ok)
    }

    pub(super) fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let table = |from: &[u8], to: &[u8], limit| self.table.scan(from, to, limit, reverse);
        self.unflushed.scan(table, (from, to), limit, reverse)
    }
}

/// The two threads.
pub(super) struct SyncedCommitter {
    queue: Option<SyncSender<Batch>>,
    writer: Option<JoinHandle<Option<Groups<FileSystem>>>>,
    flusher: Option<JoinHandle<()>>,
    unflushed: Unflushed,
}

impl SyncedCommitter {
    pub(super) fn start(
        synced: &Synced,
        data_dir: &Path,
        damage: Option<&Damage>,
        room: &DiskRoom,
        report: Report,
        fatal: Fatal,
    ) -> std::io::Result<Self> {
        let journal = synced.journal.lock().unwrap_or_else(PoisonError::into_inner).take();
        let journal = journal.ok_or_else(|| std::io::Error::other("the journal has a committer already"))?;
        let fatal: Arc<dyn Fn(String) + Send + Sync> = {
            let fatal = Mutex::new(fatal);
            Arc::new(move |reason| fatal.lock().unwrap_or_else(PoisonError::into_inner)(reason))
        };
        let (queue, batches) = sync_channel(BATCHES_WAITING_MAX);
        let merging = Merging {
            table: synced.table.clone(),
            directory: data_dir.join(Part::Synced.name()),
            damage: damage.cloned(),
        };
        let writer = Writer {
            floor: (Floor::new(data_dir), 0, Instant::now()),
            journal,
            merging: merging.clone(),
            unflushed: synced.unflushed.clone(),
            room: room.clone(),
            report,
            fatal: Arc::clone(&fatal),
        };
        let flusher = Flusher { merging, unflushed: synced.unflushed.clone(), room: room.clone(), fatal };
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let writer = named("trine-synced").spawn(move || writer.run(&batches))?;
        let flusher = named("trine-flush").spawn(move || flusher.run())?;
        let unflushed = synced.unflushed.clone();
        Ok(Self { queue: Some(queue), writer: Some(writer), flusher: Some(flusher), unflushed })
    }

    pub(super) fn write(&self, batch: Batch) {
        // The thread ends early only on a fatal error, of which the process is being told.
        let _ = self.queue.as_ref().map(|queue| queue.send(batch));
    }
}

/// Writes what is queued and puts all of it into the table, then ends.
impl Drop for SyncedCommitter {
    fn drop(&mut self) {
        self.queue = None;
        let journal = self.writer.take().and_then(|writer| writer.join().ok().flatten());
        self.unflushed.close();
        let _ = self.flusher.take().map(JoinHandle::join);
        if let Some(mut journal) = journal {
            // What is not removed, or not cut, a start reads once more.
            let _ = journal.forget(self.unflushed.kept()).and_then(|()| journal.close());
        }
    }
}

/// The table, and whether its database still merges tables.
#[derive(Clone)]
struct Merging {
    table: Table,
    directory: PathBuf,
    damage: Option<Damage>,
}

impl Merging {
    /// A database whose tables cannot be merged any more stops without a word of why; damage, if it is that, is noted.
    fn goes_on(&self) -> Result<(), String> {
        if !self.table.stopped_itself() {
            return Ok(());
        }
        if let (Some(damage), Some(what)) = (&self.damage, manifest::damaged_file(&self.directory)) {
            damage.found(Part::Synced, &what);
        }
        Err("its tables cannot be merged".to_owned())
    }
}

struct Writer {
    journal: Groups<FileSystem>,
    merging: Merging,
    unflushed: Unflushed,
    room: DiskRoom,
    report: Report,
    fatal: Arc<dyn Fn(String) + Send + Sync>,
    /// Its file, the number that stands there at least, and when it was looked at.
    floor: (Floor, u64, Instant),
}

impl Writer {
    /// Writes until no more batches come; returns the journal when all is well.
    fn run(mut self, batches: &Receiver<Batch>) -> Option<Groups<FileSystem>> {
        match self.write_all(batches).and_then(|()| self.look_after(Duration::ZERO)) {
            Ok(()) => Some(self.journal),
            Err(reason) => {
                (self.fatal)(format!("the journal cannot be written: {reason}"));
                None
            }
        }
    }

    /// Until the queue's other end is gone.
    fn write_all(&mut self, batches: &Receiver<Batch>) -> Result<(), String> {
        loop {
            match batches.recv_timeout(FLOOR_INTERVAL) {
                Ok(first) => {
                    if !self.write_group(first, batches)? {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.look_after(FLOOR_INTERVAL)?;
        }
    }

    /// Writes what is queued as one group; false when the node stops and the disk has no room for it.
    fn write_group(&mut self, first: Batch, batches: &Receiver<Batch>) -> Result<bool, String> {
        let (mut rows, mut encoder, mut count) = (Vec::new(), Encoder::default(), 0.0);
        let mut last: BatchId = 0;
        let mut next = Some(first);
        while let Some(batch) = next {
            (last, count) = (batch.id, count + 1.0);
            for (key, value) in &batch.rows {
                encoder.add(key, value.as_deref());
            }
            rows.extend(batch.rows);
            next = if encoder.bytes() < GROUP_BYTES_MAX { batches.try_recv().ok() } else { None };
        }
        if !self.room.wait_for(encoder.bytes()) {
            return Ok(false);
        }
        let started = Instant::now();
        let number = match self.journal.write(&encoder.finish(), &self.room) {
            Ok(number) => number,
            Err(Stop::Closed) => return Ok(false),
            Err(Stop::Failed(error)) => return Err(error.to_string()),
        };
        histogram!("trine_fsync_seconds", "database" => "synced").record(started.elapsed());
        histogram!("trine_commit_batches", "database" => "synced").record(count);
        if !self.unflushed.add(number, rows) {
            return Ok(false);
        }
        (self.report)(last);
        Ok(true)
    }

    /// What is due now and then: the floor, files that are not needed any more, a table that nobody merges any more.
    fn look_after(&mut self, interval: Duration) -> Result<(), String> {
        let (floor, written, looked) = &mut self.floor;
        if looked.elapsed() < interval {
            return Ok(());
        }
        *looked = Instant::now();
        let number = self.journal.last();
        if *written < number && write_floor(floor, number)? {
            *written = number;
        }
        let early = mutants::is(Mutant::JournalForgottenEarly);
        match self.journal.forget(if early { number } else { self.unflushed.kept() }) {
            Err(error) if error.is_full() => tracing::warn!(%error, "files of the journal are removed later"),
            forgotten => forgotten.map_err(|error| error.to_string())?,
        }
        self.merging.goes_on()
    }
}

/// Writes the floor; false: later. One that lags is safe: without room for it on a full disk, or a descriptor to write it
/// with, the old one stands.
fn write_floor(floor: &Floor, number: u64) -> Result<bool, String> {
    match floor.write(number) {
        Err(error) if passing::passes(&error) => {
            tracing::warn!(%error, "the floor is written later");
            Ok(false)
        }
        written => written.map(|()| true).map_err(|error| format!("the floor: {error}")),
    }
}

struct Flusher {
    merging: Merging,
    unflushed: Unflushed,
    room: DiskRoom,
    fatal: Arc<dyn Fn(String) + Send + Sync>,
}

/// Nobody waits for it any more, however it ended.
impl Drop for Flusher {
    fn drop(&mut self) {
        self.unflushed.fail();
        if std::thread::panicking() {
            (self.fatal)("putting rows into their table panicked".to_owned());
        }
    }
}

impl Flusher {
    fn run(self) {
        while let Some(aside) = self.unflushed.take() {
            let started = Instant::now();
            match self.put(&aside) {
                Ok(true) => self.unflushed.flushed(),
                // The node stops, and a start reads the journal.
                Ok(false) => return,
                Err(reason) => {
                    return (self.fatal)(format!("the database `{}` cannot be written: {reason}", self.table().name));
                }
            }
            histogram!("trine_flush_seconds").record(started.elapsed());
        }
    }

    /// Puts rows into the table, waiting while the disk is full; false: it is full, and the node stops.
    fn put(&self, aside: &Gathered) -> Result<bool, String> {
        while self.table().keyspace.l0_table_count() >= UNMERGED_TABLES_MAX {
            self.merging.goes_on()?;
            if self.room.wait_closed(MERGE_PAUSE) {
                break;
            }
        }
        // What little room is left is the journal's, whose writers wait for less; and each try that fails takes some.
        while self.room.wait_for(aside.bytes()) {
            match self.ingest(aside) {
                Err(error) if goes_over(&error) => {
                    tracing::warn!(%error, "rows are put into their table later");
                    if self.room.wait_closed(DISK_INTERVAL) {
                        break;
                    }
                }
                Err(error) => {
                    self.merging.goes_on()?;
                    return Err(error.to_string());
                }
                Ok(()) => return Ok(true),
            }
        }
        Ok(false)
    }

    fn table(&self) -> &Table {
        &self.merging.table
    }

    fn ingest(&self, aside: &Gathered) -> Result<(), fjall::Error> {
        let mut ingestion = self.table().keyspace.start_ingestion()?;
        for (key, value) in &aside.rows {
            match value {
                Some(value) => ingestion.write(key.clone(), row::seal(key, value))?,
                None => ingestion.write_tombstone(key.clone())?,
            }
        }
        ingestion.write(NUMBER_KEY, row::seal(NUMBER_KEY, &aside.upto.to_be_bytes()))?;
        ingestion.finish()
    }
}
