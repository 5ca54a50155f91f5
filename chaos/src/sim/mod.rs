//! The simulated arena: the daemon's core in a world that a seed decides.
//!
//! Clients work while messages are lost, repeated, late and out of order, nodes crash and lose what was not synced,
//! regions are cut off, leaders change and clocks disagree. Then everything heals, and the judges look: all nodes
//! hold the same, nothing acknowledged is lost, nothing refused is there, nothing removed came back.

pub mod case;
pub mod clients;
pub mod disk;
pub mod event;
pub mod evidence;
pub mod faults;
pub mod group;
pub mod hunt;
pub mod inject;
pub mod ledger;
pub mod links;
#[cfg(feature = "mutants")]
pub mod mutants;
pub mod node;
pub mod sequencer;
pub mod shrink;
pub mod sweep;
pub mod trace;
pub mod world;

use std::collections::BTreeSet;

use crate::check::{Evidence, judge};
use crate::plan::{Plan, Topology};
use crate::sim::event::Event;
use crate::sim::faults::START_NS;
use crate::sim::world::World;

const MS: u64 = 1_000_000;
/// How often a healed world is looked at, in simulated milliseconds.
const LOOK_EVERY_MS: u64 = 100;
/// In a world of more nodes than this, looking costs more than what there is to see: it is done less often.
const NODES_LOOKED_AT_OFTEN: usize = 20;
/// How long nodes that hold the same may take to know it of each other, in simulated milliseconds.
const TRIM_MS_MAX: u64 = 30_000;
/// How long clients' last calls may take, in simulated milliseconds.
const LAST_CALLS_MS: u64 = 3_500;

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The hash of all that happened.
    pub trace_hash: u64,
    /// How many inputs went through the cores' doors.
    pub inputs: u64,
    /// How many messages were sent.
    pub messages: u64,
    /// How many bytes they had; 0 where that was not measured.
    pub bytes: u64,
    /// How many writes were acknowledged.
    pub writes: u64,
    /// How many operations were acknowledged, and how many begun.
    pub operations: (usize, usize),
    /// How long the healed world took to converge, in simulated milliseconds.
    pub converged_ms: u64,
    /// Whether a node crashed.
    pub crashed: bool,
    /// Whether a region was cut off.
    pub split: bool,
    /// Kinds of faults that there is no model of, and which were left out.
    pub left_out: BTreeSet<&'static str>,
    /// What the judges found, each behind its name and a colon.
    pub failures: Vec<String>,
}

/// Runs the mixed scenario of a seed in a world of so many regions and nodes each.
#[must_use]
pub fn run(seed: u64, regions: usize, nodes: usize) -> Outcome {
    run_plan(seed, Plan::mixed(seed, Topology { regions, nodes })).0
}

/// Runs a plan, and judges it: what it came to, and what it was judged by.
#[must_use]
pub fn run_plan(seed: u64, plan: Plan) -> (Outcome, Evidence) {
    judged(World::new(seed, plan))
}

/// The same, with the bytes of messages counted.
#[must_use]
pub fn measure_plan(seed: u64, plan: Plan) -> (Outcome, Evidence) {
    let mut world = World::new(seed, plan);
    world.measure = true;
    judged(world)
}

fn judged(mut world: World) -> (Outcome, Evidence) {
    world.schedule(START_NS, Event::Operation);
    world.run_until(world.end_ns(), clients::operate);
    heal(&mut world);
    let evidence = evidence::gather(&world);
    let mut failures: Vec<String> = judge(&evidence, &world.plan.checks).iter().map(ToString::to_string).collect();
    if world.converged_ns.is_none()
        && let Err(why) = evidence::converged(&world)
    {
        failures.push(format!("convergence: {why}"));
    }
    failures.extend(world.unfinished());
    if world.converged_ns.is_some() {
        failures.extend(wait_for_trim(&mut world));
    }
    let (done, failed, unknown) = evidence.history.counts();
    let has = |kind: &str| world.happened.iter().any(|fault| fault.kind == kind);
    let healed_ns = world.healed_ns.unwrap_or(world.now_ns);
    let outcome = Outcome {
        seed: world.seed,
        trace_hash: world.trace.hash(),
        inputs: world.trace.inputs,
        messages: world.trace.messages,
        bytes: world.trace.bytes,
        writes: world.clients.writes(),
        operations: (done, done + failed + unknown),
        converged_ms: (world.converged_ns.unwrap_or(world.now_ns) - healed_ns) / MS,
        crashed: has("power-loss") || has("kill") || has("torn-write"),
        split: has("split"),
        left_out: world.left_out.clone(),
        failures,
    };
    (outcome, evidence)
}

/// Lets nodes that hold the same find that out of each other, so that they keep no deltas; the finding when they do.
fn wait_for_trim(world: &mut World) -> Option<String> {
    let until_ns = world.now_ns + TRIM_MS_MAX * MS;
    loop {
        match evidence::trimmed(world) {
            Ok(()) => return None,
            Err(error) if world.now_ns >= until_ns => return Some(format!("trim: {TRIM_MS_MAX} ms later {error}")),
            Err(_) => world.run_until(world.now_ns + 5 * LOOK_EVERY_MS * MS, |_| {}),
        }
    }
}

/// Ends all faults, sees whether all regions answer again, and waits until all nodes hold the same.
fn heal(world: &mut World) {
    world.heal();
    let healed_ns = world.now_ns;
    world.healed_ns = Some(healed_ns);
    let bounds = world.plan.bounds.clone();
    let due = |bound: std::time::Duration| healed_ns + u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX / 2);
    while !world.clients.all_acknowledged_since(healed_ns, world.plan.topology.regions)
        && world.now_ns < due(bounds.answer_within)
    {
        clients::probe(world);
        world.run_until(world.now_ns + 5 * LOOK_EVERY_MS * MS, |_| {});
    }
    // Calls under way end by their own time-outs before anything is judged.
    let last_ns = world.now_ns + LAST_CALLS_MS * MS;
    while world.clients.wait(world.now_ns) && world.now_ns < last_ns {
        world.run_until(world.now_ns + LOOK_EVERY_MS * MS, |_| {});
    }
    let often = world.nodes.len() <= NODES_LOOKED_AT_OFTEN;
    let look_ns = if often { LOOK_EVERY_MS * MS } else { 10 * LOOK_EVERY_MS * MS };
    while evidence::converged(world).is_err() {
        if world.now_ns >= due(bounds.converge_within) {
            return;
        }
        world.run_until(world.now_ns + look_ns, |_| {});
    }
    world.converged_ns = Some(world.now_ns);
}
