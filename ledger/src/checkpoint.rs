//! A signed statement of a ledger's size and root: a C2SP tlog-checkpoint in the signed-note format.
//!
//! ```text
//! trine/4f…a1/us-east-1                            origin: trine/<cluster>/<region>
//! 42                                               size
//! 1SA+…=                                           root, base64
//!
//! — trine/4f…a1/us-east-1 dGVzd…==                 key name, base64 of key hash (4 bytes) and Ed25519 signature
//! ```
//!
//! The key's name is the origin; its hash is the first four bytes of SHA-256(name ‖ "\n" ‖ 0x01 ‖ public key). Ed25519 is
//! deterministic, and only applied sizes are signed: two signers of one ledger produce equal bytes. Other lines of
//! signatures (witnesses) may follow and are passed over; other lines of text are refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use trine_crdt::RegionId;

use crate::limits::{NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX};
use crate::tree::Hash;

/// Why a note is no checkpoint of this ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not the form of a checkpoint.
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    /// Another ledger's.
    #[error("the checkpoint is of `{found}`, not of `{expected}`")]
    Origin {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// No signature by the ledger's key.
    #[error("the ledger's key has not signed this checkpoint")]
    Unsigned,
    /// A signature in the key's name that does not verify.
    #[error("the checkpoint's signature does not verify")]
    Signature,
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose ledger; see [`origin`].
    pub origin: String,
    /// How many records.
    pub size: u64,
    /// The tree's root at that size.
    pub root: Hash,
}

/// The name of a region's ledger and of the key that signs it.
#[must_use]
pub fn origin(cluster: &str, region: &RegionId) -> String {
    format!("trine/{cluster}/{region}")
}

/// The first four bytes of SHA-256(name ‖ "\n" ‖ 0x01 ‖ key): how a signature line names its key.
#[must_use]
pub fn key_hash(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let hash = Sha256::new().chain_update(name).chain_update(b"\n\x01").chain_update(key.as_bytes()).finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

impl Checkpoint {
    /// The text that is signed: three lines.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root))
    }

    /// The signed note.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> Bytes {
        let text = self.text();
        let mut signature = key_hash(&self.origin, &key.verifying_key()).to_vec();
        signature.extend_from_slice(&key.sign(text.as_bytes()).to_bytes());
        format!("{text}\n\u{2014} {} {}\n", self.origin, BASE64.encode(signature)).into()
    }

    /// Reads a note that `key` signed for the ledger `origin`.
    ///
    /// # Errors
    /// [`CheckpointError`] for anything else.
    pub fn open(note: &[u8], key: &VerifyingKey, origin: &str) -> Result<Self, CheckpointError> {
        let (checkpoint, text, signatures) = parse(note)?;
        if checkpoint.origin != origin {
            return Err(CheckpointError::Origin { found: checkpoint.origin, expected: origin.to_owned() });
        }
        let hash = key_hash(origin, key);
        let ours = |line: &&NoteSignature| line.name == origin && line.key_hash == hash;
        let line = signatures.iter().find(ours).ok_or(CheckpointError::Unsigned)?;
        let signature = Signature::from_slice(&line.signature).map_err(|_| CheckpointError::Signature)?;
        key.verify_strict(text.as_bytes(), &signature).map_err(|_| CheckpointError::Signature)?;
        Ok(checkpoint)
    }

    /// Reads a note without asking who signed it: for evidence and display, never for trust.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] when it is none.
    pub fn peek(note: &[u8]) -> Result<Self, CheckpointError> {
        Ok(parse(note)?.0)
    }
}

struct NoteSignature {
    name: String,
    key_hash: [u8; 4],
    signature: Vec<u8>,
}

fn parse(note: &[u8]) -> Result<(Checkpoint, &str, Vec<NoteSignature>), CheckpointError> {
    let malformed = CheckpointError::Malformed;
    if note.len() > NOTE_BYTES_MAX {
        return Err(malformed("too long"));
    }
    let note = std::str::from_utf8(note).map_err(|_| malformed("not UTF-8"))?;
    if note.chars().any(|c| c.is_control() && c != '\n') {
        return Err(malformed("control characters"));
    }
    let blank = note.find("\n\n").ok_or(malformed("no blank line"))?;
    let (text, lines) = (&note[..=blank], &note[blank + 2..]);
    let lines = lines.strip_suffix('\n').ok_or(malformed("no newline at the end"))?;
    let signatures = lines.split('\n').map(parse_signature).collect::<Result<Vec<_>, _>>()?;
    if signatures.len() > NOTE_SIGNATURES_MAX {
        return Err(malformed("too many signatures"));
    }
    let mut fields = text.strip_suffix('\n').unwrap_or(text).split('\n');
    let (Some(origin), Some(size), Some(root), None) = (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(malformed("not three lines of text"));
    };
    let bad_name = |name: &str| name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+');
    if bad_name(origin) {
        return Err(malformed("no origin"));
    }
    let size = decimal(size).ok_or(malformed("the size is no number"))?;
    let root = decode(root).and_then(|root| root.try_into().ok()).ok_or(malformed("the root is no hash"))?;
    Ok((Checkpoint { origin: origin.to_owned(), size, root }, text, signatures))
}

fn parse_signature(line: &str) -> Result<NoteSignature, CheckpointError> {
    let wrong = CheckpointError::Malformed("a signature line");
    let (name, bytes) = line.strip_prefix("\u{2014} ").and_then(|l| l.split_once(' ')).ok_or(wrong.clone())?;
    let bytes = decode(bytes).ok_or(wrong.clone())?;
    let (key_hash, signature) = bytes.split_first_chunk::<4>().ok_or(wrong.clone())?;
    if name.is_empty() || signature.is_empty() {
        return Err(wrong);
    }
    Ok(NoteSignature { name: name.to_owned(), key_hash: *key_hash, signature: signature.to_vec() })
}

/// A number in the one way to write it: digits, no leading zero.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = text == "0" || !text.starts_with('0');
    if digits && plain { text.parse().ok() } else { None }
}

pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}
