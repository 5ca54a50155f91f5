//! What the network does to a group: a peer cut off and healed, and callers that may not connect.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use trine_crdt::NodeId;
use trine_identity::tls::{client_config, server_name};
use trine_raft::net::wire::{Hello, Lane, VERSIONS};
use trine_replica::input::ProposeOutcome;

use crate::raft_group::{PATIENCE, Region, free_address};

/// Passes connections on, except while cut: then bytes are swallowed in silence, as a broken cable does.
async fn cable(listen: SocketAddr, to: SocketAddr, cut: watch::Receiver<bool>) {
    let listener = TcpListener::bind(listen).await.expect("a port");
    loop {
        let (near, _) = listener.accept().await.expect("accepts");
        let mut cut = cut.clone();
        tokio::spawn(async move {
            if *cut.borrow() {
                // Never answered; whoever dials during the cut gives up by itself.
                let _ = cut.wait_for(|cut| !cut).await;
                return;
            }
            let Ok(far) = TcpStream::connect(to).await else { return };
            let (mut near, mut far) = (near, far);
            let (mut near_read, mut near_write) = near.split();
            let (mut far_read, mut far_write) = far.split();
            let once_cut = async {
                let _ = cut.wait_for(|cut| *cut).await;
            };
            tokio::select! {
                _ = tokio::io::copy(&mut near_read, &mut far_write) => return,
                _ = tokio::io::copy(&mut far_read, &mut near_write) => return,
                () = once_cut => {}
            }
            // What was under way is lost for good: this connection never speaks again, nor does it close.
            tokio::time::sleep(Duration::from_secs(120)).await;
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_was_cut_apart_appends_again_soon_after_the_heal() {
    let mut region = Region::new(&["a", "b", "c"]).await;
    let (cut, is_cut) = watch::channel(false);
    // Everything from and to c crosses a cable: its own dials to a and b as well as theirs to c.
    let direct: Vec<SocketAddr> = region.founders.iter().map(|founder| founder.raft.parse().expect("one")).collect();
    let mut cables = Vec::new();
    for (founder, far) in direct.iter().enumerate() {
        let near = free_address();
        cables.push(tokio::spawn(cable(near, *far, is_cut.clone())));
        region.founders[founder].raft = near.to_string();
    }
    for (number, name) in ["a", "b", "c"].into_iter().enumerate() {
        region.listen.insert(name.to_owned(), direct[number]);
    }
    for (number, name) in ["a", "b", "c"].into_iter().enumerate() {
        region.start(name, NodeId(number as u64 + 1), std::sync::Arc::default()).await.expect("starts");
    }
    assert_eq!(region.append("before").await, ProposeOutcome::Committed);
    region.level().await;
    let (_, term) = region.leader().await;

    // The whole region's cables are cut: nobody hears anybody, so nobody can be elected, and pre-vote keeps terms still.
    cut.send_replace(true);
    for node in region.nodes.values() {
        let mut leadership = node.group.leadership();
        let idle = timeout(PATIENCE, leadership.wait_for(|now| !now.serving && now.leader.is_none())).await;
        idle.expect("a leader that nobody hears stops serving, and leads in nobody's eyes").expect("running");
    }
    tokio::time::sleep(Duration::from_secs(8)).await;
    let highest = region.nodes.values().map(|node| node.group.metrics().term).max();
    assert!(highest <= Some(term + 1), "terms stand still while nobody can win: {term}, then {highest:?}");
    cut.send_replace(false);
    let healed = Instant::now();
    while timeout(PATIENCE, region.append("after")).await.expect("in time") != ProposeOutcome::Committed {}
    println!("appending again {:?} after the heal", healed.elapsed());
    // Two that ask at the same moment split the votes and ask again, so more than one term may pass from here on.
    let (leader, _) = region.leader().await;
    let all = region.nodes[&leader].core.positions().len();
    for node in region.nodes.values() {
        let mut count = node.core.count.subscribe();
        timeout(PATIENCE, count.wait_for(|count| *count >= all)).await.expect("in time").expect("alive");
    }
    let took = healed.elapsed();
    println!("level again {took:?} after the heal");
    cables.iter().for_each(tokio::task::JoinHandle::abort);
    region.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_was_cut_off_is_level_within_a_second_and_deposes_nobody() {
    let mut region = Region::new(&["a", "b", "c"]).await;
    let (cut, is_cut) = watch::channel(false);
    // Only what the others send to c crosses the cable. c hears nothing, asks for votes, and gets none: the others
    // hear their leader.
    let direct: SocketAddr = region.founders[2].raft.parse().expect("one");
    let near = free_address();
    let cable = tokio::spawn(cable(near, direct, is_cut));
    region.founders[2].raft = near.to_string();
    region.listen.insert("c".to_owned(), direct);
    region.start("a", NodeId(1), std::sync::Arc::default()).await.expect("starts");
    region.start("b", NodeId(2), std::sync::Arc::default()).await.expect("starts");
    region.start("c", NodeId(3), std::sync::Arc::default()).await.expect("starts");
    assert_eq!(region.append("before").await, ProposeOutcome::Committed);
    region.level().await;
    while region.leader().await.0 == "c" {
        let c = region.nodes.remove("c").expect("c");
        c.group.shutdown().await;
        region.start("c", NodeId(3), c.core).await.expect("comes back");
    }
    let (leader, term) = region.leader().await;

    cut.send_replace(true);
    for number in 0..40 {
        let outcome = region.nodes[&leader].group.propose(term, format!("without c {number}").into()).await;
        assert_eq!(outcome, ProposeOutcome::Committed);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!region.nodes["c"].core.texts().contains(&"without c 39".to_owned()), "it was cut off");
    cut.send_replace(false);
    let healed = Instant::now();
    region.level().await;
    let took = healed.elapsed();
    println!("c is level {took:?} after the heal");
    let after = region.leader().await;
    assert!(after.1 <= term + 1, "c asked for votes all the while and drove no term up: {term}, then {after:?}");
    cable.abort();
    region.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_do_not_get_in() {
    let region = Region::founded(&["a"]).await;
    let address: SocketAddr = region.founders[0].raft.parse().expect("one");
    let greeted = |identity: trine_identity::Bundle| async move {
        let config = client_config(&identity, std::sync::Arc::new(|_| Ok(()))).expect("usable");
        let tcp = TcpStream::connect(address).await.expect("listens");
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let Ok(mut tls) = connector.connect(server_name(), tcp).await else { return false };
        // In TLS 1.3 the client learns of a refused certificate only when it reads.
        let hello = trine_crdt::codec::encode(&Hello {
            versions: VERSIONS,
            from: 77,
            to: Some(1),
            lane: Lane::Control,
            origin: None,
            process: 1,
        });
        let length = u32::try_from(hello.len()).expect("short").to_be_bytes();
        if tls.write_all(&length).await.is_err() || tls.write_all(&hello).await.is_err() {
            return false;
        }
        let mut answer = [0; 4];
        tls.read_exact(&mut answer).await.is_ok()
    };
    let role = trine_protocol::Role::Admin;
    let other = "ap".parse().expect("a region");
    let stranger = trine_identity::Ca::create(&region.directory.path().join("other")).expect("a CA");
    assert!(greeted(region.ca.issue_node(&region.name, "d").expect("issued")).await, "a node of the region");
    assert!(!greeted(region.ca.issue_node(&other, "d").expect("issued")).await, "a node of another region");
    assert!(!greeted(region.ca.issue_client(role, "eve").expect("issued")).await, "a client");
    assert!(!greeted(stranger.issue_node(&region.name, "d").expect("issued")).await, "a node of another cluster");

    // No TLS at all, and a frame that claims four gigabytes.
    let mut tcp = TcpStream::connect(address).await.expect("listens");
    tcp.write_all(&[0xff; 64]).await.expect("sent");
    let mut rest = Vec::new();
    let ended = timeout(Duration::from_secs(5), tcp.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "closed");
    region.stop().await;
}
