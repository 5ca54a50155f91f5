//! The bounded queue in front of the log's writer thread.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use openraft::storage::IOFlushed;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::raft::limits::LOG_JOBS_MAX;
use crate::raft::types::{Entry, LogId, Types, Vote};

/// One thing for the writer to do.
pub enum Job<C: Types> {
    /// Write entries; call back when they are durable.
    Append(Vec<Entry>, IOFlushed<C>),
    /// Void all entries from this index on.
    Truncate(u64, oneshot::Sender<io::Result<()>>),
    /// Keep a vote.
    Vote(Vote, oneshot::Sender<io::Result<()>>),
    /// Hide entries up to here from Raft.
    Purge(LogId, oneshot::Sender<io::Result<()>>),
}

/// Jobs, in order, with the permits that bound them.
pub type Jobs<C> = Vec<(Job<C>, OwnedSemaphorePermit)>;

/// What the writer finds.
pub enum Next<C: Types> {
    /// Work.
    Jobs(Jobs<C>),
    /// Nothing came in time.
    Idle,
    /// All handles are gone and everything is done.
    Closed,
}

/// The queue; one consumer.
pub struct Queue<C: Types> {
    room: Arc<Semaphore>,
    never: Semaphore,
    state: Mutex<State<C>>,
    changed: Condvar,
}

struct State<C: Types> {
    jobs: VecDeque<(Job<C>, OwnedSemaphorePermit)>,
    closed: bool,
    waiting: Option<Waker>,
}

impl<C: Types> Default for Queue<C> {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(LOG_JOBS_MAX)),
            never: Semaphore::new(0),
            state: Mutex::new(State { jobs: VecDeque::new(), closed: false, waiting: None }),
            changed: Condvar::new(),
        }
    }
}

impl<C: Types> Queue<C> {
    /// Adds a job; waits while the queue is full. Jobs are done in the order of the calls when each call is awaited
    /// before the next, as openraft does.
    pub async fn push(&self, job: Job<C>) -> io::Result<()> {
        let closed = || io::Error::new(io::ErrorKind::BrokenPipe, "the log is closed");
        let permit = self.room.clone().acquire_owned().await.map_err(|_| closed())?;
        let mut state = self.lock();
        if state.closed {
            return Err(closed());
        }
        state.jobs.push_back((job, permit));
        self.changed.notify_one();
        state.waiting.take().into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Takes everything that waits; blocks for at most `patience` when there is nothing.
    pub fn take(&self, patience: Duration) -> Next<C> {
        let state = self.lock();
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, patience, |state| state.jobs.is_empty() && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        if !state.jobs.is_empty() {
            Next::Jobs(state.jobs.drain(..).collect())
        } else if state.closed {
            Next::Closed
        } else {
            Next::Idle
        }
    }

    /// Ready when there is something to take or the queue is closed: for a writer without a thread of its own.
    pub async fn ready(&self) {
        std::future::poll_fn(|context| {
            let mut state = self.lock();
            if state.closed || !state.jobs.is_empty() {
                return Poll::Ready(());
            }
            state.waiting = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Waits until the queue closes, for at most `patience`; whether it did.
    pub fn wait_closed(&self, patience: Duration) -> bool {
        let state = self.lock();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, patience, |state| !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.closed
    }

    /// Ready when the queue is closed.
    pub async fn closed(&self) {
        // It never has a permit, so only closing ends the wait.
        let _ = self.never.acquire().await;
    }

    /// Takes no more jobs.
    pub fn close(&self) {
        let waiting = {
            let mut state = self.lock();
            state.closed = true;
            state.waiting.take()
        };
        waiting.into_iter().for_each(Waker::wake);
        self.room.close();
        self.never.close();
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
