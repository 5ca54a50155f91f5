//! Digests of sets: equal sets have equal digests, whatever the order in which they were filled.
//!
//! A digest is the sum, modulo 2^128, of its members' hashes: adding and taking away one member costs one hash,
//! so a digest is kept as the set changes and never computed over the whole. It guards against loss and faults;
//! members are told apart by certificates, not by this.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::entry::{Entry, Version};

/// The digest of a set of entries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Digest(#[serde(with = "serde_bytes")] pub [u8; 16]);

impl Digest {
    /// The digest of one entry.
    #[must_use]
    pub fn of_entry(key: &[u8], version: &Version, value: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(key.len() as u64).to_be_bytes());
        hasher.update(key);
        hasher.update(&version.epoch.to_be_bytes());
        hasher.update(&version.stamp.to_bytes());
        hasher.update(value);
        Self::cut(&hasher.finalize())
    }

    /// The digest over a list of digests, where order counts.
    #[must_use]
    pub fn of_all(digests: &[Self]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for digest in digests {
            hasher.update(&digest.0);
        }
        Self::cut(&hasher.finalize())
    }

    /// Takes a member in.
    pub fn add(&mut self, member: Self) {
        self.0 = u128::from_be_bytes(self.0).wrapping_add(u128::from_be_bytes(member.0)).to_be_bytes();
    }

    /// Takes a member out.
    pub fn remove(&mut self, member: Self) {
        self.0 = u128::from_be_bytes(self.0).wrapping_sub(u128::from_be_bytes(member.0)).to_be_bytes();
    }

    fn cut(hash: &blake3::Hash) -> Self {
        Self(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
    }
}

impl From<&Entry> for Digest {
    fn from(entry: &Entry) -> Self {
        Self::of_entry(&entry.key, &entry.version, &entry.value)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}
