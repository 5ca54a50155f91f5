//! An edit that finds nothing to remove is answered as any other, and nothing is written for it.

use bytes::Bytes;
use trine_protocol::request::{ObjectEdit, Options};
use trine_protocol::{Durability, Edit, Reply, Request};

use crate::world::{World, durable};

fn edit(world: &mut World, key: &str, edit: Edit, durability: Durability) {
    let request = Request::ObjectEdit(ObjectEdit { namespace: "objects".to_owned(), key: key.to_owned(), edit });
    let id = world.ask(0, durable(durability), request);
    world.run();
    assert!(world.answered(0, id).is_ok(), "{:?}", world.answered(0, id));
}

/// Objects and their digest, and how many dots of the first node's are held.
fn held(world: &mut World, node: usize) -> (u64, [u8; 32]) {
    let id = world.ask(node, Options::default(), Request::Status);
    let Ok(answer) = world.answered(node, id) else { panic!("its status") };
    let Reply::Status(status) = &answer.reply else { panic!("a status") };
    status.objects.values().next().map_or((0, [0; 32]), |sum| (sum.count, sum.digest))
}

#[test]
fn deletes_of_what_never_was_leave_no_rows() {
    let mut world = World::new(&[3]);
    let rows = world.nodes[0].disk.object_rows();
    for number in 0..50 {
        edit(&mut world, &format!("never {number}"), Edit::Delete, Durability::Region);
        edit(&mut world, &format!("never {number}"), Edit::Remove(Bytes::from_static(b"x")), Durability::Local);
        edit(&mut world, &format!("never {number}"), Edit::RemoveField("x".to_owned()), Durability::Region);
    }
    world.settle();
    assert_eq!(held(&mut world, 0).0, 0);
    assert_eq!(world.nodes[0].disk.object_rows(), rows);
}

#[test]
fn what_stands_stays_as_it_is() {
    let mut world = World::new(&[3]);
    edit(&mut world, "set", Edit::Add(Bytes::from_static(b"a")), Durability::Region);
    world.settle();
    let before = held(&mut world, 0);
    edit(&mut world, "set", Edit::Remove(Bytes::from_static(b"b")), Durability::Region);
    assert_eq!(held(&mut world, 0), before);
    // What removes something is written, and once: whoever tries again finds it gone.
    edit(&mut world, "set", Edit::Remove(Bytes::from_static(b"a")), Durability::Region);
    let after = held(&mut world, 0);
    assert_ne!(after, before);
    edit(&mut world, "set", Edit::Remove(Bytes::from_static(b"a")), Durability::Region);
    assert_eq!(held(&mut world, 0), after);
}

#[test]
fn a_removal_that_no_majority_has_is_not_acknowledged_by_finding_it_done() {
    let mut world = World::new(&[3]);
    edit(&mut world, "set", Edit::Add(Bytes::from_static(b"a")), Durability::Region);
    world.settle();
    world.loses = |_, _, _, message| matches!(message, trine_replica::PeerMessage::Intervals { .. });
    let remove = |world: &mut World| {
        let edit = Edit::Remove(Bytes::from_static(b"a"));
        let request = Request::ObjectEdit(ObjectEdit { namespace: "objects".to_owned(), key: "set".to_owned(), edit });
        let id = world.ask(0, durable(Durability::Region), request);
        world.run();
        id
    };
    let (first, again) = (remove(&mut world), remove(&mut world));
    assert!(world.answer(0, first).is_none() && world.answer(0, again).is_none());
    world.loses = |_, _, _, _| false;
    world.pass(8_000);
    assert!(world.answered(0, first).is_ok() && world.answered(0, again).is_ok());
}
