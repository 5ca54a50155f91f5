//! The log as openraft sees it.

use std::fmt::Debug;
use std::fs;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use futures::Stream;
use openraft::errors::LeaderChanged;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use tokio::sync::{oneshot, watch};

use super::error::LogError;
use super::queue::{Job, Queue};
use super::reader::LogReader;
use super::recent::Recent;
use super::recover::{Recovered, recover};
use super::shared::{Inner, Shared};
use super::state::{State, sync_directory};
use super::writer::Writer;
use crate::raft::config::{Fatal, LogConfig};
use crate::raft::types::{Entry, Leader, LogId, TypeConfig, Vote};

/// Bytes of entries in one answer to a reader that goes on by itself.
const CHUNK_BYTES: usize = 1024 * 1024;

/// An open log. Clones share it; the files close when [`LogStore::close`] has been called.
#[derive(Clone)]
pub struct LogStore {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    thread: Arc<Running>,
}

/// The writer; it ends with the last handle, at the latest.
struct Running {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl LogStore {
    /// Opens the log of a directory, or makes an empty one.
    ///
    /// # Errors
    /// [`LogError`]: damage, a log shorter than its floor, a disk that does not answer.
    pub fn open(directory: &Path, config: LogConfig, fatal: Fatal) -> Result<Self, LogError> {
        fs::create_dir_all(directory).map_err(LogError::io("creating", directory))?;
        let path = directory.join("lock");
        let lock = fs::File::create(&path).map_err(LogError::io("creating", &path))?;
        lock.try_lock().map_err(|_| LogError::InUse { directory: directory.to_owned() })?;
        let state = match State::load(directory)? {
            Some(state) => state,
            None if super::recover::segment_path(directory, 0).exists() => {
                let reason = "the state file is missing, the log is there".to_owned();
                return Err(LogError::Damaged { file: directory.join("state"), offset: 0, reason });
            }
            None => {
                let state = State::default();
                state.store(directory)?;
                if let Some(parent) = directory.parent() {
                    sync_directory(parent).map_err(LogError::io("syncing", parent))?;
                }
                state
            }
        };
        let mut found = recover(directory, &state)?;
        let last = found.last.max(state.purged);
        let inner = Inner {
            index: std::mem::take(&mut found.index),
            recent: Recent::new(config.cache_bytes),
            last,
            vote: state.vote,
            committed: state.committed.min(last),
            purged: state.purged,
        };
        let shared = Arc::new(Shared::new(directory.to_owned(), last, inner));
        let queue = Arc::new(Queue::default());
        let next = found.last.map_or(0, |last| last.index + 1);
        let (shared_by_writer, queue_read) = (shared.clone(), queue.clone());
        let Recovered { active, room, .. } = found;
        let writer = Writer { next, shared: shared_by_writer, queue: queue_read, active, room, state, config, fatal };
        let thread = std::thread::Builder::new()
            .name("raft-log".to_owned())
            .spawn(move || {
                writer.run();
                drop(lock);
            })
            .map_err(LogError::io("starting the writer of", directory))?;
        let thread = Arc::new(Running { queue: queue.clone(), thread: Mutex::new(Some(thread)) });
        Ok(Self { shared, queue, thread })
    }

    /// The log as the core reads it.
    #[must_use]
    pub fn reader(&self) -> LogReader {
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
        let thread = self.thread.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the log's writer panicked");
        }
    }

    /// Entries from the first to before `to`, whatever Raft regards as purged.
    pub fn entries(&self, to: u64) -> impl Stream<Item = io::Result<Entry>> + Send + Unpin + use<> {
        let first = self.shared.lock().index.first().unwrap_or(0);
        chunks(self.clone(), first, to)
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
            reached = reached => reached.map(|_| ()).map_err(io::Error::other),
            () = self.queue.closed() => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the log is closed")),
        }
    }

    /// Appends an entry of a received prefix when the log ends right before it; entries that are there are passed over.
    ///
    /// # Errors
    /// When the log closed.
    pub async fn restore(&self, entry: &Entry) -> io::Result<()> {
        let next = self.last().map(|last| last.index + 1);
        if next.is_some_and(|next| entry.log_id.index < next) {
            return Ok(());
        }
        self.clone().append([entry.clone()], IOFlushed::noop()).await
    }

    async fn job(&self, job: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Job) -> io::Result<()> {
        let (done, finished) = oneshot::channel();
        self.queue.push(job(done)).await?;
        finished.await.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::BrokenPipe, "the log is closed")))
    }

    async fn read(&self, from: u64, to: u64, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let hidden = self.shared.lock().purged.map_or(0, |purged| purged.index + 1);
        let from = from.max(hidden);
        if from >= to || self.shared.in_memory(from, to) {
            return Ok(self.shared.read(from, to, bytes_max)?);
        }
        let shared = self.shared.clone();
        let read = tokio::task::spawn_blocking(move || shared.read(from, to, bytes_max));
        Ok(read.await.map_err(io::Error::other)??)
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
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
        self.read(start, end, CHUNK_BYTES).await
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
    ) -> impl Stream<Item = Result<Entry, openraft::storage::LeaderBoundedStreamError<TypeConfig>>> + Send
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
fn chunks(store: LogStore, from: u64, to: u64) -> impl Stream<Item = io::Result<Entry>> + Send + Unpin {
    use futures::{StreamExt as _, TryStreamExt as _};
    let steps = futures::stream::try_unfold((store, from), move |(store, next)| async move {
        let found = if next < to { store.read(next, to, CHUNK_BYTES).await? } else { Vec::new() };
        let after = found.last().map(|entry| entry.log_id.index + 1);
        Ok::<_, io::Error>(after.map(|after| (futures::stream::iter(found.into_iter().map(Ok)), (store, after))))
    });
    steps.try_flatten().boxed()
}

impl LogStore {
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

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
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

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
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
        self.job(|done| Job::Purge(upto, done)).await?;
        let mut inner = self.shared.lock();
        inner.purged = inner.purged.max(Some(upto));
        inner.last = inner.last.max(Some(upto));
        Ok(())
    }
}
