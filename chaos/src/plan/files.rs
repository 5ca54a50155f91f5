//! The plans that are kept as files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::plan::Plan;

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let entries = std::fs::read_dir(directory).expect("the plans are there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

#[test]
fn every_plan_is_one_and_bears_its_files_name() {
    let files = files();
    assert!(files.len() >= 24, "{} plans", files.len());
    let mut sentences = BTreeSet::new();
    for file in files {
        let plan = Plan::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(file.file_stem().and_then(|name| name.to_str()), Some(plan.name.as_str()));
        assert_eq!(Plan::parse(&plan.to_toml()).expect("its own text"), plan, "{}", plan.name);
        assert!(plan.faults.is_empty() || !plan.timeline(1).is_empty(), "{}: nothing happens", plan.name);
        assert!(sentences.insert(plan.shows.clone()), "{}: another plan shows the same", plan.name);
    }
}

#[test]
fn every_kind_of_fault_is_in_some_plan() {
    let plans: Vec<Plan> = files().iter().map(|file| Plan::read(file).expect("a plan")).collect();
    let kinds: BTreeSet<&str> = plans.iter().flat_map(|plan| plan.faults.iter().map(|it| it.inject.kind())).collect();
    let all = "disk-fails disk-full disk-lost disk-restored disk-slow disorder drift elect join jump kill leave link pause power-loss proposals \
               replace skew split torn-write";
    assert_eq!(kinds.into_iter().collect::<Vec<_>>().join(" "), all);
}
