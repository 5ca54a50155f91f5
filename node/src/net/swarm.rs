//! The task that owns the swarm. It decides and hands on; it never waits for a peer, a stream or the driver.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::StreamExt as _;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, NetworkBehaviour, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, connection_limits, gossipsub, mdns, ping};
use metrics::counter;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};
use trine_client::transport::{is_name, resolve};
use trine_identity::admission::Refusal;
use trine_protocol::Role;
use trine_replica::effect::PeerAddress;

use super::arrivals::{Arrivals, ClientsBounded};
use super::client::{self, Door};
use super::config::Told;
use super::dial::{Dialler, Target};
use super::event::NetEvent;
use super::frame::LinkHello;
use super::gossip::{self, Authors};
use super::limits::{DIAL_TICK, HELLO_TIMEOUT, LINKS_PER_KEY_MAX, OPENING_MAX, RECHECK_INTERVAL};
use super::link::{self, Candidate, Failure, Shared};
use super::process::Process;
use super::streams::{self, CLIENT, LINK, Opened};
use super::table::{Link, Rank};

/// All behaviours of a node.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub limits: connection_limits::Behaviour,
    pub clients: ClientsBounded,
    pub streams: streams::Behaviour,
    pub ping: ping::Behaviour,
    pub gossip: Toggle<gossip::Behaviour>,
    pub mdns: Toggle<mdns::tokio::Behaviour>,
}

/// What the handle asks for.
pub(super) enum Command {
    Publish(Bytes),
    Shutdown(oneshot::Sender<()>),
}

/// What tasks report.
pub(super) enum Report {
    Candidate(Box<Candidate>),
    Failed { peer: PeerId, connection: ConnectionId, failure: Failure },
    Ended(Arc<Link>),
    Drained(ConnectionId),
    Resolved(Target, Vec<Multiaddr>),
}

/// The task's state.
pub(super) struct Engine {
    pub swarm: Swarm<Behaviour>,
    pub arrivals: Arrivals,
    pub hello: LinkHello,
    /// This process.
    pub process: Process,
    pub topic: gossipsub::IdentTopic,
    pub shared: Shared,
    pub told: Told,
    pub door: Arc<Door>,
    pub dialler: Dialler,
    pub authors: Authors,
    pub opening: BTreeMap<PeerId, (ConnectionId, Instant)>,
    /// Incoming connections on which nothing was opened yet.
    pub lonely: BTreeMap<ConnectionId, Instant>,
    pub commands: mpsc::Receiver<Command>,
    pub peers: watch::Receiver<Vec<PeerAddress>>,
    pub report: mpsc::Sender<Report>,
    pub reports: mpsc::Receiver<Report>,
}

impl Engine {
    /// Runs until it is told to stop or the handle is gone.
    pub async fn run(mut self) {
        let mut dial = interval(DIAL_TICK);
        dial.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut recheck = interval(RECHECK_INTERVAL);
        recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm_event(event),
                Some(report) = self.reports.recv() => self.on_report(report),
                command = self.commands.recv() => match command {
                    Some(Command::Publish(bytes)) => self.publish(bytes),
                    Some(Command::Shutdown(done)) => {
                        self.shared.table.all().iter().for_each(|link| link.leave.notify_one());
                        drop(self);
                        let _ = done.send(());
                        return;
                    }
                    None => return,
                },
                Ok(()) = self.peers.changed() => self.on_peers(),
                _ = dial.tick() => {
                    self.dial();
                    self.close_lonely();
                }
                _ = recheck.tick() => self.recheck(),
            }
        }
    }

    fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Streams(opened)) => self.on_stream(opened),
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => self.on_gossip(event),
            SwarmEvent::Behaviour(BehaviourEvent::Mdns(mdns::Event::Discovered(found))) => {
                for (peer, address) in found {
                    let address = address.with_p2p(peer).unwrap_or_else(|address| address);
                    if self.dialler.seed(&address) {
                        let _ = self.shared.events.try_send(NetEvent::Discovered { address });
                    }
                }
            }
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } if endpoint.is_dialer() => {
                self.dialler.ended(connection_id, Some(peer_id));
                if self.is_wanted(&peer_id) {
                    self.opening.insert(peer_id, (connection_id, Instant::now()));
                    self.swarm.behaviour_mut().streams.open_link(peer_id, connection_id);
                } else {
                    self.swarm.close_connection(connection_id);
                }
            }
            SwarmEvent::ConnectionEstablished { connection_id, endpoint, .. } => {
                self.arrivals.admitted(endpoint.get_remote_address());
                self.lonely.insert(connection_id, Instant::now());
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, .. } => {
                self.lonely.remove(&connection_id);
                self.opening_over(&peer_id, connection_id);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                let myself = matches!(error, DialError::LocalPeerId { .. }).then(|| *self.swarm.local_peer_id());
                self.dialler.ended(connection_id, myself);
                tracing::trace!(%error, "dial failed");
            }
            SwarmEvent::IncomingConnectionError { error, .. } => {
                counter!("trine_connections_failed_total").increment(1);
                tracing::debug!(%error, "incoming connection failed");
            }
            _ => {}
        }
    }

    /// Whether a link with the peer is missing and not being made.
    fn is_wanted(&self, peer: &PeerId) -> bool {
        let opening = self.opening.get(peer).is_some_and(|(_, since)| since.elapsed() < OPENING_MAX);
        !opening && !self.shared.table.is_linked(peer)
    }

    fn opening_over(&mut self, peer: &PeerId, connection: ConnectionId) {
        if self.opening.get(peer).is_some_and(|(opening, _)| *opening == connection) {
            self.opening.remove(peer);
        }
    }

    fn on_stream(&mut self, Opened { peer, connection, stream, ours }: Opened) {
        self.lonely.remove(&connection);
        let Some((protocol, stream)) = stream else {
            self.opening_over(&peer, connection);
            self.swarm.close_connection(connection);
            return;
        };
        let Some(admitted) = self.shared.gate.admitted(&peer).filter(|_| !ours) else {
            // Ours: the peer's certificate is verified with the first byte that it sends.
            if ours {
                self.establish(stream, peer, connection, ours);
            } else {
                self.refuse(peer, connection, &Refusal::NoCertificate);
            }
            return;
        };
        match (admitted.claims.role, protocol) {
            (Role::Node, protocol) if protocol == LINK => self.establish(stream, peer, connection, ours),
            (role, protocol) if role != Role::Node && protocol == CLIENT => {
                tokio::spawn(client::serve(stream, peer, admitted, self.door.clone()));
            }
            _ => self.refuse(peer, connection, &Refusal::Role),
        }
    }

    fn establish(&mut self, stream: libp2p::Stream, peer: PeerId, connection: ConnectionId, ours: bool) {
        self.hello.number += 1;
        self.hello.running_ms = self.process.running_ms();
        let (hello, gate, report) = (self.hello.clone(), self.shared.gate.clone(), self.report.clone());
        tokio::spawn(async move {
            let outcome = match link::establish(stream, (peer, connection, ours), hello, gate).await {
                Ok(candidate) => Report::Candidate(Box::new(candidate)),
                Err(failure) => Report::Failed { peer, connection, failure },
            };
            let _ = report.send(outcome).await;
        });
    }

    fn on_report(&mut self, report: Report) {
        match report {
            Report::Candidate(candidate) => {
                self.opening_over(&candidate.peer, candidate.connection);
                self.settle(*candidate);
            }
            Report::Failed { peer, connection, failure } => {
                self.opening_over(&peer, connection);
                match failure {
                    Failure::Refused(refusal) => self.refuse(peer, connection, &refusal),
                    Failure::Broken(error) => {
                        tracing::debug!(%peer, %error, "no link came of a stream");
                        self.swarm.close_connection(connection);
                    }
                }
            }
            Report::Ended(link) => {
                // Another disk under this key is now the first.
                if let Some(first) = self.shared.table.first_of(&link.peer_id) {
                    self.reached(&first);
                }
                self.swarm.close_connection(link.connection);
            }
            Report::Drained(connection) => {
                self.swarm.close_connection(connection);
            }
            Report::Resolved(target, addresses) => {
                self.dialler.resolved(&target);
                self.start_dial(target, addresses);
            }
        }
    }

    /// Makes a candidate the pair's link, unless a better one stands.
    fn settle(&mut self, candidate: Candidate) {
        let own = *self.swarm.local_peer_id();
        let node = candidate.hello.node;
        if self.shared.table.of_node(node).is_some_and(|standing| standing.peer_id != candidate.peer) {
            let what = "a hello with the id of another node that is connected";
            self.refuse(candidate.peer, candidate.connection, &Refusal::Conversation { what });
            return;
        }
        let opener_is_smaller = candidate.ours == (own < candidate.peer);
        let rank = Rank { opened_by_smaller: opener_is_smaller, number: candidate.number };
        let standing = self.shared.table.of_node(node);
        let process = candidate.process;
        let first = standing.as_ref().filter(|link| link.process.number != process.number && link.answers());
        if first.is_some_and(|first| !process.precedes(&first.process)) {
            let what = "a hello of a node that answers from a process that began before";
            self.shared.gate.refuse(Some(candidate.peer), &Refusal::Conversation { what });
            let (report, connection) = (self.report.clone(), candidate.connection);
            tokio::spawn(async move {
                link::tell_taken(candidate).await;
                let _ = report.send(Report::Drained(connection)).await;
            });
            return;
        }
        if standing.is_none() && self.shared.table.count_of(&candidate.peer) >= LINKS_PER_KEY_MAX {
            let what = "a hello under a key that other nodes answer under";
            self.refuse(candidate.peer, candidate.connection, &Refusal::Conversation { what });
            return;
        }
        let same = |link: &Link| link.process.number == process.number && link.peer.node == node;
        tracing::debug!(peer = %candidate.claims.name, ?rank, standing = ?standing.as_ref().map(|link| link.rank), "settling");
        if let Some(standing) = standing.clone().filter(|link| same(link) && link.rank > rank && !link.ended()) {
            let (shared, report, connection) = (self.shared.clone(), self.report.clone(), candidate.connection);
            tokio::spawn(async move {
                link::drain(standing, candidate, shared).await;
                let _ = report.send(Report::Drained(connection)).await;
            });
            return;
        }
        let link = Arc::new(Link::new(&candidate, rank));
        // The new link stands before the old one closes, so that whoever finds the old one closed finds the new one.
        self.shared.table.insert(&link);
        if self.shared.table.first_of(&link.peer_id).is_some_and(|first| first.peer.node == node) {
            self.reached(&link);
        } else {
            tracing::info!(peer = %link.peer.name, %node, "another node has this one's key: linked beside it");
        }
        let before = standing.map(|standing| {
            let replaced = same(&standing) && standing.replace();
            if !replaced {
                standing.leave.notify_one();
            }
            (standing.phase.subscribe(), replaced)
        });
        let (shared, report) = (self.shared.clone(), self.report.clone());
        tokio::spawn(async move {
            link::run(link.clone(), candidate, before, shared).await;
            let _ = report.send(Report::Ended(link)).await;
        });
    }

    /// Where a peer is reached, and who speaks under its key.
    fn reached(&mut self, link: &Link) {
        (self.told)(&link.claims, &link.reached.raft);
        self.dialler.told(link.peer_id, &link.reached.libp2p);
        self.authors.remember(link.peer_id, link.peer.node);
    }

    fn refuse(&mut self, peer: PeerId, connection: ConnectionId, refusal: &Refusal) {
        self.shared.gate.refuse(Some(peer), refusal);
        self.swarm.close_connection(connection);
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        let gossipsub::Event::Message { propagation_source, message_id, message } = event else { return };
        let (author, mut verdict) = self.authors.judge(&message);
        if let Some(from) = author {
            let bytes = Bytes::from(message.data);
            if self.shared.events.try_send(NetEvent::Rumor { from, bytes }).is_err() {
                counter!("trine_rumors_dropped_total").increment(1);
            }
        } else if !self.shared.table.is_linked(&propagation_source) {
            verdict = gossipsub::MessageAcceptance::Ignore;
        }
        if let Some(gossip) = self.swarm.behaviour_mut().gossip.as_mut() {
            gossip.inner.report_message_validation_result(&message_id, &propagation_source, verdict);
        }
    }

    fn publish(&mut self, bytes: Bytes) {
        let topic = self.topic.hash();
        if let Some(gossip) = self.swarm.behaviour_mut().gossip.as_mut()
            && let Err(error) = gossip.inner.publish(topic, Vec::from(bytes))
        {
            tracing::trace!(%error, "rumor not published");
        }
    }

    fn on_peers(&mut self) {
        let peers = self.peers.borrow_and_update().clone();
        let mut others = Vec::new();
        let mut wanted: BTreeMap<PeerId, Vec<Multiaddr>> = BTreeMap::new();
        for known in &peers {
            let Ok(peer) = known.peer.parse::<PeerId>() else {
                tracing::warn!(peer = %known.peer, "not a peer id in the roster");
                continue;
            };
            for address in known.addresses.iter().filter_map(|text| text.parse::<Multiaddr>().ok()) {
                if let Ok(whole) = address.clone().with_p2p(peer) {
                    others.push((known.region.clone(), whole.to_string()));
                }
                wanted.entry(peer).or_default().push(address);
            }
        }
        self.dialler.set_peers(wanted);
        self.door.set_others(others);
    }

    /// Closes connections that were admitted and then not used.
    fn close_lonely(&mut self) {
        let lonely = self.lonely.iter().filter(|(_, since)| since.elapsed() > HELLO_TIMEOUT);
        for connection in lonely.map(|(connection, _)| *connection).collect::<Vec<_>>() {
            self.lonely.remove(&connection);
            self.swarm.close_connection(connection);
        }
    }

    fn dial(&mut self) {
        let now = Instant::now();
        let (opening, table) = (&self.opening, &self.shared.table);
        let due = self.dialler.due(now, |peer| {
            table.is_linked(peer) || opening.get(peer).is_some_and(|(_, since)| now - *since < OPENING_MAX)
        });
        for (target, addresses) in due {
            // Names take their time, and those that nobody answers for take long: known addresses do not wait for them.
            let (names, known): (Vec<Multiaddr>, Vec<Multiaddr>) = addresses.into_iter().partition(is_name);
            if !names.is_empty() && self.dialler.resolve(&target) {
                let (report, target) = (self.report.clone(), target.clone());
                tokio::spawn(async move {
                    let resolved = futures::future::join_all(names.iter().map(resolve)).await.concat();
                    let _ = report.send(Report::Resolved(target, resolved)).await;
                });
            }
            self.start_dial(target, known);
        }
    }

    fn start_dial(&mut self, target: Target, addresses: Vec<Multiaddr>) {
        if addresses.is_empty() {
            return;
        }
        // A new port for each dial: several to one address are under way at once.
        let options = match &target {
            Target::Peer(peer) => vec![
                DialOpts::peer_id(*peer)
                    .addresses(addresses)
                    .condition(PeerCondition::Always)
                    .allocate_new_port()
                    .build(),
            ],
            Target::Address(_) => addresses
                .into_iter()
                .map(|address| DialOpts::unknown_peer_id().address(address).allocate_new_port().build())
                .collect(),
        };
        for options in options {
            let connection = options.connection_id();
            if self.swarm.dial(options).is_ok() {
                self.dialler.started(connection, target.clone());
            }
        }
    }

    fn recheck(&mut self) {
        let swarm = &self.swarm;
        let failed = self.shared.gate.recheck(|peer| swarm.is_connected(peer), RECHECK_INTERVAL);
        for peer in failed {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }
}
