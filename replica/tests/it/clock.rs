//! Hybrid time over restarts and among wild walls.

use trine_crdt::Timestamp;
use trine_protocol::Durability;
use trine_protocol::request::{Options, Request};
use trine_replica::{Persistence, Store, rows};

use crate::world::{MS, World, append, appended, durable, increment};

const HOUR_NS: u64 = 3_600_000_000_000;

#[test]
fn a_stamp_from_the_far_future_is_held_and_taken_in_when_its_time_has_come() {
    let mut world = World::new(&[2]);
    world.nodes[0].wall_ahead_ns = 5_000 * MS;
    world.increment(0, "visits", Durability::Local);
    world.pass(1_000);
    assert_eq!(world.counter(1, "visits"), None);
    world.pass(8_000);
    assert_eq!(world.counter(1, "visits"), Some(1));
}

#[test]
fn hybrid_time_does_not_go_back_over_a_restart_with_the_wall_an_hour_back() {
    let mut world = World::new(&[1]);
    let mut last = Timestamp::ZERO;
    for _ in 0..3 {
        for _ in 0..5 {
            let id = world.increment(0, "visits", Durability::Local);
            let stamp = world.answered(0, id).as_ref().expect("written").timestamp;
            assert!(stamp.time > last.time);
            last = stamp;
            let id = world.ask(0, Options::default(), append("key", "value", None));
            world.run();
            let stamp = world.answered(0, id).as_ref().expect("appended").timestamp;
            assert!(stamp.time >= last.time);
        }
        world.now.wall_ns -= HOUR_NS;
        world.restart(0, None);
        world.settle();
    }
}

#[test]
fn a_proposal_waits_for_the_mark_above_its_stamp() {
    let mut world = World::new(&[1]);
    world.pass(2_000);
    world.nodes[0].slow_disk = true;
    // This asks for a new mark; what follows is stamped below it.
    world.increment(0, "visits", Durability::Local);
    world.ask(0, Options::default(), append("key", "value", None));
    assert!(world.nodes[0].proposed.is_empty(), "a crash now would forget the mark, and the log would know the stamp");
    world.sync(0);
    assert_eq!(world.nodes[0].proposed.len(), 1);
}

/// As a run on real processes found: a disk stalled, the node told its time, the power failed, and it began again below that.
#[test]
fn what_a_node_tells_of_its_time_is_not_forgotten_either() {
    let mut world = World::new(&[1]);
    world.pass(2_000);
    let mut told = time_told(&mut world);
    world.nodes[0].slow_disk = true;
    for _ in 0..5 {
        world.pass(200);
        world.ask(0, durable(Durability::Local), increment("visits"));
        let now = time_told(&mut world);
        assert!(now >= told);
        told = now;
    }
    world.now.wall_ns -= HOUR_NS;
    world.nodes[0].slow_disk = false;
    world.restart(0, None);
    let after = time_told(&mut world);
    assert!(after >= told, "{after} after {told}");
    world.settle();
    let id = world.increment(0, "visits", Durability::Local);
    let stamp = world.answered(0, id).as_ref().expect("written").timestamp;
    assert!(time_told(&mut world) >= stamp, "what an acknowledged edit was stamped with has been told");
}

fn time_told(world: &mut World) -> Timestamp {
    let id = world.ask(0, Options::default(), Request::Status);
    world.answered(0, id).as_ref().expect("a status").timestamp
}

#[test]
fn a_leader_with_a_wild_wall_does_not_drag_its_region_along() {
    let mut world = World::new(&[3, 1]);
    world.nodes[0].wall_ahead_ns = 10 * 365 * 24 * HOUR_NS;
    let wild = world.ask(0, Options::default(), append("key", "from the future", None));
    world.run();
    assert_eq!(appended(world.answered(0, wild)), (0, false));
    // Another leads; the log goes on above the wild stamp, and what the other nodes write is believed elsewhere.
    world.lead(1);
    let next = world.ask(1, Options::default(), append("key", "later", None));
    world.run();
    assert_eq!(appended(world.answered(1, next)), (1, false));
    world.increment(1, "visits", Durability::Local);
    world.settle();
    assert_eq!(world.counter(3, "visits"), Some(1));
    // Over a restart of the leader too.
    world.restart(1, None);
    world.lead(1);
    world.settle();
    let after = world.ask(1, Options::default(), append("key", "last", None));
    world.run();
    assert_eq!(appended(world.answered(1, after)).0, 2);
}

/// Marks that were on their way to a slow disk were joined when they were many: an edit was acknowledged whose mark had
/// been on disk, and the next read told the time before it.
#[test]
fn a_node_tells_all_that_it_acknowledged_and_nothing_that_it_would_forget_however_many_marks_are_under_way() {
    let mut world = World::new(&[1]);
    world.pass(2_000);
    world.nodes[0].slow_disk = true;
    let mut edits = Vec::new();
    for _ in 0..100 {
        world.pass(350);
        edits.push(world.increment(0, "visits", Durability::Local));
    }
    let told = |world: &World, id| world.answer(0, id).map(|answer| answer.as_ref().expect("done").timestamp.time);
    let mut acknowledged = 0;
    while let Some(left) = world.nodes[0].unsynced.len().checked_sub(1) {
        world.sync_but(0, left);
        acknowledged = edits.iter().filter_map(|id| told(&world, *id)).max().unwrap_or(acknowledged);
        let status = world.ask(0, Options::default(), Request::Status);
        let status = told(&world, status).expect("it waits for nothing");
        let mark = world.nodes[0].disk.get(Persistence::Synced, rows::CLOCK).expect("a disk").expect("a mark");
        let mark = u64::from_be_bytes(mark.as_ref().try_into().expect("eight bytes"));
        assert!((acknowledged..=mark).contains(&status), "{acknowledged:x}, {status:x} and {mark:x}, {left} left");
    }
    assert!(acknowledged > 0 && edits.iter().all(|id| told(&world, *id).is_some()));
}
