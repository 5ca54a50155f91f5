//! Which deliberate defects the simulator can see, under which plan, and what shows the others.

use trine_crdt::mutants::Mutant;

/// The plan under which a defect shows soonest: one that brings about what its protection is for; none: the mixed one.
#[must_use]
pub fn plan(mutant: Mutant) -> Option<&'static str> {
    match mutant {
        Mutant::AcceptAnyDrift | Mutant::StampByWallAlone => Some("clock-steps"),
        Mutant::MirrorTrusts => Some("disordered-tails"),
        Mutant::ReuseWriter | Mutant::RollbackUnnoticed => Some("disk-restored"),
        Mutant::RegionMajorityOfOne => Some("disk-lost"),
        Mutant::RetiredGoesOn => Some("leave"),
        Mutant::ReadWithoutBarrier => Some("split-leader"),
        Mutant::ConditionIgnored => Some("ledger-only"),
        Mutant::ProposeAgainAfterUnknown => Some("lost-proposals"),
        Mutant::SpeakBeforePersisting => Some("power-loss-node"),
        _ => None,
    }
}

/// What shows a defect that the simulator cannot see, because it lies below the core: in the daemon's files and sockets.
/// None: the simulator.
#[must_use]
pub fn shown_elsewhere(mutant: Mutant) -> Option<&'static str> {
    match mutant {
        Mutant::StoreAnswersBeforeSync => Some("trine-chaos rounds --power"),
        Mutant::FloorIgnored => Some("trine-node, test store"),
        Mutant::RowChecksumIgnored => Some("trine-node, test store"),
        Mutant::LogAnswersBeforeSync
        | Mutant::SyncErrorIgnored
        | Mutant::ShortLogAccepted
        | Mutant::VoteBeforeSync
        | Mutant::DirectoryUnsynced => Some("trine-node, tests raft_log and raft_sim"),
        Mutant::ApplyBeforeDurable => Some("trine-node, test raft_group"),
        _ => None,
    }
}
