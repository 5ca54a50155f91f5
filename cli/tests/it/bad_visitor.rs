//! A peer with a certificate that opens what streams it likes and says on them what it likes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::io::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::core::upgrade::Version;
use libp2p::swarm::{Config, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, Swarm};
use tokio::time::timeout;
use trine_client::transport::transport;
use trine_identity::Bundle;
use trine_identity::admission::{Authority, Gate};
use trine_identity::tls::Trust;
use trine_ledger::VerifyingKey;

use crate::bad_region::PATIENCE;

const HANDSHAKE_MAX: Duration = Duration::from_secs(5);

/// A connection to one node.
pub struct Visitor {
    streams: libp2p_stream::Control,
    node: PeerId,
    task: tokio::task::JoinHandle<()>,
}

impl Visitor {
    /// Connects and is admitted.
    pub async fn connect(bundle: &Bundle, address: &str) -> Self {
        let trust = Trust::new(&bundle.ca).unwrap();
        let key: VerifyingKey = *trust.key();
        let certificate = Bytes::copy_from_slice(&bundle.certificate);
        let gate = Gate::new(certificate, Arc::new(Authority::new(key, trust.cluster())), |_, _| ());
        let keypair = bundle.key.libp2p();
        let transport = transport(&keypair, Arc::new(gate), HANDSHAKE_MAX, HANDSHAKE_MAX, None).unwrap();
        let behaviour = libp2p_stream::Behaviour::new();
        let streams = behaviour.new_control();
        let config = Config::with_tokio_executor()
            .with_idle_connection_timeout(PATIENCE)
            .with_substream_upgrade_protocol_override(Version::V1);
        let mut swarm = Swarm::new(transport, behaviour, keypair.public().to_peer_id(), config);
        swarm.dial(address.parse::<Multiaddr>().unwrap()).unwrap();
        let node = loop {
            match timeout(PATIENCE, swarm.select_next_some()).await.unwrap() {
                SwarmEvent::ConnectionEstablished { peer_id, .. } => break peer_id,
                SwarmEvent::OutgoingConnectionError { error, .. } => panic!("not admitted: {error}"),
                _ => {}
            }
        };
        let task = tokio::spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        Self { streams, node, task }
    }

    /// Opens a stream.
    pub async fn open(&mut self, protocol: &'static str) -> Result<Stream, String> {
        let opening = self.streams.open_stream(self.node, StreamProtocol::new(protocol));
        timeout(PATIENCE, opening).await.unwrap().map_err(|error| error.to_string())
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A value as a frame.
pub fn frame(value: &impl serde::Serialize) -> Vec<u8> {
    let body = trine_crdt::codec::encode(value);
    [&u32::try_from(body.len()).unwrap().to_be_bytes(), &*body].concat()
}

/// Reads one frame.
pub async fn read_frame(stream: &mut Stream) -> Vec<u8> {
    let read = async {
        let mut length = [0; 4];
        stream.read_exact(&mut length).await.unwrap();
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut body).await.unwrap();
        body
    };
    timeout(PATIENCE, read).await.expect("a frame")
}

/// Says something and reads until the node hangs up.
pub async fn hung_up_on(stream: &mut Stream, bytes: &[u8]) -> Vec<u8> {
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
    let mut heard = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("the node hangs up");
    heard
}
