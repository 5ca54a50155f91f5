//! Many seeds of the mixed scenario and some of every plan, in worlds of three regions of three nodes.

use std::time::Duration;

use trine_chaos::plan::{ArenaKind, Topology, kept};
use trine_chaos::sim::sweep::{Batch, Scenario, TWICE_EVERY, sweep};
use trine_chaos::sim::{marks, run};

/// Seeds of the mixed scenario, and of each plan.
const MIXED_SEEDS: u64 = 1_000;
const PLAN_SEEDS: u64 = 22;
/// What each plan is squeezed into.
const PLAN_DURATION: Duration = Duration::from_secs(3);

fn held(scenarios: &[Scenario], first: u64, seeds: u64) -> Batch {
    let batches = sweep(scenarios, (first, seeds), &[], |_| {});
    let total = Batch::total(&batches);
    let (acknowledged, begun) = total.calls;
    println!("{} seeds, {} twice, {acknowledged} of {begun} calls acknowledged", total.seeds, total.twice);
    let broken: Vec<_> = batches.iter().filter(|batch| !batch.broken.is_empty()).collect();
    assert!(
        broken.is_empty(),
        "{:#?}",
        broken.iter().map(|batch| (&batch.scenario, &batch.broken)).collect::<Vec<_>>()
    );
    assert!(total.left_out.is_empty(), "there is no model of {:?}", total.left_out);
    assert!(total.twice >= scenarios.len() as u64, "each scenario has a seed that runs twice");
    total
}

#[test]
fn all_plans_hold_every_property_and_reach_every_rare_branch() {
    let mixed = held(&[Scenario::mixed(Topology::default())], 76, MIXED_SEEDS);
    assert_eq!(mixed.twice, MIXED_SEEDS / TWICE_EVERY);
    assert!(mixed.inputs.0 >= 5_000, "the shortest run had {} inputs", mixed.inputs.0);
    assert!(mixed.with.0 > MIXED_SEEDS / 2 && mixed.with.1 > MIXED_SEEDS / 2, "{:?} crashed, split", mixed.with);
    // Most of what clients ask for succeeds, or the properties would hold of nothing.
    assert!(mixed.calls.0 * 10 > mixed.calls.1 * 7, "{:?}", mixed.calls);
    let simulated = kept::all().into_iter().filter(|plan| plan.arenas.contains(&ArenaKind::Simulated));
    let scenarios: Vec<Scenario> = simulated.map(|plan| Scenario::of(&plan, PLAN_DURATION)).collect();
    assert!(scenarios.len() >= 45, "{} plans", scenarios.len());
    let plans = held(&scenarios, 97, PLAN_SEEDS);
    assert!(plans.calls.0 * 2 > plans.calls.1, "{:?}", plans.calls);
    let total = Batch::total([&mixed, &plans]);
    for (name, sentence) in marks::all().filter(|_| cfg!(debug_assertions)) {
        println!("{:>9} × {name}: {sentence}", total.marks.get(*name).copied().unwrap_or_default());
    }
    let missing = marks::all().filter(|(name, _)| !total.marks.contains_key(*name));
    let missing: Vec<&str> = missing.filter(|_| cfg!(debug_assertions)).map(|(name, _)| *name).collect();
    assert!(missing.is_empty(), "no run reaches {missing:?}");
}

#[test]
fn a_seed_decides_everything_and_seeds_differ() {
    let [one, again, other] = [7, 7, 8].map(|seed| run(seed, 3, 3).trace_hash);
    assert_eq!(one, again);
    assert_ne!(one, other);
}

#[test]
fn five_regions_of_two_nodes_converge_too() {
    for seed in 1..=10 {
        let outcome = run(seed, 5, 2);
        assert!(outcome.failures.is_empty(), "seed {seed}: {:#?}", outcome.failures);
    }
}
