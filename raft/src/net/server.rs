//! The listener: who may connect, and for what.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use trine_identity::tls::Trust;
use trine_seats::{Heard, Place, Seat, Seats};

use super::frame::{self, FrameReader};
use super::limits::{ACCEPT_TIMEOUT, CONTROL_FRAME_BYTES_MAX};
use super::serve::{Caller, Service};
use super::wire::{Hello, Lane, VERSIONS, Welcome};

/// What is needed to answer.
#[derive(Clone)]
pub struct Server {
    /// This node's id.
    pub node: u64,
    /// TLS with this node's certificate, admitting nodes of the same region.
    pub tls: TlsAcceptor,
    /// Reads certificates.
    pub trust: Arc<Trust>,
    /// Raft.
    pub service: Service,
    /// The most connections.
    pub connections_max: usize,
}

impl Server {
    /// Accepts until the returned future is dropped; connections end with it.
    pub async fn run(self, listener: TcpListener) {
        let seats = Seats::new(self.connections_max, 0);
        let mut connections = JoinSet::new();
        loop {
            let next = async {
                seats.room().await;
                listener.accept().await
            };
            let accepted = tokio::select! {
                accepted = next => accepted,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((stream, from)) => match seats.take(from.ip()) {
                    Some(seat) => {
                        connections.spawn(self.clone().connection(stream, from, seat));
                    }
                    None => tracing::warn!(%from, "too many Raft connections: one is refused"),
                },
                Err(error) => {
                    // Out of file descriptors, most likely; accepting again at once would only spin.
                    tracing::warn!(%error, "a Raft connection could not be accepted");
                    tokio::time::sleep(super::limits::RETRY_PAUSE).await;
                }
            }
        }
    }

    async fn connection(self, stream: TcpStream, from: SocketAddr, mut seat: Seat) {
        let place = Arc::clone(seat.place());
        let ended = tokio::select! {
            biased;
            ended = self.serve(stream, &place) => ended,
            () = seat.dismissed() => Err(io::Error::other("its place was given to another before it said who it is")),
        };
        if let Err(error) = ended {
            tracing::debug!(%from, %error, "a Raft connection ended");
        }
    }

    async fn serve(self, stream: TcpStream, place: &Arc<Place>) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let stream = Heard { io: stream, place: Arc::clone(place) };
        let greeting = async {
            let tls = self.tls.accept(stream).await?;
            let shown = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let claims = shown.and_then(|certificate| self.trust.claims(certificate).ok());
            let claims = claims.ok_or(io::ErrorKind::PermissionDenied)?;
            let (reader, mut writer) = tokio::io::split(tls);
            let mut reader = FrameReader::new(reader);
            let hello: Hello = reader.expect(CONTROL_FRAME_BYTES_MAX).await?;
            let version = match self.spoken(&hello, &claims.name) {
                Ok(version) => version,
                Err(reason) => {
                    frame::write(&mut writer, &Welcome::No { reason: reason.clone() }).await?;
                    return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{}: {reason}", claims.name)));
                }
            };
            let process = self.service.processes.own;
            frame::write(&mut writer, &Welcome::Yes { node: self.node, process, version }).await?;
            Ok((reader, writer, hello, claims.name))
        };
        let (reader, writer, hello, name) = timeout(ACCEPT_TIMEOUT, greeting).await??;
        // A node of this region keeps its place.
        let _member = place.work();
        let Hello { from, to, lane, origin, process, .. } = hello;
        let caller = Caller { node: from, name, meant: to.is_some(), origin, process };
        match lane {
            Lane::Control => self.service.control(caller, reader, writer).await,
            Lane::Append => self.service.append(&caller, reader, writer).await,
            Lane::Prefix => self.service.prefix(&caller, reader, writer).await,
        }
    }
    /// The version that is spoken with a caller, or why nothing is.
    fn spoken(&self, hello: &Hello, name: &str) -> Result<u16, String> {
        let there = hello.versions;
        let version = VERSIONS.newest_common(there).ok_or_else(|| {
            let (lowest, highest) = (VERSIONS.lowest, VERSIONS.highest);
            format!("versions {lowest} to {highest} are spoken here, not {} to {}", there.lowest, there.highest)
        })?;
        if hello.to.is_some_and(|to| to != self.node) {
            return Err(format!("node {:016x} is here", self.node));
        }
        if hello.to.is_none() && hello.lane != Lane::Control {
            return Err("say whom you mean".to_owned());
        }
        let refused = self.service.processes.refuses(hello.from, hello.process);
        refused.or_else(|| self.service.refuses(hello.from, name, hello.origin)).map_or(Ok(version), Err)
    }
}
