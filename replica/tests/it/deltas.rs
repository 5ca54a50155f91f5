//! Intervals and pages: what connects is taken in once, what does not is asked for, what makes no sense is refused.

use bytes::Bytes;
use trine_crdt::{VersionVector, WriterId};
use trine_protocol::request::{NodeReplace, Options};
use trine_protocol::{Durability, Request};
use trine_replica::limits::DELTA_ROWS_MAX;
use trine_replica::message::Interval;
use trine_replica::{Input, PeerMessage};

use crate::world::{World, partition};

/// The intervals of some writes on one key, as they leave a node one by one.
fn intervals(world: &mut World, count: u64) -> Vec<Interval> {
    let mut found = Vec::new();
    for _ in 0..count {
        world.increment(0, "visits", Durability::Local);
        for (_, message) in std::mem::take(&mut world.nodes[0].sent) {
            if let PeerMessage::Intervals { intervals, .. } = message {
                found.extend(intervals);
            }
        }
    }
    found
}

fn push(world: &mut World, interval: &Interval) {
    let message = PeerMessage::Intervals { batch: 0, intervals: vec![interval.clone()] };
    world.forge(0, 1, message);
}

#[test]
fn repeated_overlapping_and_early_intervals_count_once() {
    let mut world = World::new(&[2]);
    let one = intervals(&mut world, 3);
    assert_eq!(one.len(), 3);
    push(&mut world, &one[2]);
    assert_eq!(world.counter(1, "visits"), None, "two are missing before it");
    let asked = world.nodes[1].sent.iter().any(|(_, message)| matches!(message, PeerMessage::Vector { .. }));
    assert!(asked, "and asked for");
    push(&mut world, &one[0]);
    push(&mut world, &one[0]);
    assert_eq!(world.counter(1, "visits"), Some(1));
    world.nodes[1].sent.clear();
    // After a lost batch the sender compares vectors; what it sends then overlaps what came meanwhile.
    push(&mut world, &one[1]);
    world.settle();
    push(&mut world, &one[1]);
    push(&mut world, &one[2]);
    assert_eq!(world.counter(1, "visits"), Some(3));
}

#[test]
fn intervals_that_make_no_sense_change_nothing() {
    let mut world = World::new(&[2]);
    let good = intervals(&mut world, 1).remove(0);
    let mut bad = vec![
        Interval { upto: u64::MAX, ..good.clone() },
        Interval { upto: 2, ..good.clone() },
        Interval { deltas: Vec::new(), ..good.clone() },
        Interval { partition: partition("somewhere else"), ..good.clone() },
        Interval { deltas: vec![(Bytes::from_static(b"visits"), Bytes::from_static(b"junk"))], ..good.clone() },
        Interval { deltas: vec![good.deltas[0].clone(), good.deltas[0].clone()], ..good.clone() },
        Interval { deltas: vec![(Bytes::from(vec![b'k'; 5_000]), good.deltas[0].1.clone())], ..good.clone() },
    ];
    let mut nowhere = good.clone();
    nowhere.partition.slot = 4_000_000;
    bad.push(nowhere);
    for interval in &bad {
        push(&mut world, interval);
        assert_eq!(world.counter(1, "visits"), None, "{interval:?}");
    }
    push(&mut world, &good);
    assert_eq!(world.counter(1, "visits"), Some(1), "the place is still free for the real one");
}

#[test]
fn what_is_refused_is_not_asked_for_again_at_once() {
    let mut world = World::new(&[2]);
    // By itself, and an hour ahead.
    world.nodes[0].wall_ahead_ns = 3_600_000_000_000;
    world.restart_apart(0, None);
    world.settle();
    world.increment(0, "visits", Durability::Local);
    world.connect(0);
    let before = world.delivered;
    world.pass(5_000);
    assert_eq!(world.counter(1, "visits"), None, "an hour ahead");
    assert!(world.nodes[1].core.counters().stamps_held > 0);
    assert!(world.delivered - before < 500, "{} messages in 5 s", world.delivered - before);
}

#[test]
fn a_log_that_was_trimmed_is_made_up_by_whole_objects() {
    let mut world = World::new(&[2]);
    let absent = world.nodes[1].id;
    world.input(0, Input::PeerDown(absent));
    let here = world.nodes[0].id;
    world.input(1, Input::PeerDown(here));
    for _ in 0..DELTA_ROWS_MAX + 10 {
        world.increment(0, "visits", Durability::Local);
    }
    world.pass(500);
    let mut paged = 0;
    world.connect(1);
    for _ in 0..400 {
        let pages = |(_, message): &(_, PeerMessage)| matches!(message, PeerMessage::PartitionPage { .. });
        paged += world.nodes[0].sent.iter().filter(|sent| pages(sent)).count();
        let Some((to, message)) = world.nodes[0].sent.pop_front().or_else(|| world.nodes[1].sent.pop_front()) else {
            break;
        };
        let (from, there) = if to == absent { (0, 1) } else { (1, 0) };
        world.forge(from, there, message);
    }
    world.settle();
    assert_eq!(world.counter(1, "visits"), Some(DELTA_ROWS_MAX as i64 + 10));
    assert!(paged > 0, "by pages");
    // It goes on with deltas from there.
    world.increment(0, "visits", Durability::Local);
    world.run();
    assert_eq!(world.counter(1, "visits"), Some(DELTA_ROWS_MAX as i64 + 11));
}

#[test]
fn a_repeated_page_does_not_double_a_pull() {
    let mut world = World::new(&[2]);
    let vector = VersionVector { dots: [(WriterId([200; 16]), 5)].into() };
    let page = PeerMessage::PartitionPage {
        partition: partition("visits"),
        objects: vec![(Bytes::from_static(b"visits"), trine_crdt::Object::default().to_bytes().into())],
        vector,
        next: Some(Bytes::from_static(b"visits")),
    };
    for _ in 0..5 {
        world.forge(0, 1, page.clone());
    }
    let pulls = world.nodes[1].sent.iter().filter(|(_, message)| matches!(message, PeerMessage::PullPartition { .. }));
    assert_eq!(pulls.count(), 1);
}

#[test]
fn three_nodes_in_two_regions_come_to_the_same() {
    let mut world = World::new(&[2, 2]);
    for round in 0..50 {
        world.increment(round % 4, &format!("key {}", round % 7), Durability::Local);
        if round % 5 == 0 {
            world.run();
        }
    }
    world.settle();
    for key in 0..7 {
        let totals: Vec<_> = (0..4).map(|node| world.counter(node, &format!("key {key}"))).collect();
        assert!(totals.iter().all(|total| *total == totals[0] && total.is_some()), "{totals:?}");
    }
}

/// How many pages of whole objects nodes send while the world settles.
fn pages_while_settling(world: &mut World) -> usize {
    let mut pages = 0;
    for _ in 0..80 {
        pages += world
            .nodes
            .iter()
            .flat_map(|node| &node.sent)
            .filter(|(_, message)| matches!(message, PeerMessage::PartitionPage { .. }))
            .count();
        world.pass(50);
    }
    pages
}

#[test]
fn deltas_are_kept_until_every_node_has_them() {
    let mut world = World::new(&[2, 2]);
    for round in 0..60 {
        world.increment(round % 4, &format!("key {}", round % 3), Durability::Local);
    }
    world.settle();
    world.settle();
    assert!((0..4).all(|node| world.nodes[node].disk.delta_rows() == 0), "everybody has all");
    world.loses = |_, from, to, _| from == 3 || to == 3;
    for _ in 0..40 {
        world.increment(0, "visits", Durability::Local);
    }
    world.settle();
    world.settle();
    assert!((0..3).all(|node| world.nodes[node].disk.delta_rows() > 0), "one lacks them");
    // A restart forgets who has what, not what is kept.
    world.restart(0, None);
    world.settle();
    assert_eq!(world.nodes[0].disk.delta_rows(), 40);
    world.loses = |_, _, _, _| false;
    assert_eq!(pages_while_settling(&mut world), 0, "it was served from what was kept");
    assert_eq!(world.counter(3, "visits"), Some(40));
    world.settle();
    world.settle();
    assert!((0..4).all(|node| world.nodes[node].disk.delta_rows() == 0), "now it has them, too");
}

#[test]
fn who_left_is_not_waited_for_and_who_joins_later_pulls_whole_objects() {
    let mut world = World::new(&[3]);
    let (gone, here) = (world.nodes[2].id, world.nodes[2].name.clone());
    world.loses = |_, from, to, _| from == 2 || to == 2;
    for _ in 0..40 {
        world.increment(0, "visits", Durability::Local);
    }
    world.settle();
    world.settle();
    assert!(world.nodes[0].disk.delta_rows() > 0, "{here} lacks them");
    let id = world.ask(0, Options::default(), Request::NodeReplace(NodeReplace { node: gone, force: true }));
    world.settle();
    assert!(world.answered(0, id).is_ok());
    world.settle();
    assert!((0..2).all(|node| world.nodes[node].disk.delta_rows() == 0), "it left");
    world.loses = |_, from, to, _| from == 2 || to == 2;
    let joined = world.add(0, &here);
    world.connect(joined);
    world.tell_leader(joined, 0);
    world.settle();
    world.settle();
    assert_eq!(world.counter(joined, "visits"), Some(40));
    world.increment(0, "visits", Durability::Local);
    world.settle();
    assert_eq!(world.counter(joined, "visits"), Some(41));
}

#[test]
fn a_message_that_meets_a_damaged_row_is_refused_and_halts_nothing() {
    let mut world = World::new(&[2]);
    let one = intervals(&mut world, 2);
    push(&mut world, &one[0]);
    world.nodes[1].disk.damage_objects();
    let before = world.nodes[1].core.counters().messages_refused;
    push(&mut world, &one[1]);
    assert_eq!(world.nodes[1].core.counters().messages_refused, before + 1);
    assert_eq!(world.nodes[1].halted, None);
}
