//! The one thread that writes a log: group commit.
//!
//! It takes whatever has queued up, writes it with one call, makes it durable with one `fdatasync`, and then answers
//! all. While it syncs, the next group gathers. The order of effects is the safety argument:
//!
//! 1. Entries are written and synced, then `durable` rises, then callbacks run. Nothing is promised before.
//! 2. A new segment is created and its name synced before anything is written to it, and only when the old one is
//!    durable; so damage in an older file can never be a torn write.
//! 3. A truncation first lowers the floor durably, then writes its marker: a crash between leaves a longer log than
//!    the floor says, never a shorter one.
//! 4. Room is made ahead of the frames, as zeros: a sync that need not change the file's length and extents as well costs
//!    half. Zeros are no frames; a file is cut to its frames before the next one is begun, and when the log closes.
//! 5. A write that finds the disk full waits and starts again at the same place, and so does a file that cannot be made for
//!    want of a descriptor. After any other error, and any error
//!    of a sync, nobody knows what the disk holds: the process is told to end, and nothing is promised any more.
//! 6. What a full disk keeps from being written until the log closes ends the writer's work: what comes behind it would
//!    leave a gap.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openraft::storage::IOFlushed;
use trine_journal::passing::passes;
use trine_ledger::LogPosition;
use trine_ledger::frame::{FILE_HEADER_BYTES, FileHeader, Frame, FrameKind};

use trine_crdt::NodeId;

use crate::mutants::{self, Mutant};

use super::convert;
use super::disk::{Disk, DiskFile as _};
use super::error::LogError;
use super::index::SegmentFile;
use super::queue::{Job, Jobs, Next, Queue};
use super::recover::segment_path;
use super::shared::Shared;
use super::state::State;
use crate::raft::config::{Fatal, LogConfig};
use crate::raft::limits::{LOG_FLOOR_IDLE, LOG_FLOOR_LAG, LOG_GROUP_BYTES_MAX};
use crate::raft::types::{Entry, LogId, Types};

/// The writer's own state.
pub struct Writer<D: Disk, C: Types> {
    /// Where it writes.
    pub disk: D,
    /// Keeps others from writing there.
    pub lock: D::Lock,
    /// What readers see.
    pub shared: Arc<Shared<D>>,
    /// Its jobs.
    pub queue: Arc<Queue<C>>,
    /// The index after the last written entry.
    pub next: u64,
    /// The file appended to, its number, its length.
    pub active: Option<(Arc<SegmentFile<D>>, u64, u64)>,
    /// Where the zeros behind the active file's frames end.
    pub room: u64,
    /// What the state file holds.
    pub state: State,
    /// Sizes.
    pub config: LogConfig,
    /// Told when the process must end.
    pub fatal: Fatal,
}

/// Whether the writer goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It does.
    Done,
    /// The log closed, or the disk failed.
    Ended,
}

/// Why the writer does not go on.
enum Stop {
    /// The log closed while the disk was full.
    Closed,
    /// The disk failed.
    Failed(LogError),
}

impl From<LogError> for Stop {
    fn from(error: LogError) -> Self {
        Self::Failed(error)
    }
}

struct Group<C: Types> {
    entries: Vec<Entry>,
    callbacks: Vec<IOFlushed<C>>,
    bytes: usize,
}

impl<C: Types> Default for Group<C> {
    fn default() -> Self {
        Self { entries: Vec::new(), callbacks: Vec::new(), bytes: 0 }
    }
}

impl<D: Disk, C: Types> Writer<D, C> {
    /// Works until the queue closes.
    pub fn run(mut self) {
        let mut floor_written = Instant::now();
        loop {
            let next = self.queue.take(LOG_FLOOR_IDLE);
            let floor_due = matches!(next, Next::Idle) || floor_written.elapsed() >= LOG_FLOOR_LAG;
            if self.turn(next, floor_due) == Turn::Ended {
                return;
            }
            if floor_due {
                floor_written = Instant::now();
            }
        }
    }

    /// Does what waits, without waiting itself: for a writer without a thread of its own.
    pub fn step(&mut self, floor_due: bool) -> Turn {
        let next = self.queue.take(Duration::ZERO);
        self.turn(next, floor_due)
    }

    fn turn(&mut self, next: Next<C>, floor_due: bool) -> Turn {
        let (jobs, closed) = match next {
            Next::Jobs(jobs) => (jobs, false),
            Next::Idle => (Vec::new(), false),
            Next::Closed => (Vec::new(), true),
        };
        let worked = match self.work(jobs) {
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::Closed) => self.finish(),
            Ok(()) if closed => self.finish(),
            Ok(()) if floor_due => self.write_floor().map(|()| Turn::Done),
            Ok(()) => Ok(Turn::Done),
        };
        worked.unwrap_or_else(|error| {
            self.fail(&error);
            Turn::Ended
        })
    }

    fn work(&mut self, jobs: Jobs<C>) -> Result<(), Stop> {
        let mut group = Group::default();
        // Permits are held until the jobs are done: they are what bounds the queue.
        for (job, _permit) in jobs {
            match job {
                Job::Append(entries, callback) => {
                    group.bytes += entries.iter().map(super::recent::weight).sum::<usize>();
                    group.entries.extend(entries);
                    group.callbacks.push(callback);
                    if group.bytes >= LOG_GROUP_BYTES_MAX {
                        self.commit(std::mem::take(&mut group))?;
                    }
                }
                Job::Truncate(from, done) => {
                    self.commit(std::mem::take(&mut group))?;
                    self.truncate(from)?;
                    let _ = done.send(Ok(()));
                }
                Job::Vote(vote, done) => {
                    self.commit(std::mem::take(&mut group))?;
                    self.state.vote = Some(vote);
                    if mutants::is(Mutant::VoteBeforeSync) {
                        self.shared.lock().vote = Some(vote);
                        let _ = done.send(Ok(()));
                        self.store_state()?;
                        continue;
                    }
                    // Not stored is not promised: whoever asked sees a closed channel.
                    self.store_state()?;
                    self.shared.lock().vote = Some(vote);
                    let _ = done.send(Ok(()));
                }
                Job::Purge(upto, done) => {
                    self.commit(std::mem::take(&mut group))?;
                    self.state.purged = Some(upto);
                    self.store_state()?;
                    let _ = done.send(Ok(()));
                }
            }
        }
        self.commit(group)
    }

    fn commit(&mut self, group: Group<C>) -> Result<(), Stop> {
        let Some(last) = group.entries.last().map(|entry| entry.log_id) else {
            group.callbacks.into_iter().for_each(|callback| callback.io_completed(Ok(())));
            return Ok(());
        };
        let first = group.entries.first().map_or(last.index, |entry| entry.log_id.index);
        let (file, start) = self.segment(first)?;
        let mut bytes = Vec::with_capacity(group.bytes);
        let mut ends = Vec::with_capacity(group.entries.len());
        for entry in &group.entries {
            convert::write_entry(&mut bytes, &file.header, entry, start);
            ends.push(bytes.len());
        }
        self.write(&file, start, &bytes)?;
        {
            let mut inner = self.shared.lock();
            let base = u32::try_from(start).expect("a segment file stays far below 4 GiB");
            let mut from = base;
            for (entry, end) in group.entries.iter().zip(ends) {
                let end = base + u32::try_from(end).expect("a group is far below 4 GiB");
                inner.index.push(&file, entry.log_id.index, from, end);
                from = end;
            }
            inner.recent.shrink(last.index + 1);
        }
        self.next = last.index + 1;
        self.shared.durable.send_replace(Some(last));
        group.callbacks.into_iter().for_each(|callback| callback.io_completed(Ok(())));
        Ok(())
    }

    fn truncate(&mut self, from: u64) -> Result<(), Stop> {
        let kept = self.shared.lock().kept(from)?;
        if self.state.floor > kept {
            self.state.floor = kept;
            self.store_state()?;
        }
        let next = self.next;
        let (file, start) = self.segment(next)?;
        let leader = self.state.vote.map(|vote| vote.leader_id).unwrap_or_default();
        let position = LogPosition { term: leader.term, leader: NodeId(leader.node), index: from };
        let marker = Frame { kind: FrameKind::Truncate, position, synced: start, payload: &[] };
        let mut bytes = Vec::new();
        file.header.write_frame(&marker, &mut bytes).expect("no payload is within bounds");
        self.write(&file, start, &bytes)?;
        {
            let mut inner = self.shared.lock();
            inner.index.truncate(from);
            inner.recent.truncate(from);
            inner.last = kept;
        }
        if from == 0 {
            self.shared.origin.send_replace(None);
        }
        self.next = from;
        self.shared.durable.send_replace(kept);
        Ok(())
    }

    /// Writes at the end of the active file and syncs.
    fn write(&mut self, file: &Arc<SegmentFile<D>>, start: u64, bytes: &[u8]) -> Result<(), Stop> {
        loop {
            let result = if self.has_room(bytes.len()) {
                self.make_room(file, start + bytes.len() as u64).and_then(|()| file.file()?.write_all_at(bytes, start))
            } else {
                Err(io::ErrorKind::StorageFull.into())
            };
            match result {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    if mutants::is(Mutant::FullDiskBelieved) {
                        break;
                    }
                    if !self.shared.full.send_replace(true) {
                        tracing::error!(directory = %self.shared.directory.display(), "the disk is full: appends wait for room");
                    }
                    if self.queue.wait_closed(D::FULL_RETRY) {
                        return Err(Stop::Closed);
                    }
                }
                Err(error) => return Err(LogError::io("writing", &file.path)(error).into()),
            }
        }
        if self.shared.full.send_replace(false) {
            tracing::info!(directory = %self.shared.directory.display(), "the disk has room again");
        }
        let began = Instant::now();
        if !mutants::is(Mutant::LogAnswersBeforeSync) {
            let synced = file.file().and_then(|file| file.sync_data()).map_err(LogError::io("syncing", &file.path));
            synced.or_else(|error| if mutants::is(Mutant::SyncErrorIgnored) { Ok(()) } else { Err(error) })?;
        }
        metrics::histogram!("trine_fsync_seconds").record(began.elapsed());
        if let Some((_, _, length)) = &mut self.active {
            *length = start + bytes.len() as u64;
        }
        Ok(())
    }

    /// Writes zeros behind what is about to be written, when what there is does not suffice. Without room on the disk
    /// it goes without: the write itself will tell.
    fn make_room(&mut self, file: &Arc<SegmentFile<D>>, end: u64) -> io::Result<()> {
        let bytes = self.config.room_bytes;
        if bytes == 0 || end <= self.room || !self.has_room(bytes.saturating_mul(2)) {
            return Ok(());
        }
        match file.file()?.write_all_at(&vec![0; bytes], end) {
            Ok(()) => self.room = end + bytes as u64,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Cuts the zeros behind the active file's frames off.
    fn cut(&mut self) -> Result<(), LogError> {
        let Some((file, _, length)) = &self.active else { return Ok(()) };
        if self.room > *length {
            let cut = || {
                let file = file.file()?;
                file.cut(*length)?;
                file.sync_all()
            };
            cut().map_err(LogError::io("cutting", &file.path))?;
        }
        self.room = *length;
        Ok(())
    }

    /// What is done at the end: a floor that covers everything, and no zeros behind the frames.
    fn finish(&mut self) -> Result<Turn, LogError> {
        self.write_floor()?;
        self.cut()?;
        Ok(Turn::Ended)
    }

    /// The file to append `first` to and its length; a new one when the last has grown to its size, or when `first`
    /// does not follow what it holds.
    fn segment(&mut self, first: u64) -> Result<(Arc<SegmentFile<D>>, u64), Stop> {
        let number = match &self.active {
            Some((file, _, length)) if *length < self.config.segment_bytes && self.next == first => {
                return Ok((file.clone(), *length));
            }
            Some((_, number, _)) => number + 1,
            None => 0,
        };
        self.cut()?;
        let path = segment_path(&self.shared.directory, number);
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).map_err(|error| LogError::Io {
            what: "drawing a salt for",
            file: path.clone(),
            error: error.into(),
        })?;
        let header = FileHeader { first, salt };
        let create = || {
            let file = self.disk.create(&path)?;
            file.write_all_at(&header.to_bytes(), 0)?;
            file.sync_all()?;
            if !mutants::is(Mutant::DirectoryUnsynced) {
                self.disk.sync_directory(&self.shared.directory)?;
            }
            Ok::<_, io::Error>(file)
        };
        let file = loop {
            match create() {
                Ok(file) => break file,
                Err(error) if passes(&error) => {
                    if self.queue.wait_closed(D::FULL_RETRY) {
                        return Err(Stop::Closed);
                    }
                }
                Err(error) => return Err(LogError::io("creating", path)(error).into()),
            }
        };
        if let Some((before, _, _)) = &self.active {
            before.close();
        }
        let segment = Arc::new(SegmentFile::new(self.disk.clone(), path, file, header));
        self.active = Some((segment.clone(), number, FILE_HEADER_BYTES as u64));
        self.room = FILE_HEADER_BYTES as u64;
        Ok((segment, FILE_HEADER_BYTES as u64))
    }

    fn has_room(&self, bytes: usize) -> bool {
        if self.config.reserve_bytes == 0 {
            return true;
        }
        let wanted = self.config.reserve_bytes.saturating_add(bytes as u64);
        // Not knowing is no reason to stop: the write itself will tell.
        self.disk.free_bytes(&self.shared.directory).map_or(true, |free| free >= wanted)
    }

    fn write_floor(&mut self) -> Result<(), LogError> {
        let floor: Option<LogId> = *self.shared.durable.borrow();
        let committed = self.shared.lock().committed;
        if self.state.floor == floor && self.state.committed == committed {
            return Ok(());
        }
        let next = State { floor, committed, ..self.state.clone() };
        let before = std::mem::replace(&mut self.state, next);
        match self.state.store(&self.disk, &self.shared.directory) {
            // A floor that lags is safe; without room for it, the old one stands.
            Err(error) if error.is_full() => {
                self.state = before;
                Ok(())
            }
            stored => stored,
        }
    }

    /// Stores the state, waiting while the disk is full.
    fn store_state(&mut self) -> Result<(), Stop> {
        self.state.committed = self.shared.lock().committed;
        loop {
            match self.state.store(&self.disk, &self.shared.directory) {
                Err(error) if error.is_full() => {
                    if self.queue.wait_closed(D::FULL_RETRY) {
                        return Err(Stop::Closed);
                    }
                }
                stored => return Ok(stored?),
            }
        }
    }

    fn fail(&self, error: &LogError) {
        // Jobs still queued are dropped with the queue: their callers see a closed channel, never a success.
        self.queue.close();
        let Next::Jobs(jobs) = self.queue.take(Duration::ZERO) else { return (self.fatal)(error.to_string()) };
        for (job, _) in jobs {
            if let Job::Append(_, callback) = job {
                callback.io_completed(Err(io::Error::other(error.to_string())));
            }
        }
        (self.fatal)(error.to_string());
    }
}
