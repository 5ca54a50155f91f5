//! Dialling a peer: TCP, TLS, and the greeting.

use std::io;
use std::sync::Arc;

use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::frame::{self, FrameReader};
use super::limits::{CONTROL_FRAME_BYTES_MAX, DIAL_TIMEOUT};
use super::wire::{Hello, Lane, VERSION, Welcome};
use crate::identity::tls::{Trust, server_name};
use crate::raft::types::Member;

/// What every dial needs.
#[derive(Clone)]
pub struct Dialer {
    /// This node's id.
    pub node: u64,
    /// TLS with this node's certificate, admitting nodes of the same region.
    pub tls: TlsConnector,
    /// Reads the peer's certificate.
    pub trust: Arc<Trust>,
}

/// A connection, greeted.
#[derive(Debug)]
pub struct Connection {
    /// What comes.
    pub reader: FrameReader<ReadHalf<TlsStream<TcpStream>>>,
    /// What goes.
    pub writer: WriteHalf<TlsStream<TcpStream>>,
}

impl Dialer {
    /// Connects with `to` (or whoever it is) at a member's address, whose certificate must name that member.
    ///
    /// # Errors
    /// When it cannot be reached in time, is another node, or does not want to talk.
    pub async fn dial(&self, to: Option<u64>, member: &Member, lane: Lane) -> io::Result<Connection> {
        tokio::time::timeout(DIAL_TIMEOUT, self.connect(to, member, lane)).await?
    }

    async fn connect(&self, to: Option<u64>, member: &Member, lane: Lane) -> io::Result<Connection> {
        let tcp = TcpStream::connect(&member.address).await?;
        tcp.set_nodelay(true)?;
        let tls = self.tls.connect(server_name(), tcp).await?;
        let refused = |reason: String| io::Error::new(io::ErrorKind::ConnectionRefused, reason);
        let shown = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let claims = shown.and_then(|certificate| self.trust.claims(certificate).ok());
        match claims {
            Some(claims) if claims.name == member.name => {}
            Some(claims) => return Err(refused(format!("{} is at {}", claims.name, member))),
            None => return Err(refused("no certificate".to_owned())),
        }
        let (reader, mut writer) = tokio::io::split(tls);
        let mut reader = FrameReader::new(reader);
        frame::write(&mut writer, &Hello { version: VERSION, from: self.node, to, lane }).await?;
        match reader.expect(CONTROL_FRAME_BYTES_MAX).await? {
            Welcome::Yes { node } if to.is_none_or(|to| to == node) => Ok(Connection { reader, writer }),
            Welcome::Yes { node } => Err(refused(format!("node {node:016x} answers"))),
            Welcome::No { reason } => Err(refused(reason)),
        }
    }
}
