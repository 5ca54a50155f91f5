//! The client's swarm: dials nodes, opens streams on them, watches that they answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{Config, ConnectionId, DialError, NetworkBehaviour, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, ping};
use tokio::sync::{mpsc, oneshot};
use trine_protocol::frame::CLIENT_PROTOCOL;

use crate::admission::{Gate, Refusal};
use crate::limits::{CONNECT_TIMEOUT, CONNECTION_IDLE_MAX, DIALS_MAX, PING_INTERVAL, PING_TIMEOUT};
use crate::transport::{resolve, split_peer, transport};

#[derive(NetworkBehaviour)]
struct Behaviour {
    streams: libp2p_stream::Behaviour,
    ping: ping::Behaviour,
}

type Dialled = oneshot::Sender<Result<PeerId, String>>;

struct Dial {
    peer: Option<PeerId>,
    addresses: Vec<Multiaddr>,
    answer: Dialled,
}

/// What the client knows of its swarm; the swarm ends with it.
pub(crate) struct Network {
    pub gate: Arc<Gate>,
    dials: mpsc::Sender<Dial>,
    streams: libp2p_stream::Control,
    refusal: Arc<Mutex<Option<Refusal>>>,
}

impl Network {
    /// Starts the swarm's task.
    pub fn start(
        keypair: &Keypair,
        certificate: bytes::Bytes,
        verify: Arc<dyn crate::admission::Verify>,
    ) -> Result<Self, libp2p::noise::Error> {
        let refusal: Arc<Mutex<Option<Refusal>>> = Arc::default();
        let last = refusal.clone();
        let gate = Arc::new(Gate::new(certificate, verify, move |peer, refusal| {
            tracing::debug!(?peer, %refusal, "refused a node");
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal.clone());
        }));
        let transport = transport(keypair, gate.clone(), CONNECT_TIMEOUT, CONNECT_TIMEOUT, None)?;
        let behaviour = Behaviour {
            streams: libp2p_stream::Behaviour::new(),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT)),
        };
        let streams = behaviour.streams.new_control();
        let config = Config::with_tokio_executor()
            .with_idle_connection_timeout(CONNECTION_IDLE_MAX)
            .with_substream_upgrade_protocol_override(Version::V1Lazy);
        let swarm = Swarm::new(transport, behaviour, keypair.public().to_peer_id(), config);
        let (dials, dialled) = mpsc::channel(DIALS_MAX);
        tokio::spawn(run(swarm, dialled));
        Ok(Self { gate, dials, streams, refusal })
    }

    /// Connects with the node at an address and opens a stream.
    pub async fn open(&self, address: &Multiaddr) -> Result<(PeerId, Stream), String> {
        let (peer, address) = split_peer(address);
        let addresses = resolve(&address).await;
        if addresses.is_empty() {
            return Err(format!("{address}: no such name"));
        }
        let (answer, dialled) = oneshot::channel();
        let closed = || "the client is closed".to_owned();
        self.dials.send(Dial { peer, addresses, answer }).await.map_err(|_| closed())?;
        let peer = dialled.await.map_err(|_| closed())?.map_err(|what| format!("{address}: {what}"))?;
        let protocol = StreamProtocol::new(CLIENT_PROTOCOL);
        let stream = self.streams.clone().open_stream(peer, protocol).await;
        stream.map(|stream| (peer, stream)).map_err(|error| format!("{address}: {error}"))
    }

    /// Why a node was refused last, once.
    pub fn take_refusal(&self) -> Option<Refusal> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

async fn run(mut swarm: Swarm<Behaviour>, mut dials: mpsc::Receiver<Dial>) {
    let mut waiting: BTreeMap<ConnectionId, Dialled> = BTreeMap::new();
    loop {
        tokio::select! {
            dial = dials.recv() => {
                let Some(Dial { peer, addresses, answer }) = dial else { return };
                let Some(options) = options(peer, addresses) else { continue };
                let connection = options.connection_id();
                match swarm.dial(options) {
                    Ok(()) => {
                        waiting.insert(connection, answer);
                    }
                    Err(error) => {
                        let _ = answer.send(Err(told(&error)));
                    }
                }
            }
            event = swarm.select_next_some() => match event {
                SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } => {
                    if let Some(answer) = waiting.remove(&connection_id) {
                        let _ = answer.send(Ok(peer_id));
                    }
                }
                SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                    if let Some(answer) = waiting.remove(&connection_id) {
                        let _ = answer.send(Err(told(&error)));
                    }
                }
                SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event { connection, result: Err(error), .. })) => {
                    tracing::debug!(%error, "a node does not answer");
                    swarm.close_connection(connection);
                }
                _ => {}
            }
        }
    }
}

/// Why a dial failed, for people: libp2p repeats each cause once a layer, so the innermost is said, once.
fn told(error: &DialError) -> String {
    let DialError::Transport(tried) = error else { return error.to_string() };
    let mut causes: Vec<String> = tried.iter().map(|(_, error)| innermost(error)).collect();
    causes.sort();
    causes.dedup();
    causes.join(", ")
}

fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

/// A peer's addresses are tried together; without a peer id only the first can be.
fn options(peer: Option<PeerId>, addresses: Vec<Multiaddr>) -> Option<DialOpts> {
    match peer {
        Some(peer) => {
            let options = DialOpts::peer_id(peer).addresses(addresses).condition(PeerCondition::Always);
            Some(options.allocate_new_port().build())
        }
        None => {
            let address = addresses.into_iter().next()?;
            Some(DialOpts::unknown_peer_id().address(address).allocate_new_port().build())
        }
    }
}
