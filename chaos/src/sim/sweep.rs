//! Many seeds of many scenarios, on all cores, in batches that are told one by one, so that a hunt can go on where it
//! was interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::plan::{ArenaKind, Plan, Topology};
use crate::report::Verdict;
use crate::report::runs::{Line, VIOLATIONS_MAX};
use crate::report::simulated::Traffic;
use crate::sim::hunt::panicked;
use crate::sim::{Outcome, Ran, measure_plan, run_plan};

/// How many seeds make a batch.
pub const BATCH_SEEDS: u64 = 25;
/// One seed in this many runs twice, to see that a seed decides everything.
pub const TWICE_EVERY: u64 = 100;

/// What runs under many seeds.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The plan's name.
    pub name: String,
    /// The plan; none: the mixed one, drawn by each seed.
    plan: Option<Plan>,
    topology: Topology,
}

impl Scenario {
    /// The mixed scenario in a world of this size.
    #[must_use]
    pub fn mixed(topology: Topology) -> Self {
        Self { name: "mixed".to_owned(), plan: None, topology }
    }

    /// A plan within a duration.
    #[must_use]
    pub fn of(plan: &Plan, duration: Duration) -> Self {
        Self { name: plan.name.clone(), topology: plan.topology, plan: Some(plan.squeezed(duration)) }
    }

    /// The plan of a seed.
    #[must_use]
    pub fn plan(&self, seed: u64) -> Plan {
        self.plan.clone().unwrap_or_else(|| Plan::mixed(seed, self.topology))
    }

    /// Names what exactly is run, so that only batches of the same are taken for done.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let hash = blake3::hash(self.plan(0).to_toml().as_bytes()).to_hex();
        hash[..16].to_owned()
    }

    /// Runs one seed. What panics is broken, too.
    #[must_use]
    pub fn run(&self, seed: u64) -> Outcome {
        self.run_by(run_plan, seed)
    }

    fn run_by(&self, run: fn(u64, Plan) -> Ran, seed: u64) -> Outcome {
        let plan = self.plan(seed);
        catch_unwind(AssertUnwindSafe(|| run(seed, plan).outcome)).unwrap_or_else(|panic| Outcome {
            seed,
            failures: vec![panicked(&*panic)],
            ..Outcome::default()
        })
    }
}

/// A seed that did not hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Broken {
    /// The seed.
    pub seed: u64,
    /// What the checkers found, each behind its name and a colon.
    pub findings: Vec<String>,
}

/// What a batch of seeds came to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Batch {
    /// The scenario.
    pub scenario: String,
    /// What exactly was run.
    pub fingerprint: String,
    /// The first seed.
    pub first: u64,
    /// How many seeds.
    pub seeds: u64,
    /// How many held.
    pub held: u64,
    /// Those that did not.
    pub broken: Vec<Broken>,
    /// How many ran twice, with the same trace.
    pub twice: u64,
    /// The sum of the seeds' trace hashes, modulo 2^64: two builds that do the same have the same.
    pub traces: u64,
    /// How many had a crash, and a split.
    pub with: (u64, u64),
    /// Inputs of cores: the least of a seed, and all.
    pub inputs: (u64, u64),
    /// Messages between nodes.
    pub messages: u64,
    /// Writes that were acknowledged.
    pub writes: u64,
    /// Of the first seed of each batch, all that went over the network, and its acknowledged writes: counting bytes costs
    /// their encoding.
    pub measured: (Traffic, u64),
    /// Calls that were acknowledged, and begun.
    pub calls: (u64, u64),
    /// Of each seed, how long the healed world took until all nodes held the same, in simulated milliseconds.
    pub converged_ms: Vec<u64>,
    /// Kinds of faults that there is no model of, and which were left out.
    pub left_out: BTreeSet<String>,
    /// The rare branches that were reached, with how often; in builds with debug assertions only.
    pub marks: BTreeMap<String, u64>,
    /// How long it took on one core, in milliseconds.
    pub took_ms: u64,
    /// The line of each run, for a report directory.
    #[serde(skip)]
    pub lines: Vec<Line>,
}

/// Runs `seeds` seeds of each scenario from `first` on, batch by batch through all scenarios; what is among the
/// `finished` is not run again. Each new batch is told to `done` when it is over.
pub fn sweep(
    scenarios: &[Scenario],
    (first, seeds): (u64, u64),
    finished: &[Batch],
    done: impl Fn(&Batch) + Sync,
) -> Vec<Batch> {
    let prints: Vec<String> = scenarios.iter().map(Scenario::fingerprint).collect();
    let starts = (first..first + seeds).step_by(usize::try_from(BATCH_SEEDS).unwrap_or(1));
    let tasks: Vec<(usize, u64, u64)> = starts
        .flat_map(|start| (0..scenarios.len()).map(move |scenario| (scenario, start)))
        .map(|(scenario, start)| (scenario, start, BATCH_SEEDS.min(first + seeds - start)))
        .collect();
    let is_task = |batch: &&Batch, (scenario, start, count): (usize, u64, u64)| {
        batch.scenario == scenarios[scenario].name
            && batch.fingerprint == prints[scenario]
            && (batch.first, batch.seeds) == (start, count)
    };
    let (mut batches, mut open) = (Vec::new(), Vec::new());
    for task in tasks {
        match finished.iter().find(|batch| is_task(batch, task)) {
            Some(batch) => batches.push(batch.clone()),
            None => open.push(task),
        }
    }
    let (next, batches) = (AtomicUsize::new(0), Mutex::new(batches));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((scenario, start, count)) = open.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let batch = run_batch(&scenarios[*scenario], prints[*scenario].clone(), *start, *count);
                    done(&batch);
                    batches.lock().expect("what may panic does not hold this").push(batch);
                }
            });
        }
    });
    batches.into_inner().expect("what may panic does not hold this")
}

fn run_batch(scenario: &Scenario, fingerprint: String, first: u64, seeds: u64) -> Batch {
    let started = Instant::now();
    let mut batch = Batch { scenario: scenario.name.clone(), fingerprint, first, seeds, ..Batch::default() };
    batch.inputs.0 = u64::MAX;
    let _ = marks();
    for seed in first..first + seeds {
        let measured = seed == first;
        let mut outcome = if measured { scenario.run_by(measure_plan, seed) } else { scenario.run(seed) };
        if measured {
            let simulated = &outcome.simulated;
            batch.measured = (simulated.inside.and(simulated.between), simulated.writes);
        }
        if seed.is_multiple_of(TWICE_EVERY) {
            let again = scenario.run(seed).trace_hash;
            if again == outcome.trace_hash {
                batch.twice += 1;
            } else {
                let hash = outcome.trace_hash;
                outcome.failures.push(format!("repetition: seed {seed} traced {hash:016x}, then {again:016x}"));
            }
        }
        batch.add(outcome);
    }
    batch.marks = marks();
    batch.took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    batch
}

/// The marks that this thread reached since it was asked last.
fn marks() -> BTreeMap<String, u64> {
    #[cfg(debug_assertions)]
    {
        super::marks::take()
    }
    #[cfg(not(debug_assertions))]
    BTreeMap::new()
}

impl Batch {
    fn add(&mut self, outcome: Outcome) {
        self.traces = self.traces.wrapping_add(outcome.trace_hash);
        self.with.0 += u64::from(outcome.crashed);
        self.with.1 += u64::from(outcome.split);
        self.inputs = (self.inputs.0.min(outcome.inputs), self.inputs.1 + outcome.inputs);
        self.messages += outcome.simulated.inside.and(outcome.simulated.between).messages;
        self.writes += outcome.simulated.writes;
        self.calls.0 += outcome.operations.0 as u64;
        self.calls.1 += outcome.operations.1 as u64;
        self.converged_ms.push(outcome.converged_ms);
        self.left_out.extend(outcome.left_out.iter().map(|kind| (*kind).to_owned()));
        self.lines.push(Line {
            plan: self.scenario.clone(),
            seed: outcome.seed.to_string(),
            arena: ArenaKind::Simulated,
            verdict: if outcome.failures.is_empty() { Verdict::Held } else { Verdict::Broken },
            figures: outcome.figures,
            simulated: None,
            why: outcome.failures.iter().take(VIOLATIONS_MAX).cloned().collect(),
        });
        if outcome.failures.is_empty() {
            self.held += 1;
        } else {
            self.broken.push(Broken { seed: outcome.seed, findings: outcome.failures });
        }
    }

    /// All batches of a scenario as one.
    #[must_use]
    pub fn total<'a>(batches: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut total = Self::default();
        total.inputs.0 = u64::MAX;
        for batch in batches {
            (total.scenario, total.fingerprint) = (batch.scenario.clone(), batch.fingerprint.clone());
            total.seeds += batch.seeds;
            total.held += batch.held;
            total.broken.extend(batch.broken.iter().cloned());
            total.twice += batch.twice;
            total.traces = total.traces.wrapping_add(batch.traces);
            total.with = (total.with.0 + batch.with.0, total.with.1 + batch.with.1);
            total.inputs = (total.inputs.0.min(batch.inputs.0), total.inputs.1 + batch.inputs.1);
            total.messages += batch.messages;
            total.writes += batch.writes;
            total.measured = (total.measured.0.and(batch.measured.0), total.measured.1 + batch.measured.1);
            total.calls = (total.calls.0 + batch.calls.0, total.calls.1 + batch.calls.1);
            total.converged_ms.extend(&batch.converged_ms);
            total.left_out.extend(batch.left_out.iter().cloned());
            for (mark, count) in &batch.marks {
                *total.marks.entry(mark.clone()).or_default() += count;
            }
            total.took_ms += batch.took_ms;
        }
        total.broken.sort_by_key(|broken| broken.seed);
        total
    }

    /// The time to converge that this share of the seeds did not exceed, in simulated milliseconds.
    #[must_use]
    pub fn converged_at(&self, share: f64) -> u64 {
        let mut sorted = self.converged_ms.clone();
        sorted.sort_unstable();
        let place = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(place.max(1) - 1).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet() -> Scenario {
        let plan = crate::plan::kept::find("quiet").expect("a plan");
        Scenario::of(&plan, Duration::from_millis(200))
    }

    #[test]
    fn what_is_finished_is_not_run_again() {
        let ran = AtomicUsize::new(0);
        let count = |_: &Batch| {
            ran.fetch_add(1, Ordering::Relaxed);
        };
        let first = sweep(&[quiet()], (1, 30), &[], count);
        assert_eq!((first.len(), ran.load(Ordering::Relaxed)), (2, 2));
        let told: Vec<String> = first.iter().map(|batch| serde_json::to_string(batch).expect("JSON")).collect();
        let read: Vec<Batch> = told.iter().map(|line| serde_json::from_str(line).expect("a batch")).collect();
        let again = sweep(&[quiet()], (1, 30), &read, count);
        assert_eq!(ran.load(Ordering::Relaxed), 2);
        assert_eq!(Batch::total(&again).seeds, 30);
        // Another plan under the same name is another thing.
        let other = Scenario::of(&quiet().plan(1), Duration::from_millis(100));
        sweep(&[other], (1, 30), &read, count);
        assert_eq!(ran.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn times_to_converge_are_told_by_their_share() {
        let batch = Batch { converged_ms: (1..=200).rev().collect(), ..Batch::default() };
        assert_eq!([0.5, 0.99, 1.0].map(|share| batch.converged_at(share)), [100, 198, 200]);
        assert_eq!(Batch::default().converged_at(0.5), 0);
    }
}
