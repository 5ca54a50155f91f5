//! The client: settings, one shared connection, and the calls.

mod append;
mod ledger;
mod objects;
mod regions;
mod retry;
mod views;

use std::sync::Arc;

use libp2p::PeerId;
use tokio::sync::OnceCell;
use trine_crdt::{NodeId, RegionId};
use trine_protocol::Request;
use trine_protocol::reply::Answer;

pub use append::AppendRequest;
pub(crate) use views::reply_name;

use crate::error::{BuildError, ClientError};
use crate::network::Network;
use crate::pool::Pool;
use crate::proof::Pins;
use crate::{Builder, CallOptions, Session};

/// A client of one cluster. Clones share connection, session and pinned checkpoints.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Builder,
    identity: Identity,
    pool: Pool,
    network: OnceCell<Network>,
    pins: Pins,
    /// The cluster's regions, once a node was asked for want of a genesis.
    regions: OnceCell<Vec<RegionId>>,
}

struct Identity {
    keypair: libp2p::identity::Keypair,
    certificate: bytes::Bytes,
    verify: Arc<dyn crate::admission::Verify>,
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
        regions::check(&settings)?;
        if settings.seeds.is_empty() {
            return Err(BuildError::Missing("a seed"));
        }
        let identity = Identity {
            keypair: settings.keypair.clone().ok_or(BuildError::Missing("the client's key"))?,
            certificate: settings.certificate.clone().ok_or(BuildError::Missing("the client's certificate"))?,
            verify: settings.verify.clone().ok_or(BuildError::Missing("the authority's certificate"))?,
        };
        let pool = Pool::new(&settings.seeds, settings.region.clone(), settings.region_only, settings.pinned);
        let pins = Pins::new(settings.genesis.clone());
        Ok(Self {
            inner: Arc::new(Inner {
                settings,
                identity,
                pool,
                network: OnceCell::new(),
                pins,
                regions: OnceCell::new(),
            }),
        })
    }

    /// The client's session, shared with it.
    #[must_use]
    pub fn session(&self) -> Session {
        self.inner.settings.session.clone()
    }

    /// The node in use, while a connection stands.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.inner.pool.current().map(|connection| connection.endpoint.clone())
    }

    /// Connects now instead of with the first call.
    ///
    /// # Errors
    /// [`ClientError`] when no node can be reached.
    pub async fn connect(&self) -> Result<Endpoint, ClientError> {
        let connection = self.inner.pool.connection(self.network().await?, None).await?;
        Ok(connection.endpoint.clone())
    }

    /// Sends any request, with retries, session and deadline as the call wants.
    ///
    /// # Errors
    /// [`ClientError`]; see [`ClientError::retryable`].
    pub async fn request(&self, call: &CallOptions, request: Request) -> Result<Answer, ClientError> {
        self.call(call, request).await
    }

    /// Closes the connection. The next call would make another.
    pub async fn close(&self) {
        self.inner.pool.close();
    }

    async fn network(&self) -> Result<&Network, ClientError> {
        let identity = &self.inner.identity;
        let start =
            || async { Network::start(&identity.keypair, identity.certificate.clone(), identity.verify.clone()) };
        let started = self.inner.network.get_or_try_init(start).await;
        started.map_err(|error| ClientError::Unreachable { what: error.to_string() })
    }
}
