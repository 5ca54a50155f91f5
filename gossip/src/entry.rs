//! One entry of the metadata, as it is kept, sent and stored.
//!
//! An entry is a key, a version and a value. The greater version wins; should two bear the same version, the
//! greater value does, so that every node picks the same one. The epoch comes before the stamp: where one party
//! decides (a region's ledger over its roster), its epochs order what it said whatever the clocks did.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use trine_crdt::{Timestamp, codec};

use crate::limits::{ENTRY_FRAME_BYTES, ENTRY_KEY_BYTES_MAX, ENTRY_VALUE_BYTES_MAX};

/// Which of two values of a key is the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(from = "(u64, Timestamp)", into = "(u64, Timestamp)")]
pub struct Version {
    /// Counted by the party that decides over the key; 0 where nobody does.
    pub epoch: u64,
    /// When, and by whom.
    pub stamp: Timestamp,
}

impl From<(u64, Timestamp)> for Version {
    fn from((epoch, stamp): (u64, Timestamp)) -> Self {
        Self { epoch, stamp }
    }
}

impl From<Version> for (u64, Timestamp) {
    fn from(version: Version) -> Self {
        (version.epoch, version.stamp)
    }
}

/// A key with its value as of a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "(Bytes, Version, Bytes)", into = "(Bytes, Version, Bytes)")]
pub struct Entry {
    /// The key, at most [`ENTRY_KEY_BYTES_MAX`] bytes and not empty.
    pub key: Bytes,
    /// The version.
    pub version: Version,
    /// The value, at most [`ENTRY_VALUE_BYTES_MAX`] bytes. What an empty one means is the key's owner's matter.
    pub value: Bytes,
}

/// Why an entry is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The key is empty or too long.
    #[error("a key of {bytes} bytes; 1 to {ENTRY_KEY_BYTES_MAX} are allowed")]
    Key {
        /// Its length.
        bytes: usize,
    },
    /// The value is too long.
    #[error("a value of {bytes} bytes is over the {ENTRY_VALUE_BYTES_MAX} allowed")]
    Value {
        /// Its length.
        bytes: usize,
    },
}

impl Entry {
    /// Whether key and value are within their limits.
    ///
    /// # Errors
    /// [`EntryError`] names the one that is not.
    pub fn check(&self) -> Result<(), EntryError> {
        if self.key.is_empty() || self.key.len() > ENTRY_KEY_BYTES_MAX {
            return Err(EntryError::Key { bytes: self.key.len() });
        }
        if self.value.len() > ENTRY_VALUE_BYTES_MAX {
            return Err(EntryError::Value { bytes: self.value.len() });
        }
        Ok(())
    }

    /// What it costs to send or keep, in bytes.
    #[must_use]
    pub fn cost_bytes(&self) -> usize {
        self.key.len() + self.value.len() + ENTRY_FRAME_BYTES
    }

    /// The bytes of a stored row.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`codec::DecodeError`] when the bytes are no entry.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, codec::DecodeError> {
        codec::decode(bytes)
    }
}

impl From<(Bytes, Version, Bytes)> for Entry {
    fn from((key, version, value): (Bytes, Version, Bytes)) -> Self {
        Self { key, version, value }
    }
}

impl From<Entry> for (Bytes, Version, Bytes) {
    fn from(entry: Entry) -> Self {
        (entry.key, entry.version, entry.value)
    }
}
