//! Which deliberate defects the simulator can see, under which plan, and what shows the others.

use trine_crdt::mutants::Mutant;

/// The plan under which a defect shows soonest: one that brings about what its protection is for; none: the mixed one.
#[must_use]
pub fn plan(mutant: Mutant) -> Option<&'static str> {
    match mutant {
        Mutant::AcceptAnyDrift | Mutant::StampByWallAlone => Some("clock-steps"),
        Mutant::MirrorTrusts => Some("disordered-tails"),
        Mutant::ReuseWriter | Mutant::RollbackUnnoticed => Some("disk-restored"),
        Mutant::RegionMajorityOfOne => Some("split-node-and-disk-lost"),
        Mutant::RetiredGoesOn => Some("leave"),
        Mutant::PositionBeforeRows => Some("power-loss-all"),
        Mutant::ReadWithoutBarrier => Some("split-leader"),
        Mutant::LeaderRemembered => Some("leader-change"),
        Mutant::NewsLeftToRepair => Some("quiet"),
        Mutant::ConditionIgnored => Some("ledger-only"),
        Mutant::ProposeAgainAfterUnknown => Some("lost-proposals"),
        Mutant::SpeakBeforePersisting => Some("slow-disk-and-power-loss"),
        _ => None,
    }
}

/// What shows a defect that the simulator cannot see, because it lies below the core, in the daemon's files and
/// sockets, or because only a stranger would make it show. None: the simulator.
#[must_use]
pub fn shown_elsewhere(mutant: Mutant) -> Option<&'static str> {
    match mutant {
        Mutant::StoreAnswersBeforeSync => Some("trine-chaos, test power"),
        Mutant::FloorIgnored | Mutant::RowChecksumIgnored => Some("trine-node, test store"),
        Mutant::LogAnswersBeforeSync
        | Mutant::SyncErrorIgnored
        | Mutant::ShortLogAccepted
        | Mutant::VoteBeforeSync
        | Mutant::DirectoryUnsynced
        | Mutant::DamageCutOff
        | Mutant::FullDiskBelieved => Some("trine-node, tests raft_log"),
        Mutant::ApplyBeforeDurable | Mutant::PrefixNotKept | Mutant::MembershipForgotten => {
            Some("trine-node, test raft_sim")
        }
        Mutant::FullLeaderStays => Some("trine-node, test bad_disk"),
        Mutant::BellSilent => Some("trine-node, test driver"),
        Mutant::VotersWithoutMajority => Some("trine-placement, test voters"),
        Mutant::ClockWraps => Some("trine-crdt, test clock"),
        Mutant::LengthBelieved => Some("trine-crdt, test codec"),
        Mutant::CountAllocated => Some("trine-crdt, test formats"),
        Mutant::SegmentByFraming => Some("trine-ledger, test apply"),
        Mutant::LeafAsNode | Mutant::ProofOfAnyLength | Mutant::AnyPastExtended => Some("trine-ledger, test tree"),
        Mutant::WindowWithoutEnd | Mutant::SentTwice => Some("trine-gossip, test link"),
        Mutant::ForkIgnored => Some("trine-replica, test forks"),
        Mutant::WaitingWithoutEnd => Some("trine-replica, test answers"),
        Mutant::SenselessIntervals | Mutant::MessageHalts => Some("trine-replica, test deltas"),
        _ => None,
    }
}
