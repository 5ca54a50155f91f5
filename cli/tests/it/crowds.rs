//! Strangers who come in numbers and say nothing do not keep a region from its work.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::bad_region::{Region, try_http};

/// Enough descriptors for a few dozen at each listener: strangers fill all of them many times over.
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
