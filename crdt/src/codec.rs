//! The one place that names `serde_cbor`: values to bytes and back, with limits.
//!
//! The codec accepts non-canonical forms, so nothing is ever hashed or signed over a re-encoding: hash the
//! received bytes, or an encoding of our own.

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::limits::ENCODED_BYTES_MAX;

/// Why bytes were refused.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than [`ENCODED_BYTES_MAX`].
    #[error("{bytes} bytes are more than the {ENCODED_BYTES_MAX} that one value may have")]
    TooLong {
        /// How many came.
        bytes: usize,
    },
    /// Not the expected form.
    #[error("undecodable: {0}")]
    Malformed(#[from] serde_cbor::Error),
}

/// Encodes a value.
///
/// # Panics
/// When a value cannot be represented (a map with keys of two types, say): an error of ours, not of a peer.
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    let mut serializer = serde_cbor::Serializer::new(&mut bytes);
    value.serialize(&mut serializer).expect("our own types are representable");
    bytes
}

/// Decodes one value that fills `bytes` to the end.
///
/// # Errors
/// [`DecodeError`] for what is too long, malformed, or goes on after the value.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() > ENCODED_BYTES_MAX {
        return Err(DecodeError::TooLong { bytes: bytes.len() });
    }
    let mut deserializer = serde_cbor::Deserializer::from_slice(bytes).disable_packed_format().disable_legacy_enums();
    let value = T::deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}
