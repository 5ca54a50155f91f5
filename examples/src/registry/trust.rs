//! What a reader of the registry trusts: the cluster authority's certificate, and nothing that a server says.
//!
//! The authority signed the founding document; that names the key of each region's log; a log key signed the
//! checkpoint; the path leads from the record's leaf to the checkpoint's root; and the leaf commits to key, metadata and
//! value. [`Trust::check`] follows these links with what the answer itself carries, and asks nobody.

use std::path::Path;

use anyhow::Context;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use trine_crdt::RegionId;
use trine_ledger::checkpoint::origin;
use trine_ledger::proof::{ProofFile, ProofFileError, Verified, verify};
use trine_ledger::record::{Body, Record};
use trine_ledger::{Genesis, VerifyingKey, certificate};
use trine_protocol::reply::RecordView;

/// Why an answered record is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// No proof came with it.
    #[error("no proof came with it")]
    NoProof,
    /// A part of the answer has not the form of a record's.
    #[error("its {0} is malformed")]
    Form(&'static str),
    /// The founding document knows no such region.
    #[error("no log key is known of {0}")]
    Region(RegionId),
    /// The proof does not hold.
    #[error(transparent)]
    Proof(#[from] ProofFileError),
    /// The proof holds for something else than what came with it.
    #[error("the proof is of another {0}")]
    Contents(&'static str),
}

/// The keys of a cluster's ledgers.
#[derive(Debug, Clone)]
pub struct Trust {
    genesis: Genesis,
}

impl Trust {
    /// Trusts a founding document that was verified.
    #[must_use]
    pub fn new(genesis: Genesis) -> Self {
        Self { genesis }
    }

    /// Reads `ca.crt` and `genesis.json` of an identity's directory.
    ///
    /// # Errors
    /// When one is missing, or the authority did not sign the document.
    pub fn read(identity: &Path) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let path = identity.join(name);
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let ca = CertificateDer::from_pem_slice(&read("ca.crt")?).context("ca.crt is no certificate in PEM")?;
        let ca = certificate::public_key(&ca).context("ca.crt")?;
        let genesis = Genesis::open(&read("genesis.json")?, &ca).context("genesis.json")?;
        Ok(Self::new(genesis))
    }

    /// The key that signs a region's checkpoints.
    #[must_use]
    pub fn log_key(&self, region: &RegionId) -> Option<VerifyingKey> {
        self.genesis.region(region)?.key()
    }

    /// Whether all that an answered record says of itself stands in the ledger that it names.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn check(&self, view: &RecordView) -> Result<Verified, Doubt> {
        let key = self.log_key(&view.region).ok_or_else(|| Doubt::Region(view.region.clone()))?;
        let verified = verify(&proof_file(view)?, &key, &origin(&self.genesis.cluster, &view.region))?;
        let header = &verified.header;
        let said = [
            ("namespace", header.namespace == view.namespace),
            ("timestamp", header.stamp == view.timestamp),
            ("content type", header.content_type == view.content_type),
        ];
        match said.iter().find(|(_, same)| !same) {
            Some((what, _)) => Err(Doubt::Contents(what)),
            None => Ok(verified),
        }
    }
}

/// The proof file of an answered record; `trine ledger verify` and other tools for transparency logs read it.
///
/// # Errors
/// When the answer has no proof, or not the form of a record. What it claims is not checked here.
pub fn proof_file(view: &RecordView) -> Result<ProofFile, Doubt> {
    let inclusion = view.proof.as_ref().ok_or(Doubt::NoProof)?;
    let path = inclusion.path.iter().map(|hash| hash.as_ref().try_into().map_err(|_| Doubt::Form("path")));
    let (salts, rest) = view.salts.as_chunks::<32>();
    let salts = salts.try_into().ok().filter(|_| rest.is_empty()).ok_or(Doubt::Form("salts"))?;
    let body = Body { key: view.key.clone(), value: view.value.clone(), metadata: view.metadata.clone(), salts };
    Ok(ProofFile {
        index: view.index,
        record: Record { header: view.header.clone(), body: Some(body) },
        path: path.collect::<Result<_, _>>()?,
        checkpoint: inclusion.checkpoint.clone(),
    })
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
