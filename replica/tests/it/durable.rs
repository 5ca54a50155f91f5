//! When a write is answered.

use std::sync::Arc;

use trine_ledger::GenesisNode;
use trine_protocol::request::{Append, ObjectGet, Options};
use trine_protocol::{Durability, Reply, RequestError};
use trine_replica::{Input, PeerMessage};

use crate::world::{World, append, appended, durable, increment};

#[test]
fn a_local_write_is_answered_when_it_is_on_disk() {
    let mut world = World::new(&[3]);
    world.nodes[0].slow_disk = true;
    let id = world.increment(0, "visits", Durability::Local);
    assert!(world.answer(0, id).is_none(), "nothing is on disk");
    assert!(world.nodes[0].sent.is_empty(), "nor has anybody heard of it");
    world.sync(0);
    assert!(world.answered(0, id).is_ok());
    assert!(world.nodes[0].sent.iter().any(|(_, message)| matches!(message, PeerMessage::Intervals { .. })));
}

#[test]
fn a_read_of_what_is_not_on_disk_waits_for_the_disk() {
    let mut world = World::new(&[1]);
    world.nodes[0].slow_disk = true;
    world.increment(0, "visits", Durability::Local);
    let get = trine_protocol::Request::ObjectGet(ObjectGet { namespace: "objects".into(), key: "visits".into() });
    let read = world.ask(0, Options::default(), get);
    assert!(world.answer(0, read).is_none(), "a crash could take back what it would show");
    world.sync(0);
    assert!(world.answered(0, read).is_ok());
}

#[test]
fn a_region_write_is_answered_when_a_majority_has_it() {
    let mut world = World::new(&[3, 1]);
    world.loses = |world, _, to, message| {
        let near = world.nodes[to].name.starts_with("us-east-1");
        near && matches!(message, PeerMessage::Intervals { .. })
    };
    let id = world.increment(0, "visits", Durability::Region);
    world.run();
    assert!(world.answer(0, id).is_none(), "only another region has it");
    world.loses = |_, _, to, message| to != 1 && matches!(message, PeerMessage::Intervals { .. });
    world.nodes[1].slow_disk = true;
    world.pass(6_000);
    assert!(world.answer(0, id).is_none(), "the second has it in memory only");
    world.sync(1);
    world.run();
    assert!(world.answered(0, id).is_ok());
}

#[test]
fn a_lost_acknowledgement_is_made_up_by_repair() {
    let mut world = World::new(&[3]);
    world.loses = |_, _, _, message| matches!(message, PeerMessage::Have { .. });
    let id = world.increment(0, "visits", Durability::Region);
    world.run();
    assert!(world.answer(0, id).is_none());
    world.pass(4_000);
    assert!(world.answered(0, id).is_ok(), "the vectors say that the others have it");
}

#[test]
fn a_node_that_is_not_on_the_roster_counts_for_no_majority() {
    let mut world = World::new(&[3]);
    world.commits = false;
    let guest = world.add(0, "us-east-1-d");
    world.connect(guest);
    world.loses = |_, _, to, message| to != 3 && matches!(message, PeerMessage::Intervals { .. });
    let id = world.increment(0, "visits", Durability::Region);
    world.pass(4_000);
    assert!(world.answer(0, id).is_none());
}

#[test]
fn a_founder_that_registers_first_is_no_majority_alone() {
    let mut world = World::new(&[1]);
    let founder = |name: &str| GenesisNode {
        name: name.to_owned(),
        peer: format!("peer-{name}"),
        addresses: Vec::new(),
        raft: String::new(),
    };
    let founders = ["us-east-1-a", "us-east-1-b", "us-east-1-c"].map(founder);
    Arc::make_mut(&mut world.nodes[0].config.genesis).regions[0].nodes = founders.into();
    world.restart(0, None);
    world.settle();
    let id = world.increment(0, "visits", Durability::Region);
    world.pass(4_000);
    assert!(world.answer(0, id).is_none(), "two more founders are still to come");
    let second = world.add(0, "us-east-1-b");
    world.connect(second);
    world.tell_leader(second, 0);
    world.pass(4_000);
    assert!(world.answered(0, id).is_ok());
}

#[test]
fn without_a_majority_a_region_write_ends_as_unknown() {
    let mut world = World::new(&[3]);
    world.loses = |_, _, _, _| true;
    let id = world.increment(0, "visits", Durability::Region);
    world.pass(11_000);
    assert_eq!(world.answered(0, id), &Err(RequestError::Unknown));
}

#[test]
fn appends_are_batched_and_answered_once_committed() {
    let mut world = World::new(&[3]);
    world.commits = false;
    let asked: Vec<u64> =
        (0..40).map(|number| world.ask(0, Options::default(), append(&format!("key {number}"), "v", None))).collect();
    assert_eq!(world.nodes[0].proposed.len(), 2, "the first at once, then as many as are worth an entry of their own");
    assert!(asked.iter().all(|id| world.answer(0, *id).is_none()));
    world.commits = true;
    world.run();
    let indexes: Vec<u64> = asked.iter().map(|id| appended(world.answered(0, *id)).0).collect();
    assert_eq!(indexes, (0..40).collect::<Vec<_>>());
    let log = world.logs[&world.nodes[0].region].borrow().len();
    assert!(log < 18, "40 records in {log} entries, roster and all");
}

#[test]
fn a_level_that_is_not_served_is_refused_and_not_rounded_down() {
    let mut world = World::new(&[1]);
    for durability in [Durability::Regions(2), Durability::All] {
        let record = world.ask(0, durable(durability), append("key", "value", None));
        assert!(matches!(world.answered(0, record), Err(RequestError::Unsupported { .. })));
        let object = world.ask(0, durable(durability), increment("key"));
        assert!(matches!(world.answered(0, object), Err(RequestError::Unsupported { .. })));
    }
}

#[test]
fn a_full_disk_refuses_writes_and_goes_on_reading() {
    let mut world = World::new(&[3]);
    world.increment(0, "visits", Durability::Local);
    world.input(0, Input::Disk { writable: false });
    let edit = world.increment(0, "visits", Durability::Local);
    assert_eq!(world.answered(0, edit), &Err(RequestError::DiskFull));
    let record = world.ask(0, Options::default(), append("key", "value", None));
    assert_eq!(world.answered(0, record), &Err(RequestError::DiskFull));
    assert_eq!(world.counter(0, "visits"), Some(1));
    // What others write is taken in once there is room.
    world.increment(1, "visits", Durability::Local);
    world.run();
    assert_eq!(world.counter(0, "visits"), Some(1));
    world.input(0, Input::Disk { writable: true });
    world.pass(8_000);
    assert_eq!(world.counter(0, "visits"), Some(2));
}

#[test]
fn a_proof_that_cannot_be_made_does_not_take_the_append_back() {
    let mut world = World::new(&[1]);
    let mut asked = append("key", "value", None);
    if let trine_protocol::Request::Append(Append { with_proof, .. }) = &mut asked {
        *with_proof = true;
    }
    let id = world.ask(0, Options::default(), asked);
    world.run();
    let Ok(answer) = world.answered(0, id) else { panic!("appended") };
    let Reply::Appended(appended) = &answer.reply else { panic!("appended") };
    assert!(appended.proof.is_some() && appended.header.is_some());
}
