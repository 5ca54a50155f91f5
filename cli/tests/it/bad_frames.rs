//! Frames that are too long or no frames, on each of a node's ports, from callers whose certificates are in order.
//! The node hangs up on the caller, serves everybody else meanwhile, and its memory stays where it was.

use std::sync::Arc;

use bytes::Bytes;
use futures::io::AsyncWriteExt as _;
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use trine_crdt::{FORMAT_LEVELS, NodeId, VersionRange};
use trine_identity::Bundle;
use trine_identity::tls::{client_config, server_name};
use trine_protocol::{ClientHello, Role};
use trine_raft::net::wire::{Hello, Lane};

use crate::bad_region::{PATIENCE, Region};
use crate::bad_visitor::{Visitor, frame, hung_up_on, read_frame};

const MIB: u64 = 1024 * 1024;

/// Bytes that are no frame of any of the three conversations.
fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    let framed = |body: Vec<u8>| [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat();
    vec![
        ("four gigabytes claimed", [&[0xff; 4][..], &[7; 100_000]].concat()),
        ("one byte more than the limit claimed", 67_108_865_u32.to_be_bytes().to_vec()),
        ("an empty frame", vec![0; 4]),
        ("not a value", framed(vec![0xff; 100])),
        ("a map of 2^63 entries", framed(vec![0xbb, 0x80, 0, 0, 0, 0, 0, 0, 0])),
        ("a text of 2^63 bytes", framed(vec![0x7b, 0x80, 0, 0, 0, 0, 0, 0, 0])),
        ("a hundred thousand nested arrays", framed(vec![0x81; 100_000])),
        ("indefinite arrays never ended", framed(vec![0x9f; 100_000])),
        ("another value than belongs here", framed(trine_crdt::codec::encode(&"hello").to_vec())),
    ]
}

/// The hello of a link, as the node's own.
#[derive(Serialize)]
struct LinkHello {
    versions: VersionRange,
    levels: VersionRange,
    cluster: String,
    node: NodeId,
    certificate: Bytes,
    process: u64,
    running_ms: u64,
    number: u64,
    reached: trine_node::net::frame::Reached,
}

fn link_hello(region: &Region, bundle: &Bundle, number: u64) -> LinkHello {
    LinkHello {
        versions: VersionRange { lowest: 1, highest: 1 },
        levels: FORMAT_LEVELS,
        cluster: region.cluster.cluster.clone(),
        node: NodeId(77),
        certificate: Bytes::copy_from_slice(&bundle.certificate),
        process: 1,
        running_ms: 1_000,
        number,
        reached: Default::default(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_are_none_harm_nobody_but_their_sender() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::started(&directory.path().join("cluster"), &[]);
    region.is_well("before-frames");
    let before = region.resident(0);
    clients(&region).await;
    region.is_well("after-clients");
    links(&region).await;
    region.is_well("after-links");
    raft(&region).await;
    region.is_well("after-raft");
    let grown = region.resident(0).saturating_sub(before);
    println!("resident memory grew by {} KiB", grown / 1024);
    assert!(grown < 24 * MIB, "{grown} bytes");
    assert!((0..3).all(|at| region.lives(at)));
}

/// More than all frames may hold together, each stating the largest value.
const TOO_MANY: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_state_much_and_send_little_deny_nobody_a_request() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::started(&directory.path().join("cluster"), &[]);
    let mut slow = Vec::new();
    for number in 0..TOO_MANY {
        let bundle = region.ca().issue_client(Role::Writer, &format!("slow-{number}")).unwrap();
        let hello = ClientHello { versions: (1, 1), certificate: Bytes::copy_from_slice(&bundle.certificate) };
        let mut visitor = Visitor::connect(&bundle, &region.node(0).libp2p).await;
        let mut stream = visitor.open("/trine/client/1").await.unwrap();
        stream.write_all(&frame(&hello)).await.unwrap();
        stream.flush().await.unwrap();
        read_frame(&mut stream).await;
        stream.write_all(&(16 * 1024 * 1024_u32).to_be_bytes()).await.unwrap();
        stream.write_all(b"abc").await.unwrap();
        stream.flush().await.unwrap();
        slow.push((visitor, stream));
    }
    let endpoint = region.node(0).libp2p.clone();
    for (number, value) in ["v".to_owned(), "v".repeat(100_000)].iter().enumerate() {
        let key = format!("k{number}");
        let output = region.trine(&["--endpoint", &endpoint, "ledger", "append", &key, value]);
        assert!(output.status.success(), "{output:?}");
    }
    // A reader cannot even state so much.
    let bundle = region.ca().issue_client(Role::Reader, "reader").unwrap();
    let hello = ClientHello { versions: (1, 1), certificate: Bytes::copy_from_slice(&bundle.certificate) };
    let mut visitor = Visitor::connect(&bundle, &region.node(0).libp2p).await;
    let mut stream = visitor.open("/trine/client/1").await.unwrap();
    stream.write_all(&frame(&hello)).await.unwrap();
    stream.flush().await.unwrap();
    read_frame(&mut stream).await;
    assert_eq!(hung_up_on(&mut stream, &(2 * 1024 * 1024_u32).to_be_bytes()).await, b"");
    drop(slow);
    region.is_well("after-slow-frames");
}

async fn clients(region: &Region) {
    let address = &region.node(0).libp2p;
    let bundle = region.ca().issue_client(Role::Admin, "visitor").unwrap();
    let hello = ClientHello { versions: (1, 1), certificate: Bytes::copy_from_slice(&bundle.certificate) };
    let refused = region.figure(0, "trine_admission_refused_total", "conversation");
    for (what, bytes) in garbage() {
        let mut visitor = Visitor::connect(&bundle, address).await;
        // In place of the hello, and after it.
        let mut stream = visitor.open("/trine/client/1").await.unwrap();
        assert_eq!(hung_up_on(&mut stream, &bytes).await, b"", "{what}");
        let mut stream = visitor.open("/trine/client/1").await.unwrap();
        stream.write_all(&frame(&hello)).await.unwrap();
        stream.flush().await.unwrap();
        read_frame(&mut stream).await;
        assert_eq!(hung_up_on(&mut stream, &bytes).await, b"", "{what}");
    }
    let times = region.figure(0, "trine_admission_refused_total", "conversation") - refused;
    assert!(times >= 2.0 * garbage().len() as f64, "counted: {times}");

    // Many that claim the largest frame and never send it hold what they sent, not what they claimed.
    let before = region.resident(0);
    let mut held = Vec::new();
    let mut visitor = Visitor::connect(&bundle, address).await;
    for _ in 0..40 {
        let mut stream = visitor.open("/trine/client/1").await.unwrap();
        stream.write_all(&frame(&hello)).await.unwrap();
        stream.flush().await.unwrap();
        read_frame(&mut stream).await;
        stream.write_all(&(16 * 1024 * 1024_u32).to_be_bytes()).await.unwrap();
        stream.write_all(&[0; 1000]).await.unwrap();
        stream.flush().await.unwrap();
        held.push(stream);
    }
    region.is_well("while-40-claim-16-mib");
    let grown = region.resident(0).saturating_sub(before);
    println!("40 streams that claim 16 MiB each: {} KiB", grown / 1024);
    assert!(grown < 16 * MIB, "{grown} bytes");
}

async fn links(region: &Region) {
    let address = &region.node(0).libp2p;
    let bundle = region.ca().issue_node(&region.node(0).region, "us-east-1-z").unwrap();
    for (number, (what, bytes)) in garbage().into_iter().enumerate() {
        let mut visitor = Visitor::connect(&bundle, address).await;
        let mut stream = visitor.open("/trine/link/1").await.unwrap();
        read_frame(&mut stream).await;
        hung_up_on(&mut stream, &bytes).await;
        let mut visitor = Visitor::connect(&bundle, address).await;
        let mut stream = visitor.open("/trine/link/1").await.unwrap();
        stream.write_all(&frame(&link_hello(region, &bundle, number as u64 + 1))).await.unwrap();
        read_frame(&mut stream).await;
        // What the node says meanwhile are its own beats and messages.
        hung_up_on(&mut stream, &bytes).await;
        println!("link: {what} -> hung up on");
    }
    // Hellos that lie.
    let other = region.ca().issue_node(&region.node(0).region, "us-east-1-y").unwrap();
    let later = VersionRange { lowest: 8, highest: 9 };
    let lies = [
        LinkHello { cluster: "another".to_owned(), ..link_hello(region, &bundle, 50) },
        LinkHello { certificate: Bytes::copy_from_slice(&other.certificate), ..link_hello(region, &bundle, 51) },
        LinkHello { versions: later, ..link_hello(region, &bundle, 52) },
        LinkHello { levels: later, ..link_hello(region, &bundle, 53) },
    ];
    for lie in lies {
        let mut visitor = Visitor::connect(&bundle, address).await;
        let mut stream = visitor.open("/trine/link/1").await.unwrap();
        read_frame(&mut stream).await;
        assert_eq!(hung_up_on(&mut stream, &frame(&lie)).await, b"", "after the node's own hello");
    }
    assert!(region.figure(0, "trine_admission_refused_total", "conversation") > 0.0);
}

async fn raft(region: &Region) {
    let bundle = region.ca().issue_node(&region.node(0).region, "us-east-1-z").unwrap();
    let node = std::fs::read_to_string(region.data(0).join("node")).unwrap();
    let node = node.lines().find_map(|line| line.strip_prefix("node")).unwrap();
    let node: NodeId = node.trim_matches(|c: char| !c.is_ascii_hexdigit()).parse().unwrap();
    let versions = VersionRange { lowest: 1, highest: 2 };
    for (what, bytes) in garbage() {
        let mut tls = connect(region, &bundle).await;
        assert_eq!(ended(&mut tls, &bytes).await, b"", "in place of the hello: {what}");
        for lane in [Lane::Control, Lane::Append, Lane::Prefix] {
            let mut tls = connect(region, &bundle).await;
            tls.write_all(&frame(&Hello { versions, from: 77, to: Some(node.0), lane, origin: None, process: 1 }))
                .await
                .unwrap();
            let mut length = [0; 4];
            timeout(PATIENCE, tls.read_exact(&mut length)).await.expect("a welcome").expect("a welcome");
            let mut welcome = vec![0; u32::from_be_bytes(length) as usize];
            tls.read_exact(&mut welcome).await.unwrap();
            assert_eq!(ended(&mut tls, &bytes).await, b"", "{lane:?}: {what}");
        }
    }
    // No TLS at all.
    for (what, bytes) in garbage() {
        let mut tcp = TcpStream::connect(&region.node(0).raft).await.unwrap();
        let _ = tcp.write_all(&bytes).await;
        let mut heard = Vec::new();
        let _ = timeout(PATIENCE, tcp.read_to_end(&mut heard)).await.expect(what);
    }
}

type Tls = tokio_rustls::client::TlsStream<TcpStream>;

async fn connect(region: &Region, bundle: &Bundle) -> Tls {
    let config = client_config(bundle, Arc::new(|_| Ok(()))).unwrap();
    let tcp = TcpStream::connect(&region.node(0).raft).await.unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(server_name(), tcp).await.unwrap()
}

/// Says something and reads until the node hangs up.
async fn ended(tls: &mut Tls, bytes: &[u8]) -> Vec<u8> {
    let _ = tls.write_all(bytes).await;
    let _ = tls.flush().await;
    let mut heard = Vec::new();
    let _ = timeout(PATIENCE, tls.read_to_end(&mut heard)).await.expect("the node hangs up");
    heard
}
