//! The bounded queue in front of the one thread that writes.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::appender::Closing;
use crate::limits::LOG_JOBS_MAX;

/// Jobs, in order, with the permits that bound them.
pub type Jobs<J> = Vec<(J, OwnedSemaphorePermit)>;

/// What the writer finds.
pub enum Next<J> {
    /// Work.
    Jobs(Jobs<J>),
    /// Nothing came in time.
    Idle,
    /// All handles are gone and everything is done.
    Closed,
}

/// The queue; one consumer.
pub struct Queue<J> {
    room: Arc<Semaphore>,
    never: Semaphore,
    state: Mutex<State<J>>,
    changed: Condvar,
}

struct State<J> {
    jobs: VecDeque<(J, OwnedSemaphorePermit)>,
    closed: bool,
    waiting: Option<Waker>,
}

impl<J> Closing for Queue<J> {
    fn wait_closed(&self, patience: Duration) -> bool {
        let state = self.lock();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, patience, |state| !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.closed
    }
}

impl<J> Default for Queue<J> {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(LOG_JOBS_MAX)),
            never: Semaphore::new(0),
            state: Mutex::new(State { jobs: VecDeque::new(), closed: false, waiting: None }),
            changed: Condvar::new(),
        }
    }
}

impl<J> Queue<J> {
    /// Adds a job; waits while the queue is full. Jobs are done in the order of the calls when each call is awaited
    /// before the next.
    ///
    /// # Errors
    /// When the queue is closed.
    pub async fn push(&self, job: J) -> io::Result<()> {
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
    pub fn take(&self, patience: Duration) -> Next<J> {
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

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
