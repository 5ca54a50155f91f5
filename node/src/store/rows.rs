//! Rows on fjall, as the core reads them.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use fjall::config::CompressionPolicy;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use trine_journal::LogError;
use trine_journal::passing::passes;
use trine_replica::store::Store;
use trine_replica::{Persistence, StoreError};

use super::damage::{Damage, Part};
use super::floor::{Floor, NUMBER_KEY};
use super::limits::{JOURNAL_BYTES_MAX, OPEN_FILES_MAX, TABLE_WRITERS};
use super::making;
use super::row;
use super::synced::{JOURNAL, Synced};
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
    #[error("cannot read the floor of {}: {error}. Where all else on this disk is sound, delete that file", path.display())]
    Floor {
        /// The data directory.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The journal cannot be read.
    #[error("cannot open the journal: {0}")]
    Journal(LogError),
    /// Rows that were synced are gone.
    #[error(
        "{}: {held} groups of rows are there, {floor} were acknowledged: the disk was rolled back or damaged. \
         Wipe the directory and let the node join anew",
        path.display()
    )]
    RolledBack {
        /// The data directory.
        path: PathBuf,
        /// What its journal and its table hold.
        held: u64,
        /// What it held.
        floor: u64,
    },
    /// A database is damaged, and nobody has its rows again.
    #[error(
        "{} is damaged: {what}. No other node of the cluster holds its objects: restore {} from a copy, or move {} away and \
         give up the objects that are not in it",
        path.display(), path.display(), path.display()
    )]
    Alone {
        /// The database.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// A database is damaged again and again.
    #[error(
        "{} is damaged, though it was made anew several times: {what}. The disk fails: replace it, start with an empty \
         directory, and the node joins anew",
        path.display()
    )]
    Again {
        /// The database.
        path: PathBuf,
        /// What was found.
        what: String,
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
    pub(super) synced: Synced,
    pub(super) derived: Table,
    pub(super) data_dir: PathBuf,
    pub(super) damage: Option<Damage>,
}

impl Databases {
    /// Opens both, and refuses a database that lost what was acknowledged.
    ///
    /// # Errors
    /// [`OpenError`], worded for the operator.
    pub fn open(data_dir: &Path, storage: &StorageSection) -> Result<Self, OpenError> {
        let synced = Self::synced(data_dir, Table::open(data_dir, "synced", storage)?)?;
        let derived = Table::open(data_dir, "derived", storage)?;
        Ok(Self { synced, derived, data_dir: data_dir.to_owned(), damage: None })
    }

    /// The synced rows over their table, unless what was acknowledged is lost.
    pub(super) fn synced(data_dir: &Path, table: Table) -> Result<Synced, OpenError> {
        let path = data_dir.join("synced");
        let number = table.number().map_err(|error| OpenError::Number { path, error })?;
        let floor =
            Floor::new(data_dir).read().map_err(|error| OpenError::Floor { path: data_dir.to_owned(), error })?;
        let floor = floor.filter(|_| !mutants::is(Mutant::FloorIgnored));
        Synced::over(table, &data_dir.join(JOURNAL), floor, number).map_err(|error| match error {
            LogError::ShorterThanFloor { last, floor, .. } => {
                OpenError::RolledBack { path: data_dir.to_owned(), held: last.unwrap_or(number), floor }
            }
            error => OpenError::Journal(error),
        })
    }

    /// The rows as the core reads them; `entries` reads the log.
    #[must_use]
    pub fn rows(&self, entries: Box<dyn Entries>) -> Rows {
        let damage = self.damage.clone();
        Rows { synced: self.synced.clone(), derived: self.derived.clone(), entries, damage }
    }
}

impl Table {
    pub(super) fn open(data_dir: &Path, name: &'static str, storage: &StorageSection) -> Result<Self, OpenError> {
        let path = data_dir.join(name);
        let open = |path: &Path| Self::open_at(path, name, storage);
        making::make(&path, |beside| open(beside).map(drop))
            .and_then(|()| open(&path))
            .map_err(|error| OpenError::Database { path: path.clone(), error })
    }

    pub(super) fn open_at(path: &Path, name: &'static str, storage: &StorageSection) -> Result<Self, fjall::Error> {
        let database = Database::builder(path)
            .cache_size(storage.cache / 2)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .worker_threads(TABLE_WRITERS)
            .max_cached_files(Some(OPEN_FILES_MAX))
            .open()?;
        let options = || {
            let options = KeyspaceCreateOptions::default().max_memtable_size(storage.memtable);
            // What comes from the journal is written as a table at once: never bare, as memtables are at first.
            match name {
                "derived" => options,
                _ => options.data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4)),
            }
        };
        let keyspace = database.keyspace("rows", options)?;
        Ok(Self { name, database, keyspace })
    }

    /// The number of the last group of rows.
    pub(super) fn number(&self) -> Result<u64, StoreError> {
        let damaged = || StoreError::Damaged("the number of the last group".to_owned());
        match self.get(NUMBER_KEY)? {
            None => Ok(0),
            Some(bytes) => Ok(u64::from_be_bytes(bytes.as_ref().try_into().map_err(|_| damaged())?)),
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let stored = self.keyspace.get(key).map_err(|error| self.failed(&error))?;
        stored.map(|stored| row::open(self.name, key, &Bytes::from(stored))).transpose()
    }

    pub(super) fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
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

    /// Whether the database takes no write any more because its own threads met an error: a table that could not be merged.
    pub(super) fn stopped_itself(&self) -> bool {
        matches!(self.database.persist(PersistMode::Buffer), Err(fjall::Error::Poisoned))
    }

    fn failed(&self, error: &fjall::Error) -> StoreError {
        if is_damage(error) {
            return StoreError::Damaged(format!("a table of `{}`: {error}", self.name));
        }
        StoreError::Failed(format!("`{}`: {error}", self.name))
    }
}

/// Whether an error says that bytes are not what was written, and not that the system refuses (too many open files, a full
/// disk), which goes over. Blocks bear checksums: what fjall cannot decode is damage.
pub(super) fn is_damage(error: &fjall::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
    if matches!(error, fjall::Error::Poisoned | fjall::Error::Locked | fjall::Error::KeyspaceDeleted) {
        return false;
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return matches!(error.kind(), InvalidData | InvalidInput | NotFound | UnexpectedEof);
        }
        cause = error.source();
    }
    true
}

/// Whether the disk had no room, or the process no descriptor left; nothing else is wrong then.
pub(super) fn goes_over(error: &fjall::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return passes(error);
        }
        cause = error.source();
    }
    false
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
    synced: Synced,
    derived: Table,
    entries: Box<dyn Entries>,
    damage: Option<Damage>,
}

impl Rows {
    /// What was read, or that it is damaged, which is noted.
    fn noted<T>(&self, part: Part, read: Result<T, StoreError>) -> Result<T, StoreError> {
        if let (Some(damage), Err(StoreError::Damaged(what))) = (&self.damage, &read) {
            damage.found(part, what);
        }
        read
    }
}

impl Store for Rows {
    fn get(&self, kind: Persistence, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let read = match kind {
            Persistence::Synced => self.synced.get(key),
            Persistence::Derived => self.derived.get(key),
        };
        self.noted(part(kind), read)
    }

    fn scan(
        &self,
        kind: Persistence,
        from: &[u8],
        to: &[u8],
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let read = match kind {
            Persistence::Synced => self.synced.scan(from, to, limit, reverse),
            Persistence::Derived => self.derived.scan(from, to, limit, reverse),
        };
        self.noted(part(kind), read)
    }

    fn entry(&self, index: u64) -> Result<Option<Bytes>, StoreError> {
        self.noted(Part::Log, self.entries.entry(index))
    }
}

fn part(kind: Persistence) -> Part {
    match kind {
        Persistence::Synced => Part::Synced,
        Persistence::Derived => Part::Derived,
    }
}
