//! The log as the core reads it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use trine_journal::disk::{Disk, FileSystem};

use super::shared::Shared;

/// Reads entries of the log, from any thread.
#[derive(Debug)]
pub struct LogReader<D: Disk = FileSystem> {
    pub(super) shared: Arc<Shared<D>>,
}

impl<D: Disk> Clone for LogReader<D> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<D: Disk> LogReader<D> {
    /// The application's entry of this index; none for blank and membership entries and for what is not there.
    ///
    /// # Errors
    /// When the bytes are damaged (`InvalidData`, naming file and offset) or the disk fails.
    pub fn entry(&self, index: u64) -> io::Result<Option<Bytes>> {
        Ok(self.shared.application(index)?)
    }
}
