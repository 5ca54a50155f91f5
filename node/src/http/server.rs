//! Listening: plain on loopback, TLS with client certificates anywhere else.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};
use trine_ledger::Genesis;
use trine_protocol::Role;
use trine_protocol::limits::VALUE_BYTES_MAX;

use super::guard::Caller;
use super::limits::{CONNECTIONS_MAX, HANDSHAKE_MAX, HEAD_MAX, METRICS_UPKEEP, STOP_MAX};
use super::room::{BodyPool, ConnectionRoom};
use super::routes::router;
use crate::http::Backend;
use crate::identity::Bundle;
use crate::identity::tls::{self, Strangers, TlsError, Trust, role_of};

/// How the API listens.
#[derive(Clone)]
pub struct HttpConfig {
    /// Where; beyond loopback only with `tls`.
    pub listen: SocketAddr,
    /// The node's identity: serve TLS and take the caller's role from its certificate. None: plain HTTP, where every
    /// caller on this machine is an administrator.
    pub tls: Option<Bundle>,
    /// Host names, besides addresses and `localhost`, under which callers may address this node.
    pub hosts: Vec<String>,
    /// The largest value, in bytes; never more than the protocol allows.
    pub value_bytes_max: usize,
    /// The founding document, opened: `/verify` checks proofs by its log keys.
    pub genesis: Option<Arc<Genesis>>,
    /// Renders `/metrics`.
    pub metrics: Option<PrometheusHandle>,
}

impl HttpConfig {
    /// Plain HTTP with the default limits.
    #[must_use]
    pub fn plain(listen: SocketAddr) -> Self {
        Self { listen, tls: None, hosts: Vec::new(), value_bytes_max: VALUE_BYTES_MAX, genesis: None, metrics: None }
    }
}

/// Why the API does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Plain HTTP beyond this machine.
    #[error("{0} is reachable from other machines, which needs TLS: configure certificates or listen on 127.0.0.1")]
    Exposed(SocketAddr),
    /// The node's identity cannot serve TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The port is taken or forbidden.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}

/// What the handlers share.
#[derive(Clone)]
pub struct Api {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) hosts: Arc<[String]>,
    pub(super) value_bytes_max: usize,
    pub(super) bodies: BodyPool,
    pub(super) genesis: Option<Arc<Genesis>>,
    pub(super) metrics: Option<PrometheusHandle>,
}

impl Api {
    /// The handlers' part of a configuration, for [`router`] without a listener: where and how it listens is not asked.
    /// Who puts requests in says who the caller is, by a [`Caller`] among their extensions.
    #[must_use]
    pub fn new(config: &HttpConfig, backend: Arc<dyn Backend>) -> Self {
        Self {
            backend,
            hosts: config.hosts.clone().into(),
            value_bytes_max: config.value_bytes_max.min(VALUE_BYTES_MAX),
            bodies: BodyPool::default(),
            genesis: config.genesis.clone(),
            metrics: config.metrics.clone(),
        }
    }
}

/// TLS and whom it believes.
#[derive(Clone)]
struct Secured {
    acceptor: TlsAcceptor,
    trust: Trust,
}

/// The API, bound and not yet serving.
pub struct HttpServer {
    listener: TcpListener,
    secured: Option<Secured>,
    router: Router,
    metrics: Option<PrometheusHandle>,
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
        let secured = config.tls.as_ref().map(Secured::new).transpose()?;
        let listener = TcpListener::bind(address).await.map_err(|source| ServeError::Bind { address, source })?;
        let router = router(Api::new(&config, backend));
        Ok(Self { listener, secured, router, metrics: config.metrics })
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
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let (stopping, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut upkeep = tokio::time::interval(METRICS_UPKEEP);
        tokio::pin!(stop);
        loop {
            let accept = async {
                // The system's queue holds those for whom there is no room yet.
                let permit = Arc::clone(&room).acquire_owned().await;
                (self.listener.accept().await, permit)
            };
            tokio::select! {
                () = &mut stop => break,
                _ = upkeep.tick() => {
                    if let Some(metrics) = &self.metrics {
                        metrics.run_upkeep();
                    }
                }
                Some(_) = connections.join_next() => {}
                (accepted, permit) = accept => match accepted {
                    Ok((stream, from)) => {
                        let (router, secured, stopped) = (self.router.clone(), self.secured.clone(), stopped.clone());
                        connections.spawn(async move {
                            let _permit = permit;
                            connection(stream, from, router, secured, stopped).await;
                        });
                    }
                    Err(error) => {
                        // Out of descriptors, most likely: give the others a moment to end.
                        warn!(%error, "cannot accept an HTTP connection");
                        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    }
                },
            }
        }
        drop(self.listener);
        let _ = stopping.send(true);
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(STOP_MAX, all).await;
    }
}

impl Secured {
    fn new(bundle: &Bundle) -> Result<Self, TlsError> {
        let mut config = tls::server_config(bundle, Strangers::Seen, Arc::new(|_| Ok(())))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), trust: Trust::new(&bundle.ca)? })
    }
}

/// Serves one connection to its end.
async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
    secured: Option<Secured>,
    stopped: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let Some(Secured { acceptor, trust }) = secured else {
        return requests(stream, router, Caller(Some(Role::Admin)), stopped).await;
    };
    let handshake = tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await;
    let stream = match handshake {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return debug!(%from, %error, "an HTTPS handshake failed"),
        Err(_) => return debug!(%from, "an HTTPS handshake took too long"),
    };
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let role = shown.and_then(|certificate| trust.claims(certificate).ok()).map(|claims| role_of(&claims));
    requests(stream, router, Caller(role), stopped).await;
}

/// Serves the requests of a connection whose caller is known.
async fn requests<S>(stream: S, router: Router, caller: Caller, mut stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(
        router.layer(axum::Extension(caller)).layer(axum::Extension(ConnectionRoom::default())),
    );
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(128).max_header_list_size(64 * 1024);
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let stop = async {
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = stop => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "an HTTP connection broke");
    }
}
