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
pub mod marks;
#[cfg(feature = "mutants")]
pub mod mutants;
pub mod node;
pub mod resident;
pub mod restored;
pub mod sequencer;
pub mod shrink;
pub mod status;
pub mod sweep;
pub mod trace;
pub mod voters;
pub mod world;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::check::{Evidence, Violation, judge};
use crate::plan::{ArenaKind, Plan, Topology};
use crate::report::{Figures, Report, Simulated};
use crate::sim::event::Event;
use crate::sim::faults::START_NS;
use crate::sim::resident::resident_bytes;
use crate::sim::world::World;

const MS: u64 = 1_000_000;
/// How often a healed world is looked at, in simulated milliseconds.
const LOOK_EVERY_MS: u64 = 100;
/// In a world of more nodes than this, looking costs more than what there is to see: it is done less often.
const NODES_LOOKED_AT_OFTEN: usize = 20;
/// How long nodes that hold the same may take to know it of each other, in simulated milliseconds, beside the time in
/// which each compares itself with each other once.
const TRIM_MS: u64 = 30_000;
/// Each node compares itself with one node of another region once in this many simulated milliseconds.
const COMPARES_EVERY_MS: u64 = 500;
/// Where comparing with all others takes longer than this, in simulated milliseconds, nobody waits for it.
const COMPARING_MS_MAX: u64 = 60_000;
/// What the simulator demands beyond the checkers, and its statements.
const SETTLED: [(&str, &str); 2] = [
    ("membership", "who was taken off its region's roster stops"),
    ("trim", "no node keeps deltas of which it can know that all nodes have them"),
];
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
    /// In numbers, as those of a run on real processes.
    pub figures: Figures,
    /// What went over the network, and what it took.
    pub simulated: Simulated,
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

/// Runs the mixed scenario of a seed in a world with these numbers of regions and of nodes in each.
#[must_use]
pub fn run(seed: u64, regions: usize, nodes: usize) -> Outcome {
    run_plan(seed, Plan::mixed(seed, Topology { regions, nodes })).outcome
}

/// Runs a plan, and judges it: what it came to, and what it was judged by.
#[must_use]
pub fn run_plan(seed: u64, plan: Plan) -> Ran {
    judged(World::new(seed, plan), Started::now())
}

/// The same, with the bytes of messages counted.
#[must_use]
pub fn measure_plan(seed: u64, plan: Plan) -> Ran {
    let started = Started::now();
    let mut world = World::new(seed, plan);
    world.measure = true;
    judged(world, started)
}

/// A run that was judged.
#[derive(Debug)]
pub struct Ran {
    /// What it came to.
    pub outcome: Outcome,
    /// What it was judged by.
    pub evidence: Evidence,
    /// What was done.
    pub plan: Plan,
    found: Vec<Violation>,
}

impl Ran {
    /// Its report.
    #[must_use]
    pub fn report(&self) -> Report {
        let at = (&self.plan, self.outcome.seed, ArenaKind::Simulated);
        let settled = |violation: &&Violation| SETTLED.iter().any(|(name, _)| *name == violation.check);
        let judged: Vec<Violation> = self.found.iter().filter(|it| !settled(it)).cloned().collect();
        let mut report = Report::new(at, &self.evidence, &[], &judged);
        for (name, statement) in SETTLED {
            let found = self.found.iter().filter(|violation| violation.check == name);
            report.also(name, statement, found.map(|violation| violation.what.clone()).collect());
        }
        report.simulated = Some(self.outcome.simulated.clone());
        report
    }
}

/// What there was before a world was made.
struct Started {
    at: Instant,
    resident_bytes: Option<u64>,
}

impl Started {
    fn now() -> Self {
        Self { at: Instant::now(), resident_bytes: resident_bytes() }
    }
}

fn judged(mut world: World, started: Started) -> Ran {
    world.schedule(START_NS, Event::Operation);
    world.schedule(START_NS, Event::Look);
    world.run_until(world.end_ns(), clients::operate);
    heal(&mut world);
    let mut simulated = simulated(&world, &started);
    // Whether nodes keep what all have is seen first: who has just been started may not be ready yet.
    let trimmed = world.converged_ns.is_some().then(|| wait_for_trim(&mut world));
    world.last_look();
    let evidence = evidence::gather(&world);
    let mut found = judge(&evidence, &world.plan.checks);
    if world.converged_ns.is_none()
        && let Err(what) = evidence::converged(&world)
    {
        found.push(crate::check::convergence::CHECK.violated(what));
    }
    found.extend(world.unfinished().into_iter().map(|what| Violation { check: "membership", what }));
    match trimmed {
        Some(Ok(what)) => found.extend(what.map(|what| Violation { check: "trim", what })),
        Some(Err(left_out)) => simulated.left_out.push(left_out),
        None => {}
    }
    for node in &world.nodes {
        world.trace.contents(&node.disk.synced);
    }
    simulated.trace_hash = format!("{:016x}", world.trace.hash());
    let (done, failed, unknown) = evidence.history.counts();
    let has = |kind: &str| world.happened.iter().any(|fault| fault.kind == kind);
    let healed_ns = world.healed_ns.unwrap_or(world.now_ns);
    let outcome = Outcome {
        seed: world.seed,
        trace_hash: world.trace.hash(),
        inputs: world.trace.inputs,
        figures: Figures::of(&evidence),
        simulated,
        operations: (done, done + failed + unknown),
        converged_ms: (world.converged_ns.unwrap_or(world.now_ns) - healed_ns) / MS,
        crashed: has("power-loss") || has("kill") || has("torn-write"),
        split: has("split"),
        left_out: world.left_out.clone(),
        failures: found.iter().map(ToString::to_string).collect(),
    };
    Ran { outcome, evidence, plan: world.plan, found }
}

/// What the run was like until its nodes were to be judged.
fn simulated(world: &World, started: &Started) -> Simulated {
    let grown = |before: u64| Some(resident_bytes()?.saturating_sub(before) / world.nodes.len().max(1) as u64);
    let no_model = |kind: &&str| format!("{kind}: the simulator has no model of it");
    Simulated {
        trace_hash: String::new(),
        events: world.trace.inputs,
        writes: world.clients.writes(),
        inside: world.inside,
        between: world.between,
        simulated_ms: world.now_ns / MS,
        took_ms: millis(started.at.elapsed()),
        resident_bytes_per_node: started.resident_bytes.and_then(grown),
        left_out: world.left_out.iter().map(no_model as fn(&&str) -> String).collect(),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Lets nodes that hold the same find that out of each other, so that they keep no deltas; what is kept when they had the
/// time to. `Err` says why nobody waits for it.
fn wait_for_trim(world: &mut World) -> Result<Option<String>, String> {
    let nodes = world.nodes.len() as u64;
    let compares_ms = nodes * COMPARES_EVERY_MS;
    if compares_ms > COMPARING_MS_MAX {
        return Err(format!(
            "trim: {nodes} nodes take {} s to compare themselves with each other, and keep deltas until then",
            compares_ms / 1_000
        ));
    }
    let wait_ms = TRIM_MS + compares_ms;
    let until_ns = world.now_ns + wait_ms * MS;
    loop {
        match evidence::trimmed(world) {
            Ok(()) => return Ok(None),
            Err(error) if world.now_ns >= until_ns => return Ok(Some(format!("{wait_ms} ms later {error}"))),
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
    let due = |bound: Duration| healed_ns + u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX / 2);
    while world.now_ns < due(bounds.answer_within) && !clients::probe(world, healed_ns) {
        world.run_until(world.now_ns + 5 * LOOK_EVERY_MS * MS, |_| {});
    }
    // Calls under way end by their own time-outs before anything is judged.
    let last_ns = world.now_ns + LAST_CALLS_MS * MS;
    while world.clients.wait(world.now_ns) && world.now_ns < last_ns {
        world.run_until(world.now_ns + LOOK_EVERY_MS * MS, |_| {});
    }
    let often = world.nodes.len() <= NODES_LOOKED_AT_OFTEN;
    let look_ns = if often { LOOK_EVERY_MS * MS } else { 10 * LOOK_EVERY_MS * MS };
    while evidence::converged(world).is_err() || !world.unfinished().is_empty() {
        if world.now_ns >= due(bounds.converge_within) {
            return;
        }
        world.run_until(world.now_ns + look_ns, |_| {});
    }
    world.converged_ns = Some(world.now_ns);
}
