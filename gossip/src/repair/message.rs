//! What two nodes say to each other to make their metadata equal. Each message stands for itself.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use trine_crdt::codec;

use crate::digest::Digest;
use crate::entry::{Entry, EntryError, Version};
use crate::limits::{BUCKETS, ENTRY_KEY_BYTES_MAX, REPAIR_MESSAGE_BYTES_MAX};

/// One message of repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RepairMessage {
    /// "Mine hashes to this." Answered with `Buckets` when the receiver's does not.
    Root(Digest),
    /// "My buckets hash to these." Answered with a `Summary` of each that differs.
    Buckets(Vec<(u8, Digest)>),
    /// "In this bucket, behind `after` up to `upto`, I have these and nothing else." Answered with the `Entries`
    /// that its sender lacks and a `Want` for those that the receiver lacks.
    Summary {
        /// The bucket.
        bucket: u8,
        /// Where the part begins, this key excluded; empty: at the start.
        after: Bytes,
        /// Where it ends, this key included; empty: at the end.
        upto: Bytes,
        /// Keys in order, with the version of each and a part of its digest, which breaks ties.
        versions: Vec<(Bytes, Version, u64)>,
    },
    /// "Send me these." Answered with `Entries`.
    Want(Vec<Bytes>),
    /// "Have these." Not answered.
    Entries(Vec<Entry>),
}

/// Why a repair message is refused.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// Longer than a message may be.
    #[error("a repair message of {bytes} bytes is over the {REPAIR_MESSAGE_BYTES_MAX} allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not the form of a message.
    #[error(transparent)]
    Malformed(#[from] codec::DecodeError),
    /// An entry is over its limits.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// A bucket that does not exist.
    #[error("there is no bucket {0}")]
    Bucket(u8),
}

impl RepairMessage {
    /// The bytes on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        codec::encode(self).into()
    }

    /// Reads [`Self::to_bytes`], and refuses what is over the limits.
    ///
    /// # Errors
    /// [`MessageError`] says what is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MessageError> {
        if bytes.len() > REPAIR_MESSAGE_BYTES_MAX {
            return Err(MessageError::TooLong { bytes: bytes.len() });
        }
        let message: Self = codec::decode(bytes)?;
        message.check()?;
        Ok(message)
    }

    fn check(&self) -> Result<(), MessageError> {
        let key = |key: &Bytes| match key.len() {
            1..=ENTRY_KEY_BYTES_MAX => Ok(()),
            bytes => Err(MessageError::Entry(EntryError::Key { bytes })),
        };
        let bucket = |bucket: u8| match usize::from(bucket) < BUCKETS {
            true => Ok(()),
            false => Err(MessageError::Bucket(bucket)),
        };
        match self {
            Self::Root(_) => Ok(()),
            Self::Buckets(digests) => digests.iter().try_for_each(|(number, _)| bucket(*number)),
            Self::Summary { bucket: number, versions, .. } => {
                bucket(*number)?;
                versions.iter().try_for_each(|(name, ..)| key(name))
            }
            Self::Want(keys) => keys.iter().try_for_each(key),
            Self::Entries(entries) => Ok(entries.iter().try_for_each(Entry::check)?),
        }
    }
}
