//! Raft itself, judged: openraft on its simulated runtime, our log on the disk that forgets, a network that a seed decides.
//!
//! `trine-chaos sim` has a sequencer where a region's Raft group stands; here is the group. Time is virtual, one thread
//! runs everything in an order that follows from the seed, and the judge looks at every message, every sync and every
//! entry handed over. A seed gives the same trace hash each time.
//!
//! `TRINE_RAFT_SEEDS=5000 cargo test --workspace --test it -- raft_sim` hunts; `TRINE_RAFT_SEED=77` runs one and tells
//! what happened.

mod acts;
mod judge;
mod net;
mod node;
mod story;

use std::sync::atomic::{AtomicU64, Ordering};

use openraft_rt_sim::SimRuntime;
use trine_raft::types::{AppData, Leader, Member};

use self::story::{Ended, Plan};

openraft::declare_raft_types!(
    /// The daemon's types on the simulated runtime.
    pub Simulated:
        D = AppData,
        R = (),
        NodeId = u64,
        Node = Member,
        Term = u64,
        LeaderId = Leader,
        AsyncRuntime = SimRuntime,
);

/// Seeds of a run, unless it is told otherwise.
const SEEDS: u64 = 20;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

/// Runs seeds on all cores; what became of each.
fn run(seeds: std::ops::Range<u64>) -> Vec<Ended> {
    let next = AtomicU64::new(seeds.start);
    let workers = std::thread::available_parallelism().map_or(2, |cores| cores.get().min(16));
    let mut ended: Vec<Ended> = std::thread::scope(|scope| {
        let worker = || {
            let mut ended = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    return ended;
                }
                ended.push(story::run(Plan::of(seed)));
            }
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic outside the simulation")).collect()
    });
    ended.sort_by_key(|ended| ended.seed);
    ended
}

#[test]
fn raft_keeps_its_word_whatever_the_seed() {
    let seeds = match number("TRINE_RAFT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TRINE_RAFT_SEEDS").unwrap_or(SEEDS),
    };
    let began = std::time::Instant::now();
    let ended = run(seeds);
    let sum = |of: fn(&Ended) -> u64| ended.iter().map(of).sum::<u64>();
    println!(
        "{} seeds in {:?}: {} s of virtual time, {} messages, {} crashes, {} entries acknowledged, {} leaders, \
         {} changes of membership, {} prefixes installed",
        ended.len(),
        began.elapsed(),
        sum(|ended| ended.virtual_seconds),
        sum(|ended| ended.messages),
        sum(|ended| ended.crashes),
        sum(|ended| ended.acknowledged),
        sum(|ended| ended.leaders),
        sum(|ended| ended.changes),
        sum(|ended| ended.prefixes),
    );
    let wrong: Vec<_> = ended.iter().filter(|ended| !ended.wrong.is_empty()).collect();
    for ended in wrong.iter().take(5) {
        println!("seed {}: {}", ended.seed, ended.wrong[..ended.wrong.len().min(3)].join("\n    "));
    }
    let seeds: Vec<_> = wrong.iter().map(|ended| ended.seed).collect();
    assert!(wrong.is_empty(), "{} seeds went wrong: {seeds:?}", wrong.len());
    assert!(sum(|ended| ended.acknowledged) > 0, "nothing was done at all");
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    for seed in [1, 102] {
        let (first, second) = (story::run(Plan::of(seed)), story::run(Plan::of(seed)));
        assert_eq!(first.trace, second.trace, "seed {seed}");
        println!("seed {seed}: {}", first.trace);
    }
}
