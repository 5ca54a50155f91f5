//! The log as openraft sees it.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use futures::Stream;
use openraft::errors::LeaderChanged;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use tokio::sync::{oneshot, watch};
use trine_journal::LogError;
use trine_journal::appender::{Appender, Sizes};
use trine_journal::disk::{Disk, FileSystem};
use trine_journal::queue::Queue;
use trine_journal::recover::{Recovered, recover, segments};

use super::job::Job;
use super::origin::Origin;
use super::reader::LogReader;
use super::recent::Recent;
use super::shared::{Inner, Shared};
use super::state::State;
use super::writer::Writer;
use crate::config::{Fatal, LogConfig};
use crate::limits::LOG_CHUNK_BYTES;
use crate::types::{self, Entry, Leader, LogId, TypeConfig, Types, Vote};

/// An open log. Clones share it; the files close when [`LogStore::close`] has been called.
pub struct LogStore<D: Disk = FileSystem, C: Types = TypeConfig> {
    shared: Arc<Shared<D>>,
    queue: Arc<Queue<Job<C>>>,
    running: Arc<Running<C>>,
}

impl<D: Disk, C: Types> Clone for LogStore<D, C> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), queue: self.queue.clone(), running: self.running.clone() }
    }
}

/// The writer; it ends with the last handle, at the latest.
struct Running<C: Types> {
    queue: Arc<Queue<Job<C>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<C: Types> Drop for Running<C> {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl LogStore {
    /// Opens the log of a directory, or makes an empty one, and starts its writer.
    ///
    /// # Errors
    /// [`LogError`]: damage, a log shorter than its floor, a disk that does not answer.
    pub fn open(directory: &Path, config: LogConfig, fatal: Fatal) -> Result<Self, LogError> {
        let (log, writer) = Self::stopped(FileSystem, directory, config, fatal)?;
        let thread = std::thread::Builder::new()
            .name("raft-log".to_owned())
            .spawn(move || writer.run())
            .map_err(LogError::io("starting the writer of", directory))?;
        *log.running.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(log)
    }
}

impl<D: Disk, C: Types> LogStore<D, C> {
    /// As [`LogStore::open`] on any disk, but nothing is written until the caller makes the writer work.
    ///
    /// # Errors
    /// [`LogError`]: damage, a log shorter than its floor, a disk that does not answer.
    pub fn stopped(
        disk: D,
        directory: &Path,
        config: LogConfig,
        fatal: Fatal,
    ) -> Result<(Self, Writer<D, C>), LogError> {
        disk.create_directory(directory).map_err(LogError::io("creating", directory))?;
        let path = directory.join("lock");
        let lock = disk.lock(&path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => LogError::InUse { directory: directory.to_owned() },
            _ => LogError::io("creating", &path)(error),
        })?;
        let state = match State::load(&disk, directory)? {
            Some(state) => state,
            None if !segments(&disk, directory)?.is_empty() => {
                let reason = "the state file is missing, the log is there".to_owned();
                return Err(LogError::Damaged { file: directory.join("state"), offset: 0, reason });
            }
            None => {
                let state = State::default();
                state.store(&disk, directory)?;
                if let Some(parent) = directory.parent() {
                    disk.sync_directory(parent).map_err(LogError::io("syncing", parent))?;
                }
                state
            }
        };
        let floor = state.floor.map(|floor| floor.index);
        let mut found = recover(&disk, directory, floor, state.purged.as_ref().map(types::position))?;
        let last = found.last.map(types::log_id).max(state.purged);
        let inner = Inner {
            index: std::mem::take(&mut found.index),
            recent: Recent::new(config.cache_bytes),
            last,
            vote: state.vote,
            committed: state.committed.min(last),
            purged: state.purged,
        };
        let shared = Arc::new(Shared::new(directory.to_owned(), last, inner));
        let first = shared.read(0, 1, 0)?;
        shared.origin.send_replace(first.first().and_then(Origin::of));
        let queue = Arc::new(Queue::default());
        let next = found.last.map_or(0, |last| last.index + 1);
        let running = Running { queue: queue.clone(), thread: Mutex::new(None) };
        let (written, jobs) = (shared.clone(), queue.clone());
        let Recovered { active, room, .. } = found;
        let LogConfig { segment_bytes, reserve_bytes, room_bytes, .. } = config;
        let sizes = Sizes { segment_bytes, reserve_bytes, room_bytes };
        let (directory, full) = (directory.to_owned(), shared.full.clone());
        let appender = Appender { disk: disk.clone(), directory, active, room, sizes, full };
        let writer = Writer { disk, lock, next, shared: written, queue: jobs, appender, state, fatal };
        Ok((Self { shared, queue, running: Arc::new(running) }, writer))
    }

    /// The log as the core reads it.
    #[must_use]
    pub fn reader(&self) -> LogReader<D> {
        LogReader { shared: self.shared.clone() }
    }

    /// The last durable entry, as it rises.
    #[must_use]
    pub fn durable(&self) -> watch::Receiver<Option<LogId>> {
        self.shared.durable.subscribe()
    }

    /// Whether appends wait for room on the disk.
    #[must_use]
    pub fn full(&self) -> watch::Receiver<bool> {
        self.shared.full.subscribe()
    }

    /// Which founding the log goes back to, as it changes; none while the log holds nothing.
    #[must_use]
    pub fn origin(&self) -> watch::Receiver<Option<Origin>> {
        self.shared.origin.subscribe()
    }

    /// The last entry, durable or not.
    #[must_use]
    pub fn last(&self) -> Option<LogId> {
        self.shared.lock().last
    }

    /// Whether this node has neither log nor vote: it never took part in the group.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let inner = self.shared.lock();
        inner.last.is_none() && inner.purged.is_none() && inner.vote.is_none()
    }

    /// The durable vote.
    #[must_use]
    pub fn vote(&self) -> Option<Vote> {
        self.shared.lock().vote
    }

    /// Takes no more writes, finishes those that wait (unless the disk is full), and ends the writer. Blocks.
    pub fn close(&self) {
        self.queue.close();
        let thread = self.running.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the log's writer panicked");
        }
    }

    /// Entries of a range, whatever Raft regards as purged.
    pub fn entries(&self, range: Range<u64>) -> impl Stream<Item = io::Result<Entry>> + Send + Unpin + use<D, C> {
        let first = self.shared.lock().index.first().unwrap_or(0);
        chunks(self.clone(), range.start.max(first), range.end)
    }

    /// Waits until everything up to `id` is on this disk.
    ///
    /// # Errors
    /// When the log closed.
    pub async fn wait_durable(&self, id: LogId) -> io::Result<()> {
        if self.last().is_none_or(|last| last.index < id.index) {
            // It came with a snapshot of which the log holds nothing.
            return Ok(());
        }
        let mut durable = self.durable();
        let reached = durable.wait_for(|durable| durable.is_some_and(|durable| durable.index >= id.index));
        tokio::select! {
            biased;
            reached = reached => reached.map(|_| ()).map_err(io::Error::other),
            () = self.queue.closed() => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the log is closed")),
        }
    }

    /// Puts an entry of a received prefix into its place. Where it stands already it is passed over; where another one
    /// stands, that was never committed, and goes with all that follow it.
    ///
    /// # Errors
    /// When the log closed, or what is there cannot be read.
    pub async fn restore(&self, entry: &Entry) -> io::Result<()> {
        let index = entry.log_id.index;
        if self.last().is_some_and(|last| index <= last.index) {
            let here = self.read(index, index + 1, 0).await?;
            if here.first().is_some_and(|here| here.log_id == entry.log_id) {
                return Ok(());
            }
            self.job(|done| Job::Truncate(index, done)).await?;
        }
        self.clone().append([entry.clone()], IOFlushed::noop()).await
    }

    async fn job(&self, job: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Job<C>) -> io::Result<()> {
        let (done, finished) = oneshot::channel();
        self.queue.push(job(done)).await?;
        finished.await.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::BrokenPipe, "the log is closed")))
    }

    async fn read(&self, from: u64, to: u64, bytes_max: usize) -> io::Result<Vec<Entry>> {
        if from >= to || !D::BLOCKS || self.shared.in_memory(from, to) {
            return Ok(self.shared.read(from, to, bytes_max)?);
        }
        let shared = self.shared.clone();
        let read = tokio::task::spawn_blocking(move || shared.read(from, to, bytes_max));
        Ok(read.await.map_err(io::Error::other)??)
    }
}

impl<D: Disk, C: Types> RaftLogReader<C> for LogStore<D, C> {
    async fn try_get_log_entries<R>(&mut self, range: R) -> io::Result<Vec<Entry>>
    where
        R: RangeBounds<u64> + Clone + Debug + Send,
    {
        let (from, to) = self.bounds(&range);
        self.read(from, to, usize::MAX).await
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.vote())
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let (from, to) = self.bounds(&(start..end));
        self.read(from, to, LOG_CHUNK_BYTES).await
    }

    async fn entries_stream<R>(&mut self, range: R) -> impl Stream<Item = io::Result<Entry>> + Send
    where
        R: RangeBounds<u64> + Clone + Debug + Send,
    {
        let (from, to) = self.bounds(&range);
        chunks(self.clone(), from, to)
    }

    async fn leader_bounded_stream<R>(
        &mut self,
        leader: Leader,
        range: R,
    ) -> impl Stream<Item = Result<Entry, openraft::storage::LeaderBoundedStreamError<C>>> + Send
    where
        R: RangeBounds<u64> + Clone + Debug + Send,
    {
        use futures::{StreamExt as _, TryStreamExt as _};
        let (from, to) = self.bounds(&range);
        let store = self.clone();
        let led = move || {
            let vote = store.vote();
            match &vote {
                Some(held) if *held.leader_id() == leader && held.is_committed() => Ok(()),
                _ => Err(LeaderChanged::new(leader, vote)),
            }
        };
        let first = futures::stream::iter(led().err().map(|changed| Err(changed.into())));
        let go = led().is_ok();
        let entries = chunks(self.clone(), from, if go { to } else { from })
            .map_err(Into::into)
            .map(move |item| item.and_then(|entry| led().map(|()| entry).map_err(Into::into)));
        first.chain(entries)
    }
}

/// The entries of a range, read chunk by chunk, to the end of the range or of the log.
fn chunks<D: Disk, C: Types>(
    store: LogStore<D, C>,
    from: u64,
    to: u64,
) -> impl Stream<Item = io::Result<Entry>> + Send + Unpin {
    use futures::{StreamExt as _, TryStreamExt as _};
    let steps = futures::stream::try_unfold((store, from), move |(store, next)| async move {
        let found = if next < to { store.read(next, to, LOG_CHUNK_BYTES).await? } else { Vec::new() };
        let after = found.last().map(|entry| entry.log_id.index + 1);
        Ok::<_, io::Error>(after.map(|after| (futures::stream::iter(found.into_iter().map(Ok)), (store, after))))
    });
    steps.try_flatten().boxed()
}

impl<D: Disk, C: Types> LogStore<D, C> {
    fn bounds(&self, range: &impl RangeBounds<u64>) -> (u64, u64) {
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = self.last().map_or(0, |last| last.index + 1);
        let to = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(to) => *to,
            Bound::Unbounded => end,
        };
        // A range that starts before the first entry of the log has nothing there.
        let first = self.shared.lock().first();
        (from.max(first.unwrap_or(from)), to.min(end))
    }
}

impl<D: Disk, C: Types> RaftLogStorage<C> for LogStore<D, C> {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<C>> {
        let inner = self.shared.lock();
        Ok(LogState { last_purged_log_id: inner.purged, last_log_id: inner.last.max(inner.purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.job(|done| Job::Vote(*vote, done)).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        // Written with the floor; losing a little of it only means applying a little later after a restart.
        self.shared.lock().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.shared.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<C>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        if let Some(origin) = entries.first().and_then(Origin::of) {
            self.shared.origin.send_replace(Some(origin));
        }
        {
            let mut inner = self.shared.lock();
            for entry in &entries {
                inner.recent.push(entry.clone());
            }
            if let Some(entry) = entries.last() {
                inner.last = Some(entry.log_id);
            }
        }
        self.queue.push(Job::Append(entries, callback)).await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |last| last.index + 1);
        if self.last().is_none_or(|last| last.index < from) {
            return Ok(());
        }
        self.job(|done| Job::Truncate(from, done)).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        // The entries stay, so there is nothing to keep: after a restart Raft may see them again, and needs to when the
        // core lost what it had derived from them. Only of a log that lacks them it must be known.
        if self.last().is_none_or(|last| last.index < upto.index) {
            self.job(|done| Job::Purge(upto, done)).await?;
        }
        let mut inner = self.shared.lock();
        inner.purged = inner.purged.max(Some(upto));
        inner.last = inner.last.max(Some(upto));
        Ok(())
    }
}
