//! What a node knows of itself after it was stopped, rolled back or removed.

use trine_protocol::request::{NamespaceCreate, NodeRemove, Options};
use trine_protocol::{Durability, Reply, Request};
use trine_replica::effect::Halt;
use trine_replica::input::GroupId;
use trine_replica::{Effect, Input};

use crate::world::{World, append, region};

fn head(world: &mut World, node: usize) -> (u64, [u8; 32]) {
    let id = world.ask(node, Options::default(), Request::Status);
    match &world.answered(node, id).as_ref().expect("its status").reply {
        Reply::Status(status) => (status.ledgers[&region(0)].size, status.ledgers[&region(0)].root),
        other => panic!("a status, not {other:?}"),
    }
}

#[test]
fn a_restarted_node_goes_on_where_its_disk_ends() {
    let mut world = World::new(&[3]);
    for number in 0..5 {
        world.ask(0, Options::default(), append(&format!("key {number}"), "value", None));
        world.increment(2, "visits", Durability::Local);
    }
    world.settle();
    let before = head(&mut world, 2);
    world.restart(2, None);
    assert_eq!(head(&mut world, 2), before, "its ledger stands");
    assert_eq!(world.counter(2, "visits"), Some(5));
    assert!(world.nodes[2].core.last_applied().is_some());
    world.settle();
    // Entries that it has applied are handed over again: they count once.
    let log = world.logs[&region(0)].borrow().clone();
    world.input(2, Input::Committed { group: GroupId::Region, entries: log });
    assert_eq!(head(&mut world, 2), before);
    world.increment(2, "visits", Durability::Local);
    world.settle();
    assert_eq!(world.counter(0, "visits"), Some(6), "under its new incarnation");
    assert_eq!(world.nodes[2].halted, None);
}

#[test]
fn a_write_that_was_not_on_disk_is_gone_and_nobody_was_told() {
    let mut world = World::new(&[2]);
    world.nodes[0].slow_disk = true;
    let id = world.increment(0, "visits", Durability::Local);
    world.run();
    assert!(world.answer(0, id).is_none());
    world.nodes[0].slow_disk = false;
    world.restart(0, None);
    world.settle();
    assert_eq!((world.counter(0, "visits"), world.counter(1, "visits")), (None, None));
}

#[test]
fn a_node_on_a_rolled_back_disk_stops() {
    let mut world = World::new(&[3]);
    world.increment(0, "visits", Durability::Region);
    world.settle();
    let older = world.nodes[0].disk.clone();
    world.increment(0, "visits", Durability::Region);
    world.settle();
    world.restart(0, Some(older));
    world.settle();
    let halted = world.nodes[0].halted.as_ref().expect("it stops");
    assert!(matches!(halted, Effect::Halt(Halt::OldDisk { .. })), "{halted:?}");
    assert!(world.nodes[1].halted.is_none() && world.nodes[2].halted.is_none());
}

#[test]
fn a_removed_node_stops_and_stays_stopped() {
    let mut world = World::new(&[3]);
    let node = world.nodes[2].id;
    let id = world.ask(0, Options::default(), Request::NodeRemove(NodeRemove { node, force: false }));
    world.run();
    assert!(matches!(world.answered(0, id).as_ref().expect("done").reply, Reply::Done));
    assert!(world.nodes[2].halted.is_some(), "the log told it");
    world.nodes[2].halted = None;
    world.restart(2, None);
    assert!(world.nodes[2].halted.is_some(), "its disk remembers");
    // One that the log does not reach any more hears it from its peers.
    let mut world = World::new(&[3]);
    world.nodes[2].deaf = true;
    let node = world.nodes[2].id;
    world.ask(0, Options::default(), Request::NodeRemove(NodeRemove { node, force: false }));
    world.settle();
    assert!(world.nodes[2].halted.is_some());
}

#[test]
fn a_region_s_many_namespaces_reach_the_others() {
    let mut world = World::new(&[1, 1]);
    for number in 0..400 {
        let name = format!("a-namespace-with-a-rather-long-name-to-fill-the-registry-{number}");
        let kind = trine_protocol::request::NamespaceKind::Objects;
        world.ask(0, Options::default(), Request::NamespaceCreate(NamespaceCreate { name, kind, slots: None }));
        world.run();
    }
    world.settle();
    let id = world.ask(1, Options::default(), Request::NamespaceList);
    let Reply::Namespaces(known) = &world.answered(1, id).as_ref().expect("listed").reply else { panic!("a list") };
    assert_eq!(known.len(), 402, "with the two of the genesis");
    // Over a restart too.
    world.restart(1, None);
    let id = world.ask(1, Options::default(), Request::NamespaceList);
    let Reply::Namespaces(known) = &world.answered(1, id).as_ref().expect("listed").reply else { panic!("a list") };
    assert_eq!(known.len(), 402);
}
