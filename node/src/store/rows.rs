//! Rows on fjall, as the core reads them.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use trine_replica::store::Store;
use trine_replica::{Persistence, StoreError};

use super::floor::{Floor, NUMBER_KEY};
use super::limits::{JOURNAL_BYTES_MAX, OPEN_FILES_MAX, TABLE_WRITERS};
use super::making;
use super::row;
use crate::config::StorageSection;
use crate::mutants::{self, Mutant};

/// Why the rows cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database refuses.
    #[error("cannot open {}: {error}", path.display())]
    Database {
        /// Where.
        path: PathBuf,
        /// Why.
        error: fjall::Error,
    },
    /// The floor file cannot be read.
    #[error("cannot read the floor of {}: {error}", path.display())]
    Floor {
        /// The data directory.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Rows that were synced are gone.
    #[error(
        "{}: {held} groups of rows are there, {floor} were acknowledged: the disk was rolled back or damaged. \
         Wipe the directory and let the node join anew",
        path.display()
    )]
    RolledBack {
        /// The database.
        path: PathBuf,
        /// What it holds.
        held: u64,
        /// What it held.
        floor: u64,
    },
    /// The number of the last group cannot be read.
    #[error("{}: {error}", path.display())]
    Number {
        /// The database.
        path: PathBuf,
        /// Why.
        error: StoreError,
    },
}

/// One database with its one keyspace.
#[derive(Clone)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) database: Database,
    pub(super) keyspace: Keyspace,
}

/// The two databases of a node.
#[derive(Clone)]
pub struct Databases {
    pub(super) synced: Table,
    pub(super) derived: Table,
    pub(super) data_dir: PathBuf,
    pub(super) number: u64,
}

impl Databases {
    /// Opens both, and refuses a database that lost what was acknowledged.
    ///
    /// # Errors
    /// [`OpenError`], worded for the operator.
    pub fn open(data_dir: &Path, storage: &StorageSection) -> Result<Self, OpenError> {
        let synced = Table::open(data_dir, "synced", storage)?;
        let derived = Table::open(data_dir, "derived", storage)?;
        let path = data_dir.join("synced");
        let held = synced.number().map_err(|error| OpenError::Number { path: path.clone(), error })?;
        let floor =
            Floor::new(data_dir).read().map_err(|error| OpenError::Floor { path: data_dir.to_owned(), error })?;
        match floor {
            Some(floor) if held < floor && !mutants::is(Mutant::FloorIgnored) => {
                Err(OpenError::RolledBack { path, held, floor })
            }
            _ => Ok(Self { synced, derived, data_dir: data_dir.to_owned(), number: held }),
        }
    }

    /// The rows as the core reads them; `entries` reads the log.
    #[must_use]
    pub fn rows(&self, entries: Box<dyn Entries>) -> Rows {
        Rows { synced: self.synced.clone(), derived: self.derived.clone(), entries }
    }
}

impl Table {
    fn open(data_dir: &Path, name: &'static str, storage: &StorageSection) -> Result<Self, OpenError> {
        let path = data_dir.join(name);
        let open = |path: &Path| {
            let database = Database::builder(path)
                .cache_size(storage.cache / 2)
                .max_journaling_size(JOURNAL_BYTES_MAX)
                .worker_threads(TABLE_WRITERS)
                .max_cached_files(Some(OPEN_FILES_MAX))
                .open()?;
            let options = || KeyspaceCreateOptions::default().max_memtable_size(storage.memtable);
            let keyspace = database.keyspace("rows", options)?;
            Ok(Self { name, database, keyspace })
        };
        making::make(&path, |beside| open(beside).map(drop))
            .and_then(|()| open(&path))
            .map_err(|error| OpenError::Database { path: path.clone(), error })
    }

    /// The number of the last group of rows.
    fn number(&self) -> Result<u64, StoreError> {
        let damaged = || StoreError::Damaged("the number of the last group".to_owned());
        match self.get(NUMBER_KEY)? {
            None => Ok(0),
            Some(bytes) => Ok(u64::from_be_bytes(bytes.as_ref().try_into().map_err(|_| damaged())?)),
        }
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let stored = self.keyspace.get(key).map_err(|error| self.failed(&error))?;
        stored.map(|stored| row::open(self.name, key, &Bytes::from(stored))).transpose()
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize, reverse: bool) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let range = self.keyspace.range(from..to);
        let read = |guard: fjall::Guard| -> Result<(Bytes, Bytes), StoreError> {
            let (key, stored) = guard.into_inner().map_err(|error| self.failed(&error))?;
            let value = row::open(self.name, &key, &Bytes::from(stored))?;
            Ok((Bytes::from(key), value))
        };
        let ours = |row: &Result<(Bytes, Bytes), StoreError>| !matches!(row, Ok((key, _)) if key == NUMBER_KEY);
        if reverse {
            range.rev().map(read).filter(ours).take(limit).collect()
        } else {
            range.map(read).filter(ours).take(limit).collect()
        }
    }

    fn failed(&self, error: &fjall::Error) -> StoreError {
        match error {
            fjall::Error::Io(_) | fjall::Error::Poisoned => StoreError::Failed(format!("`{}`: {error}", self.name)),
            // Blocks bear checksums too: what fjall cannot decode is damage.
            _ => StoreError::Damaged(format!("a table of `{}`: {error}", self.name)),
        }
    }
}

/// Reads the region's log.
pub trait Entries: Send {
    /// The committed entry of this index; none for blank and membership entries and for what is not there.
    ///
    /// # Errors
    /// [`StoreError`] when the bytes are damaged or the disk fails.
    fn entry(&self, index: u64) -> Result<Option<Bytes>, StoreError>;
}

/// Local state as the core reads it.
pub struct Rows {
    synced: Table,
    derived: Table,
    entries: Box<dyn Entries>,
}

impl Rows {
    fn table(&self, kind: Persistence) -> &Table {
        match kind {
            Persistence::Synced => &self.synced,
            Persistence::Derived => &self.derived,
        }
    }
}

impl Store for Rows {
    fn get(&self, kind: Persistence, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.table(kind).get(key)
    }

    fn scan(
        &self,
        kind: Persistence,
        from: &[u8],
        to: &[u8],
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.table(kind).scan(from, to, limit, reverse)
    }

    fn entry(&self, index: u64) -> Result<Option<Bytes>, StoreError> {
        self.entries.entry(index)
    }
}
