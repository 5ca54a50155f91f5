//! Hybrid time over restarts and among wild walls.

use bytes::Bytes;
use trine_crdt::Timestamp;
use trine_crdt::clock::ntp_of_ns;
use trine_protocol::object::{Edit, View};
use trine_protocol::reply::Answer;
use trine_protocol::request::{ObjectEdit, ObjectGet, Options, Request};
use trine_protocol::{Consistency, Durability, Reply, RequestError};
use trine_replica::{Batch, Input, NotReady, Persistence, Store, rows};

use crate::world::{MS, World, append, appended, durable, increment, region};

const HOUR_NS: u64 = 3_600_000_000_000;

/// Regions of one node each, of which the first was started by itself, with its wall hours ahead, and took writes.
fn one_wrote_ahead() -> World {
    let mut world = World::new(&[1, 1, 1]);
    world.nodes[0].wall_ahead_ns = 8 * HOUR_NS;
    world.nodes[0].config.unasked_goes_on = true;
    world.restart_apart(0, None);
    world.settle();
    world.increment(0, "visits", Durability::Local);
    set(&mut world, 0, "from the future");
    let wild = world.ask(0, Options::default(), append("key", "from the future", None));
    world.run();
    assert_eq!(appended(world.answered(0, wild)), (0, false));
    world
}

fn set(world: &mut World, place: usize, value: &str) -> Timestamp {
    let edit = Edit::Set(Bytes::copy_from_slice(value.as_bytes()));
    let edit = Request::ObjectEdit(ObjectEdit { namespace: "objects".to_owned(), key: "color".to_owned(), edit });
    let id = world.ask(place, durable(Durability::Local), edit);
    world.answered(place, id).as_ref().expect("written").timestamp
}

fn color(world: &mut World, place: usize) -> Option<Bytes> {
    let get = Request::ObjectGet(ObjectGet { namespace: "objects".to_owned(), key: "color".to_owned() });
    let eventual = Options { consistency: Consistency::Eventual, ..Options::default() };
    let id = world.ask(place, eventual, get);
    let Ok(answer) = world.answered(place, id) else { return None };
    let Reply::Object(view) = &answer.reply else { panic!("an object") };
    let [View::Register(value)] = &view.views[..] else { panic!("a register") };
    Some(value.clone())
}

fn records(world: &World, place: usize, of: usize) -> u64 {
    world.nodes[place].core.head(&region(of)).expect("a ledger").0
}

fn refused(world: &World, place: usize, id: u64) -> String {
    match world.answered(place, id) {
        Err(RequestError::Unavailable { what }) => what.clone(),
        other => panic!("refused, not {other:?}"),
    }
}

#[test]
fn a_node_whose_wall_leaps_takes_no_write_until_it_is_right_again() {
    for ahead_ns in [8 * HOUR_NS, 5_000 * MS] {
        let mut world = World::new(&[1, 1, 1]);
        world.nodes[0].wall_ahead_ns = ahead_ns;
        let edit = world.increment(0, "visits", Durability::Local);
        let why = refused(&world, 0, edit);
        assert!(why.contains("2 of the 2 nodes that it hears disagree"), "{why}");
        let record = world.ask(0, Options::default(), append("key", "value", None));
        assert!(refused(&world, 0, record).contains("ahead of that of"));
        assert_eq!(world.nodes[0].core.ready().expect_err("not ready").to_string(), why);
        assert_eq!(world.nodes[1].core.ready(), Ok(()));
        world.pass(2_000);
        assert!(world.nodes[0].core.writes().is_err());
        world.nodes[0].wall_ahead_ns = 0;
        world.increment(0, "visits", Durability::Local);
        let record = world.ask(0, Options::default(), append("key", "value", None));
        world.run();
        assert_eq!(appended(world.answered(0, record)), (0, false));
        for place in 0..3 {
            assert_eq!(world.counter(place, "visits"), Some(1));
        }
    }
}

#[test]
fn a_node_that_starts_ahead_is_compared_before_it_takes_a_write() {
    let mut world = World::new(&[1, 1, 1]);
    world.nodes[0].wall_ahead_ns = 8 * HOUR_NS;
    world.restart(0, None);
    let edit = world.increment(0, "visits", Durability::Local);
    assert!(refused(&world, 0, edit).contains("not yet compared"), "nobody has answered");
    assert!(world.nodes[0].proposed.is_empty(), "nor does it stamp its registration");
    world.settle();
    assert!(matches!(
        world.nodes[0].core.ready(),
        Err(NotReady::ClockDoubted { offset_ns, against: 2, heard: 2, .. }) if offset_ns > 0
    ));
    world.nodes[0].wall_ahead_ns = 0;
    world.settle();
    assert_eq!(world.nodes[0].core.ready(), Ok(()));
}

#[test]
fn a_whole_region_that_is_ahead_is_outvoted() {
    let mut world = World::new(&[3, 3, 3]);
    (0..3).for_each(|place| world.nodes[place].wall_ahead_ns = 8 * HOUR_NS);
    world.pass(2_000);
    for place in 0..9 {
        assert_eq!(world.nodes[place].core.ready().is_ok(), place >= 3);
    }
    assert_eq!(world.nodes[0].stepped_down, 0, "nobody of its region would be a better leader");
}

#[test]
fn a_leader_that_is_ahead_appends_nothing_and_gives_its_place_away() {
    let mut world = World::new(&[3, 1]);
    world.nodes[0].wall_ahead_ns = 8 * HOUR_NS;
    world.pass(300);
    assert!(world.nodes[0].stepped_down > 0);
    let forwarded = world.ask(1, Options::default(), append("key", "value", None));
    world.run();
    assert_eq!(world.answer(1, forwarded), None, "it waits for another leader");
    world.lead(1);
    world.pass(200);
    assert_eq!(appended(world.answered(1, forwarded)), (0, false));
}

#[test]
fn what_was_stamped_ahead_is_held_from_a_wrong_clock_and_arrives_from_a_right_one() {
    let mut world = one_wrote_ahead();
    world.connect(0);
    world.settle();
    for place in [1, 2] {
        assert_eq!(world.counter(place, "visits"), None, "held");
        assert_eq!(records(&world, place, 0), 1, "its log did not leap");
        assert_eq!(world.nodes[place].core.ready(), Ok(()));
    }
    world.nodes[0].wall_ahead_ns = 0;
    world.settle();
    for place in [1, 2] {
        assert_eq!((world.counter(place, "visits"), records(&world, place, 0)), (Some(1), 1));
    }
    // Over restarts, and whoever has it hands it on.
    world.restart(0, None);
    world.restart(2, None);
    world.settle();
    world.increment(0, "visits", Durability::Local);
    let record = world.ask(0, Options::default(), append("key", "later", None));
    world.settle();
    assert_eq!(appended(world.answered(0, record)), (1, false));
    for place in [1, 2] {
        assert_eq!((world.counter(place, "visits"), records(&world, place, 0)), (Some(2), 2));
    }
}

#[test]
fn a_value_from_the_future_is_replaced_by_whoever_has_seen_it_and_drags_no_clock_along() {
    let mut world = one_wrote_ahead();
    world.nodes[0].wall_ahead_ns = 0;
    world.restart(0, None);
    world.settle();
    for (place, value) in [(1, "red"), (2, "green"), (0, "blue"), (1, "white")] {
        set(&mut world, place, value);
        world.settle();
        for reader in 0..3 {
            assert_eq!(
                color(&mut world, reader).as_deref(),
                Some(value.as_bytes()),
                "written by {place}, read by {reader}"
            );
        }
    }
    let hour_from_now = ntp_of_ns(world.now.wall_ns + HOUR_NS);
    for place in [1, 2] {
        assert!(time_told(&mut world, place).time < hour_from_now);
    }
}

/// As real processes showed: what finds nothing to remove takes no stamp, so that it must not tell the next edit's.
#[test]
fn an_edit_lies_above_what_one_before_it_told_that_found_nothing_to_remove() {
    let edited = |world: &mut World, place: usize, edit: Edit| {
        let (namespace, key) = ("objects".to_owned(), "paint".to_owned());
        let edit = Request::ObjectEdit(ObjectEdit { namespace, key, edit });
        let id = world.ask(place, durable(Durability::Local), edit);
        world.answered(place, id).as_ref().expect("done").timestamp
    };
    let painted = |color: &'static str| {
        let add = Edit::Add(Bytes::from_static(color.as_bytes()));
        Edit::Field { name: "tints".to_owned(), edit: Box::new(add) }
    };
    let mut world = one_wrote_ahead();
    edited(&mut world, 0, painted("red"));
    world.nodes[0].wall_ahead_ns = 0;
    world.restart(0, None);
    world.settle();
    let edits = [Edit::RemoveField("sizes".to_owned()), painted("green"), painted("blue")];
    let stamps = edits.map(|edit| edited(&mut world, 1, edit));
    assert!(stamps[0].time > ntp_of_ns(world.now.wall_ns + HOUR_NS), "the object lies ahead");
    assert!(stamps.is_sorted_by(|before, after| before < after), "{stamps:?}");
}

/// A record is appended while the walls of all are hours ahead, as after a start of the whole cluster.
fn all_appended_ahead(regions: &[usize], ahead_ns: u64) -> World {
    let mut world = World::new(regions);
    let all = 0..world.nodes.len();
    all.clone().for_each(|place| world.nodes[place].wall_ahead_ns = ahead_ns);
    all.clone().for_each(|place| world.restart(place, None));
    world.lead(0);
    world.settle();
    let wild = world.ask(0, Options::default(), append("key", "from the future", None));
    world.run();
    let Ok(Answer { reply: Reply::Appended(record), .. }) = world.answered(0, wild).as_ref().map(|it| (**it).clone())
    else {
        panic!("appended")
    };
    assert!(record.timestamp.time > ntp_of_ns(world.now.wall_ns + ahead_ns - HOUR_NS));
    all.for_each(|place| world.nodes[place].wall_ahead_ns = 0);
    world.settle();
    world
}

#[test]
fn a_tail_that_is_stamped_ahead_is_held_from_a_wrong_clock_and_mirrored_from_a_right_one() {
    let mut world = World::new(&[1, 1, 1]);
    (0..3).for_each(|place| world.nodes[place].wall_ahead_ns = 8 * HOUR_NS);
    (0..3).for_each(|place| world.restart(place, None));
    world.lead(0);
    world.settle();
    // Cut off, the first region goes on by its wall; the others' are set right.
    for other in [1, 2] {
        let (first, other_id) = (world.nodes[0].id, world.nodes[other].id);
        world.input(0, Input::PeerDown(other_id));
        world.input(other, Input::PeerDown(first));
        world.nodes[other].wall_ahead_ns = 0;
    }
    let wild = world.ask(0, Options::default(), append("key", "from the future", None));
    world.run();
    assert_eq!(appended(world.answered(0, wild)), (0, false));
    world.connect(0);
    world.settle();
    assert_eq!([1, 2].map(|place| records(&world, place, 0)), [0, 0], "held");
    world.nodes[0].wall_ahead_ns = 0;
    world.settle();
    assert_eq!([1, 2].map(|place| records(&world, place, 0)), [1, 1]);
}

#[test]
fn a_ledger_that_is_ahead_does_not_remember_idempotency_keys_for_ever() {
    let mut world = all_appended_ahead(&[1, 1, 1], 8 * HOUR_NS);
    for (minutes, expected) in [(0, (1, false)), (9, (1, true)), (13, (2, false))] {
        world.now.monotonic_ns += minutes * 60_000 * MS;
        world.now.wall_ns += minutes * 60_000 * MS;
        let record = world.ask(0, Options::default(), append("key", "value", Some("name")));
        world.run();
        assert_eq!(appended(world.answered(0, record)), expected, "{minutes} minutes later");
    }
}

/// As the simulator found: a region that was cut off followed its time server, and forgot what it had taken.
#[test]
fn a_leap_of_all_walls_does_not_make_a_ledger_forget_idempotency_keys() {
    let mut world = World::new(&[1, 1, 1]);
    let record = world.ask(0, Options::default(), append("key", "value", Some("name")));
    world.run();
    assert_eq!(appended(world.answered(0, record)), (0, false));
    (0..3).for_each(|place| world.nodes[place].wall_ahead_ns = HOUR_NS);
    world.settle();
    let again = world.ask(0, Options::default(), append("key", "value", Some("name")));
    world.run();
    assert_eq!(appended(world.answered(0, again)), (0, true));
}

#[test]
fn a_leader_whose_mark_is_ahead_of_its_wall_does_not_lead_its_ledger_there() {
    let mut world = World::new(&[1, 1, 1]);
    world.nodes[0].disk.write(Batch {
        id: 0,
        persistence: Persistence::Synced,
        rows: vec![(
            Bytes::from_static(rows::CLOCK),
            Some(Bytes::copy_from_slice(&ntp_of_ns(world.now.wall_ns + 8 * HOUR_NS).to_be_bytes())),
        )],
    });
    world.restart(0, None);
    world.settle();
    let hour_from_now = ntp_of_ns(world.now.wall_ns + HOUR_NS);
    assert!(set(&mut world, 0, "red").time > hour_from_now, "its own stamps do not go back");
    let record = world.ask(0, Options::default(), append("key", "value", None));
    world.settle();
    let Ok(Answer { reply: Reply::Appended(record), .. }) = world.answered(0, record).as_ref().map(|it| (**it).clone())
    else {
        panic!("appended")
    };
    assert!(record.timestamp.time < hour_from_now);
    for place in 0..3 {
        assert_eq!(color(&mut world, place).as_deref(), Some(&b"red"[..]));
        assert_eq!(records(&world, place, 0), 1);
    }
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
    let mut told = time_told(&mut world, 0);
    world.nodes[0].slow_disk = true;
    for _ in 0..5 {
        world.pass(200);
        world.ask(0, durable(Durability::Local), increment("visits"));
        let now = time_told(&mut world, 0);
        assert!(now >= told);
        told = now;
    }
    world.now.wall_ns -= HOUR_NS;
    world.nodes[0].slow_disk = false;
    world.restart(0, None);
    let after = time_told(&mut world, 0);
    assert!(after >= told, "{after} after {told}");
    world.settle();
    let id = world.increment(0, "visits", Durability::Local);
    let stamp = world.answered(0, id).as_ref().expect("written").timestamp;
    assert!(time_told(&mut world, 0) >= stamp, "what an acknowledged edit was stamped with has been told");
}

fn time_told(world: &mut World, place: usize) -> Timestamp {
    let id = world.ask(place, Options::default(), Request::Status);
    world.answered(place, id).as_ref().expect("a status").timestamp
}

#[test]
fn a_leader_with_a_wild_wall_does_not_drag_its_region_along() {
    let mut world = all_appended_ahead(&[3, 1], 10 * 365 * 24 * HOUR_NS);
    // Another leads; the log goes on above the wild stamp, and what the other nodes write is believed elsewhere.
    world.lead(1);
    let next = world.ask(1, Options::default(), append("key", "later", None));
    world.run();
    assert_eq!(appended(world.answered(1, next)), (1, false));
    world.increment(1, "visits", Durability::Local);
    world.settle();
    assert_eq!((world.counter(3, "visits"), records(&world, 3, 0)), (Some(1), 2));
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

#[test]
fn an_edit_of_what_lay_ahead_moves_the_clock_once_it_lies_within_the_allowed_drift() {
    let ahead_ns = 30_000 * MS;
    let mut world = World::new(&[1, 1, 1]);
    world.nodes[0].wall_ahead_ns = ahead_ns;
    world.restart_apart(0, None);
    world.settle();
    let wild = set(&mut world, 0, "from the future");
    world.nodes[0].wall_ahead_ns = 0;
    world.restart(0, None);
    world.settle();
    let near = Timestamp { time: wild.time - ntp_of_ns(800 * MS), ..wild };
    while ntp_of_ns(world.now.wall_ns) < near.time {
        world.pass(50);
    }
    let seen = set(&mut world, 1, "red");
    assert_eq!(seen.time, wild.time + 1, "above what its object has seen");
    let id = world.increment(1, "visits", Durability::Local);
    let next = world.answered(1, id).as_ref().expect("written").timestamp;
    assert!(next > seen, "{next} after {seen}: two edits at one node, one after the other");
}
