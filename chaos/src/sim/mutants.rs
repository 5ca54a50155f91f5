//! Which deliberate defects the simulator can see, under which plan, and what shows the others.

use trine_replica::mutants::CORE;

/// The plan under which a defect shows soonest: one that brings about what its protection is for; none: the mixed one.
#[must_use]
pub fn plan(mutant: &str) -> Option<&'static str> {
    match mutant {
        "accept-any-drift" | "ahead-never-taken" => Some("clock-region-ahead"),
        "edit-below-seen" => Some("clock-node-ahead"),
        "clock-always-believed" => Some("clock-leap"),
        "stamp-by-wall-alone" => Some("clock-jump"),
        "mirror-trusts-its-source" => Some("disordered-tails"),
        "reuse-writer-after-restart" | "rollback-unnoticed" => Some("disk-restored"),
        "region-majority-of-one" => Some("split-node-and-disk-lost"),
        "retired-node-goes-on" => Some("leave"),
        "retired-stops-at-once" => Some("leave-one-of-two"),
        "position-before-rows" => Some("power-loss-all"),
        "read-without-barrier" => Some("split-leader"),
        "first-leader-remembered" => Some("leader-change"),
        "news-left-to-repair" => Some("quiet"),
        "condition-ignored" => Some("ledger-only"),
        "propose-again-after-unknown" => Some("lost-proposals"),
        "speak-before-persisting" => Some("slow-disk-and-power-loss"),
        "have-before-disk" => Some("acknowledged-and-gone"),
        "page-vector-of-now"
        | "page-skips-what-begins-alike"
        | "page-counts-early"
        | "tree-level-unstored"
        | "latest-stale" => Some("small-pages"),
        "later-key-dropped" | "key-for-another" => Some("short-memory"),
        "mirror-moves-no-clock" => Some("slow-clocks"),
        "sign-without-asking" => Some("region-restored"),
        "have-counted-twice" => Some("majority-of-five"),
        "expired-unanswered" => Some("kill-majority"),
        _ => None,
    }
}

/// Chooses a defect of the core by its name, in place of any other; none: the core is whole.
///
/// # Errors
/// All names, when there is none such.
pub fn choose(name: Option<&str>) -> Result<(), String> {
    trine_probe::mutants::choose(name, CORE)
}

/// The names of all defects: those of the core, and those of programs that the simulator does not run.
pub fn names() -> impl Iterator<Item = &'static str> {
    let programs = ELSEWHERE.iter().map(|(name, ..)| *name).filter(|name| !is_core(name));
    CORE.iter().copied().flatten().map(|(name, _)| *name).chain(programs)
}

/// Whether the simulator runs the code that this defect is in.
#[must_use]
pub fn is_core(name: &str) -> bool {
    CORE.iter().copied().flatten().any(|(known, _)| *known == name)
}

/// What shows a defect that the simulator cannot see, because it lies below the core, in the daemon's files and
/// sockets, or because only a stranger would make it show: a package, and what its tests' names begin with. The others
/// the simulator sees.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("store-answers-before-sync", "trine-journal", "groups"),
    ("replay-skips-last-group", "trine-journal", "groups"),
    ("journal-forgotten-early", "trine-node", "store"),
    ("floor-of-rows-ignored", "trine-node", "store"),
    ("row-checksum-ignored", "trine-node", "store"),
    ("log-answers-before-sync", "trine-raft", "raft_log"),
    ("sync-error-ignored", "trine-raft", "raft_log"),
    ("short-log-accepted", "trine-raft", "raft_log"),
    ("vote-before-sync", "trine-raft", "raft_log"),
    ("directory-entry-not-synced", "trine-raft", "raft_log"),
    ("damage-cut-off", "trine-raft", "raft_log"),
    ("full-disk-believed", "trine-raft", "raft_log"),
    ("apply-before-durable", "trine-raft", "raft_sim"),
    ("prefix-not-kept", "trine-raft", "raft_sim"),
    ("membership-forgotten", "trine-raft", "raft_sim"),
    ("full-leader-stays", "trine-cli", "bad_disk"),
    ("bell-silent", "trine-node", "driver"),
    ("voters-without-majority", "trine-placement", "voters"),
    ("clock-wraps", "trine-crdt", "clock"),
    ("length-believed", "trine-crdt", "codec"),
    ("count-allocated", "trine-crdt", "formats"),
    ("segment-by-framing", "trine-ledger", "apply"),
    ("leaf-as-node", "trine-ledger", "tree"),
    ("proof-of-any-length", "trine-ledger", "tree"),
    ("any-past-extended", "trine-ledger", "tree"),
    ("window-without-end", "trine-gossip", "link"),
    ("sent-twice", "trine-gossip", "link"),
    ("fork-ignored", "trine-replica", "forks"),
    ("own-head-suppressed", "trine-replica", "signing"),
    ("restored-voter-votes", "trine-cli", "went_back"),
    ("waiting-without-end", "trine-replica", "answers"),
    ("name-taken", "trine-cli", "leaving"),
    ("head-epoch-believed", "trine-replica", "forks"),
    ("mark-believed-early", "trine-replica", "clock"),
    // Without the judgement, what places voters still lets nobody go who is missed, so that no history shows it.
    ("removal-unjudged", "trine-replica", "standing"),
    ("mirror-any-drift", "trine-replica", "clock"),
    ("senseless-intervals", "trine-replica", "deltas"),
    ("message-halts", "trine-replica", "deltas"),
];

/// Which package's tests show a defect that the simulator cannot see, and what their names begin with.
#[must_use]
pub fn shown_elsewhere(mutant: &str) -> Option<(&'static str, &'static str)> {
    ELSEWHERE.iter().find(|(name, ..)| *name == mutant).map(|(_, package, tests)| (*package, *tests))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::shown_elsewhere;

    #[test]
    fn each_defect_of_a_program_is_shown_by_some_test() {
        for program in ["journal", "raft", "node"] {
            let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(program).join("src/mutants.rs");
            let list = std::fs::read_to_string(list).expect("a list");
            let names: Vec<&str> =
                list.lines().filter_map(|line| line.strip_prefix("    ")?.split('"').nth(1)).collect();
            assert!(!names.is_empty(), "{program} has some");
            for name in names {
                assert!(shown_elsewhere(name).is_some(), "{name} of {program} is shown by nothing");
            }
        }
    }
}
