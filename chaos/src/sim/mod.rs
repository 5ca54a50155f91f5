//! The simulated arena: the daemon's core in a world that a seed decides.
//!
//! Clients work while messages are lost, repeated, late and out of order, nodes crash and lose what was not synced,
//! regions are cut off, leaders change and clocks disagree. Then everything heals, and the judges look: all nodes
//! hold the same, nothing acknowledged is lost, nothing refused is there, nothing removed came back.

pub mod check;
pub mod disk;
pub mod event;
pub mod history;
pub mod ledger;
pub mod plan;
pub mod sequencer;
pub mod sweep;
pub mod trace;
pub mod workload;
pub mod world;

use crate::sim::event::Event;
use crate::sim::plan::Plan;
use crate::sim::world::World;

const MS: u64 = 1_000_000;
/// How long the healed world may take to converge, in simulated milliseconds.
const CONVERGE_MS_MAX: u64 = 60_000;

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The hash of all that happened.
    pub trace_hash: u64,
    /// How many inputs went through the cores' doors.
    pub inputs: u64,
    /// How many messages were sent.
    pub messages: u64,
    /// How many operations were acknowledged, and how many begun.
    pub operations: (usize, usize),
    /// How long the healed world took to converge, in simulated milliseconds.
    pub converged_ms: u64,
    /// Whether a node crashed.
    pub crashed: bool,
    /// Whether a region was cut off.
    pub split: bool,
    /// What the judges found.
    pub failures: Vec<String>,
}

/// Runs a seed in a world of so many regions and nodes each.
#[must_use]
pub fn run(seed: u64, regions: usize, nodes: usize) -> Outcome {
    run_plan(seed, Plan::of_seed(seed, regions, nodes))
}

/// Runs a plan.
#[must_use]
pub fn run_plan(seed: u64, plan: Plan) -> Outcome {
    let (crashed, split) = (plan.crashes > 0 || plan.blackout, plan.splits > 0);
    let mut world = World::new(seed, plan);
    book_faults(&mut world);
    world.schedule(500 * MS, Event::Operation);
    let active_ns = world.plan.active_ms * MS;
    world.run_until(active_ns, workload::operate);
    calm(&mut world);
    let begun_ns = world.now_ns;
    // Operations under way end by their own time-outs before anything is judged.
    world.run_until(begun_ns + 3_500 * MS, |_| {});
    let mut last = check::converged(&world);
    let mut converged_ns = world.now_ns;
    while last.is_err() && converged_ns < begun_ns + CONVERGE_MS_MAX * MS {
        world.run_until(converged_ns + 500 * MS, |_| {});
        converged_ns = world.now_ns;
        last = check::converged(&world);
    }
    let mut failures = std::mem::take(&mut world.failures);
    match last {
        Ok(()) => failures.extend(check::judge(&world)),
        Err(error) => failures.push(format!("no convergence within {CONVERGE_MS_MAX} ms of the heal: {error}")),
    }
    let done = world.history.operations.values().filter(|operation| operation.ok().is_some()).count();
    Outcome {
        seed,
        trace_hash: world.trace.hash(),
        inputs: world.trace.inputs,
        messages: world.trace.messages,
        operations: (done, world.history.operations.len()),
        converged_ms: (converged_ns - begun_ns) / MS,
        crashed,
        split,
        failures,
    }
}

/// Books the plan's faults at times within the clients' active time.
fn book_faults(world: &mut World) {
    let plan = world.plan.clone();
    let (nodes, active) = (world.nodes.len() as u64, plan.active_ms * MS);
    let when = |world: &mut World| 800 * MS + world.chance.below(active.saturating_sub(1_000 * MS).max(1));
    for _ in 0..plan.crashes {
        let (at, node) = (when(world), world.chance.below(nodes) as usize);
        world.schedule(at, Event::Crash { node });
        let back = at + 100 * MS + world.chance.below(2_500 * MS);
        world.schedule(back, Event::Start { node });
    }
    if plan.blackout {
        let at = when(world);
        for node in 0..world.nodes.len() {
            world.schedule(at, Event::Crash { node });
            let back = at + 200 * MS + world.chance.below(500 * MS);
            world.schedule(back, Event::Start { node });
        }
    }
    for _ in 0..plan.splits {
        let (at, region) = (when(world), world.chance.below(plan.regions as u64) as usize);
        world.schedule(at, Event::Split { region });
        let back = at + 500 * MS + world.chance.below(4_000 * MS);
        world.schedule(back, Event::Heal);
    }
    for _ in 0..plan.cuts {
        let (at, from, to) = (when(world), world.chance.below(nodes) as usize, world.chance.below(nodes) as usize);
        if from != to {
            world.schedule(at, Event::Cut { from, to });
        }
    }
    for _ in 0..plan.elections {
        let (at, region) = (when(world), world.chance.below(plan.regions as u64) as usize);
        world.schedule(at, Event::Unseat { region });
    }
}

/// Ends all faults: cuts heal, every node starts, messages arrive.
fn calm(world: &mut World) {
    world.calm = true;
    world.heal();
    for node in 0..world.nodes.len() {
        world.schedule(0, Event::Start { node });
    }
    // Cuts that were still booked must not outlast the calm.
    let last = 5_000 * MS;
    world.schedule(last, Event::Heal);
    for node in 0..world.nodes.len() {
        world.schedule(last, Event::Start { node });
    }
}
