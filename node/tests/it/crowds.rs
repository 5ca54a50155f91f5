//! Strangers who come in numbers and say nothing take nobody's place who speaks.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use trine_node::descriptors::Descriptors;

use crate::bad_region::{Region, try_http};
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
