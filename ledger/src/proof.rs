//! A file that proves to somebody offline that a record stands in a ledger.
//!
//! The form is C2SP's tlog-proof: text that any tool for transparency logs can read. The record travels in its
//! `extra` line, with its body or without; who has only the header learns that *something* was recorded then and
//! there, and nothing about what.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <base64 of the record's canonical bytes>
//! index 17
//! <base64 of a sibling hash>                            from the leaf upwards
//! …
//!
//! <the signed checkpoint>
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use ed25519_dalek::VerifyingKey;

use crate::checkpoint::{Checkpoint, CheckpointError, decimal, decode};
use crate::form::FormError;
use crate::limits::{PROOF_BYTES_MAX, PROOF_HASHES_MAX};
use crate::record::{Body, Record, RecordError, RecordHeader};
use crate::tree::{Hash, ProofError, verify_inclusion};

const MAGIC: &str = "c2sp.org/tlog-proof@v1";

/// Why a proof file proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofFileError {
    /// Not the form of a proof file.
    #[error("not a proof file: {0}")]
    Malformed(&'static str),
    /// Its record is none.
    #[error("the proof's record: {0}")]
    Record(#[from] RecordError),
    /// Its checkpoint is not the ledger's.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Its path does not lead to the checkpoint's root.
    #[error(transparent)]
    Path(#[from] ProofError),
}

/// A record, its place and the way to a signed root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFile {
    /// The record's index.
    pub index: u64,
    /// The record, with its body or without.
    pub record: Record,
    /// Sibling hashes from the leaf upwards.
    pub path: Vec<Hash>,
    /// The signed checkpoint, byte for byte.
    pub checkpoint: Bytes,
}

/// What a proof file proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The record's index.
    pub index: u64,
    /// Its header.
    pub header: RecordHeader,
    /// Its body, when the file has it; it is the one that the header commits to.
    pub body: Option<Body>,
    /// The checkpoint that holds it.
    pub checkpoint: Checkpoint,
}

impl ProofFile {
    /// The file's bytes.
    ///
    /// # Errors
    /// [`FormError`] when the record is beyond its bounds.
    pub fn to_bytes(&self) -> Result<Bytes, FormError> {
        let record = BASE64.encode(self.record.to_bytes()?);
        let mut text = format!("{MAGIC}\nextra {record}\nindex {}\n", self.index);
        for hash in &self.path {
            text.push_str(&BASE64.encode(hash));
            text.push('\n');
        }
        text.push('\n');
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.checkpoint);
        Ok(bytes.into())
    }

    /// Reads [`Self::to_bytes`]. Proves nothing yet: see [`Self::verify`].
    ///
    /// # Errors
    /// [`ProofFileError`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofFileError> {
        let malformed = ProofFileError::Malformed;
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(malformed("too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("not UTF-8"))?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(malformed("no blank line"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(MAGIC) {
            return Err(malformed("the first line names another format"));
        }
        let record = lines.next().and_then(|line| line.strip_prefix("extra ")).and_then(decode);
        let record = Record::from_bytes(&record.ok_or(malformed("no record"))?.into()).map_err(RecordError::Form)?;
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(decimal);
        let index = index.ok_or(malformed("no index"))?;
        let hash = |line| decode(line).and_then(|hash| hash.try_into().ok()).ok_or(malformed("a hash"));
        let path = lines.take(PROOF_HASHES_MAX + 1).map(hash).collect::<Result<Vec<Hash>, _>>()?;
        if path.len() > PROOF_HASHES_MAX {
            return Err(malformed("too many hashes"));
        }
        Ok(Self { index, record, path, checkpoint: Bytes::copy_from_slice(checkpoint.as_bytes()) })
    }
}

/// Whether the file proves that its record stands in the ledger `origin`, whose log key is `key`.
///
/// # Errors
/// [`ProofFileError`] when it does not.
pub fn verify(file: &ProofFile, key: &VerifyingKey, origin: &str) -> Result<Verified, ProofFileError> {
    let checkpoint = Checkpoint::open(&file.checkpoint, key, origin)?;
    verify_inclusion(&file.record.leaf(), file.index, checkpoint.size, &file.path, &checkpoint.root)?;
    let header = match &file.record.body {
        Some(_) => file.record.verify()?,
        None => file.record.header().map_err(RecordError::Form)?,
    };
    Ok(Verified { index: file.index, header, body: file.record.body.clone(), checkpoint })
}
