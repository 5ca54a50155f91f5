//! The listener: who may connect, and for what.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::frame::{self, FrameReader};
use super::limits::{ACCEPT_TIMEOUT, CONNECTIONS_MAX, CONTROL_FRAME_BYTES_MAX};
use super::serve::{Caller, Service};
use super::wire::{Hello, Lane, VERSION, Welcome};
use crate::identity::tls::Trust;

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
}

impl Server {
    /// Accepts until the returned future is dropped; connections end with it.
    pub async fn run(self, listener: TcpListener) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((stream, from)) => match room.clone().try_acquire_owned() {
                    Ok(permit) => {
                        connections.spawn(self.clone().connection(stream, from, permit));
                    }
                    Err(_) => tracing::warn!(%from, "too many Raft connections: one is refused"),
                },
                Err(error) => {
                    // Out of file descriptors, most likely; accepting again at once would only spin.
                    tracing::warn!(%error, "a Raft connection could not be accepted");
                    tokio::time::sleep(super::limits::RETRY_PAUSE).await;
                }
            }
        }
    }

    async fn connection(self, stream: TcpStream, from: SocketAddr, _permit: OwnedSemaphorePermit) {
        if let Err(error) = self.serve(stream).await {
            tracing::debug!(%from, %error, "a Raft connection ended");
        }
    }

    async fn serve(self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let greeting = async {
            let tls = self.tls.accept(stream).await?;
            let shown = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let claims = shown.and_then(|certificate| self.trust.claims(certificate).ok());
            let claims = claims.ok_or(io::ErrorKind::PermissionDenied)?;
            let (reader, mut writer) = tokio::io::split(tls);
            let mut reader = FrameReader::new(reader);
            let hello: Hello = reader.expect(CONTROL_FRAME_BYTES_MAX).await?;
            let refused = if hello.version != VERSION {
                Some(format!("version {VERSION} is spoken here, not {}", hello.version))
            } else if hello.to.is_some_and(|to| to != self.node) {
                Some(format!("node {:016x} is here", self.node))
            } else if hello.to.is_none() && hello.lane != Lane::Control {
                Some("say whom you mean".to_owned())
            } else {
                self.service.refuses(hello.from, &claims.name)
            };
            if let Some(reason) = refused {
                frame::write(&mut writer, &Welcome::No { reason: reason.clone() }).await?;
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{}: {reason}", claims.name)));
            }
            frame::write(&mut writer, &Welcome::Yes { node: self.node }).await?;
            Ok((reader, writer, hello, claims.name))
        };
        let (reader, writer, hello, name) = timeout(ACCEPT_TIMEOUT, greeting).await??;
        let caller = Caller { node: hello.from, name, meant: hello.to.is_some() };
        match hello.lane {
            Lane::Control => self.service.control(caller, reader, writer).await,
            Lane::Append => self.service.append(reader, writer).await,
            Lane::Prefix => self.service.prefix(reader, writer).await,
        }
    }
}
