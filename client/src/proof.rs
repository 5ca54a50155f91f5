//! Whether an answer proves what it claims.

use trine_crdt::RegionId;

/// Why a proof was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// A proof was asked for and did not come.
    #[error("no proof came with the answer")]
    Missing,
    /// The region is not in the genesis.
    #[error("no log key is known of region {0}")]
    UnknownRegion(RegionId),
    /// The checkpoint's signature or form is wrong.
    #[error("the checkpoint of {0} is not signed by its log key")]
    Checkpoint(RegionId),
    /// The record is not in the tree that the checkpoint signs.
    #[error("record {index} of {region} is not in the signed tree")]
    Inclusion {
        /// Whose ledger.
        region: RegionId,
        /// The record.
        index: u64,
    },
    /// Key, value or metadata are not those that the record commits to.
    #[error("record {index} of {region} does not commit to what was read")]
    Commitment {
        /// Whose ledger.
        region: RegionId,
        /// The record.
        index: u64,
    },
    /// The ledger does not extend the one that was seen before: evidence of a fork.
    #[error("the ledger of {region} at size {size} does not extend the one seen at size {pinned}")]
    Fork {
        /// Whose ledger.
        region: RegionId,
        /// The size seen before.
        pinned: u64,
        /// The size shown now.
        size: u64,
    },
}
