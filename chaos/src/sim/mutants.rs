//! Which deliberate defects the simulator can see, under which plan, and what shows the others.

use trine_crdt::mutants::Mutant;

/// The plan under which a defect shows soonest: one that brings about what its protection is for; none: the mixed one.
#[must_use]
pub fn plan(mutant: Mutant) -> Option<&'static str> {
    match mutant {
        Mutant::AcceptAnyDrift | Mutant::AheadNeverTaken => Some("clock-region-ahead"),
        Mutant::EditBelowSeen => Some("clock-node-ahead"),
        Mutant::ClockAlwaysBelieved => Some("clock-leap"),
        Mutant::StampByWallAlone => Some("clock-jump"),
        Mutant::MirrorTrusts => Some("disordered-tails"),
        Mutant::ReuseWriter | Mutant::RollbackUnnoticed => Some("disk-restored"),
        Mutant::RegionMajorityOfOne => Some("split-node-and-disk-lost"),
        Mutant::RetiredGoesOn => Some("leave"),
        Mutant::RetiredStopsAtOnce => Some("leave-one-of-two"),
        Mutant::PositionBeforeRows => Some("power-loss-all"),
        Mutant::ReadWithoutBarrier => Some("split-leader"),
        Mutant::LeaderRemembered => Some("leader-change"),
        Mutant::NewsLeftToRepair => Some("quiet"),
        Mutant::ConditionIgnored => Some("ledger-only"),
        Mutant::ProposeAgainAfterUnknown => Some("lost-proposals"),
        Mutant::SpeakBeforePersisting => Some("slow-disk-and-power-loss"),
        Mutant::HaveUnsynced => Some("acknowledged-and-gone"),
        Mutant::PageVectorOfNow
        | Mutant::PageSkips
        | Mutant::PageCountsEarly
        | Mutant::LevelUnstored
        | Mutant::LatestStale => Some("small-pages"),
        Mutant::KeyRowDropped | Mutant::KeyForAnother => Some("short-memory"),
        Mutant::MirrorStill => Some("slow-clocks"),
        Mutant::SignWithoutAsking => Some("region-restored"),
        Mutant::HaveTwice => Some("majority-of-five"),
        Mutant::Unanswered => Some("kill-majority"),
        _ => None,
    }
}

/// What shows a defect that the simulator cannot see, because it lies below the core, in the daemon's files and
/// sockets, or because only a stranger would make it show: a package, and what its tests' names begin with. None: the
/// simulator.
#[must_use]
pub fn shown_elsewhere(mutant: Mutant) -> Option<(&'static str, &'static str)> {
    match mutant {
        Mutant::StoreAnswersBeforeSync => Some(("trine-chaos", "power")),
        Mutant::FloorIgnored | Mutant::RowChecksumIgnored => Some(("trine-node", "store")),
        Mutant::LogAnswersBeforeSync
        | Mutant::SyncErrorIgnored
        | Mutant::ShortLogAccepted
        | Mutant::VoteBeforeSync
        | Mutant::DirectoryUnsynced
        | Mutant::DamageCutOff
        | Mutant::FullDiskBelieved => Some(("trine-raft", "raft_log")),
        Mutant::ApplyBeforeDurable | Mutant::PrefixNotKept | Mutant::MembershipForgotten => {
            Some(("trine-raft", "raft_sim"))
        }
        Mutant::FullLeaderStays => Some(("trine-cli", "bad_disk")),
        Mutant::BellSilent => Some(("trine-node", "driver")),
        Mutant::VotersWithoutMajority => Some(("trine-placement", "voters")),
        Mutant::ClockWraps => Some(("trine-crdt", "clock")),
        Mutant::LengthBelieved => Some(("trine-crdt", "codec")),
        Mutant::CountAllocated => Some(("trine-crdt", "formats")),
        Mutant::SegmentByFraming => Some(("trine-ledger", "apply")),
        Mutant::LeafAsNode | Mutant::ProofOfAnyLength | Mutant::AnyPastExtended => Some(("trine-ledger", "tree")),
        Mutant::WindowWithoutEnd | Mutant::SentTwice => Some(("trine-gossip", "link")),
        Mutant::ForkIgnored => Some(("trine-replica", "forks")),
        Mutant::OwnHeadSuppressed => Some(("trine-replica", "signing")),
        Mutant::RestoredVoterVotes => Some(("trine-cli", "went_back")),
        Mutant::WaitingWithoutEnd => Some(("trine-replica", "answers")),
        Mutant::NameTaken => Some(("trine-cli", "leaving")),
        Mutant::HeadEpochBelieved => Some(("trine-replica", "forks")),
        Mutant::MarkEarly => Some(("trine-replica", "clock")),
        // Without the judgement, what places voters still lets nobody go who is missed, so that no history shows it.
        Mutant::RemovalUnjudged => Some(("trine-replica", "standing")),
        Mutant::MirrorAnyDrift => Some(("trine-replica", "clock")),
        Mutant::SenselessIntervals | Mutant::MessageHalts => Some(("trine-replica", "deltas")),
        _ => None,
    }
}
