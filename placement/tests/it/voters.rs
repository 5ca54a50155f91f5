//! Making Raft's membership follow the roster: stories, and every small universe.

use std::collections::{BTreeMap, BTreeSet};

use trine_crdt::NodeId;
use trine_placement::MembershipStep::{AddLearner, Demote, Promote, Remove};
use trine_placement::limits::VOTERS_MAX;
use trine_placement::voters::{majority, plan, settled, voters_wanted};
use trine_placement::{Health, Membership, MembershipStep};

fn set(nodes: &[u64]) -> BTreeSet<NodeId> {
    nodes.iter().copied().map(NodeId).collect()
}

fn apply(membership: &mut Membership, step: MembershipStep) {
    let Membership { voters, learners } = membership;
    match step {
        AddLearner(node) => assert!(!voters.contains(&node) && learners.insert(node), "{step:?}"),
        Promote(node) => assert!(learners.remove(&node) && voters.insert(node), "{step:?}"),
        Demote(node) => assert!(voters.remove(&node) && learners.insert(node), "{step:?}"),
        Remove(node) => assert!(learners.remove(&node), "{step:?}"),
    }
}

/// Takes steps until there are none; `sound` nodes answer and are caught up once they are members. Who has left stops.
fn settle(leader: u64, membership: &mut Membership, roster: &[u64], sound: &[u64]) -> Vec<MembershipStep> {
    let mut health: BTreeMap<NodeId, Health> =
        sound.iter().map(|node| (NodeId(*node), Health { reachable: true, caught_up: true })).collect();
    let mut steps = Vec::new();
    while let Some(step) = plan(NodeId(leader), membership, &set(roster), &health, VOTERS_MAX) {
        apply(membership, step);
        steps.push(step);
        if let Demote(node) = step
            && !roster.contains(&node.0)
        {
            health.remove(&node);
        }
        assert!(steps.len() < 40, "no end: {steps:?}");
    }
    steps
}

fn voters(nodes: &[u64]) -> Membership {
    Membership { voters: set(nodes), learners: BTreeSet::new() }
}

#[test]
fn how_many_vote() {
    let wanted: Vec<usize> = (0..=8).map(|nodes| voters_wanted(nodes, VOTERS_MAX)).collect();
    assert_eq!(wanted, [0, 1, 2, 3, 3, 5, 5, 5, 5]);
    assert_eq!(voters_wanted(9, 3), 3);
}

#[test]
fn a_single_node_grows_into_three_and_stays_so_with_four() {
    let mut membership = voters(&[1]);
    let steps = settle(1, &mut membership, &[1, 2, 3], &[1, 2, 3]);
    assert_eq!(steps, [AddLearner(NodeId(2)), AddLearner(NodeId(3)), Promote(NodeId(2)), Promote(NodeId(3))],);
    assert_eq!(settle(1, &mut membership, &[1, 2, 3, 4], &[1, 2, 3, 4]), [AddLearner(NodeId(4))]);
    settle(1, &mut membership, &[1, 2, 3, 4, 5], &[1, 2, 3, 4, 5]);
    assert_eq!(membership, voters(&[1, 2, 3, 4, 5]));
}

#[test]
fn a_wiped_node_comes_back_as_another_and_takes_its_place() {
    // Node 3 lost its disk; the same machine is now node 9, and the roster no longer names 3.
    let mut membership = voters(&[1, 2, 3]);
    let steps = settle(1, &mut membership, &[1, 2, 9], &[1, 2, 9]);
    assert_eq!(steps, [AddLearner(NodeId(9)), Promote(NodeId(9)), Demote(NodeId(3)), Remove(NodeId(3))]);
}

#[test]
fn who_leaves_is_let_go_only_when_it_has_stopped() {
    let mut membership = voters(&[1, 2]);
    let health = [1, 2].map(|node| (NodeId(node), SOUND)).into();
    let step = plan(NodeId(1), &membership, &set(&[1]), &health, VOTERS_MAX);
    assert_eq!(step, Some(Demote(NodeId(2))));
    membership.take(Demote(NodeId(2)));
    assert_eq!(plan(NodeId(1), &membership, &set(&[1]), &health, VOTERS_MAX), None, "it has yet to hear of it");
    let health = [(NodeId(1), SOUND)].into();
    assert_eq!(plan(NodeId(1), &membership, &set(&[1]), &health, VOTERS_MAX), Some(Remove(NodeId(2))));
}

#[test]
fn where_a_change_leads_is_known_beforehand() {
    let after = |members: &[u64], roster: &[u64], answering: &[u64]| {
        settled(&voters(members), &set(roster), &set(answering), VOTERS_MAX)
    };
    assert_eq!(after(&[1, 2], &[1], &[1, 2]), voters(&[1]));
    // Its leader, too.
    assert_eq!(after(&[1, 2], &[2], &[1, 2]), voters(&[2]));
    // Two at once, of three.
    assert_eq!(after(&[1, 2, 3], &[1], &[1, 2, 3]), voters(&[1]));
    // Three is down: without two nothing could be committed, so two stays a voter. Without three all is well.
    assert_eq!(after(&[1, 2, 3], &[1, 3], &[1, 2]), voters(&[1, 2, 3]));
    assert_eq!(after(&[1, 2, 3], &[1, 2], &[1, 2]), voters(&[1, 2]));
    // A spare takes the place of who leaves.
    let mut with_spare = voters(&[1, 2, 3]);
    with_spare.learners.insert(NodeId(4));
    assert_eq!(settled(&with_spare, &set(&[1, 3, 4]), &set(&[1, 2, 4]), VOTERS_MAX).voters, set(&[1, 3, 4]));
    assert!(majority(&set(&[1, 3, 4]), &set(&[1, 4])) && !majority(&set(&[1, 3]), &set(&[1, 2])));
}

#[test]
fn a_learner_that_is_behind_is_waited_for() {
    let membership = Membership { voters: set(&[1, 2, 3]), learners: set(&[9]) };
    let mut health: BTreeMap<NodeId, Health> = [1, 2, 9].map(|node| (NodeId(node), SOUND)).into();
    health.insert(NodeId(9), Health { reachable: true, caught_up: false });
    assert_eq!(plan(NodeId(1), &membership, &set(&[1, 2, 9]), &health, VOTERS_MAX), None);
}

const SOUND: Health = Health { reachable: true, caught_up: true };

#[test]
fn who_is_silent_stays_unless_a_spare_is_there() {
    let mut membership = voters(&[1, 2, 3]);
    assert_eq!(settle(1, &mut membership, &[1, 2, 3], &[1, 2]), []);
    let mut membership = Membership { voters: set(&[1, 2, 3]), learners: set(&[4]) };
    assert_eq!(settle(1, &mut membership, &[1, 2, 3, 4], &[1, 2, 4]), [Promote(NodeId(4)), Demote(NodeId(3))]);
    // Back again it is the spare.
    assert_eq!(settle(1, &mut membership, &[1, 2, 3, 4], &[1, 2, 3, 4]), []);
}

#[test]
fn without_a_majority_nothing_changes() {
    let mut membership = Membership { voters: set(&[1, 2, 3]), learners: set(&[4]) };
    assert_eq!(settle(1, &mut membership, &[1, 4, 5], &[1, 4, 5]), []);
}

#[test]
fn a_leader_that_leaves_goes_last() {
    let mut membership = voters(&[1, 2, 3]);
    let steps = settle(1, &mut membership, &[4, 5, 6], &[1, 2, 3, 4, 5, 6]);
    assert_eq!(steps[steps.len() - 2..], [Demote(NodeId(1)), Remove(NodeId(1))], "{steps:?}");
    assert_eq!(membership, voters(&[4, 5, 6]));
}

/// Every membership, roster and set of reachable nodes among five, and every way to be caught up: no step is unsafe,
/// and steps come to an end.
#[test]
fn every_small_universe_is_safe_and_settles() {
    const NODES: u64 = 5;
    let subset = |mask: u64| set(&(1..=NODES).filter(|node| mask >> (node - 1) & 1 == 1).collect::<Vec<_>>());
    let all = 1_u64 << NODES;
    let mut steps_seen = 0_u64;
    for voters in 1..all {
        for roster in 1..all {
            for reachable in 1..all {
                // The leader is a reachable voter; learners and who is caught up follow from the masks, so that
                // all combinations that matter occur without squaring the universe again.
                let Some(leader) = subset(voters & reachable).first().copied() else { continue };
                for learners in [0, !voters & roster & (all - 1), !voters & (all - 1)] {
                    for behind in [0, 0b01010, all - 1] {
                        let mut membership = Membership { voters: subset(voters), learners: subset(learners) };
                        let mut health: BTreeMap<NodeId, Health> = (1..=NODES)
                            .map(|node| {
                                let bit = |mask: u64| mask >> (node - 1) & 1 == 1;
                                (NodeId(node), Health { reachable: bit(reachable), caught_up: !bit(behind) })
                            })
                            .collect();
                        let (roster, reachable) = (subset(roster), subset(reachable));
                        let wanted = voters_wanted(roster.len(), VOTERS_MAX);
                        let most = membership.voters.len().max(wanted + 1);
                        let mut count = 0;
                        while let Some(step) = plan(leader, &membership, &roster, &health, VOTERS_MAX) {
                            let majority =
                                |voters: &BTreeSet<NodeId>| voters.intersection(&reachable).count() > voters.len() / 2;
                            assert!(majority(&membership.voters), "{step:?} cannot be committed");
                            apply(&mut membership, step);
                            assert!(majority(&membership.voters), "{step:?} leaves {membership:?}");
                            if let Promote(node) = step {
                                assert!(health[&node] == SOUND && roster.contains(&node), "{step:?}");
                            }
                            assert!(membership.voters.len() <= most, "{step:?} makes {membership:?}");
                            count += 1;
                            assert!(count <= 12, "no end");
                            if matches!(step, Demote(node) if node == leader) {
                                break; // Another one leads from here on.
                            }
                            if let Demote(node) = step
                                && !roster.contains(&node)
                            {
                                health.remove(&node);
                            }
                        }
                        steps_seen += count;
                        // Where all of the roster is sound, membership is what was wanted.
                        if behind == 0 && roster.is_subset(&reachable) && subset(voters).is_subset(&reachable) {
                            let sound = membership.voters.is_subset(&roster);
                            let leader_left = !roster.contains(&leader);
                            assert!(sound || leader_left, "{membership:?} for {roster:?}");
                            assert!(leader_left || membership.voters.len() == wanted, "{membership:?} for {roster:?}");
                        }
                    }
                }
            }
        }
    }
    assert!(steps_seen > 100_000, "only {steps_seen} steps");
}
