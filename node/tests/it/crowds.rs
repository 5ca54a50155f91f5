//! Strangers who come in numbers and say nothing take nobody's place who speaks.

use std::net::TcpStream;

use trine_node::descriptors::Descriptors;

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
