//! Room for what clients send.
//!
//! A frame's length is what its sender says; room that is set aside by it belongs to whoever says most and sends least. So
//! each client has a share of its own, which holds what small frames need, and what goes beyond is taken from what all
//! share as bytes come. A frame for which there is no room in time is given up with its stream.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures::io::AsyncRead;
use libp2p::PeerId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use trine_client::framing::{self, FrameError};

use super::event::Room;
use super::limits::{CLIENT_BYTES_MAX, CLIENT_SHARE_BYTES, CLIENT_STALL_MAX, ROOM_UNIT_BYTES};

/// The room of all clients.
pub(super) struct ClientRoom {
    pool: Arc<Semaphore>,
    shares: Mutex<BTreeMap<PeerId, Weak<Semaphore>>>,
}

/// What one client may take, over all of its streams.
pub(super) struct Share {
    own: Arc<Semaphore>,
    pool: Arc<Semaphore>,
}

impl Default for ClientRoom {
    fn default() -> Self {
        Self { pool: Arc::new(Semaphore::new(CLIENT_BYTES_MAX / ROOM_UNIT_BYTES)), shares: Mutex::default() }
    }
}

impl ClientRoom {
    /// The share of a client, for as long as one of its streams stands.
    pub fn share(&self, peer: PeerId) -> Share {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.retain(|_, share| share.strong_count() > 0);
        let own = shares.get(&peer).and_then(Weak::upgrade).unwrap_or_else(|| {
            let own = Arc::new(Semaphore::new(CLIENT_SHARE_BYTES / ROOM_UNIT_BYTES));
            shares.insert(peer, Arc::downgrade(&own));
            own
        });
        Share { own, pool: Arc::clone(&self.pool) }
    }
}

impl Share {
    /// Reads a frame's body, taking room as it comes.
    ///
    /// # Errors
    /// When it breaks off, stalls, or finds no room in time.
    pub async fn read(&self, io: &mut (impl AsyncRead + Unpin), length: usize) -> Result<(Vec<u8>, Room), FrameError> {
        let (mut body, mut taken) = (Vec::new(), Vec::new());
        while body.len() < length {
            // Twice what came so far, so that a large frame takes few steps.
            let step = (length - body.len()).min(CLIENT_SHARE_BYTES.max(body.len()));
            let permit = timeout(CLIENT_STALL_MAX, self.take(step)).await.map_err(|_| FrameError::Silence)?;
            taken.push(permit.ok_or(FrameError::Ended)?);
            body.append(&mut framing::read_body(io, step, CLIENT_STALL_MAX).await?);
        }
        Ok((body, Room(taken)))
    }

    async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(ROOM_UNIT_BYTES)).unwrap_or(u32::MAX);
        tokio::select! {
            biased;
            own = Arc::clone(&self.own).acquire_many_owned(units), if bytes <= CLIENT_SHARE_BYTES => own.ok(),
            pooled = Arc::clone(&self.pool).acquire_many_owned(units) => pooled.ok(),
        }
    }
}
