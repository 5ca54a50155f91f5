//! Hostile frames from those who are inside: a typed end, and nobody else notices.

use bytes::Bytes;
use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::{PeerId, Stream, StreamProtocol};
use serde::Serialize;
use tokio::time::timeout;
use trine_client::framing;
use trine_crdt::{NodeId, VersionRange};
use trine_identity::Bundle;
use trine_node::net::frame::Reached;
use trine_protocol::{ClientHello, NodeHello, Role};

use crate::net_world::{Node, PATIENCE, World};

/// A link's hello, as a stranger to the code would write it.
#[derive(Serialize)]
struct Hello {
    versions: VersionRange,
    levels: VersionRange,
    cluster: String,
    node: NodeId,
    certificate: Bytes,
    process: u64,
    running_ms: u64,
    number: u64,
    reached: Reached,
}

async fn open(world: &World, bundle: &Bundle, node: &Node, protocol: &'static str) -> Stream {
    let mut swarm = world.swarm(bundle, libp2p_stream::Behaviour::new());
    let mut control = swarm.behaviour().new_control();
    swarm.dial(DialOpts::unknown_peer_id().address(node.handle.listening()[0].clone()).build()).expect("a dial");
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    let peer: PeerId = node.handle.peer();
    // Wait for the connection, so that the stream does not dial a second time without an address.
    for _ in 0..200 {
        if let Ok(Ok(stream)) = timeout(PATIENCE, control.open_stream(peer, StreamProtocol::new(protocol))).await {
            return stream;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("no stream");
}

async fn link(world: &World, node: &mut Node, id: u64) -> Stream {
    let bundle = world.node_bundle("right-x");
    let mut stream = open(world, &bundle, node, "/trine/link/1").await;
    let hello = Hello {
        // What a later program says: it knows what this one speaks, too.
        versions: VersionRange { lowest: 1, highest: 3 },
        levels: VersionRange { lowest: 1, highest: 2 },
        cluster: world.ca.cluster().to_owned(),
        node: NodeId(id),
        certificate: Bytes::copy_from_slice(&bundle.certificate),
        process: 1,
        running_ms: 1_000,
        number: 1,
        reached: Reached::default(),
    };
    let frame = framing::frame(&hello, 64 * 1024).expect("short");
    framing::write_frame(&mut stream, &frame, PATIENCE).await.expect("written");
    node.up(NodeId(id)).await;
    stream
}

async fn ends(mut stream: Stream) {
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("hung up on");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_link_every_bad_frame_ends_it_and_only_it() {
    let world = World::new();
    let mut node = world.node(1, "left-a", &[]).await;
    let mut friend = world.node(2, "right-a", &[node.address()]).await;
    node.up(friend.id).await;
    friend.up(node.id).await;
    let bad: [&[u8]; 5] = [
        &[0xff, 0xff, 0xff, 0xff],
        &[0, 0, 0, 0],
        &[0, 0, 0, 3, 1, 2, 3],
        &[0x01, 0x80, 0x00, 0x01],
        &[0, 0, 0, 9, 0xbf, 0x9f, 0x9f, 0x9f, 0x9f, 0x9f, 0x9f, 0x9f, 0x9f],
    ];
    for (id, bytes) in (100..).zip(bad) {
        let mut stream = link(&world, &mut node, id).await;
        stream.write_all(bytes).await.expect("written");
        stream.flush().await.expect("flushed");
        node.down(NodeId(id)).await;
        ends(stream).await;
    }
    friend.say(node.id, "unmoved");
    assert_eq!(node.heard().await, (friend.id, Bytes::from("unmoved")));
    assert_eq!(node.handle.connected(), [friend.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_cannot_take_the_id_of_another_that_is_connected() {
    let world = World::new();
    let mut node = world.node(1, "left-a", &[]).await;
    let mut friend = world.node(2, "right-a", &[node.address()]).await;
    node.up(friend.id).await;
    let bundle = world.node_bundle("right-x");
    let mut stream = open(&world, &bundle, &node, "/trine/link/1").await;
    let hello = Hello {
        // What a later program says: it knows what this one speaks, too.
        versions: VersionRange { lowest: 1, highest: 3 },
        levels: VersionRange { lowest: 1, highest: 2 },
        cluster: world.ca.cluster().to_owned(),
        node: friend.id,
        certificate: Bytes::copy_from_slice(&bundle.certificate),
        process: 1,
        running_ms: 1_000,
        number: 1,
        reached: Reached::default(),
    };
    let frame = framing::frame(&hello, 64 * 1024).expect("short");
    framing::write_frame(&mut stream, &frame, PATIENCE).await.expect("written");
    ends(stream).await;
    node.say(friend.id, "still you");
    assert_eq!(friend.heard().await, (node.id, Bytes::from("still you")));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_client_stream_every_bad_frame_ends_it() {
    let world = World::new();
    let mut node = world.node(1, "left-a", &[]).await;
    let bundle = world.ca.issue_client(Role::Writer, "app").expect("a certificate");
    let bad: [&[u8]; 3] = [&[0xff, 0xff, 0xff, 0xff], &[0, 0, 0, 0], &[0, 0, 0, 3, 1, 2, 3]];
    for (bytes, greeted) in bad.into_iter().flat_map(|bytes| [(bytes, true), (bytes, false)]) {
        let mut stream = open(&world, &bundle, &node, "/trine/client/1").await;
        if greeted {
            let hello = ClientHello { versions: (1, 1), certificate: Bytes::copy_from_slice(&bundle.certificate) };
            let frame = framing::frame(&hello, 64 * 1024).expect("short");
            framing::write_frame(&mut stream, &frame, PATIENCE).await.expect("written");
            let answer: NodeHello = framing::read_value(&mut stream, 64 * 1024, PATIENCE).await.expect("a hello");
            assert_eq!(answer.node, node.id);
        }
        stream.write_all(bytes).await.expect("written");
        stream.flush().await.expect("flushed");
        ends(stream).await;
    }
    assert!(node.events.try_recv().is_err(), "nothing was delivered");
}
