//! What the core reads: a snapshot of ordered rows, and the region's log.

pub mod laid_over;
pub mod memory;

use bytes::Bytes;

pub use self::memory::Memory;
use crate::effect::Persistence;

/// Why a row could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The bytes are not what was written.
    #[error("damaged data: {0}")]
    Damaged(String),
    /// The disk did not answer.
    #[error("the disk failed: {0}")]
    Failed(String),
}

/// Local state. Every batch that was said to be `Persisted` is visible; a later one may be.
pub trait Store {
    /// The row of a key.
    ///
    /// # Errors
    /// [`StoreError`] when the bytes are damaged or the disk fails.
    fn get(&self, kind: Persistence, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Rows with `from <= key < to` in key order (or from the end, when `reverse`), at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] when the bytes are damaged or the disk fails.
    fn scan(
        &self,
        kind: Persistence,
        from: &[u8],
        to: &[u8],
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError>;

    /// The committed entry of this index in the region's log (an encoded `trine_ledger::Entry`); none for blank
    /// and membership entries and for what is not there.
    ///
    /// # Errors
    /// [`StoreError`] when the bytes are damaged or the disk fails.
    fn entry(&self, index: u64) -> Result<Option<Bytes>, StoreError>;
}
