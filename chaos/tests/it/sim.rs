//! A thousand seeds of three regions of three nodes.

use trine_chaos::sim::run;
use trine_chaos::sim::sweep::sweep;

#[test]
fn a_thousand_seeds_hold_every_property() {
    let summary = sweep(1, 1_000, 3, 3, || {});
    println!("{summary}");
    let failed: Vec<_> = summary.failed.iter().map(|outcome| (outcome.seed, &outcome.failures)).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(summary.seeds, 1_000);
    assert_eq!(summary.replayed, 10);
    assert!(summary.inputs[0] >= 5_000, "the shortest run had {} inputs", summary.inputs[0]);
    assert!(summary.with_crash > 500 && summary.with_split > 500, "{summary}");
    // Most of what clients ask for succeeds, or the properties would hold of nothing.
    assert!(summary.acknowledged * 10 > summary.operations * 7, "{summary}");
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
