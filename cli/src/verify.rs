//! `trine ledger verify`: a proof file against the genesis, without a cluster.
//!
//! What is trusted is one thing, the authority's certificate. It signed the genesis, the genesis names the regions' log
//! keys, a log key signed the checkpoint, and the path leads from the record's leaf to the checkpoint's root.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use trine_crdt::RegionId;
use trine_doors::model::proof::{proof_file, read_file, verify_file};
use trine_doors::model::value::{Encoding, Value, hex, time_of};
use trine_identity::tls::Trust;
use trine_identity::{bundle, files};
use trine_ledger::checkpoint::origin;
use trine_ledger::{Checkpoint, Genesis, VerifyingKey};
use trine_protocol::reply::RecordView;

use super::args::Globals;
use super::connect::cluster;
use super::exit::{Exit, Failure};
use super::output::{Output, pairs};

/// The signed genesis, in every identity's directory.
pub const GENESIS_FILE: &str = "genesis.json";

/// `trine ledger verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The proof file that `trine ledger get --proof FILE` wrote
    file: PathBuf,
    /// The cluster's genesis document; otherwise the one of the identity or of the cluster here
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// The authority's certificate that is trusted; otherwise ca.crt beside the genesis document
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// What a proof file proved.
#[derive(Debug, Serialize)]
struct Proven {
    verified: bool,
    region: String,
    index: u64,
    version: String,
    namespace: String,
    timestamp: String,
    time: String,
    content_type: String,
    leaf: String,
    checkpoint_size: u64,
    checkpoint_root: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<Encoding>,
}

/// Runs the command.
///
/// # Errors
/// When the file proves nothing.
pub fn run(globals: &Globals, args: &VerifyArgs) -> Result<Output, Failure> {
    let (document, path) = genesis_document(globals, args.genesis.as_deref())?;
    let ca = args.ca.clone().unwrap_or_else(|| path.with_file_name(bundle::CA_FILE));
    let genesis = open_genesis(&document, &path, &ca)?;
    let bytes = files::read(&args.file).map_err(|error| Failure::usage(error.to_string()))?;
    let disproved = |error: trine_doors::model::proof::Disproof| {
        Failure::new(Exit::Failed, format!("{} proves nothing: {error}", args.file.display()))
    };
    let file = read_file(&bytes).map_err(disproved)?;
    let (region, verified) = verify_file(&genesis, &file).map_err(disproved)?;
    let value = verified.body.as_ref().map(|body| Value::of(&body.value));
    let proven = Proven {
        verified: true,
        index: verified.index,
        version: format!("{region}/{}", verified.index),
        region: region.to_string(),
        namespace: verified.header.namespace.to_string(),
        timestamp: verified.header.stamp.to_string(),
        time: time_of(verified.header.stamp),
        content_type: verified.header.content_type.clone(),
        leaf: hex(&file.record.leaf()),
        checkpoint_size: verified.checkpoint.size,
        checkpoint_root: hex(&verified.checkpoint.root),
        key: verified.body.as_ref().map(|body| body.key.clone()),
        value: value.as_ref().map(|value| value.value.clone()),
        encoding: value.as_ref().map(|value| value.encoding),
    };
    let people = pairs(&[
        ("verified", format!("record {} of {}, among {}", proven.index, region, proven.checkpoint_size)),
        ("key", proven.key.clone().unwrap_or_else(|| "(not in the file)".to_owned())),
        ("value", value.map_or_else(|| "(not in the file)".to_owned(), |value| value.shown())),
        ("time", proven.time.clone()),
        ("leaf", proven.leaf.clone()),
        ("root", proven.checkpoint_root.clone()),
    ]);
    Ok(Output::new(&proven, people).ids([&proven.version]))
}

/// The genesis document and where it was read: the file named, otherwise the one of the identity, otherwise of the cluster here.
fn genesis_document(globals: &Globals, named: Option<&Path>) -> Result<(Vec<u8>, PathBuf), Failure> {
    let path = match (named, &globals.identity) {
        (Some(path), _) => path.to_owned(),
        (None, Some(identity)) => identity.join(GENESIS_FILE),
        (None, None) => cluster(globals)?
            .map(|cluster| cluster.client.join(GENESIS_FILE))
            .ok_or_else(|| Failure::usage("no genesis document to verify with").hint("name one with --genesis FILE"))?,
    };
    let document = files::read(&path).map_err(|error| {
        Failure::usage(error.to_string())
            .hint("name the cluster's genesis document with --genesis FILE; `trine ledger genesis --out FILE` gets it")
    })?;
    Ok((document, path))
}

/// Opens a genesis with the authority's certificate.
///
/// # Errors
/// When there is no such certificate, or it did not sign the document.
pub fn open_genesis(document: &[u8], path: &Path, ca: &Path) -> Result<Genesis, Failure> {
    let certificate = files::read_certificate(ca)
        .map_err(|error| Failure::usage(error.to_string()).hint("name the authority's certificate with --ca FILE"))?;
    let trust = Trust::new(&certificate).map_err(|error| Failure::usage(format!("{}: {error}", ca.display())))?;
    Genesis::open(document, trust.key())
        .map_err(|error| Failure::new(Exit::Failed, format!("{}: {error}", path.display())))
}

/// The opened genesis that a command verifies with, and its file.
///
/// # Errors
/// When there is none or the authority did not sign it.
pub fn genesis(globals: &Globals, named: Option<&Path>) -> Result<(Genesis, PathBuf), Failure> {
    let (document, path) = genesis_document(globals, named)?;
    let opened = open_genesis(&document, &path, &path.with_file_name(bundle::CA_FILE))?;
    Ok((opened, path))
}

/// A checkpoint that a region's log key signed.
///
/// # Errors
/// When it did not.
pub fn open_checkpoint(genesis: &Genesis, region: &RegionId, note: &[u8]) -> Result<Checkpoint, Failure> {
    let log_key =
        genesis.regions.iter().find(|known| known.id == *region).map(|known| known.log_key).ok_or_else(|| {
            Failure::new(Exit::NotFound, format!("the genesis knows no region {region}; see `trine region list`"))
        })?;
    let key = VerifyingKey::from_bytes(&log_key)
        .map_err(|_| Failure::new(Exit::Failed, format!("the genesis names a log key of {region} that is none")))?;
    Checkpoint::open(note, &key, &origin(&genesis.cluster, region))
        .map_err(|error| Failure::new(Exit::Failed, error.to_string()))
}

/// Writes a record's proof to a new file.
///
/// # Errors
/// When the answer carries none or the file cannot be written.
pub fn save_proof(view: &RecordView, path: &Path) -> Result<(), Failure> {
    let failed = |what: String| Failure::new(Exit::Failed, what);
    let bytes = proof_file(view)
        .map_err(|error| failed(error.to_string()))?
        .to_bytes()
        .map_err(|error| failed(error.to_string()))?;
    files::create_public(path, &bytes).map_err(|error| failed(error.to_string()))
}
