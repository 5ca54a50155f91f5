//! Many seeds, on all cores, and what they came to.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::sim::{Outcome, run};

/// What many runs came to.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// How many seeds ran.
    pub seeds: u64,
    /// The runs with broken properties.
    #[serde(skip)]
    pub failed: Vec<Outcome>,
    /// How many runs broke a property.
    pub failures: usize,
    /// How many runs had a crash.
    pub with_crash: u64,
    /// How many runs had a region cut off.
    pub with_split: u64,
    /// Core inputs a run: least, median, most.
    pub inputs: [u64; 3],
    /// Simulated milliseconds to converge after the heal: least, median, most.
    pub converged_ms: [u64; 3],
    /// Operations acknowledged, over all runs.
    pub acknowledged: usize,
    /// Operations begun, over all runs.
    pub operations: usize,
    /// Seeds that ran twice with the same trace hash.
    pub replayed: u64,
}

/// Runs `count` seeds from `first` on; every hundredth twice, to see that a seed decides everything.
pub fn sweep(first: u64, count: u64, regions: usize, nodes: usize, done: impl Fn() + Sync) -> Summary {
    let next = AtomicU64::new(0);
    let outcomes: Mutex<Vec<(Outcome, bool)>> = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let mut outcome = run(first + number, regions, nodes);
                    let twice = number.is_multiple_of(100);
                    if twice {
                        let again = run(first + number, regions, nodes).trace_hash;
                        if again != outcome.trace_hash {
                            let (hash, seed) = (outcome.trace_hash, outcome.seed);
                            outcome.failures.push(format!("seed {seed} traced {hash:016x}, then {again:016x}"));
                        }
                    }
                    outcomes.lock().expect("no run panics").push((outcome, twice));
                    done();
                }
            });
        }
    });
    summarise(outcomes.into_inner().expect("no run panics"))
}

fn summarise(mut outcomes: Vec<(Outcome, bool)>) -> Summary {
    outcomes.sort_by_key(|(outcome, _)| outcome.seed);
    let spread = |of: fn(&Outcome) -> u64| {
        let mut values: Vec<u64> = outcomes.iter().map(|(outcome, _)| of(outcome)).collect();
        values.sort_unstable();
        match values[..] {
            [] => [0; 3],
            [least, .., most] => [least, values[values.len() / 2], most],
            [one] => [one; 3],
        }
    };
    let count = |test: fn(&Outcome) -> bool| outcomes.iter().filter(|(outcome, _)| test(outcome)).count() as u64;
    let failed: Vec<Outcome> = outcomes
        .iter()
        .filter(|(outcome, _)| !outcome.failures.is_empty())
        .map(|(outcome, _)| outcome.clone())
        .collect();
    Summary {
        seeds: outcomes.len() as u64,
        failures: failed.len(),
        failed,
        with_crash: count(|outcome| outcome.crashed),
        with_split: count(|outcome| outcome.split),
        inputs: spread(|outcome| outcome.inputs),
        converged_ms: spread(|outcome| outcome.converged_ms),
        acknowledged: outcomes.iter().map(|(outcome, _)| outcome.operations.0).sum(),
        operations: outcomes.iter().map(|(outcome, _)| outcome.operations.1).sum(),
        replayed: outcomes.iter().filter(|(_, twice)| *twice).count() as u64,
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [least, median, most] = self.inputs;
        let [soonest, middle, latest] = self.converged_ms;
        writeln!(f, "seeds         {} ({} run twice with one trace hash)", self.seeds, self.replayed)?;
        writeln!(f, "with a crash  {}", self.with_crash)?;
        writeln!(f, "with a split  {}", self.with_split)?;
        writeln!(f, "inputs        {least} least, {median} median, {most} most a seed")?;
        writeln!(f, "operations    {} of {} acknowledged", self.acknowledged, self.operations)?;
        writeln!(f, "converged     {soonest} least, {middle} median, {latest} most ms after the heal")?;
        write!(f, "failures      {}", self.failures)
    }
}
