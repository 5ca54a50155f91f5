//! The plans that come with the program, by name.

use std::path::Path;

use crate::plan::{Plan, PlanError};

macro_rules! kept {
    ($name:literal) => {
        ($name, include_str!(concat!("../../plans/", $name, ".toml")))
    };
}

/// Names and texts.
const KEPT: [(&str, &str); 85] = [
    kept!("acknowledged-and-gone"),
    kept!("bad-links"),
    kept!("bandwidth"),
    kept!("clock-drift"),
    kept!("clock-far-ahead"),
    kept!("clock-jump"),
    kept!("clock-leap"),
    kept!("clock-node-ahead"),
    kept!("clock-region-ahead"),
    kept!("clock-skew"),
    kept!("clock-steps"),
    kept!("deletes"),
    kept!("disk-fails"),
    kept!("disk-full"),
    kept!("disk-lost"),
    kept!("disk-lost-under-writes"),
    kept!("disk-restored"),
    kept!("disk-restored-on-bad-links"),
    kept!("disk-restored-under-writes"),
    kept!("disk-slow"),
    kept!("disordered-tails"),
    kept!("disordered-tails-and-disk-lost"),
    kept!("duplication"),
    kept!("everything"),
    kept!("few-deltas"),
    kept!("flapping-and-restart"),
    kept!("full-disk-and-kill"),
    kept!("full-windows"),
    kept!("jitter"),
    kept!("join"),
    kept!("keys-used-again"),
    kept!("kill-all"),
    kept!("kill-leader"),
    kept!("kill-majority"),
    kept!("kill-node"),
    kept!("kill-region"),
    kept!("leader-change"),
    kept!("leave"),
    kept!("leave-one-of-two"),
    kept!("leave-under-dead-voter"),
    kept!("ledger-only"),
    kept!("loss"),
    kept!("lost-proposals"),
    kept!("lost-proposals-and-kill"),
    kept!("majority-of-five"),
    kept!("marks-and-power-loss"),
    kept!("membership-and-split"),
    kept!("node-restored"),
    kept!("pair-restored"),
    kept!("pause"),
    kept!("pause-leader"),
    kept!("power-loss-all"),
    kept!("power-loss-node"),
    kept!("quiet"),
    kept!("region-restored"),
    kept!("region-restored-running"),
    kept!("registers-only"),
    kept!("registry"),
    kept!("reordering"),
    kept!("replace"),
    kept!("sessions-on-the-move"),
    kept!("short-memory"),
    kept!("skew-and-split"),
    kept!("slow-clocks"),
    kept!("slow-disk-and-pause"),
    kept!("slow-disk-and-power-loss"),
    kept!("slow-links"),
    kept!("slow-region"),
    kept!("small-pages"),
    kept!("small-queues"),
    kept!("split-and-kill"),
    kept!("split-and-power-loss"),
    kept!("split-clients"),
    kept!("split-clients-one-way"),
    kept!("split-flapping"),
    kept!("split-full"),
    kept!("split-leader"),
    kept!("split-node"),
    kept!("split-node-and-disk-lost"),
    kept!("split-node-one-way"),
    kept!("split-one-way"),
    kept!("split-partial"),
    kept!("torn-and-gone"),
    kept!("torn-write"),
    kept!("two-splits"),
];

/// All of them.
///
/// # Panics
/// Never: a test reads each.
#[must_use]
pub fn all() -> Vec<Plan> {
    KEPT.iter().map(|(name, text)| Plan::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"))).collect()
}

/// A plan by its name, or from a file.
///
/// # Errors
/// When there is no such plan and no such file, or it is no plan.
pub fn find(name: &str) -> Result<Plan, PlanError> {
    match KEPT.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => Plan::parse(text),
        None if Path::new(name).exists() => Plan::read(Path::new(name)),
        None => {
            let names = KEPT.map(|(name, _)| name).join(", ");
            Err(PlanError::Sense(format!("no plan and no file `{name}`; the plans are {names}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_plans_are_those_in_the_directory() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
        let mut files: Vec<String> = std::fs::read_dir(directory)
            .expect("the plans are there")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().trim_end_matches(".toml").to_owned())
            .collect();
        files.sort();
        assert_eq!(files, KEPT.map(|(name, _)| name));
        assert!(all().iter().zip(KEPT).all(|(plan, (name, _))| plan.name == name));
    }

    #[test]
    fn a_name_that_is_none_is_told_the_names() {
        assert_eq!(find("split-full").expect("a plan").name, "split-full");
        assert!(find("split-fool").expect_err("no plan").to_string().contains("split-full"));
    }
}
