//! Strangers who come in numbers and say nothing take nobody's place who speaks.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use trine_node::descriptors::Descriptors;

use crate::bad_region::{PATIENCE, Region, try_http};
use crate::fake_node::serve_with;
use crate::http_client::{ask, get};
use crate::net_world::World;

#[test]
fn open_files_are_divided_so_that_the_node_keeps_its_own() {
    for limit in [512, 600, 1024, 4096, 65_536, 1 << 40] {
        let shares = Descriptors::of(limit).expect("enough");
        let taken = (shares.http + shares.libp2p + shares.raft) as u64;
        assert!(taken + 448 <= limit, "{shares:?}");
        assert!(shares.http >= 32 && shares.libp2p >= 24 && shares.raft >= 8, "{shares:?}");
    }
    let error = Descriptors::of(256).expect_err("too few").to_string();
    assert!(error.contains("256") && error.contains("ulimit -n"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_do_not_keep_http_from_answering() {
    let api = serve_with(|config| config.connections_max = 8).await;
    let mut honest = tokio::net::TcpStream::connect(api.address).await.expect("connected");
    let mut silent = Vec::new();
    for round in 0..20 {
        for _ in 0..3 {
            silent.push(tokio::net::TcpStream::connect(api.address).await.expect("connected"));
        }
        let head = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", api.address);
        honest.write_all(head.as_bytes()).await.unwrap_or_else(|error| panic!("round {round}: {error}"));
        let mut answer = [0; 15];
        timeout(PATIENCE, honest.read_exact(&mut answer)).await.expect("in time").expect("answered");
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        // The rest of the answer.
        let mut rest = [0; 1024];
        while !rest.windows(3).any(|three| three == b"ok\n") {
            let read = timeout(PATIENCE, honest.read(&mut rest)).await.expect("in time").expect("answered");
            assert!(read > 0);
        }
        assert_eq!(get(api.address, "/healthz").await.status, 200, "round {round}");
    }
    let mut ended = 0;
    for mut stream in silent {
        let mut byte = [0];
        ended += usize::from(stream.read(&mut byte).now_or_never().is_some());
    }
    assert!(ended >= 50, "{ended} gave their places up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_never_asks_is_closed() {
    let api = serve_with(|config| config.connections_max = 8).await;
    let mut silent = tokio::net::TcpStream::connect(api.address).await.expect("connected");
    let mut byte = [0];
    let read = timeout(PATIENCE, silent.read(&mut byte)).await.expect("in bounded time");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_answered_while_all_places_are_at_work() {
    let api = serve_with(|config| config.connections_max = 3).await;
    api.node.stall();
    let asked: Vec<_> = (0..3).map(|_| tokio::spawn(ask(api.address, "PUT", "/k", &[], b"v"))).collect();
    let reached = async {
        while api.node.asked() < 3 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, reached).await.expect("all are under way");
    for _ in 0..40 {
        assert_eq!(get(api.address, "/healthz").await.status, 200);
        assert_eq!(get(api.address, "/readyz").await.status, 200);
        let refused = get(api.address, "/k").await;
        assert_eq!(refused.problem(), (429, "overloaded".into()));
        assert!(refused.header("retry-after").is_some());
    }
    api.node.resume();
    for answer in asked {
        assert_eq!(timeout(PATIENCE, answer).await.expect("in time").expect("answered").status, 201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_finds_a_place_among_silent_strangers() {
    let world = World::new();
    let mut node = world.node_with(1, "left-a", |config| config.incoming_max = 8).await;
    let address = node.handle.listening()[0].to_string();
    let port: u16 = address.rsplit('/').next().and_then(|port| port.parse().ok()).expect("a port");
    let silent: Vec<_> = (0..40).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("connected")).collect();
    let friend = world.node(2, "right-a", &[node.address()]).await;
    node.up(friend.id).await;
    drop(silent);
}

/// So many descriptors that each listener gets a few dozen: strangers fill all of them many times over.
#[test]
fn a_node_with_few_descriptors_outlives_a_crowd_at_each_of_its_ports() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::prepared(&directory.path().join("cluster"), &[]);
    region.open_files = Some(560);
    (0..3).for_each(|at| region.start(at));
    (0..3).for_each(|at| region.ready(at));
    assert!(region.log(0).contains("open_files_max=560"), "{}", region.log(0));
    let http: SocketAddr = region.node(0).http.parse().unwrap();
    let ports = [http.port(), http.port() + 1, http.port() + 2];
    let mut crowd = Vec::new();
    for round in 0..6 {
        for port in ports {
            crowd.extend((0..50).filter_map(|_| TcpStream::connect((http.ip(), port)).ok()));
        }
        for at in 0..3 {
            let health = try_http(&region.node(at).http, "GET", "/healthz", &[], b"");
            assert!(health.is_some_and(|answer| answer.status == 200), "round {round}: no answer of {at}");
        }
        region.is_well(&format!("crowd-{round}"));
        let increment = r#"{"op":"increment","by":1}"#;
        assert_eq!(region.http(1, "POST", "/api/v1/objects/objects/k", increment).status, 200);
        // Longer than the floor's interval, so that it is written in the crowd.
        let deadline = std::time::Instant::now() + Duration::from_millis(300);
        while std::time::Instant::now() < deadline {
            assert_eq!(region.http(0, "POST", "/api/v1/objects/objects/k", increment).status, 200);
        }
    }
    assert!((0..3).all(|at| region.lives(at)));
    drop(crowd);
    region.is_well("after-the-crowd");
}
