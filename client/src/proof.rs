//! Whether an answer proves what it claims.
//!
//! A proof leads from the record's header to the root of a tree, and the root stands in a checkpoint that the region's
//! log key signed. That alone would let a region show different trees to different people; so the last checkpoint of
//! each region is pinned, and a new one must come with a proof that its tree extends the pinned one's, or the other way
//! round when the answering node knows less.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use trine_crdt::RegionId;
use trine_ledger::tree::{leaf_hash, verify_consistency, verify_inclusion};
use trine_ledger::{Body, Checkpoint, Genesis, GenesisRegion, Hash, origin};
use trine_protocol::reply::RecordView;

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

/// The last checkpoint of each region that this client believed, and the keys that sign them.
pub(crate) struct Pins {
    genesis: Option<Genesis>,
    last: Mutex<BTreeMap<RegionId, Checkpoint>>,
}

impl Pins {
    pub fn new(genesis: Option<Genesis>) -> Self {
        Self { genesis, last: Mutex::default() }
    }

    /// The checkpoint of a signed note.
    pub fn open(&self, region: &RegionId, note: &[u8]) -> Result<Checkpoint, ProofError> {
        open(self.genesis(region)?, region, note)
    }

    /// The genesis, to verify what a region says.
    pub fn genesis(&self, region: &RegionId) -> Result<&Genesis, ProofError> {
        self.genesis.as_ref().ok_or_else(|| ProofError::UnknownRegion(region.clone()))
    }

    /// The checkpoint believed last.
    pub fn last(&self, region: &RegionId) -> Option<Checkpoint> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).get(region).cloned()
    }

    /// Believes a checkpoint whose consistency was checked; a smaller one changes nothing.
    pub fn pin(&self, region: &RegionId, checkpoint: Checkpoint) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.get(region).is_none_or(|known| known.size <= checkpoint.size) {
            last.insert(region.clone(), checkpoint);
        }
    }
}

/// Whether a record that was read with its proof stands, as it was read, in its region's signed tree; the checkpoint that
/// says so. What a checkpoint says is judged by its signature alone here: only a [`crate::Client`] holds it against those
/// that it has seen.
///
/// # Errors
/// [`ProofError`] when it does not.
pub fn verify(genesis: &Genesis, record: &RecordView) -> Result<Checkpoint, ProofError> {
    let proof = record.proof.as_ref().ok_or(ProofError::Missing)?;
    committed(record)?;
    let checkpoint = open(genesis, &record.region, &proof.checkpoint)?;
    included(&record.region, record.index, &record.header, &proof.path, &checkpoint)?;
    Ok(checkpoint)
}

fn open(genesis: &Genesis, region: &RegionId, note: &[u8]) -> Result<Checkpoint, ProofError> {
    let key = genesis.region(region).and_then(GenesisRegion::key);
    let key = key.ok_or_else(|| ProofError::UnknownRegion(region.clone()))?;
    Checkpoint::open(note, &key, &origin(&genesis.cluster, region)).map_err(|_| ProofError::Checkpoint(region.clone()))
}

/// Whether the record of this header stands in the tree of a checkpoint.
pub(crate) fn included(
    region: &RegionId,
    index: u64,
    header: &[u8],
    path: &[Bytes],
    checkpoint: &Checkpoint,
) -> Result<(), ProofError> {
    let wrong = || ProofError::Inclusion { region: region.clone(), index };
    let path = hashes(path).ok_or_else(wrong)?;
    verify_inclusion(&leaf_hash(header), index, checkpoint.size, &path, &checkpoint.root).map_err(|_| wrong())
}

/// Whether one checkpoint's tree extends the other's.
pub(crate) fn extends(
    region: &RegionId,
    (smaller, larger): (&Checkpoint, &Checkpoint),
    proof: &[Bytes],
) -> Result<(), ProofError> {
    let fork = || ProofError::Fork { region: region.clone(), pinned: smaller.size, size: larger.size };
    let proof = hashes(proof).ok_or_else(fork)?;
    verify_consistency(smaller.size, larger.size, &smaller.root, &larger.root, &proof).map_err(|_| fork())
}

/// Whether the record's header commits to what was read.
fn committed(record: &RecordView) -> Result<(), ProofError> {
    let wrong = || ProofError::Commitment { region: record.region.clone(), index: record.index };
    let (salts, rest) = record.salts.as_chunks::<32>();
    let body = Body {
        salts: salts.try_into().ok().filter(|_| rest.is_empty()).ok_or_else(wrong)?,
        key: record.key.clone(),
        metadata: record.metadata.clone(),
        value: record.value.clone(),
    };
    let header = trine_ledger::record::verify(&record.header, &body).map_err(|_| wrong())?;
    let same = header.stamp == record.timestamp
        && header.namespace == record.namespace
        && header.content_type == record.content_type;
    if same { Ok(()) } else { Err(wrong()) }
}

fn hashes(list: &[Bytes]) -> Option<Vec<Hash>> {
    list.iter().map(|hash| hash.as_ref().try_into().ok()).collect()
}
