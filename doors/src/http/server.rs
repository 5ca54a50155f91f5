//! Listening: plain on loopback, TLS with client certificates anywhere else.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, warn};
use trine_identity::tls::role_of;
use trine_ledger::Genesis;
use trine_protocol::Role;
use trine_protocol::limits::VALUE_BYTES_MAX;
use trine_seats::{Heard, Seat, Seats};

use super::connection::{Connection, silent};
use super::guard::Caller;
use super::limits::{
    ACCEPT_PAUSE, CONNECTIONS_RESERVED, HANDSHAKE_MAX, HEAD_MAX, HTTP_CONNECTIONS_MAX, HTTP_STOP_MAX, METRICS_UPKEEP,
};
use super::room::BodyPool;
use super::routes::router;
use super::tls::{HttpsConfig, HttpsError, Secured};
use crate::http::Backend;

/// How the API listens.
#[derive(Clone)]
pub struct HttpConfig {
    /// Where; beyond loopback only with `tls`.
    pub listen: SocketAddr,
    /// Serve TLS and take the caller's role from its certificate. None: plain HTTP, where every caller on this machine is an
    /// administrator.
    pub tls: Option<HttpsConfig>,
    /// Host names, besides addresses and `localhost`, under which callers may address this node.
    pub hosts: Vec<String>,
    /// The largest value, in bytes; never more than the protocol allows.
    pub value_bytes_max: usize,
    /// The founding document, opened: `/verify` checks proofs by its log keys.
    pub genesis: Option<Arc<Genesis>>,
    /// Renders `/metrics`.
    pub metrics: Option<PrometheusHandle>,
    /// The most connections served at once.
    pub connections_max: usize,
}

impl HttpConfig {
    /// Plain HTTP with the default limits.
    #[must_use]
    pub fn plain(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            hosts: Vec::new(),
            value_bytes_max: VALUE_BYTES_MAX,
            genesis: None,
            metrics: None,
            connections_max: HTTP_CONNECTIONS_MAX,
        }
    }
}

impl HttpConfig {
    /// The names and addresses under which callers may address this node.
    fn names(&self) -> Vec<String> {
        let ip = self.listen.ip();
        let address = (!ip.is_unspecified()).then(|| ip.to_string());
        self.hosts.iter().cloned().chain(address).collect()
    }
}

/// Why the API does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Plain HTTP beyond this machine.
    #[error("{0} is reachable from other machines, which needs TLS: configure certificates or listen on 127.0.0.1")]
    Exposed(SocketAddr),
    /// The node's files cannot serve TLS.
    #[error(transparent)]
    Tls(#[from] HttpsError),
    /// The port is taken or forbidden.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
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

/// The API, bound and not yet serving.
pub struct HttpServer {
    listener: TcpListener,
    secured: Option<Secured>,
    router: Router,
    metrics: Option<PrometheusHandle>,
    connections_max: usize,
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
        let secured = config.tls.as_ref().map(|tls| Secured::new(tls, &config.names())).transpose()?;
        let listener = trine_seats::listen(address).map_err(|error| ServeError::Bind { address, error })?;
        let router = router(Api::new(&config, backend));
        let connections_max = config.connections_max.min(HTTP_CONNECTIONS_MAX);
        Ok(Self { listener, secured, router, metrics: config.metrics, connections_max })
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
        let seats = Seats::new(self.connections_max, CONNECTIONS_RESERVED);
        let (stopping, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut upkeep = tokio::time::interval(METRICS_UPKEEP);
        tokio::pin!(stop);
        loop {
            let next = async {
                seats.room().await;
                self.listener.accept().await
            };
            tokio::select! {
                () = &mut stop => break,
                _ = upkeep.tick() => {
                    if let Some(metrics) = &self.metrics {
                        metrics.run_upkeep();
                    }
                    if let Some(secured) = self.secured.clone() {
                        tokio::task::spawn_blocking(move || secured.refresh());
                    }
                }
                Some(_) = connections.join_next() => {}
                accepted = next => match accepted {
                    Ok((stream, from)) => {
                        // None: everybody here is being served, also those whose place is lent. Closing says so.
                        let Some(seat) = seats.take(from.ip()) else { continue };
                        if self.secured.is_none() {
                            // Everybody is known from the start, and none less than who came before.
                            seat.place().note_known();
                        }
                        let (router, secured, stopped) = (self.router.clone(), self.secured.clone(), stopped.clone());
                        connections.spawn(connection(stream, from, seat, router, secured, stopped));
                    }
                    Err(error) => {
                        // Out of descriptors, most likely: give the others a moment to end.
                        warn!(%error, "cannot accept an HTTP connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.listener);
        let _ = stopping.send(true);
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(HTTP_STOP_MAX, all).await;
    }
}

/// Serves one connection to its end.
async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    mut seat: Seat,
    router: Router,
    secured: Option<Secured>,
    stopped: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let place = Arc::clone(seat.place());
    let known = Known { connection: Connection::new(Caller(None), &seat), from };
    tokio::select! {
        // What has come is served first.
        biased;
        () = served(stream, known, router, secured, stopped) => {}
        () = seat.dismissed() => debug!(%from, "a silent HTTP connection gave its place to another"),
        () = silent(place) => debug!(%from, "an HTTP connection was silent for too long"),
    }
}

/// What is known of a connection before its handshake.
struct Known {
    connection: Connection,
    from: SocketAddr,
}

impl Known {
    fn with_role(mut self, role: Option<Role>) -> Connection {
        self.connection.caller = Caller(role);
        if role.is_some() {
            self.connection.place.note_known();
        }
        self.connection
    }
}

async fn served(
    stream: TcpStream,
    known: Known,
    router: Router,
    secured: Option<Secured>,
    stopped: watch::Receiver<bool>,
) {
    let stream = Heard { io: stream, place: Arc::clone(&known.connection.place) };
    let Some(secured) = secured else {
        return requests(stream, router, known.with_role(Some(Role::Admin)), stopped).await;
    };
    let from = known.from;
    let handshake = tokio::time::timeout(HANDSHAKE_MAX, secured.acceptor.accept(stream)).await;
    let stream = match handshake {
        Ok(Ok(stream)) => stream,
        // Who only looks whether the port is open says nothing that could be wrong.
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            return debug!(%from, %error, "an HTTPS handshake broke off");
        }
        Ok(Err(error)) => return secured.refused(from, &error.to_string()),
        Err(_) => return debug!(%from, "an HTTPS handshake took too long"),
    };
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let role = shown.and_then(|certificate| secured.trust.claims(certificate).ok()).map(|claims| role_of(&claims));
    requests(stream, router, known.with_role(role), stopped).await;
}

/// Serves the requests of a connection whose caller is known.
async fn requests<S>(stream: S, router: Router, connection: Connection, mut stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let work = connection.place.work();
        request.extensions_mut().insert(connection.caller);
        request.extensions_mut().insert(connection.clone());
        let answer = tower::Service::call(&mut router.clone(), request);
        async move {
            let _work = work;
            answer.await
        }
    });
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
