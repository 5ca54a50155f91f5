//! A second process on a copy of a voter's disk: Raft is spoken with the one that answers on its link, and with no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::timeout;
use trine_crdt::NodeId;
use trine_replica::input::ProposeOutcome;

use crate::raft_group::{PATIENCE, Region};

/// The third node's id, and the number of its process.
const THIRD: u64 = 3;
/// Another process that claims the third node's disk.
const ANOTHER: u64 = 99;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_of_a_node_says_is_not_taken_for_its_word() {
    let mut region = Region::new(&["a", "b", "c"]).await;
    let answers = Arc::new(AtomicU64::new(THIRD));
    let third = answers.clone();
    region.answering = Arc::new(move |node| (node == THIRD).then(|| third.load(Ordering::Relaxed)));
    for (number, name) in (1..).zip(["a", "b"]) {
        region.start(name, NodeId(number), Arc::default()).await.expect("starts");
    }
    region.answering = Arc::new(|_| None);
    region.start("c", NodeId(THIRD), Arc::default()).await.expect("starts");
    assert_eq!(region.append("all hold it").await, ProposeOutcome::Committed);
    region.level().await;

    // The others are linked with another process now: what stood with this one ends, and nothing new is made.
    answers.store(ANOTHER, Ordering::Relaxed);
    let mut hears = region.nodes["c"].group.leadership();
    let alone = timeout(PATIENCE, hears.wait_for(|now| !now.serving && now.leader.is_none())).await;
    alone.expect("it hears nobody").expect("it runs");
    let held = region.nodes["c"].core.positions();
    let third = region.nodes.remove("c").expect("a node");
    for number in 0..10 {
        assert_eq!(region.append(&format!("without it {number}")).await, ProposeOutcome::Committed);
    }
    region.level().await;
    assert_eq!(third.core.positions(), held, "a copy heard the log");
    assert!(third.group.metrics().term <= region.leader().await.1, "a copy made an election");

    answers.store(THIRD, Ordering::Relaxed);
    region.nodes.insert("c".to_owned(), third);
    region.level().await;
    region.stop().await;
}
