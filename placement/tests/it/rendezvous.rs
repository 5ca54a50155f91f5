//! Rendezvous hashing: the same everywhere, even, in proportion, and little moves.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use trine_crdt::{NamespaceId, NodeId, PartitionId};
use trine_placement::Candidate;
use trine_placement::rendezvous::{entry_holder, holders, mirror_holders, mirror_source};

fn partition(slot: u32) -> PartitionId {
    PartitionId { namespace: NamespaceId::default_objects(), slot }
}

fn nodes(count: u64) -> Vec<Candidate> {
    (1..=count).map(|node| Candidate::plain(NodeId(node))).collect()
}

fn zoned(node: u64, zone: &str) -> Candidate {
    Candidate { zone: Some(zone.to_owned()), ..Candidate::plain(NodeId(node)) }
}

/// How often each node is the first choice over many partitions.
fn shares(nodes: &[Candidate], partitions: u32) -> BTreeMap<NodeId, f64> {
    let mut shares = BTreeMap::new();
    for slot in 0..partitions {
        *shares.entry(holders(&partition(slot), nodes, 1)[0]).or_insert(0.0) += 1.0 / f64::from(partitions);
    }
    shares
}

#[test]
fn equal_nodes_get_equal_shares() {
    for (node, share) in shares(&nodes(5), 20_000) {
        assert!((share - 0.2).abs() < 0.015, "{node} has {share}");
    }
}

#[test]
fn shares_follow_weights() {
    let mut weighted = nodes(4);
    for (candidate, weight) in weighted.iter_mut().zip([1, 2, 5, 0]) {
        candidate.weight = weight;
    }
    let shares = shares(&weighted, 40_000);
    for (node, expected) in [(1, 0.125), (2, 0.25), (3, 0.625)] {
        let share = shares[&NodeId(node)];
        assert!((share - expected).abs() < 0.015, "node {node} has {share}, not {expected}");
    }
    assert!(!shares.contains_key(&NodeId(4)), "weight 0 is never chosen");
}

proptest! {
    /// When a node comes, each list of holders stays as it is but for the place that the new one takes.
    #[test]
    fn a_node_takes_its_own_share_and_moves_nothing_else(
        ids in prop::collection::btree_set(any::<u64>(), 2..12),
        weights in prop::collection::vec(1_u32..9, 12),
        slot in any::<u32>(),
        copies in 1_usize..5,
    ) {
        let all: Vec<Candidate> = ids
            .iter()
            .zip(weights)
            .map(|(node, weight)| Candidate { weight, ..Candidate::plain(NodeId(*node)) })
            .collect();
        let newcomer = all[0].node;
        let before = holders(&partition(slot), &all[1..], copies);
        let mut after = holders(&partition(slot), &all, copies + 1);
        after.retain(|node| *node != newcomer);
        after.truncate(copies);
        prop_assert_eq!(before, after);
    }

    #[test]
    fn the_order_of_the_list_does_not_matter(
        ids in prop::collection::btree_set(any::<u64>(), 1..10),
        slot in any::<u32>(),
    ) {
        let straight: Vec<Candidate> = ids.iter().map(|node| Candidate::plain(NodeId(*node))).collect();
        let reversed: Vec<Candidate> = straight.iter().rev().cloned().collect();
        let chosen = holders(&partition(slot), &straight, 3);
        prop_assert_eq!(&chosen, &holders(&partition(slot), &reversed, 3));
        prop_assert_eq!(chosen.len(), ids.len().min(3));
        prop_assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), chosen.len());
    }

    /// Who takes deltas in from outside changes only when that very node goes.
    #[test]
    fn an_entry_holder_stays_while_it_is_reachable(
        ids in prop::collection::btree_set(any::<u64>(), 2..10),
        slot in any::<u32>(),
        gone in any::<prop::sample::Index>(),
    ) {
        let reachable: Vec<NodeId> = ids.into_iter().map(NodeId).collect();
        let before = entry_holder(&partition(slot), &reachable).expect("there are some");
        let mut fewer = reachable.clone();
        let gone = fewer.remove(gone.index(reachable.len()));
        let after = entry_holder(&partition(slot), &fewer).expect("there are some");
        prop_assert!(fewer.contains(&after));
        prop_assert!(gone == before || after == before);
    }
}

#[test]
fn copies_go_to_different_zones_first() {
    let nodes = [zoned(1, "a"), zoned(2, "a"), zoned(3, "a"), zoned(4, "b"), zoned(5, "b"), zoned(6, "c")];
    let zone = |node: NodeId| nodes.iter().find(|candidate| candidate.node == node).and_then(|c| c.zone.clone());
    for slot in 0..500 {
        let chosen = holders(&partition(slot), &nodes, 4);
        let zones: BTreeSet<_> = chosen[..3].iter().map(|node| zone(*node)).collect();
        assert_eq!(zones.len(), 3, "{chosen:?}");
        assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), 4, "the fourth is a second one somewhere");
    }
}

#[test]
fn nobody_is_chosen_from_nobody() {
    assert!(holders(&partition(0), &[], 3).is_empty());
    assert_eq!(entry_holder(&partition(0), &[]), None);
}

#[test]
fn mirrors_spread_over_ledgers_and_sources() {
    let regions: Vec<trine_crdt::RegionId> = (0..60).map(|n| format!("r-{n}").parse().expect("a name")).collect();
    let nodes = nodes(3);
    let mirrors: BTreeSet<_> = regions.iter().flat_map(|region| mirror_holders(region, &nodes, 2)).collect();
    assert_eq!(mirrors.len(), 3, "each node mirrors some ledger");
    let reachable = [NodeId(7), NodeId(8), NodeId(9)];
    let sources: BTreeSet<_> =
        regions.iter().filter_map(|region| mirror_source(region, NodeId(1), &reachable)).collect();
    assert_eq!(sources.len(), 3, "each node is somebody's source");
}

/// Placement is never stored but computed everywhere, so another result for the same view is another format.
#[test]
fn who_is_chosen_does_not_change() {
    let chosen: Vec<u64> = (0..12).map(|slot| holders(&partition(slot), &nodes(5), 1)[0].0).collect();
    assert_eq!(chosen, GOLDEN_CHOICE);
}

const GOLDEN_CHOICE: [u64; 12] = [2, 1, 1, 4, 1, 2, 2, 5, 5, 3, 5, 2];
