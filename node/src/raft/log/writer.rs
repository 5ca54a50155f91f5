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
//! 5. A write that finds the disk full waits and starts again at the same place. After any other error, and any error
//!    of a sync, nobody knows what the disk holds: the process is told to end, and nothing is promised any more.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openraft::storage::IOFlushed;
use trine_ledger::LogPosition;
use trine_ledger::frame::{FILE_HEADER_BYTES, FileHeader, Frame, FrameKind};

use trine_crdt::NodeId;

use crate::mutants::{self, Mutant};

use super::convert;
use super::error::LogError;
use super::index::SegmentFile;
use super::queue::{Job, Next, Queue};
use super::recover::segment_path;
use super::shared::Shared;
use super::state::{State, sync_directory};
use crate::raft::config::{Fatal, LogConfig};
use crate::raft::types::{Entry, LogId, TypeConfig};

/// Bytes written before one sync.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Zeros written ahead of the frames at a time.
const ROOM_BYTES: usize = 512 * 1024;
/// How often a full disk is looked at again.
const FULL_RETRY: Duration = Duration::from_millis(250);
/// Silence after which the floor is written.
const FLOOR_IDLE: Duration = Duration::from_millis(100);
/// The longest that the floor lags behind while entries keep coming.
const FLOOR_LAG: Duration = Duration::from_secs(1);

/// The writer's own state.
pub struct Writer {
    /// What readers see.
    pub shared: Arc<Shared>,
    /// Its jobs.
    pub queue: Arc<Queue>,
    /// The index after the last written entry.
    pub next: u64,
    /// The file appended to, its number, its length.
    pub active: Option<(Arc<SegmentFile>, u64, u64)>,
    /// Where the zeros behind the active file's frames end.
    pub room: u64,
    /// What the state file holds.
    pub state: State,
    /// Sizes.
    pub config: LogConfig,
    /// Told when the process must end.
    pub fatal: Fatal,
}

#[derive(Default)]
struct Group {
    entries: Vec<Entry>,
    callbacks: Vec<IOFlushed<TypeConfig>>,
    bytes: usize,
}

impl Writer {
    /// Works until the queue closes.
    pub fn run(mut self) {
        let mut floor_written = Instant::now();
        loop {
            let jobs = match self.queue.take(FLOOR_IDLE) {
                Next::Jobs(jobs) => jobs,
                Next::Idle => Vec::new(),
                Next::Closed => break,
            };
            let idle = jobs.is_empty();
            if let Err(error) = self.work(jobs) {
                return self.fail(&error);
            }
            if idle || floor_written.elapsed() >= FLOOR_LAG {
                if let Err(error) = self.write_floor() {
                    return self.fail(&error);
                }
                floor_written = Instant::now();
            }
        }
        if let Err(error) = self.write_floor().and_then(|()| self.cut()) {
            self.fail(&error);
        }
    }

    fn work(&mut self, jobs: Vec<(Job, tokio::sync::OwnedSemaphorePermit)>) -> Result<(), LogError> {
        let mut group = Group::default();
        // Permits are held until the jobs are done: they are what bounds the queue.
        for (job, _permit) in jobs {
            match job {
                Job::Append(entries, callback) => {
                    group.bytes += entries.iter().map(super::recent::weight).sum::<usize>();
                    group.entries.extend(entries);
                    group.callbacks.push(callback);
                    if group.bytes >= GROUP_BYTES_MAX {
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
                    // Not stored is not promised: whoever asked sees a closed channel.
                    if self.store_state()? {
                        self.shared.lock().vote = Some(vote);
                        let _ = done.send(Ok(()));
                    }
                }
                Job::Purge(upto, done) => {
                    self.commit(std::mem::take(&mut group))?;
                    self.state.purged = Some(upto);
                    if self.store_state()? {
                        let _ = done.send(Ok(()));
                    }
                }
            }
        }
        self.commit(group)
    }

    fn commit(&mut self, group: Group) -> Result<(), LogError> {
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
        if !self.write(&file, start, &bytes)? {
            return Ok(());
        }
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

    fn truncate(&mut self, from: u64) -> Result<(), LogError> {
        let kept = self.shared.lock().kept(from)?;
        if self.state.floor > kept {
            self.state.floor = kept;
            if !self.store_state()? {
                return Ok(());
            }
        }
        let next = self.next;
        let (file, start) = self.segment(next)?;
        let leader = self.state.vote.map(|vote| vote.leader_id).unwrap_or_default();
        let position = LogPosition { term: leader.term, leader: NodeId(leader.node), index: from };
        let marker = Frame { kind: FrameKind::Truncate, position, synced: start, payload: &[] };
        let mut bytes = Vec::new();
        file.header.write_frame(&marker, &mut bytes).expect("no payload is within bounds");
        if !self.write(&file, start, &bytes)? {
            return Ok(());
        }
        {
            let mut inner = self.shared.lock();
            inner.index.truncate(from);
            inner.recent.truncate(from);
            inner.last = kept;
        }
        self.next = from;
        self.shared.durable.send_replace(kept);
        Ok(())
    }

    /// Writes at the end of the active file and syncs; false when the log closed while the disk was full.
    fn write(&mut self, file: &Arc<SegmentFile>, start: u64, bytes: &[u8]) -> Result<bool, LogError> {
        loop {
            let result = if self.has_room(bytes.len()) {
                self.make_room(file, start + bytes.len() as u64);
                file.file.write_all_at(bytes, start)
            } else {
                Err(io::ErrorKind::StorageFull.into())
            };
            match result {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    if !self.shared.full.send_replace(true) {
                        tracing::error!(directory = %self.shared.directory.display(), "the disk is full: appends wait for room");
                    }
                    if self.queue.wait_closed(FULL_RETRY) {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(LogError::Io { what: "writing", file: file.path.clone(), error }),
            }
        }
        if self.shared.full.send_replace(false) {
            tracing::info!(directory = %self.shared.directory.display(), "the disk has room again");
        }
        let began = Instant::now();
        if !mutants::is(Mutant::LogAnswersBeforeSync) {
            let synced = file.file.sync_data().map_err(LogError::io("syncing", &file.path));
            synced.or_else(|error| if mutants::is(Mutant::SyncErrorIgnored) { Ok(()) } else { Err(error) })?;
        }
        metrics::histogram!("trine_fsync_seconds").record(began.elapsed());
        if let Some((_, _, length)) = &mut self.active {
            *length = start + bytes.len() as u64;
        }
        Ok(true)
    }

    /// Writes zeros behind what is about to be written, when what there is does not suffice. Without room on the disk
    /// it goes without: the write itself will tell.
    fn make_room(&mut self, file: &Arc<SegmentFile>, end: u64) {
        static ZEROS: [u8; ROOM_BYTES] = [0; ROOM_BYTES];
        if end > self.room && self.has_room(2 * ROOM_BYTES) && file.file.write_all_at(&ZEROS, end).is_ok() {
            self.room = end + ROOM_BYTES as u64;
        }
    }

    /// Cuts the zeros behind the active file's frames off.
    fn cut(&mut self) -> Result<(), LogError> {
        let Some((file, _, length)) = &self.active else { return Ok(()) };
        if self.room > *length {
            let cut = || file.file.set_len(*length).and_then(|()| file.file.sync_all());
            cut().map_err(LogError::io("cutting", &file.path))?;
        }
        self.room = *length;
        Ok(())
    }

    /// The file to append `first` to and its length; a new one when the last has grown to its size, or when `first`
    /// does not follow what it holds.
    fn segment(&mut self, first: u64) -> Result<(Arc<SegmentFile>, u64), LogError> {
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
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
            file.write_all_at(&header.to_bytes(), 0)?;
            file.sync_all()?;
            sync_directory(&self.shared.directory)?;
            Ok::<_, io::Error>(file)
        };
        let file = loop {
            match create() {
                Ok(file) => break file,
                Err(error) if error.kind() == io::ErrorKind::StorageFull && !self.queue.wait_closed(FULL_RETRY) => {}
                Err(error) => return Err(LogError::Io { what: "creating", file: path, error }),
            }
        };
        let segment = Arc::new(SegmentFile { path, file, header });
        self.active = Some((segment.clone(), number, FILE_HEADER_BYTES as u64));
        self.room = FILE_HEADER_BYTES as u64;
        Ok((segment, FILE_HEADER_BYTES as u64))
    }

    fn has_room(&self, bytes: usize) -> bool {
        if self.config.reserve_bytes == 0 {
            return true;
        }
        match nix::sys::statvfs::statvfs(&self.shared.directory) {
            Ok(disk) => {
                let free = disk.blocks_available().saturating_mul(disk.fragment_size());
                free >= self.config.reserve_bytes.saturating_add(bytes as u64)
            }
            // Not knowing is no reason to stop: the write itself will tell.
            Err(_) => true,
        }
    }

    fn write_floor(&mut self) -> Result<(), LogError> {
        let floor: Option<LogId> = *self.shared.durable.borrow();
        let committed = self.shared.lock().committed;
        if self.state.floor == floor && self.state.committed == committed {
            return Ok(());
        }
        let next = State { floor, committed, ..self.state.clone() };
        let before = std::mem::replace(&mut self.state, next);
        match self.state.store(&self.shared.directory) {
            // A floor that lags is safe; without room for it, the old one stands.
            Err(error) if error.is_full() => {
                self.state = before;
                Ok(())
            }
            stored => stored,
        }
    }

    /// Stores the state, waiting while the disk is full; false when the log closed meanwhile.
    fn store_state(&mut self) -> Result<bool, LogError> {
        self.state.committed = self.shared.lock().committed;
        loop {
            match self.state.store(&self.shared.directory) {
                Err(error) if error.is_full() => {
                    if self.queue.wait_closed(FULL_RETRY) {
                        return Ok(false);
                    }
                }
                stored => return stored.map(|()| true),
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
