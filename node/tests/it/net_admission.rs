//! Who knocks without the right certificate is cut off, and nothing of it is delivered.

use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::core::transport::Transport as _;
use libp2p::core::upgrade::Version;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{Config, Swarm, SwarmEvent, dummy};
use libp2p::{StreamProtocol, noise, tcp, yamux};
use tokio::time::timeout;
use trine_identity::admission::{Gate, Refusal};
use trine_identity::{Bundle, Key};
use trine_protocol::Role;

use crate::net_world::{Node, PATIENCE, World};

/// Dials, tries to open a link and to write on it, and waits until the connection is gone.
async fn knock(mut swarm: Swarm<libp2p_stream::Behaviour>, node: &Node) {
    let mut control = swarm.behaviour().new_control();
    swarm.dial(DialOpts::unknown_peer_id().address(node.handle.listening()[0].clone()).build()).expect("a dial");
    let peer = node.handle.peer();
    let speak = async move {
        let protocol = StreamProtocol::new("/trine/link/1");
        if let Ok(mut stream) = control.open_stream(peer, protocol).await {
            let _ = stream.write_all(&[0, 0, 0, 1, 0]).await;
            let _ = stream.flush().await;
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
    };
    let gone = async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionClosed { .. } | SwarmEvent::OutgoingConnectionError { .. } => return,
                _ => {}
            }
        }
    };
    let outcome = timeout(PATIENCE, async { tokio::join!(gone, timeout(Duration::from_secs(5), speak)) });
    let ((), _) = outcome.await.expect("cut off");
}

/// The node delivers nothing of a stranger, and still works for a friend.
async fn unharmed(world: &World, mut node: Node) {
    assert!(node.events.try_recv().is_err(), "a stranger was heard");
    assert!(node.handle.connected().is_empty());
    let friend = world.node(77, "right-z", &[node.address()]).await;
    node.up(friend.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_libp2p_peer_without_any_certificate() {
    let world = World::new();
    let node = world.node(1, "left-a", &[]).await;
    let key = Key::generate().libp2p();
    let transport = tcp::tokio::Transport::new(tcp::Config::new())
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(&key).expect("noise"))
        .multiplex(yamux::Config::default())
        .boxed();
    let config = Config::with_tokio_executor().with_idle_connection_timeout(PATIENCE);
    let swarm = Swarm::new(transport, libp2p_stream::Behaviour::new(), key.public().to_peer_id(), config);
    knock(swarm, &node).await;
    unharmed(&world, node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_authority() {
    let (world, elsewhere) = (World::new(), World::new());
    let node = world.node(1, "left-a", &[]).await;
    knock(world.swarm(&elsewhere.node_bundle("left-b"), libp2p_stream::Behaviour::new()), &node).await;
    unharmed(&world, node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_the_certificate_of_another() {
    let world = World::new();
    let node = world.node(1, "left-a", &[]).await;
    let stolen = Bundle { key: Key::generate(), ..world.node_bundle("left-b") };
    knock(world.swarm(&stolen, libp2p_stream::Behaviour::new()), &node).await;
    unharmed(&world, node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_opens_a_link() {
    let world = World::new();
    let node = world.node(1, "left-a", &[]).await;
    let admin = world.ca.issue_client(Role::Admin, "operator").expect("a certificate");
    knock(world.swarm(&admin, libp2p_stream::Behaviour::new()), &node).await;
    unharmed(&world, node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_opens_no_client_stream_but_an_unknown_one_is_let_go() {
    let world = World::new();
    let mut node = world.node(1, "left-a", &[]).await;
    let mut swarm = world.swarm(&world.node_bundle("left-b"), dummy::Behaviour);
    swarm.dial(DialOpts::unknown_peer_id().address(node.handle.listening()[0].clone()).build()).expect("a dial");
    let closed = async {
        loop {
            if let SwarmEvent::ConnectionClosed { .. } = swarm.select_next_some().await {
                return;
            }
        }
    };
    timeout(PATIENCE, closed).await.expect("an idle connection is closed");
    assert!(node.events.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialler_reads_nothing_from_a_listener_that_is_no_node() {
    let world = World::new();
    let reader = world.ca.issue_client(Role::Reader, "pretender").expect("a certificate");
    let mut pretender = world.swarm(&reader, libp2p_stream::Behaviour::new());
    pretender.listen_on("/ip4/127.0.0.1/tcp/0".parse().expect("an address")).expect("listens");
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = pretender.select_next_some().await {
            break address;
        }
    };
    tokio::spawn(async move {
        loop {
            pretender.select_next_some().await;
        }
    });
    let client = world.ca.issue_client(Role::Reader, "careful").expect("a certificate");
    let client = trine_client::Client::builder()
        .seed(&address.to_string())
        .expect("an address")
        .identity(client.key.libp2p(), bytes::Bytes::copy_from_slice(&client.certificate))
        .authority(world.authority.clone())
        .build()
        .expect("a client");
    assert_eq!(client.connect().await, Err(trine_client::ClientError::Refused(Refusal::Role)));
}

#[test]
fn a_certificate_is_refused_by_name() {
    let (world, elsewhere) = (World::new(), World::new());
    let ours = world.node_bundle("left-a");
    let gate = Gate::new(bytes::Bytes::new(), Arc::new(world.authority.clone()), |_, _| {});
    assert!(gate.check(ours.key.peer(), &ours.certificate).is_ok());
    assert_eq!(gate.check(Key::generate().peer(), &ours.certificate), Err(Refusal::Key));
    let theirs = elsewhere.node_bundle("left-a");
    assert_eq!(
        gate.check(theirs.key.peer(), &theirs.certificate).map_err(|refusal| refusal.reason()),
        Err("certificate")
    );
    assert!(matches!(gate.check(ours.key.peer(), &[0; 100_000]), Err(Refusal::TooLarge { bytes: 100_000 })));
}
