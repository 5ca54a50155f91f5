//! A cluster of networks without cores: an authority, nodes on loopback, and what they were told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use libp2p::Multiaddr;
use libp2p::swarm::{Config, NetworkBehaviour, Swarm};
use tokio::sync::mpsc;
use tokio::time::timeout;
use trine_crdt::NodeId;
use trine_identity::admission::{Authority, Gate};
use trine_identity::{Bundle, Ca};
use trine_node::net::frame::Reached;
use trine_node::net::{Net, NetConfig, NetEvent, NetHandle, Process};
use trine_replica::PeerMessage;

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// An authority and what it accepts.
pub struct World {
    pub ca: Ca,
    pub authority: Authority,
    _directory: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let ca = Ca::create(&directory.path().join("ca")).expect("an authority");
        let authority = Authority::new(ca.key().signing().verifying_key(), ca.cluster());
        Self { ca, authority, _directory: directory }
    }

    pub fn node_bundle(&self, name: &str) -> Bundle {
        let region = name.split('-').next().expect("a region").parse().expect("a region");
        self.ca.issue_node(&region, name).expect("a certificate")
    }

    /// Starts a node named `REGION-…` with an id of its own.
    pub async fn node(&self, id: u64, name: &str, seeds: &[Multiaddr]) -> Node {
        self.node_of(id, self.node_bundle(name), seeds, None).await
    }

    pub async fn node_of(&self, id: u64, bundle: Bundle, seeds: &[Multiaddr], listen: Option<Multiaddr>) -> Node {
        Self::begun(id, self.config_of(id, bundle, seeds, listen)).await
    }

    /// Starts a process of a node that says that it has run for so long.
    pub async fn node_running(&self, id: u64, bundle: Bundle, seeds: &[Multiaddr], running: Duration) -> Node {
        let mut config = self.config_of(id, bundle, seeds, None);
        config.process.began = Instant::now().checked_sub(running).expect("this machine has run for longer");
        Self::begun(id, config).await
    }

    /// Starts a node with a changed configuration.
    pub async fn node_with(&self, id: u64, name: &str, change: impl FnOnce(&mut NetConfig)) -> Node {
        let mut config = self.config_of(id, self.node_bundle(name), &[], None);
        change(&mut config);
        Self::begun(id, config).await
    }

    fn config_of(&self, id: u64, bundle: Bundle, seeds: &[Multiaddr], listen: Option<Multiaddr>) -> NetConfig {
        NetConfig {
            node: NodeId(id),
            process: Process::begin().expect("a random source"),
            keypair: bundle.key.libp2p(),
            certificate: Bytes::copy_from_slice(&bundle.certificate),
            verify: Arc::new(self.authority.clone()),
            listen: vec![listen.unwrap_or_else(|| "/ip4/127.0.0.1/tcp/0".parse().expect("an address"))],
            seeds: seeds.to_vec(),
            reached: Reached::default(),
            told: Arc::new(|_, _| {}),
            gossip: true,
            mdns: false,
            incoming_max: trine_node::net::limits::INCOMING_MAX,
        }
    }

    async fn begun(id: u64, config: NetConfig) -> Node {
        let process = config.process.number;
        let (handle, events) = Net::start(config).await.expect("a network");
        Node { id: NodeId(id), process, handle, events }
    }

    /// A bare swarm that shows the certificate of `bundle` on connections of the key in `bundle`.
    pub fn swarm<B: NetworkBehaviour>(&self, bundle: &Bundle, behaviour: B) -> Swarm<B> {
        let certificate = Bytes::copy_from_slice(&bundle.certificate);
        let gate = Gate::new(certificate, Arc::new(self.authority.clone()), |_, _| {});
        let keypair = bundle.key.libp2p();
        let transport = trine_client::transport::transport(&keypair, Arc::new(gate), PATIENCE, PATIENCE, None);
        let config = Config::with_tokio_executor().with_idle_connection_timeout(PATIENCE);
        Swarm::new(transport.expect("a transport"), behaviour, keypair.public().to_peer_id(), config)
    }
}

/// A running network and its events.
pub struct Node {
    pub id: NodeId,
    /// Its process' number.
    pub process: u64,
    pub handle: NetHandle,
    pub events: mpsc::Receiver<NetEvent>,
}

impl Node {
    /// Where it listens, with its peer id.
    pub fn address(&self) -> Multiaddr {
        self.handle.listening()[0].clone().with_p2p(self.handle.peer()).expect("no peer id yet")
    }

    pub async fn next(&mut self) -> NetEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("an event in time").expect("the network runs")
    }

    /// Waits until `wanted` picks something out of an event; others are passed over.
    pub async fn wait<T>(&mut self, mut wanted: impl FnMut(NetEvent) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
        }
    }

    pub async fn up(&mut self, node: NodeId) {
        self.wait(|event| matches!(event, NetEvent::PeerUp(peer) if peer.node == node).then_some(())).await;
    }

    pub async fn down(&mut self, node: NodeId) {
        self.wait(|event| matches!(event, NetEvent::PeerDown(gone) if gone == node).then_some(())).await;
    }

    /// The next message's bytes and sender.
    pub async fn heard(&mut self) -> (NodeId, Bytes) {
        self.wait(|event| match event {
            NetEvent::Message { from, message: PeerMessage::Metadata(bytes), .. } => Some((from, bytes)),
            _ => None,
        })
        .await
    }

    pub fn say(&self, to: NodeId, text: &str) {
        self.handle.send(to, &PeerMessage::Metadata(Bytes::copy_from_slice(text.as_bytes())));
    }
}
