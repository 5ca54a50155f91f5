//! A row's value on disk: eight bytes of checksum over key and value, then the value.
//!
//! ```text
//!  0        8
//!  ┌────────┬─────────────┐
//!  │ BLAKE3 │ value …     │      BLAKE3(key length, u32 big-endian ‖ key ‖ value), its first 8 bytes
//!  └────────┴─────────────┘
//! ```

use bytes::Bytes;
use trine_replica::StoreError;

use crate::mutants::{self, Mutant};

const CHECKSUM_BYTES: usize = 8;

/// The value as it is stored.
#[must_use]
pub fn seal(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(CHECKSUM_BYTES + value.len());
    stored.extend_from_slice(&checksum(key, value));
    stored.extend_from_slice(value);
    stored
}

/// The value as it was given, when it is what was written.
///
/// # Errors
/// When it is not.
pub fn open(keyspace: &str, key: &[u8], stored: &Bytes) -> Result<Bytes, StoreError> {
    let damaged = || StoreError::Damaged(format!("row {} of `{keyspace}`", hex(key)));
    let (sum, value) = stored.split_first_chunk::<CHECKSUM_BYTES>().ok_or_else(damaged)?;
    if *sum != checksum(key, value) && !mutants::is(Mutant::RowChecksumIgnored) {
        return Err(damaged());
    }
    Ok(stored.slice(CHECKSUM_BYTES..))
}

fn checksum(key: &[u8], value: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes());
    hasher.update(key);
    hasher.update(value);
    *hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
