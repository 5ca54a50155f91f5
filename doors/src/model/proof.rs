//! From an answered record to a proof file, and to a verdict.

use bytes::Bytes;
use ed25519_dalek::VerifyingKey;
use trine_crdt::RegionId;
use trine_ledger::Genesis;
use trine_ledger::checkpoint::origin;
use trine_ledger::proof::{ProofFile, ProofFileError, Verified, verify};
use trine_ledger::record::{Body, Record, RecordHeader};
use trine_protocol::reply::RecordView;

/// Why a record or a proof file is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disproof {
    /// The answer has no proof in it.
    #[error("the answer carries no proof")]
    Missing,
    /// The answer's fields do not have the form of a record's.
    #[error("the answer's {0} is malformed")]
    Form(&'static str),
    /// The checkpoint is of another cluster, or of a region that the genesis does not know.
    #[error("the checkpoint is of `{0}`, which is no ledger of this cluster")]
    Origin(String),
    /// The genesis has a log key that is none.
    #[error("the genesis names a log key of {0} that is none")]
    LogKey(RegionId),
    /// The proof does not hold.
    #[error(transparent)]
    Proof(#[from] ProofFileError),
    /// The proof holds for other contents than those that came with it.
    #[error("the {0} that came with the proof is not the one that it proves")]
    Contents(&'static str),
}

/// The proof file of an answered record; its body travels with it.
///
/// # Errors
/// When the answer has no proof or is malformed. What it claims is not checked here.
pub fn proof_file(view: &RecordView) -> Result<ProofFile, Disproof> {
    let inclusion = view.proof.as_ref().ok_or(Disproof::Missing)?;
    let path = inclusion.path.iter().map(|hash| hash.as_ref().try_into().map_err(|_| Disproof::Form("path")));
    let salts: &[u8; 96] = view.salts.as_ref().try_into().map_err(|_| Disproof::Form("salts"))?;
    let body = Body {
        key: view.key.clone(),
        value: view.value.clone(),
        metadata: view.metadata.clone(),
        salts: std::array::from_fn(|n| salts[32 * n..][..32].try_into().expect("three times 32 bytes")),
    };
    Ok(ProofFile {
        index: view.index,
        record: Record { header: view.header.clone(), body: Some(body) },
        path: path.collect::<Result<_, _>>()?,
        checkpoint: inclusion.checkpoint.clone(),
    })
}

/// The region whose ledger a checkpoint claims to be of: the last part of its first line.
///
/// # Errors
/// When the genesis has no such ledger.
fn region_of(genesis: &Genesis, checkpoint: &Bytes) -> Result<(RegionId, VerifyingKey), Disproof> {
    let line = checkpoint.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line).into_owned();
    let region = genesis
        .regions
        .iter()
        .find(|region| origin(&genesis.cluster, &region.id) == line)
        .ok_or(Disproof::Origin(line))?;
    let key = VerifyingKey::from_bytes(&region.log_key).map_err(|_| Disproof::LogKey(region.id.clone()))?;
    Ok((region.id.clone(), key))
}

/// Checks a proof file against the log keys of the genesis; says whose ledger the record is in and what was proven.
///
/// # Errors
/// When it proves nothing.
pub fn verify_file(genesis: &Genesis, file: &ProofFile) -> Result<(RegionId, Verified), Disproof> {
    let (region, key) = region_of(genesis, &file.checkpoint)?;
    let verified = verify(file, &key, &origin(&genesis.cluster, &region))?;
    Ok((region, verified))
}

/// Checks an answered record against the log keys of the genesis: that all it says of itself stands in the ledger
/// that it names.
///
/// # Errors
/// When it does not.
pub fn verify_record(genesis: &Genesis, view: &RecordView) -> Result<Verified, Disproof> {
    let (region, verified) = verify_file(genesis, &proof_file(view)?)?;
    let RecordHeader { namespace, stamp, content_type, .. } = &verified.header;
    let said = [
        ("region", region == view.region),
        ("namespace", *namespace == view.namespace),
        ("timestamp", *stamp == view.timestamp),
        ("content type", *content_type == view.content_type),
    ];
    match said.iter().find(|(_, same)| !same) {
        Some((what, _)) => Err(Disproof::Contents(what)),
        None => Ok(verified),
    }
}

/// Reads a proof file's bytes.
///
/// # Errors
/// When they are something else.
pub fn read_file(bytes: &[u8]) -> Result<ProofFile, Disproof> {
    Ok(ProofFile::from_bytes(bytes)?)
}
