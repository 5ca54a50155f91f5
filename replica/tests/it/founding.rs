//! A founder on an empty disk: what others tell decides whether it may found its region's group.

use std::rc::Rc;
use std::sync::Arc;

use trine_ledger::genesis::GenesisNode;
use trine_replica::{Founds, NotReady};

use crate::world::{World, region};

/// This many regions of one founder each.
fn founded(regions: usize) -> World {
    let mut world = World::new(&vec![1; regions]);
    let mut genesis = world.genesis.clone();
    for region in &mut genesis.regions {
        let name = format!("{}-a", region.id);
        region.nodes = vec![GenesisNode {
            peer: format!("peer-{name}"),
            name,
            addresses: Vec::new(),
            raft: "127.0.0.1:1".to_owned(),
        }];
    }
    world.genesis = genesis.clone();
    for place in 0..regions {
        world.nodes[place].config.genesis = Arc::new(genesis.clone());
        world.restart(place, None);
        world.lead(place);
    }
    world.settle();
    world
}

fn joined(world: &mut World) -> usize {
    let new = world.add(0, "us-east-1-b");
    world.connect(new);
    world.tell_leader(new, 0);
    world.settle();
    assert_eq!(world.nodes[new].core.ready(), Ok(()));
    new
}

/// The first founder starts on an empty disk and is handed nothing of the log; whom it reaches is for the caller.
fn emptied(world: &mut World) {
    world.leaders.remove(&region(0));
    world.nodes[0].deaf = true;
    let disk = crate::world::Disk::new(Rc::clone(&world.logs[&region(0)]));
    world.restart_apart(0, Some(disk));
}

fn founds(world: &World) -> Founds {
    world.nodes[0].core.founds()
}

#[test]
fn who_joined_later_tells_of_the_group_and_other_regions_do() {
    for (regions, there) in [(1, true), (2, true), (2, false)] {
        let mut world = founded(regions);
        let new = joined(&mut world);
        emptied(&mut world);
        if !there {
            // Cut off: only what its region's key signed tells of it.
            world.loses = |_, from, to, _| (from, to) == (2, 0) || (from, to) == (0, 2);
            assert_eq!(new, 2);
        }
        world.connect(0);
        world.pass(5_000);
        assert_eq!(founds(&world), Founds::Exists { name: "us-east-1-b".to_owned() }, "{regions} {there}");
        let said = world.nodes[0].core.ready().expect_err("it is not in");
        assert_eq!(said, NotReady::GroupExists { joined: "us-east-1-b".to_owned() });
        let said = said.to_string();
        assert!(said.contains("since us-east-1-b joined it") && said.contains("founds nothing"), "{said}");
    }
}

#[test]
fn a_region_that_nobody_joined_is_founded_anew_as_soon_as_the_others_have_answered() {
    let mut world = founded(3);
    emptied(&mut world);
    assert_eq!(founds(&world), Founds::Asking);
    world.connect(0);
    world.pass(500);
    assert_eq!(founds(&world), Founds::Yes);
}

#[test]
fn who_reaches_nobody_founds_after_a_while() {
    for (regions, waits_ms) in [(1, 1_000), (3, 3_000)] {
        let mut world = founded(regions);
        emptied(&mut world);
        world.pass(waits_ms - 200);
        assert_eq!(founds(&world), Founds::Asking);
        world.pass(400);
        assert_eq!(founds(&world), Founds::Yes);
    }
}
