//! Two processes on copies of one node's disk: the one that began first is the node, and the other is told so.

use std::time::{Duration, Instant};

use bytes::Bytes;
use libp2p::Multiaddr;
use trine_crdt::NodeId;
use trine_node::net::NetEvent;
use trine_node::net::limits::TAKEN_MAX;
use trine_replica::effect::PeerAddress;

use crate::net_relay::Relay;
use crate::net_world::{Node, World};

/// Longer than two that began together may be apart.
const LONG: Duration = Duration::from_secs(60);

/// Waits until a node is told that it runs on a copy; by whom.
async fn is_taken(node: &mut Node) -> NodeId {
    node.wait(|event| if let NetEvent::Taken { by } = event { Some(by.node) } else { None }).await
}

fn reached(node: &Node, region: &str) -> PeerAddress {
    let (peer, region) = (node.handle.peer().to_string(), region.parse().expect("a region"));
    PeerAddress { peer, region, addresses: vec![node.address().to_string()] }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_told_so_and_takes_nothing_from_the_node() {
    let world = World::new();
    let bundle = world.node_bundle("left-a");
    let mut one = world.node_running(1, bundle.clone(), &[], LONG).await;
    let mut two = world.node(2, "right-a", &[one.address()]).await;
    one.up(two.id).await;
    two.up(one.id).await;
    let mut copy = world.node_running(1, bundle, &[two.address()], Duration::ZERO).await;
    let began = Instant::now();
    assert_eq!(is_taken(&mut copy).await, two.id);
    assert!(began.elapsed() >= TAKEN_MAX, "a peer may not have missed the process before a restart yet");
    assert_eq!(two.handle.answering(one.id), Some(one.process));
    two.say(one.id, "still you");
    assert_eq!(one.heard().await, (two.id, Bytes::from("still you")));
    assert!(!std::iter::from_fn(|| two.events.try_recv().ok()).any(|event| matches!(event, NetEvent::PeerDown(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_heard_the_copy_first_turns_to_the_node_when_that_comes() {
    let world = World::new();
    let bundle = world.node_bundle("left-a");
    let mut one = world.node_running(1, bundle.clone(), &[], LONG).await;
    let mut two = world.node(2, "right-a", &[]).await;
    let mut copy = world.node_running(1, bundle, &[two.address()], Duration::ZERO).await;
    two.up(copy.id).await;
    copy.up(two.id).await;
    assert_eq!(two.handle.answering(copy.id), Some(copy.process));
    one.handle.set_peers(vec![reached(&two, "right")]);
    one.up(two.id).await;
    assert_eq!(is_taken(&mut copy).await, two.id);
    assert_eq!(two.handle.answering(one.id), Some(one.process));
    two.say(one.id, "you after all");
    assert_eq!(one.heard().await, (two.id, Bytes::from("you after all")));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_anybody_speaks_with_it_a_process_goes_on() {
    let world = World::new();
    let bundle = world.node_bundle("left-a");
    let mut one = world.node_running(1, bundle.clone(), &[], LONG).await;
    let mut two = world.node(2, "right-a", &[one.address()]).await;
    two.up(one.id).await;
    one.up(two.id).await;
    let mut friend = world.node(3, "right-b", &[]).await;
    let mut copy = world.node_running(1, bundle, &[two.address(), friend.address()], Duration::ZERO).await;
    friend.up(copy.id).await;
    copy.up(friend.id).await;
    // What is said on a link is heard all the while, and `two` refuses this process all the while.
    let began = Instant::now();
    while began.elapsed() < TAKEN_MAX + Duration::from_secs(1) {
        friend.say(copy.id, "still here");
        let heard = copy.wait(|event| match event {
            NetEvent::Taken { .. } => Some(false),
            NetEvent::Message { .. } => Some(true),
            _ => None,
        });
        assert!(heard.await, "it is told that it is a copy");
    }
    assert_eq!(two.handle.answering(one.id), Some(one.process));
    drop(friend);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_its_peers_have_not_noticed_is_no_copy() {
    let world = World::new();
    let bundle = world.node_bundle("left-a");
    let mut two = world.node(2, "right-a", &[]).await;
    let port = two.address().iter().find_map(|part| match part {
        libp2p::multiaddr::Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    let relay = Relay::to(port.expect("a port"), Duration::ZERO).await;
    let through: Multiaddr =
        format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", relay.port, two.handle.peer()).parse().expect("one");
    let mut one = world.node_running(1, bundle.clone(), &[through], LONG).await;
    one.up(two.id).await;
    two.up(one.id).await;
    assert_eq!(two.handle.answering(one.id), Some(one.process));
    // Power is lost: no connection is closed.
    relay.open.send_replace(false);
    let restarted = Instant::now();
    let mut again = world.node_running(1, bundle, &[two.address()], Duration::ZERO).await;
    two.down(one.id).await;
    two.up(again.id).await;
    assert_eq!(two.handle.answering(again.id), Some(again.process));
    println!("taken after {:?}", restarted.elapsed());
    two.say(again.id, "welcome back");
    let heard = again.wait(|event| match event {
        NetEvent::Taken { .. } => Some(false),
        NetEvent::Message { .. } => Some(true),
        _ => None,
    });
    assert!(heard.await, "it is told that it is a copy");
}
