//! A node with a new disk: not ready, and not asked for what it lacks, until it holds what its peers held.

use trine_protocol::reply::Health;
use trine_protocol::request::{ObjectGet, Options};
use trine_protocol::{Durability, Reply, Request, RequestError};
use trine_replica::PeerMessage;

use crate::world::{World, append, increment};

const KEYS: usize = 40;

/// Two nodes that hold counters and records, and a third without anything, which registers and is kept from all deltas.
fn joined() -> (World, usize) {
    let mut world = World::new(&[2]);
    for number in 0..KEYS {
        world.increment(0, &format!("visits {number}"), Durability::Region);
        world.ask(0, Options::default(), append(&format!("key {number}"), "value", None));
        world.run();
    }
    world.settle();
    world.loses = |_, _, to, message| {
        to == 2 && matches!(message, PeerMessage::Intervals { .. } | PeerMessage::PartitionPage { .. })
    };
    let new = world.add(0, "us-east-1-c");
    world.connect(new);
    world.tell_leader(new, 0);
    world.settle();
    (world, new)
}

fn health(world: &mut World, asked: usize, of: usize) -> Health {
    let id = world.ask(asked, Options::default(), Request::NodeList);
    let Ok(answer) = world.answered(asked, id) else { panic!("its nodes") };
    let Reply::Nodes(nodes) = &answer.reply else { panic!("nodes") };
    nodes.iter().find(|node| node.id == world.nodes[of].id).expect("on the roster").health
}

#[test]
fn it_serves_when_it_holds_what_its_peers_held() {
    let (mut world, new) = joined();
    let said = world.nodes[new].core.ready().expect_err("it holds nothing").to_string();
    assert!(said.contains("it holds 0 of") && said.contains("partitions"), "{said}");
    assert_eq!(health(&mut world, 0, new), Health::Degraded);

    // A read is answered by who has it, an edit is refused.
    let get = Request::ObjectGet(ObjectGet { namespace: "objects".to_owned(), key: "visits 7".to_owned() });
    let read = world.ask(new, Options::default(), get);
    world.run();
    assert!(world.answered(new, read).is_ok(), "{:?}", world.answered(new, read));
    let edit = world.ask(new, Options::default(), increment("visits 7"));
    world.run();
    assert!(matches!(world.answered(new, edit), Err(RequestError::Unavailable { .. })));

    // What is written meanwhile need not be there.
    world.loses = |_, _, _, _| false;
    world.settle();
    assert_eq!(world.nodes[new].core.ready(), Ok(()));
    assert_eq!(world.counter(new, "visits 7"), Some(1));
    assert_eq!(health(&mut world, 0, new), Health::Healthy);
}

#[test]
fn a_restart_does_not_make_it_whole() {
    let (mut world, new) = joined();
    world.restart(new, None);
    world.settle();
    let said = world.nodes[new].core.ready().expect_err("it holds nothing").to_string();
    assert!(said.contains("it holds 0 of"), "{said}");

    world.loses = |_, _, _, _| false;
    world.settle();
    assert_eq!(world.nodes[new].core.ready(), Ok(()));
    // Once whole it is a node like any other.
    world.loses = |_, _, to, message| to == 2 && matches!(message, PeerMessage::Holdings(_));
    world.restart(new, None);
    world.settle();
    assert_eq!(world.nodes[new].core.ready(), Ok(()));
}

#[test]
fn it_serves_what_it_has_when_nothing_comes_any_more_and_says_so() {
    let (mut world, new) = joined();
    world.pass(40_000);
    assert_eq!(world.nodes[new].core.ready(), Ok(()));
    let id = world.ask(new, Options::default(), Request::Status);
    let Ok(answer) = world.answered(new, id) else { panic!("its status") };
    let Reply::Status(status) = &answer.reply else { panic!("a status") };
    assert!(status.problems.iter().any(|problem| problem.code == "incomplete"), "{:?}", status.problems);
}

#[test]
fn peers_that_do_not_answer_are_not_waited_for() {
    let mut world = World::new(&[2]);
    world.increment(0, "visits", Durability::Region);
    world.settle();
    world.loses = |_, _, _, message| matches!(message, PeerMessage::Holdings(_));
    let new = world.add(0, "us-east-1-c");
    world.connect(new);
    world.tell_leader(new, 0);
    world.settle();
    assert!(world.nodes[new].core.ready().is_err());
    world.pass(4_000);
    assert_eq!(world.nodes[new].core.ready(), Ok(()));
}
