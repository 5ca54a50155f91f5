//! Makes a plan that breaks something small.
//!
//! Step by step something is taken away: a fault, half of the time, a region, clients, calls, kinds of calls. A step
//! stands when the same checker still finds something. As each change shifts all later draws of chance, a few seeds are
//! tried for each, the last good one first. What is left is not the least, but every single thing in it is needed.
//!
//! Source: A. Zeller, R. Hildebrandt, "Simplifying and isolating failure-inducing input", 2002, one thing at a time.

use std::time::Duration;

use trine_replica::Sizes;

use crate::plan::Plan;
use crate::sim::case::Case;
use crate::workload::{Moves, Workload};

/// How many seeds are tried for each step.
const SEEDS_A_STEP: u64 = 6;
/// The shortest plan, and the shortest fault that shortening leaves, in milliseconds.
const LEAST_MS: u64 = 300;

/// Makes a plan smaller that breaks something under a seed. `run` says what the checkers find; `runs` bounds how often
/// it is asked. None: the seed holds.
pub fn shrink(plan: Plan, seed: u64, mut runs: usize, mut run: impl FnMut(&Plan, u64) -> Vec<String>) -> Option<Case> {
    let found = run(&plan, seed).into_iter().next()?;
    let checker = found.split(':').next().unwrap_or_default().to_owned();
    let mut case = Case { found, mutant: None, seed, plan };
    'again: loop {
        for smaller in smaller(&case.plan) {
            for seed in std::iter::once(case.seed).chain(1..=SEEDS_A_STEP) {
                let Some(left) = runs.checked_sub(1) else { return Some(case) };
                runs = left;
                let same = |finding: &String| finding.split(':').next() == Some(checker.as_str());
                if let Some(found) = run(&smaller, seed).into_iter().find(same) {
                    case = Case { found, seed, plan: smaller, ..case };
                    continue 'again;
                }
            }
        }
        return Some(case);
    }
}

/// What a plan may be made into, the boldest steps first; each still makes sense.
fn smaller(plan: &Plan) -> Vec<Plan> {
    let mut candidates: Vec<Plan> = Vec::new();
    let mut add = |change: &dyn Fn(&mut Plan)| {
        let mut candidate = plan.clone();
        change(&mut candidate);
        if candidate != *plan && candidate.validate().is_ok() {
            candidates.push(candidate);
        }
    };
    let faults = plan.faults.len();
    // Halves of the faults, then each.
    let halves = std::iter::successors(Some(faults.div_ceil(2)), |step| (*step > 1).then(|| step.div_ceil(2)));
    for step in halves.filter(|step| *step > 0) {
        for first in (0..faults).step_by(step).collect::<Vec<_>>().into_iter().rev() {
            add(&|plan| drop(plan.faults.drain(first..(first + step).min(faults))));
        }
    }
    for share in [2, 4] {
        add(&|plan| shorten(plan, plan.duration * (share - 1) / share));
    }
    add(&|plan| plan.topology.regions -= 1);
    add(&|plan| plan.topology.nodes -= 1);
    add(&|plan| plan.workload.rate_per_s = (plan.workload.rate_per_s / 2).max(5));
    add(&|plan| plan.workload.clients_per_region = (plan.workload.clients_per_region / 2).max(1));
    add(&|plan| plan.workload.keys = (plan.workload.keys / 2).max(1));
    add(&|plan| plan.workload.moves = Moves::Stay);
    add(&|plan| plan.nodes.gossip = false);
    add(&|plan| plan.nodes.segment_bytes = None);
    add(&|plan| plan.nodes.sizes = Sizes::default());
    add(&|plan| plan.nodes.delta_rows_max = None);
    for kinds in KINDS {
        add(&|plan| kinds(&mut plan.workload));
    }
    for number in 0..faults {
        add(&|plan| plan.faults[number].every = None);
        add(&|plan| plan.faults[number].spread = Duration::ZERO);
    }
    candidates
}

/// Kinds of calls that are left out together.
const KINDS: [fn(&mut Workload); 8] = [
    |work| (work.mix.append, work.mix.latest, work.mix.versions) = (0, 0, 0),
    |work| (work.mix.set_add, work.mix.set_remove, work.mix.set_read) = (0, 0, 0),
    |work| (work.mix.counter_add, work.mix.counter_read) = (0, 0),
    |work| (work.mix.register_set, work.mix.register_read) = (0, 0),
    |work| (work.mix.multi_put, work.mix.multi_read) = (0, 0),
    |work| (work.mix.map_add, work.mix.map_remove, work.mix.map_read) = (0, 0, 0),
    |work| (work.mix.publish, work.mix.find) = (0, 0),
    |work| work.mix.delete = 0,
];

/// Ends a plan earlier; what would begin later is left out.
fn shorten(plan: &mut Plan, duration: Duration) {
    let duration = Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(LEAST_MS));
    plan.duration = duration.min(plan.duration);
    plan.faults.retain(|fault| fault.at < duration);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Inject, Topology};

    /// Breaks whenever a power loss meets a plan with appends.
    fn breaks(plan: &Plan, _: u64) -> Vec<String> {
        let loses = plan.faults.iter().any(|fault| matches!(fault.inject, Inject::PowerLoss { .. }));
        if loses && plan.workload.mix.append > 0 { vec!["ledger: a record is lost".to_owned()] } else { Vec::new() }
    }

    #[test]
    fn only_what_is_needed_is_left() {
        let plan = (1..50).map(|seed| Plan::mixed(seed, Topology::default()));
        let plan = plan.into_iter().find(|plan| !breaks(plan, 0).is_empty() && plan.faults.len() > 10).expect("one");
        let case = shrink(plan, 9, 5_000, breaks).expect("it breaks");
        assert_eq!(case.plan.faults.len(), 1, "{:#?}", case.plan.faults);
        assert_eq!(case.plan.topology, Topology { regions: 1, nodes: 1 });
        let mix = &case.plan.workload.mix;
        assert!(mix.append > 0 && mix.set_add == 0 && mix.counter_add == 0, "{mix:?}");
        assert_eq!(case.found, "ledger: a record is lost");
        assert!(!breaks(&case.plan, case.seed).is_empty());
    }

    #[test]
    fn a_seed_that_holds_is_no_case_and_patience_ends() {
        let plan = Plan::mixed(1, Topology::default());
        assert_eq!(shrink(plan.clone(), 1, 100, |_, _| Vec::new()), None);
        let mut asked = 0;
        let case = shrink(plan, 1, 10, |_, _| {
            asked += 1;
            vec!["sets: lost".to_owned()]
        });
        assert!(case.is_some() && asked <= 11, "{asked}");
    }
}
