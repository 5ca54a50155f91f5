//! Whom a client asks first.

use std::collections::BTreeSet;

use trine_crdt::NodeId;
use trine_placement::route::{Rtt, Target, order, regions};

const MS: u64 = 1_000_000;

fn target(node: u64, region: &str, healthy: bool, rtt_ms: Option<u64>) -> Target {
    Target {
        node: NodeId(node),
        region: region.parse().expect("a name"),
        healthy,
        rtt_ns: rtt_ms.map(|rtt_ms| rtt_ms * MS),
    }
}

#[test]
fn healthy_and_near_come_first() {
    let targets = vec![
        target(1, "far", true, Some(150)),
        target(2, "near", false, Some(1)),
        target(3, "unmeasured", true, None),
        target(4, "middle", true, Some(70)),
        target(5, "near", true, Some(2)),
    ];
    let nodes: Vec<u64> = order(targets.clone(), 42).iter().map(|target| target.node.0).collect();
    assert_eq!(nodes, [5, 4, 1, 3, 2]);
    let names: Vec<String> = regions(targets, 42).iter().map(ToString::to_string).collect();
    assert_eq!(names, ["near", "middle", "far", "unmeasured"]);
}

#[test]
fn clients_spread_over_nodes_that_are_about_as_near() {
    let targets: Vec<Target> = (1..=3).map(|node| target(node, "here", true, Some(64 + node))).collect();
    let first: BTreeSet<NodeId> = (0..50).map(|client| order(targets.clone(), client)[0].node).collect();
    assert_eq!(first.len(), 3);
    assert_eq!(order(targets.clone(), 7), order(targets, 7), "a client keeps to its choice");
}

#[test]
fn a_quarter_nearer_is_nearer_at_any_distance() {
    for rtt_ms in 2..2_000 {
        let targets = vec![target(1, "b", true, Some(rtt_ms + rtt_ms / 2 + 1)), target(2, "a", true, Some(rtt_ms))];
        assert!((0..8).all(|client| order(targets.clone(), client)[0].node == NodeId(2)), "{rtt_ms} ms");
    }
}

#[test]
fn a_round_trip_is_smoothed() {
    let mut rtt = Rtt::default();
    assert_eq!(rtt.smoothed_ns(), None);
    rtt.observe(80 * MS);
    rtt.observe(160 * MS);
    assert_eq!(rtt.smoothed_ns(), Some(90 * MS));
    for _ in 0..100 {
        rtt.observe(160 * MS);
    }
    assert!(rtt.smoothed_ns().is_some_and(|ns| ns.abs_diff(160 * MS) < MS));
}
