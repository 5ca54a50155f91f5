//! Which deliberate defects the simulator can see, and what shows the others.

use trine_crdt::mutants::Mutant;

/// What shows a defect that the simulator cannot see, because it lies below the core: in the daemon's files and sockets.
/// None: the simulator.
#[must_use]
pub fn shown_elsewhere(mutant: Mutant) -> Option<&'static str> {
    match mutant {
        Mutant::StoreAnswersBeforeSync => Some("trine-chaos rounds --power"),
        Mutant::FloorIgnored => Some("trine-node, test store"),
        Mutant::RowChecksumIgnored => Some("trine-node, test bad_data"),
        Mutant::LogAnswersBeforeSync | Mutant::SyncErrorIgnored | Mutant::ShortLogAccepted => {
            Some("trine-node, test raft_log")
        }
        Mutant::ApplyBeforeDurable => Some("trine-node, test raft_group"),
        Mutant::ConditionIgnored => Some("trine-ledger, test apply"),
        Mutant::RetiredGoesOn => Some("trine-node, test cluster"),
        _ => None,
    }
}
