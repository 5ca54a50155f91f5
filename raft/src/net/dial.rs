//! Dialling a peer: TCP, TLS, and the greeting; where the peer says that it is now, then where membership says.

use std::io;
use std::sync::Arc;

use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use trine_client::names;
use trine_identity::tls::{Trust, server_name};

use super::addresses::Addresses;
use super::frame::{self, FrameReader};
use super::limits::{CONTROL_FRAME_BYTES_MAX, RAFT_DIAL_TIMEOUT};
use super::processes::Processes;
use super::reach::Reach;
use super::wire::{Hello, Lane, VERSIONS, Welcome};
use crate::log::Origin;
use crate::types::Member;

/// What every dial needs.
#[derive(Clone)]
pub struct Dialer {
    /// This node's id.
    pub node: u64,
    /// TLS with this node's certificate, admitting nodes of the same region.
    pub tls: TlsConnector,
    /// Reads the peer's certificate.
    pub trust: Arc<Trust>,
    /// Where members are, as they say.
    pub addresses: Addresses,
    /// Who answers.
    pub reach: Reach,
    /// The group that this node's log is of.
    pub origin: watch::Receiver<Option<Origin>>,
    /// Which process of a node is spoken with.
    pub processes: Processes,
}

/// What a connection was made with.
#[derive(Debug, Clone)]
pub struct Greeting {
    /// Where it was dialled.
    pub address: String,
    /// The group that its hello named.
    pub origin: Option<Origin>,
    /// Who answered.
    pub node: u64,
    /// The process that answered.
    pub process: u64,
}

/// A connection, greeted.
#[derive(Debug)]
pub struct Connection<S = TlsStream<TcpStream>> {
    /// What comes.
    pub reader: FrameReader<ReadHalf<S>>,
    /// What goes.
    pub writer: WriteHalf<S>,
    /// What it was made with.
    pub greeting: Greeting,
}

impl Dialer {
    /// Says whether what comes on a connection is still the member's word: its node may answer from another process by now.
    ///
    /// # Errors
    /// When it does.
    pub fn is_current(&self, made: &Greeting) -> io::Result<()> {
        self.processes
            .refuses(made.node, made.process)
            .map_or(Ok(()), |reason| Err(io::Error::new(io::ErrorKind::ConnectionRefused, reason)))
    }

    /// Waits until a connection is of no more use: the member says that it is elsewhere, or this node's log is of another group
    /// than the hello said.
    pub async fn outdated(&self, member: &Member, made: &Greeting) {
        let mut origin = self.origin.clone();
        let regrouped = async {
            if origin.wait_for(|now| *now != made.origin).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.addresses.moved(member, &made.address) => {}
            () = regrouped => {}
        }
    }

    /// Connects with `to` (or whoever it is) at one of a member's addresses, whose certificate must name that member.
    ///
    /// # Errors
    /// When it cannot be reached in time, is another node, or does not want to talk.
    pub async fn dial(&self, to: Option<u64>, member: &Member, lane: Lane) -> io::Result<Connection> {
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in self.addresses.of(member) {
            let dialled = tokio::time::timeout(RAFT_DIAL_TIMEOUT, self.connect(to, member, lane, &address)).await;
            match dialled.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(connection) => {
                    self.addresses.found(member, &address);
                    return Ok(connection);
                }
                Err(error) => failed = io::Error::new(error.kind(), format!("{address}: {error}")),
            }
        }
        self.reach.failed(member, &failed);
        Err(failed)
    }

    async fn connect(&self, to: Option<u64>, member: &Member, lane: Lane, address: &str) -> io::Result<Connection> {
        let tcp = names::connect(address).await?;
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
        let origin = *self.origin.borrow();
        let process = self.processes.own;
        frame::write(&mut writer, &Hello { versions: VERSIONS, from: self.node, to, lane, origin, process }).await?;
        match reader.expect(CONTROL_FRAME_BYTES_MAX).await? {
            Welcome::Yes { version, .. } if !VERSIONS.contains(version) => {
                Err(refused(format!("version {version} is wanted")))
            }
            Welcome::Yes { node, process, .. } if to.is_none_or(|to| to == node) => {
                let greeting = Greeting { address: address.to_owned(), origin, node, process };
                self.is_current(&greeting)?;
                Ok(Connection { reader, writer, greeting })
            }
            Welcome::Yes { node, .. } => Err(refused(format!("node {node:016x} answers"))),
            Welcome::No { reason } => Err(refused(reason)),
        }
    }
}
