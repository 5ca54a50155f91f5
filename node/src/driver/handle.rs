//! The way in to the driver: for links and the Raft group, and for clients.
//!
//! Both queues are bounded by count and by weight. What must not be lost (committed entries, leadership, peers) waits
//! until there is room, so that the wait travels back to the socket or the log it came from. A client's request does not
//! wait: it is refused with a reason, and the client goes elsewhere or comes later.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Gauge, counter, gauge};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use trine_protocol::reply::Answer;
use trine_protocol::request::{Append, ObjectEdit, Options, Request, Role};
use trine_protocol::{Edit, RequestError};
use trine_replica::input::{BatchId, RequestId};
use trine_replica::{Input, NotReady};

use super::limits::{
    INPUTS_KIB_MAX, INPUTS_MAX, OVERLOADED_RETRY_AFTER, REQUEST_TIMEOUT_DEFAULT, REQUEST_TIMEOUT_MAX, REQUESTS_KIB_MAX,
    REQUESTS_MAX, TIMEOUT_GRACE,
};
use crate::mutants::{self, Mutant};

/// The driver is gone; the process is about to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node is stopping")]
pub struct Stopped;

/// What a client is answered with.
pub type Outcome = Result<Answer, RequestError>;

/// The way in to the driver; cheap to clone.
#[derive(Clone)]
pub struct DriverHandle {
    inputs: mpsc::Sender<Weighed>,
    requests: mpsc::Sender<Waiting>,
    inputs_room: Arc<Semaphore>,
    requests_room: Arc<Semaphore>,
    next_request: Arc<AtomicU64>,
    persisted: Arc<Persisted>,
    waiting: Gauge,
}

/// The driver's end of the queues.
pub struct Inbox {
    pub(super) inputs: mpsc::Receiver<Weighed>,
    pub(super) requests: mpsc::Receiver<Waiting>,
    pub(super) persisted: Arc<Persisted>,
}

/// The room that something waiting takes; given back when it is dropped.
pub type Hold = Box<dyn Any + Send>;

/// An input and the room that it takes while it waits.
pub(super) struct Weighed {
    pub(super) input: Input,
    pub(super) _hold: Option<Hold>,
}

/// A client's request on its way in.
pub(super) struct Waiting {
    pub(super) id: RequestId,
    pub(super) role: Role,
    pub(super) options: Options,
    pub(super) request: Request,
    pub(super) waiter: Waiter,
}

/// Who waits for an answer, and the room that the request takes until then.
pub(super) struct Waiter {
    pub(super) answer: oneshot::Sender<Outcome>,
    pub(super) _hold: Hold,
}

/// How far the committers have got. Numbers instead of a queue: a later report makes the earlier one superfluous.
#[derive(Default)]
pub(super) struct Persisted {
    pub(super) synced: AtomicU64,
    pub(super) derived: AtomicU64,
    pub(super) bell: Notify,
}

/// Makes the two ends.
#[must_use]
pub fn channel() -> (DriverHandle, Inbox) {
    let (input_sender, inputs) = mpsc::channel(INPUTS_MAX);
    let (request_sender, requests) = mpsc::channel(REQUESTS_MAX);
    let persisted = Arc::new(Persisted::default());
    let handle = DriverHandle {
        inputs: input_sender,
        requests: request_sender,
        inputs_room: Arc::new(Semaphore::new(INPUTS_KIB_MAX as usize)),
        requests_room: Arc::new(Semaphore::new(REQUESTS_KIB_MAX as usize)),
        next_request: Arc::new(AtomicU64::new(1)),
        persisted: Arc::clone(&persisted),
        waiting: gauge!("trine_driver_requests_waiting"),
    };
    (handle, Inbox { inputs, requests, persisted })
}

impl DriverHandle {
    /// Hands an input over and waits while there is no room. `bytes` is what it weighs in memory, roughly.
    ///
    /// # Errors
    /// [`Stopped`] when the driver is gone.
    pub async fn deliver(&self, input: Input, bytes: usize) -> Result<(), Stopped> {
        let kib = kib(bytes).min(INPUTS_KIB_MAX);
        let room = Arc::clone(&self.inputs_room).acquire_many_owned(kib).await.map_err(|_| Stopped)?;
        self.deliver_held(input, Box::new(room)).await
    }

    /// As [`Self::deliver`] for what has its room already.
    ///
    /// # Errors
    /// [`Stopped`] when the driver is gone.
    pub async fn deliver_held(&self, input: Input, hold: Hold) -> Result<(), Stopped> {
        self.inputs.send(Weighed { input, _hold: Some(hold) }).await.map_err(|_| Stopped)
    }

    /// As [`Self::deliver`] for small inputs from a plain thread.
    ///
    /// # Errors
    /// [`Stopped`] when the driver is gone.
    pub fn deliver_blocking(&self, input: Input) -> Result<(), Stopped> {
        self.inputs.blocking_send(Weighed { input, _hold: None }).map_err(|_| Stopped)
    }

    /// Says that a committer made everything up to this batch durable. Never waits.
    pub fn persisted_synced(&self, batch: BatchId) {
        self.persisted.synced.fetch_max(batch, Ordering::AcqRel);
        if !mutants::is(Mutant::BellSilent) {
            self.persisted.bell.notify_one();
        }
    }

    /// Says that a committer made everything derived up to this batch visible. Never waits.
    pub fn persisted_derived(&self, batch: BatchId) {
        self.persisted.derived.fetch_max(batch, Ordering::AcqRel);
        self.persisted.bell.notify_one();
    }

    /// Asks the core and waits for its answer. Dropping the future gives the answer up, not the request.
    ///
    /// # Errors
    /// What the core answers; `Overloaded` when too much waits; after the request's own timeout `Unknown` for a write and
    /// `Unavailable` for a read.
    pub async fn request(&self, role: Role, options: Options, request: Request) -> Outcome {
        let room = Arc::clone(&self.requests_room).try_acquire_many_owned(kib(weight(&request))).map_err(|_| full())?;
        let timeout = timeout_of(&options);
        let writes = request.writes();
        let (answer, waiting) = oneshot::channel();
        self.submit(role, options, request, answer, Box::new(room));
        // The core keeps the deadline; this one only speaks for a core that is too busy to keep it.
        match tokio::time::timeout(timeout + TIMEOUT_GRACE, waiting).await {
            Ok(Ok(outcome)) => outcome,
            _ if writes => Err(RequestError::Unknown),
            Ok(Err(_)) => Err(stopping()),
            Err(_) => Err(RequestError::Unavailable { what: format!("no answer within {timeout:?}") }),
        }
    }

    /// Asks the core on behalf of somebody who waits at the other end of `answer`; requests are handled in the order of
    /// these calls. Never waits.
    pub fn submit(&self, role: Role, options: Options, request: Request, answer: oneshot::Sender<Outcome>, hold: Hold) {
        let id = self.next_request.fetch_add(1, Ordering::Relaxed);
        let options = Options { timeout: Some(timeout_of(&options)), ..options };
        let waiter = Waiter { answer, _hold: hold };
        let (waiting, error) = match self.requests.try_send(Waiting { id, role, options, request, waiter }) {
            Ok(()) => {
                return self.waiting.set((REQUESTS_MAX - self.requests.capacity()) as f64);
            }
            Err(mpsc::error::TrySendError::Full(waiting)) => (waiting, full()),
            Err(mpsc::error::TrySendError::Closed(waiting)) => (waiting, stopping()),
        };
        let _ = waiting.waiter.answer.send(Err(error));
    }
}

fn timeout_of(options: &Options) -> Duration {
    options.timeout.unwrap_or(REQUEST_TIMEOUT_DEFAULT).min(REQUEST_TIMEOUT_MAX)
}

fn full() -> RequestError {
    counter!("trine_writes_refused_total", "reason" => "overloaded").increment(1);
    RequestError::Overloaded { retry_after: OVERLOADED_RETRY_AFTER }
}

fn stopping() -> RequestError {
    NotReady::Stopping.into()
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).max(1)
}

/// What a request weighs in memory, roughly.
fn weight(request: &Request) -> usize {
    match request {
        Request::Append(Append { key, value, metadata, .. }) => {
            key.len() + value.len() + metadata.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
        }
        Request::ObjectEdit(ObjectEdit { key, edit, .. }) => key.len() + edit_weight(edit),
        _ => 0,
    }
}

fn edit_weight(edit: &Edit) -> usize {
    match edit {
        Edit::Set(bytes) | Edit::Put(bytes) | Edit::Add(bytes) | Edit::Remove(bytes) => bytes.len(),
        Edit::Field { name, edit } => name.len() + edit_weight(edit),
        Edit::RemoveField(name) => name.len(),
        Edit::Increment(_) | Edit::Delete => 0,
    }
}
