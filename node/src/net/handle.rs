//! What the driver holds of the network.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use libp2p::core::upgrade::Version;
use libp2p::swarm::{Config as SwarmConfig, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, connection_limits, mdns, ping};
use metrics::counter;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;
use trine_client::framing;
use trine_client::transport::{Usher, transport};
use trine_crdt::NodeId;
use trine_identity::admission::{Gate, Refusal, unix_now_s};
use trine_replica::PeerMessage;
use trine_replica::effect::PeerAddress;

use super::arrivals::{Arrivals, ClientsBounded};
use super::client::Door;
use super::config::{NetConfig, StartError};
use super::dial::Dialler;
use super::event::NetEvent;
use super::frame::{LINK_VERSIONS, LinkFrameRef, LinkHello};
use super::gossip::{self, Authors};
use super::limits::{
    ADMISSION_TIMEOUT, CLIENTS_FOURTHS, COMMANDS_MAX, CONNECTIONS_PER_PEER_MAX, EVENTS_MAX, GOSSIP_MESSAGE_BYTES_MAX,
    HELLO_TIMEOUT, LINK_DIAL_TIMEOUT, LINK_FRAME_BYTES_MAX, LINK_RECEIVED_BYTES_MAX, LISTEN_TIMEOUT, REFUSAL_QUIET,
    REFUSALS_REMEMBERED_MAX, REPORTS_MAX, ROOM_UNIT_BYTES,
};
use super::link::Shared;
use super::queue::Class;
use super::room::ClientRoom;
use super::streams;
use super::swarm::{Behaviour, Command, Engine};
use super::table::Table;

/// The network of one node.
pub struct Net;

/// Sends, publishes and connects. Clones speak for the same network; nothing here ever waits for a peer.
#[derive(Clone)]
pub struct NetHandle {
    table: Arc<Table>,
    commands: mpsc::Sender<Command>,
    peers: watch::Sender<Vec<PeerAddress>>,
    listening: Arc<[Multiaddr]>,
    peer: PeerId,
}

impl Net {
    /// Starts listening and dialling. The network ends with [`NetHandle::shutdown`], or with the last handle.
    ///
    /// # Errors
    /// [`StartError`] when the own certificate is not acceptable or an address cannot be listened on.
    pub async fn start(config: NetConfig) -> Result<(NetHandle, mpsc::Receiver<NetEvent>), StartError> {
        let peer = config.keypair.public().to_peer_id();
        let claims = config.verify.verify(&config.certificate, unix_now_s())?;
        if claims.peer != peer {
            return Err(StartError::Certificate(Refusal::Key));
        }
        let gate = Arc::new(Gate::new(config.certificate.clone(), config.verify.clone(), report_refusals()));
        let arrivals = Arrivals::new(config.incoming_max);
        let mut swarm = make_swarm(&config, &claims.cluster, &gate, &arrivals)?;
        let listening = listen(&mut swarm, &config.listen).await?;
        let mut dialler = Dialler::new(peer);
        for seed in &config.seeds {
            dialler.seed(seed);
        }
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let (commands, commanded) = mpsc::channel(COMMANDS_MAX);
        let (report, reports) = mpsc::channel(REPORTS_MAX);
        let peers = watch::Sender::new(Vec::new());
        let table = Arc::new(Table::default());
        let room = Arc::new(Semaphore::new(LINK_RECEIVED_BYTES_MAX / ROOM_UNIT_BYTES));
        let engine = Engine {
            swarm,
            arrivals,
            hello: LinkHello {
                versions: LINK_VERSIONS,
                levels: trine_crdt::FORMAT_LEVELS,
                cluster: claims.cluster.clone(),
                node: config.node,
                certificate: config.certificate.clone(),
                process: config.process.number,
                running_ms: 0,
                number: 0,
                reached: config.reached.clone(),
            },
            process: config.process,
            topic: gossip::topic(&claims.cluster),
            shared: Shared {
                table: table.clone(),
                gate: gate.clone(),
                events: events.clone(),
                room,
                taken: Arc::default(),
            },
            told: config.told.clone(),
            door: Arc::new(Door {
                gate,
                node: config.node,
                region: claims.region,
                events,
                room: ClientRoom::default(),
                others: RwLock::default(),
            }),
            dialler,
            authors: Authors::default(),
            opening: BTreeMap::new(),
            lonely: BTreeMap::new(),
            commands: commanded,
            peers: peers.subscribe(),
            report,
            reports,
        };
        tokio::spawn(engine.run());
        Ok((NetHandle { table, commands, peers, listening: listening.into(), peer }, receiver))
    }
}

impl NetHandle {
    /// Queues a message for a peer. Without a link, or with a full queue, it is dropped and counted.
    pub fn send(&self, to: NodeId, message: &PeerMessage) {
        let class = Class::of(message);
        let frame = || framing::frame(&LinkFrameRef::Message(message), LINK_FRAME_BYTES_MAX);
        let sent = match self.table.of_node(to).and_then(|link| frame().map(|frame| link.queue.push(class, frame))) {
            None => false,
            Some(Ok(())) => true,
            // The link may have been replaced in this moment.
            Some(Err(frame)) => self.table.of_node(to).is_some_and(|link| link.queue.push(class, frame).is_ok()),
        };
        if !sent {
            counter!("trine_link_dropped_total", "class" => class.name()).increment(1);
        }
    }

    /// Publishes to all nodes by gossip; nothing happens when gossip is off. May be lost.
    pub fn publish(&self, bytes: Bytes) {
        if bytes.len() > GOSSIP_MESSAGE_BYTES_MAX || self.commands.try_send(Command::Publish(bytes)).is_err() {
            counter!("trine_rumors_dropped_total").increment(1);
        }
    }

    /// Replaces the nodes to be connected with; seeds and discovered nodes stay.
    pub fn set_peers(&self, peers: Vec<PeerAddress>) {
        self.peers.send_replace(peers);
    }

    /// The nodes that a link stands with.
    #[must_use]
    pub fn connected(&self) -> Vec<NodeId> {
        self.table.nodes()
    }

    /// The round trip to a node, as its link's last heartbeat measured it.
    #[must_use]
    pub fn round_trip(&self, node: NodeId) -> Option<Duration> {
        self.table.of_node(node).and_then(|link| link.round_trip())
    }

    /// The process that a node answers from; none without a link, or while it is silent.
    #[must_use]
    pub fn answering(&self, node: NodeId) -> Option<u64> {
        self.table.of_node(node).filter(|link| link.answers()).map(|link| link.process.number)
    }

    /// Where the network listens, with ports filled in.
    #[must_use]
    pub fn listening(&self) -> &[Multiaddr] {
        &self.listening
    }

    /// This node's libp2p peer id.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Closes all connections and ends the network's tasks.
    pub async fn shutdown(&self) {
        let (done, ended) = oneshot::channel();
        if self.commands.send(Command::Shutdown(done)).await.is_ok() {
            let _ = ended.await;
        }
    }
}

fn make_swarm(
    config: &NetConfig,
    cluster: &str,
    gate: &Arc<Gate>,
    arrivals: &Arrivals,
) -> Result<Swarm<Behaviour>, StartError> {
    let failed = |what: String| StartError::Transport { what };
    let peer = config.keypair.public().to_peer_id();
    let usher: Arc<dyn Usher> = Arc::new(arrivals.clone());
    let transport = transport(&config.keypair, gate.clone(), LINK_DIAL_TIMEOUT, ADMISSION_TIMEOUT, Some(usher))
        .map_err(|error| failed(error.to_string()))?;
    let limits =
        connection_limits::ConnectionLimits::default().with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX));
    let gossip = config.gossip.then(|| gossip::behaviour(&config.keypair, cluster, gate.clone())).transpose();
    let mdns = config.mdns.then(|| mdns::tokio::Behaviour::new(mdns::Config::default(), peer)).transpose();
    let behaviour = Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        clients: ClientsBounded::new(gate.clone(), config.incoming_max / 4 * CLIENTS_FOURTHS),
        streams: streams::Behaviour::default(),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(Duration::from_secs(60))),
        gossip: gossip.map_err(failed)?.into(),
        mdns: mdns.map_err(|error| failed(error.to_string()))?.into(),
    };
    let config = SwarmConfig::with_tokio_executor()
        .with_idle_connection_timeout(HELLO_TIMEOUT)
        .with_substream_upgrade_protocol_override(Version::V1Lazy);
    Ok(Swarm::new(transport, behaviour, peer, config))
}

/// Listens on all addresses and returns them with their ports.
async fn listen(swarm: &mut Swarm<Behaviour>, addresses: &[Multiaddr]) -> Result<Vec<Multiaddr>, StartError> {
    let mut listening = Vec::new();
    for address in addresses {
        let wrong = |what: String| StartError::Listen { address: address.clone(), what };
        let id = swarm.listen_on(address.clone()).map_err(|error| wrong(error.to_string()))?;
        let ready = async {
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::NewListenAddr { listener_id, address } if listener_id == id => return Ok(address),
                    SwarmEvent::ListenerClosed { listener_id, reason, .. } if listener_id == id => {
                        return Err(reason.err().map_or_else(|| "closed".to_owned(), |error| error.to_string()));
                    }
                    _ => {}
                }
            }
        };
        let ready = timeout(LISTEN_TIMEOUT, ready).await.unwrap_or_else(|_| Err("not in time".to_owned()));
        listening.push(ready.map_err(wrong)?);
    }
    Ok(listening)
}

/// Counts each refusal; logs the first of each peer and reason.
fn report_refusals() -> impl Fn(Option<PeerId>, &Refusal) + Send + Sync {
    let logged: Mutex<BTreeMap<(Option<PeerId>, &'static str), Instant>> = Mutex::default();
    move |peer, refusal| {
        let reason = refusal.reason();
        counter!("trine_admission_refused_total", "reason" => reason).increment(1);
        let now = Instant::now();
        let mut logged = logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.retain(|_, at| now.duration_since(*at) < REFUSAL_QUIET);
        if logged.len() < REFUSALS_REMEMBERED_MAX && logged.insert((peer, reason), now).is_none() {
            let peer = peer.map(|peer| peer.to_string());
            tracing::warn!(peer, reason, %refusal, "refused");
        }
    }
}
