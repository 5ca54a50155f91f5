//! Sealed stretches of a ledger: what the manifest lists, one entry a segment and never one a key.
//!
//! A segment's identity depends on its canonical records alone, never on how Raft framed them, so all nodes and
//! every backup agree on it. It is a chain, because a node must be able to stop between any two records and go on
//! after a restart with 32 bytes:
//!
//! ```text
//! identity(0)     = SHA-256("trine/segment/1\0")
//! identity(n + 1) = SHA-256(identity(n) ‖ SHA-256(record n))
//! ```

use sha2::{Digest, Sha256};

use crate::form::{FormError, Reader};
use crate::tree::Hash;

/// A sealed segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number in its ledger, from 0.
    pub number: u64,
    /// The index of its first record.
    pub first: u64,
    /// How many records.
    pub count: u64,
    /// The bytes of its canonical records.
    pub bytes: u64,
    /// What it holds; see the module.
    pub identity: Hash,
    /// The ledger's root at its end.
    pub root: Hash,
}

/// A segment that still grows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSegment {
    /// Its number in its ledger, from 0.
    pub number: u64,
    /// The index of its first record.
    pub first: u64,
    /// How many records.
    pub count: u64,
    /// The bytes of its canonical records.
    pub bytes: u64,
    /// The identity of what it holds so far.
    pub identity: Hash,
}

impl Default for OpenSegment {
    fn default() -> Self {
        Self::new(0, 0)
    }
}

impl OpenSegment {
    /// An empty segment.
    #[must_use]
    pub fn new(number: u64, first: u64) -> Self {
        Self { number, first, count: 0, bytes: 0, identity: Sha256::digest(b"trine/segment/1\0").into() }
    }

    /// Takes in the next record's canonical bytes.
    pub fn push(&mut self, record: &[u8]) {
        self.push_digest(Sha256::digest(record).into(), record.len() as u64);
    }

    /// Takes in the next record by SHA-256 and length of its canonical bytes.
    pub(crate) fn push_digest(&mut self, digest: Hash, bytes: u64) {
        self.identity = Sha256::new().chain_update(self.identity).chain_update(digest).finalize().into();
        self.count += 1;
        self.bytes += bytes;
    }

    /// The segment as sealed at `root`, and the next one.
    #[must_use]
    pub fn seal(&self, root: Hash) -> (SegmentInfo, Self) {
        let Self { number, first, count, bytes, identity } = *self;
        (SegmentInfo { number, first, count, bytes, identity, root }, Self::new(number + 1, first + count))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for number in [self.number, self.first, self.count, self.bytes] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.identity);
    }

    pub(crate) fn read(reader: &mut Reader) -> Result<Self, FormError> {
        Ok(Self {
            number: reader.u64("segment")?,
            first: reader.u64("segment")?,
            count: reader.u64("segment")?,
            bytes: reader.u64("segment")?,
            identity: reader.array("segment")?,
        })
    }
}
