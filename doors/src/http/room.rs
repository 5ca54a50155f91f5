//! Room for the bodies of requests under way.
//!
//! Room that is set aside by what a caller says it will send belongs to whoever says most and sends least: a few slow
//! uploads would deny all others every write. So room is taken as bytes come, from two places. Each connection has a
//! share of its own, which nobody else can take and which holds a small body; what goes beyond comes from a pool that
//! all connections share, up to a bound for each. When the pool is empty, large bodies are answered 429, and small ones
//! are served as before. A body that stops coming is given up, and so is its room.
//!
//! ```text
//! all bodies ≤ BODIES_BYTES_MAX = HTTP_CONNECTIONS_MAX × CONNECTION_SHARE_BYTES + the pool
//! ```

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use trine_protocol::RequestError;
use trine_seats::Place;

use super::limits::{
    BODIES_BYTES_MAX, BODY_MAX, BODY_PERMIT_BYTES, BODY_STALL_MAX, BODY_STEP_BYTES, CONNECTION_POOL_BYTES_MAX,
    CONNECTION_SHARE_BYTES, HTTP_CONNECTIONS_MAX,
};
use super::problem::Problem;

/// The pool that all connections share.
#[derive(Debug, Clone)]
pub struct BodyPool(Arc<Semaphore>);

impl Default for BodyPool {
    fn default() -> Self {
        Self(permits(BODIES_BYTES_MAX - HTTP_CONNECTIONS_MAX * CONNECTION_SHARE_BYTES))
    }
}

/// What one connection may take: its own share, and a part of the pool.
#[derive(Debug, Clone)]
pub struct ConnectionRoom {
    share: Arc<Semaphore>,
    most: Arc<Semaphore>,
    place: Option<Arc<Place>>,
}

impl ConnectionRoom {
    /// Of the connection at this place.
    #[must_use]
    pub fn of(place: &Arc<Place>) -> Self {
        Self { place: Some(Arc::clone(place)), ..Self::default() }
    }
}

impl Default for ConnectionRoom {
    fn default() -> Self {
        let (share, most) = (permits(CONNECTION_SHARE_BYTES), permits(CONNECTION_POOL_BYTES_MAX));
        Self { share, most, place: None }
    }
}

fn permits(bytes: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(bytes / BODY_PERMIT_BYTES))
}

/// A body that was read whole, and the room that it takes.
#[derive(Debug)]
pub struct Payload {
    /// Its bytes.
    pub bytes: Bytes,
    /// Given back when the request is answered.
    _room: Room,
}

/// The room that a body has taken so far.
#[derive(Debug, Default)]
struct Room {
    bytes: usize,
    taken: Vec<OwnedSemaphorePermit>,
}

impl Room {
    /// Takes as much as is missing for `bytes`; false when there is none.
    fn grow(&mut self, bytes: usize, pool: &BodyPool, connection: &ConnectionRoom) -> bool {
        let Some(missing) = bytes.checked_sub(self.bytes).filter(|missing| *missing > 0) else { return true };
        let step = missing.next_multiple_of(BODY_STEP_BYTES);
        let permits = u32::try_from(step / BODY_PERMIT_BYTES).unwrap_or(u32::MAX);
        let of = |semaphore: &Arc<Semaphore>| Arc::clone(semaphore).try_acquire_many_owned(permits).ok();
        let taken = match of(&connection.share) {
            Some(own) => vec![own],
            None => match of(&connection.most).zip(of(&pool.0)) {
                Some((bound, pooled)) => vec![bound, pooled],
                None => return false,
            },
        };
        for permit in taken {
            match self.taken.iter_mut().find(|held| Arc::ptr_eq(held.semaphore(), permit.semaphore())) {
                Some(held) => held.merge(permit),
                None => self.taken.push(permit),
            }
        }
        self.bytes += step;
        true
    }
}

/// Reads a body of at most `limit` bytes, in bounded time, taking room as it comes.
///
/// # Errors
/// When it is larger, slower or broken, or when there is no room for it now.
pub async fn read(
    mut body: Body,
    headers: &HeaderMap,
    limit: usize,
    pool: &BodyPool,
    connection: &ConnectionRoom,
) -> Result<Payload, Problem> {
    let too_large = |bytes: u64| RequestError::TooLarge { what: "the body".into(), bytes, limit: limit as u64 };
    let stated = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if let Some(bytes) = stated.filter(|bytes| *bytes > limit as u64) {
        return Err(too_large(bytes).into());
    }
    // Whoever leaves the node waiting for a body gives up its place before others do.
    let _waits = connection.place.as_ref().map(Place::waits);
    let (mut room, mut bytes) = (Room::default(), BytesMut::new());
    let whole = Instant::now() + BODY_MAX;
    loop {
        let stall = Instant::now() + BODY_STALL_MAX;
        let frame = timeout_at(stall.min(whole), body.frame()).await.map_err(|_| slow(whole <= stall))?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| Problem::invalid("the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        let length = bytes.len() + data.len();
        if length > limit {
            return Err(too_large(length as u64).into());
        }
        if !room.grow(length, pool, connection) {
            return Err(Problem::overloaded());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Payload { bytes: bytes.freeze(), _room: room })
}

fn slow(whole: bool) -> Problem {
    let detail = |what: &str, bound: Duration| format!("{what} {bound:?}; send it faster or in smaller parts");
    let detail = if whole {
        detail("the body took longer than", BODY_MAX)
    } else {
        detail("no byte of the body came for", BODY_STALL_MAX)
    };
    Problem::new(StatusCode::REQUEST_TIMEOUT, "slow_body", detail)
}
