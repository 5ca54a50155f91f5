//! What the log's writer, readers and openraft's handle share.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use openraft::EntryPayload;
use tokio::sync::watch;
use trine_journal::disk::Disk;
use trine_journal::index::{Extent, Index};
use trine_journal::{LogError, read};

use super::convert;
use super::origin::Origin;
use super::recent::Recent;
use crate::limits::EXTENT_BYTES_MAX;
use crate::types::{Entry, LogId, Vote};

/// Shared by all handles on one log.
#[derive(Debug)]
pub struct Shared<D: Disk> {
    /// Where the files are.
    pub directory: PathBuf,
    /// The last durable entry; raised by the writer after each fsync, lowered by truncation.
    pub durable: watch::Sender<Option<LogId>>,
    /// Whether appends wait for room on the disk.
    pub full: watch::Sender<bool>,
    /// Which founding the log goes back to; none while it holds nothing.
    pub origin: watch::Sender<Option<Origin>>,
    inner: Mutex<Inner<D>>,
}

/// What changes.
#[derive(Debug)]
pub struct Inner<D: Disk> {
    /// Where the written entries stand.
    pub index: Index<D>,
    /// Entries in memory.
    pub recent: Recent,
    /// The last entry, written or not.
    pub last: Option<LogId>,
    /// The durable vote.
    pub vote: Option<Vote>,
    /// What is known to be committed.
    pub committed: Option<LogId>,
    /// Entries up to here are hidden from Raft.
    pub purged: Option<LogId>,
}

/// One step of a read: from memory, or from a file, outside the lock.
enum Piece<D: Disk> {
    Memory(Vec<Entry>),
    File(Extent<D>),
    End,
}

impl<D: Disk> Shared<D> {
    /// A log as found on disk.
    pub fn new(directory: PathBuf, durable: Option<LogId>, inner: Inner<D>) -> Self {
        Self {
            directory,
            durable: watch::Sender::new(durable),
            full: watch::Sender::new(false),
            origin: watch::Sender::new(None),
            inner: Mutex::new(inner),
        }
    }

    /// The lock. It is never held over IO or an await, and a panic under it leaves nothing half changed.
    pub fn lock(&self) -> MutexGuard<'_, Inner<D>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Entries of `from..to`, as many as there are, stopping after about `bytes_max` (but never before the first).
    /// Blocks on the disk for what is not in memory.
    pub fn read(&self, from: u64, to: u64, bytes_max: usize) -> Result<Vec<Entry>, LogError> {
        let mut entries: Vec<Entry> = Vec::new();
        let (mut next, mut left) = (from, bytes_max);
        while next < to && (left > 0 || entries.is_empty()) {
            let piece = self.lock().piece(next, to, left);
            let found = match piece {
                Piece::Memory(found) => found,
                Piece::File(extent) => read::entries(&extent, convert::entry)?,
                Piece::End => break,
            };
            next += found.len() as u64;
            left = left.saturating_sub(found.iter().map(super::recent::weight).sum());
            entries.extend(found);
        }
        Ok(entries)
    }

    /// Whether a read of `from..to` needs no disk.
    pub fn in_memory(&self, from: u64, to: u64) -> bool {
        let inner = self.lock();
        let last = inner.last.map_or(0, |last| last.index + 1);
        inner.recent.get(from).is_some()
            && (to <= from + 1 || inner.recent.get(to.min(last).saturating_sub(1)).is_some())
    }

    /// The application's entry of this index, purged or not.
    pub fn application(&self, index: u64) -> Result<Option<Bytes>, LogError> {
        let Some(next) = index.checked_add(1) else { return Ok(None) };
        let found = self.read(index, next, 0)?;
        Ok(found.into_iter().next().and_then(|entry| match entry.payload {
            EntryPayload::Normal(data) => Some(data.0),
            EntryPayload::Blank | EntryPayload::Membership(_) => None,
        }))
    }
}

impl<D: Disk> Inner<D> {
    fn piece(&self, from: u64, to: u64, bytes_max: usize) -> Piece<D> {
        if self.recent.get(from).is_some() {
            let mut found: Vec<Entry> = Vec::new();
            let mut bytes = 0;
            while let Some(entry) = self.recent.get(from + found.len() as u64)
                && entry.log_id.index < to
            {
                bytes += super::recent::weight(entry);
                if !found.is_empty() && bytes > bytes_max {
                    break;
                }
                found.push(entry.clone());
            }
            return Piece::Memory(found);
        }
        match self.index.extent(from, to, bytes_max.min(EXTENT_BYTES_MAX)) {
            Some(extent) => Piece::File(extent),
            None => Piece::End,
        }
    }
}

impl<D: Disk> Inner<D> {
    /// The first entry that Raft may see.
    pub fn first(&self) -> Option<u64> {
        let stored = self.index.first().or_else(|| self.recent.first());
        stored.max(self.purged.map(|purged| purged.index + 1))
    }

    /// The last entry that stays when `from` and all after it go. Everything before is written.
    pub fn kept(&self, from: u64) -> Result<Option<LogId>, LogError> {
        let Some(before) = from.checked_sub(1) else { return Ok(self.purged) };
        let entry = match self.piece(before, from, 0) {
            Piece::Memory(found) => found.into_iter().next(),
            Piece::File(extent) => read::entries(&extent, convert::entry)?.into_iter().next(),
            Piece::End => None,
        };
        Ok(entry.map(|entry| entry.log_id).max(self.purged))
    }
}
