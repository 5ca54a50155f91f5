//! Links between nodes that may have them.

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use tokio::time::{Instant, timeout};
use trine_node::net::NetEvent;
use trine_replica::PeerMessage;

use crate::net_world::World;

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_link_talk_both_ways_and_measure_the_round_trip() {
    let world = World::new();
    let mut one = world.node(1, "left-a", &[]).await;
    let mut two = world.node(2, "right-a", &[one.address()]).await;
    match one.next().await {
        NetEvent::PeerUp(peer) => {
            assert_eq!((peer.node, &*peer.name, peer.region.as_str()), (two.id, "right-a", "right"));
        }
        other => panic!("{other:?} before the peer was up"),
    }
    two.up(one.id).await;
    one.say(two.id, "hello");
    two.say(one.id, "good day");
    assert_eq!(two.heard().await, (one.id, Bytes::from("hello")));
    assert_eq!(one.heard().await, (two.id, Bytes::from("good day")));
    // One large message, longer than any buffer on the way.
    let large = Bytes::from(vec![7; 8 * 1024 * 1024]);
    one.handle.send(two.id, &PeerMessage::Metadata(large.clone()));
    assert_eq!(two.heard().await, (one.id, large));
    let measured = timeout(Duration::from_secs(10), async {
        loop {
            if let Some(round_trip) = one.handle.round_trip(two.id) {
                return round_trip;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    println!("round trip {:?}", measured.await.expect("a heartbeat's echo"));
    one.handle.shutdown().await;
    two.down(one.id).await;
    assert!(two.handle.connected().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_dial_each_other_settle_on_one_link_and_lose_nothing() {
    let world = World::new();
    let bundles = [world.node_bundle("left-a"), world.node_bundle("right-a")];
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let first = format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("an address");
    let [left, right] = bundles;
    let known = libp2p::Multiaddr::with_p2p(first, left.key.peer()).expect("no peer id yet");
    let mut two = world.node_of(2, right, std::slice::from_ref(&known), None).await;
    let (_, listen) = trine_client::transport::split_peer(&known);
    let mut one = world.node_of(1, left, &[two.address()], Some(listen)).await;
    one.up(two.id).await;
    two.up(one.id).await;
    for round in 0..200 {
        let text = format!("{round}");
        one.say(two.id, &text);
        two.say(one.id, &text);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for node in [&mut one, &mut two] {
        let mut heard = std::collections::BTreeSet::new();
        while heard.len() < 200 {
            match node.next().await {
                NetEvent::Message { message: PeerMessage::Metadata(bytes), .. } => heard.insert(bytes),
                other => panic!("{other:?} while the link should stand"),
            };
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_without_peer_id_is_enough_and_a_restarted_peer_comes_back() {
    let world = World::new();
    let bundle = world.node_bundle("left-a");
    let one = world.node_of(1, bundle.clone(), &[], None).await;
    let (_, address) = trine_client::transport::split_peer(&one.address());
    let mut two = world.node(2, "right-a", std::slice::from_ref(&address)).await;
    two.up(one.id).await;
    one.handle.shutdown().await;
    two.down(one.id).await;
    // Back under the same key, on a new disk: another node.
    let mut again = world.node_of(9, bundle, &[], Some(address)).await;
    let back = Instant::now();
    two.up(again.id).await;
    println!("redialled after {:?}", back.elapsed());
    again.up(two.id).await;
    two.say(again.id, "welcome");
    assert_eq!(again.heard().await.1, Bytes::from("welcome"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_node_under_a_key_is_linked_beside_the_first_and_no_third_is() {
    let world = World::new();
    let bundle = world.node_bundle("left-a");
    let mut one = world.node_of(1, bundle.clone(), &[], None).await;
    let mut two = world.node(2, "right-a", &[one.address()]).await;
    one.up(two.id).await;
    two.up(one.id).await;
    let mut double = world.node_of(9, bundle.clone(), &[two.address()], None).await;
    double.up(two.id).await;
    match two.next().await {
        NetEvent::PeerUp(peer) => assert_eq!(peer.node, double.id),
        other => panic!("{other:?} of the first one"),
    }
    let mut third = world.node_of(10, bundle, &[two.address()], None).await;
    third.down(two.id).await;
    for (node, text) in [(&mut one, "to the first"), (&mut double, "to the second")] {
        two.say(node.id, text);
        assert_eq!(node.heard().await, (two.id, Bytes::from(text)));
    }
    third.handle.shutdown().await;
    double.handle.shutdown().await;
    match two.next().await {
        NetEvent::PeerDown(node) => assert_eq!(node, double.id),
        other => panic!("{other:?} of the first one"),
    }
    assert_eq!(two.handle.connected(), [one.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rumor_reaches_the_nodes() {
    let world = World::new();
    let mut one = world.node(1, "left-a", &[]).await;
    let mut two = world.node(2, "right-a", &[one.address()]).await;
    let mut three = world.node(3, "far-a", &[one.address(), two.address()]).await;
    for (node, others) in [(&mut one, [2, 3]), (&mut two, [1, 3]), (&mut three, [1, 2])] {
        let mut missing = others.to_vec();
        while !missing.is_empty() {
            if let NetEvent::PeerUp(peer) = node.next().await {
                missing.retain(|id| *id != peer.node.0);
            }
        }
    }
    let (from, said) = (one.id, Bytes::from("the roster changed"));
    // Subscriptions take a moment; a rumor may be lost until they are known.
    let told = async {
        for node in [&mut two, &mut three] {
            node.wait(|event| match event {
                NetEvent::Rumor { from: author, bytes } => Some((author, bytes)),
                _ => None,
            })
            .map(|told| assert_eq!(told, (from, said.clone())))
            .await;
        }
    };
    let tell = async {
        loop {
            one.handle.publish(said.clone());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = told => {}
        () = tell => {}
    }
}
