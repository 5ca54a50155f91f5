//! What one write costs the cores of a region of three, in memory: no network, no disk, no Raft.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "it measures; the crate itself reads no clock")]

#[path = "../tests/it/disk.rs"]
#[allow(dead_code, reason = "the stories use the rest")]
mod disk;
#[path = "../tests/it/world.rs"]
#[allow(dead_code, reason = "the stories use the rest")]
mod world;

use std::time::Instant;

use trine_protocol::Durability;
use trine_protocol::request::Options;
use world::{World, append};

const WRITES: u32 = 20_000;

fn measure(what: &str, mut write: impl FnMut(&mut World, u32)) {
    let mut world = World::new(&[3]);
    let begun = Instant::now();
    for number in 0..WRITES {
        write(&mut world, number);
        world.nodes.iter_mut().for_each(|node| node.answers.clear());
    }
    println!("{what}: {:.1} µs per write", begun.elapsed().as_secs_f64() * 1e6 / f64::from(WRITES));
}

fn main() {
    measure("local edit, taking node only, 1000 keys", |world, number| {
        world.increment(0, &format!("key {}", number % 1000), Durability::Local);
        world.nodes[0].sent.clear();
    });
    measure("region edit, all three nodes, 1000 keys", |world, number| {
        world.increment(0, &format!("key {}", number % 1000), Durability::Region);
        world.run();
    });
    measure("append, one an entry, all three nodes", |world, number| {
        world.ask(0, Options::default(), append(&format!("key {number}"), "a value of some length", None));
        world.run();
    });
    measure("append, in batches of 64, all three nodes", |world, number| {
        world.commits = number % 64 == 63;
        world.ask(0, Options::default(), append(&format!("key {number}"), "a value of some length", None));
        if world.commits {
            world.run();
        }
    });
}
