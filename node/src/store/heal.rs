//! Opening the databases of a disk that may be damaged: what cannot be gone on with is put aside, and another is made.
//!
//! Derived rows are made again from the log and by peers: an empty database is all it takes. Of the synced rows nobody but
//! this disk can say which are gone, so none of its objects count as held any more: the new database begins with the mark
//! of the clock, evidence of forks and a row that says that the node catches up, and its peers give it what they hold. What
//! this node alone held (a write that no peer had yet) is in the database that was put aside. A node that starts again before it
//! has caught up goes on with the new one: what it said that it holds of its peers' it holds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use fjall::PersistMode;
use trine_journal::LogError;
use trine_replica::{StoreError, rows};

use super::damage::{Damage, Part};
use super::floor::{Floor, NUMBER_KEY};
use super::rows::{Databases, OpenError, Table, is_damage};
use super::synced::{JOURNAL, Synced};
use super::{making, manifest, row};
use crate::config::StorageSection;

/// Where the mark of the clock cannot be read: further ahead than any mark and drift that were allowed together.
const MARK_AHEAD_NS: u64 = 3_000_000_000;

impl Databases {
    /// Opens both and heals what can be.
    ///
    /// # Errors
    /// [`OpenError`], worded for the operator.
    pub fn open_healing(data_dir: &Path, storage: &StorageSection, damage: &Damage) -> Result<Self, OpenError> {
        let synced = loop {
            match Self::synced(data_dir, open(data_dir, storage, damage, Part::Synced)?) {
                Err(OpenError::Journal(error @ LogError::Damaged { .. })) => {
                    damage.found(Part::Synced, &error.to_string());
                }
                synced => break synced?,
            }
        };
        let derived = open(data_dir, storage, damage, Part::Derived)?;
        Ok(Self { synced, derived, data_dir: data_dir.to_owned(), damage: Some(damage.clone()) })
    }
}

fn open(data_dir: &Path, storage: &StorageSection, damage: &Damage, part: Part) -> Result<Table, OpenError> {
    let path = data_dir.join(part.name());
    if damage.goes_on(part) {
        match opened(data_dir, storage, part) {
            Ok(table) => return Ok(table),
            Err(Refused::Otherwise(error)) => return Err(error),
            Err(Refused::Damaged(what)) => damage.found(part, &what),
        }
    }
    let what = damage.pending(part).unwrap_or_default();
    if !damage.heals(part) {
        return Err(OpenError::Alone { path, what });
    }
    let io_error = |error: std::io::Error| OpenError::Database { path: path.clone(), error: error.into() };
    let (journal, journal_aside) = (data_dir.join(JOURNAL), data_dir.join(format!("{JOURNAL}.damaged")));
    let aside = data_dir.join(format!("{}.damaged", part.name()));
    // Of a damage that was healed; from here on what is put aside is of this one.
    if !damage.heals_already(part) && part == Part::Synced {
        for aside in [&aside, &journal_aside].into_iter().filter(|aside| aside.exists()) {
            std::fs::remove_dir_all(aside).map_err(io_error)?;
        }
    }
    if !damage.tried(part) {
        return Err(OpenError::Again { path, what });
    }
    tracing::warn!(part = part.name(), what, "the database is made anew");
    if part == Part::Derived {
        // A process that was killed in the middle of this may have removed it already.
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io_error(error)),
            _ => {}
        }
        let table = Table::open(data_dir, part.name(), storage)?;
        damage.begun(part);
        return Ok(table);
    }
    for (path, aside) in [(&path, &aside), (&journal, &journal_aside)].into_iter().filter(|(path, _)| path.exists()) {
        if aside.exists() {
            // This one holds what peers gave since, and is damaged, too; what was put aside holds what they may not have.
            std::fs::remove_dir_all(path).map_err(io_error)?;
        } else {
            std::fs::rename(path, aside).map_err(io_error)?;
        }
    }
    let floor = Floor::new(data_dir);
    let acknowledged = floor.read().ok().flatten();
    let (first_rows, held) = kept(&aside, &journal_aside, acknowledged, storage);
    let number = acknowledged.unwrap_or_default().max(held);
    let table = begin(data_dir, storage, part, &first_rows, number)?;
    floor.write(number).map_err(io_error)?;
    damage.begun(part);
    Ok(table)
}

/// Why a database was not opened.
enum Refused {
    /// Its bytes are not what was written.
    Damaged(String),
    /// The system refuses.
    Otherwise(OpenError),
}

/// Opens a database, after a look at its list of tables.
fn opened(data_dir: &Path, storage: &StorageSection, part: Part) -> Result<Table, Refused> {
    use std::io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    let path = data_dir.join(part.name());
    let failed = |error: std::io::Error| match error.kind() {
        InvalidData | UnexpectedEof | NotFound => Refused::Damaged(error.to_string()),
        _ => Refused::Otherwise(OpenError::Database { path: path.clone(), error: error.into() }),
    };
    if path.exists() {
        manifest::tables(&path).map_err(failed)?;
    }
    // What fjall reads without a checksum it may believe, and trip over.
    match catch_unwind(AssertUnwindSafe(|| Table::open(data_dir, part.name(), storage))) {
        Ok(Ok(table)) if part == Part::Synced => sound(data_dir, table),
        Ok(Ok(table)) => Ok(table),
        Ok(Err(OpenError::Database { error, path })) if is_damage(&error) => {
            Err(Refused::Damaged(format!("{} cannot be opened: {error}", path.display())))
        }
        Ok(Err(error)) => Err(Refused::Otherwise(error)),
        Err(_) => Err(Refused::Damaged(format!("{} cannot be opened", path.display()))),
    }
}

/// Whether the numbers by which it is seen that rows are gone can be read.
fn sound(data_dir: &Path, table: Table) -> Result<Table, Refused> {
    if let Err(StoreError::Damaged(what)) = table.number() {
        return Err(Refused::Damaged(what));
    }
    match Floor::new(data_dir).read() {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Err(Refused::Damaged(error.to_string())),
        _ => Ok(table),
    }
}

type Row = (Bytes, Bytes);

/// What is kept of what was put aside: evidence, of the table alone where its journal cannot be read whole, and the mark of
/// the clock, or one that is surely above it; and the number of the last group.
fn kept(aside: &Path, journal: &Path, floor: Option<u64>, storage: &StorageSection) -> (Vec<Row>, u64) {
    let mark_of = |row: Option<Bytes>| row.and_then(|mark| Some(u64::from_be_bytes(mark.as_ref().try_into().ok()?)));
    let read = || -> Option<(u64, bool, Vec<Row>, u64)> {
        let (parent, name): (PathBuf, &'static str) = (aside.parent()?.to_owned(), "synced.damaged");
        let table = Table::open(&parent, name, storage).ok()?;
        let number = table.number().unwrap_or_default();
        let (from, to) = (b"q", rows::after_prefix(b"q"));
        let Ok(synced) = Synced::over(table.clone(), journal, floor, number) else {
            let mark = mark_of(table.get(rows::CLOCK).ok().flatten()).unwrap_or_default();
            return Some((mark, false, table.scan(from, &to, usize::MAX, false).unwrap_or_default(), number));
        };
        let evidence = synced.scan(from, &to, usize::MAX, false).unwrap_or_default();
        let mark = mark_of(synced.get(rows::CLOCK).ok().flatten());
        Some((mark.unwrap_or_default(), mark.is_some(), evidence, synced.last()))
    };
    let (mark, whole, mut kept, number) = catch_unwind(AssertUnwindSafe(read)).ok().flatten().unwrap_or_default();
    let mark = if whole {
        mark
    } else {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall_ns = u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX);
        mark.max(wall_ns.saturating_add(MARK_AHEAD_NS))
    };
    kept.push((Bytes::from_static(rows::CLOCK), Bytes::copy_from_slice(&mark.to_be_bytes())));
    kept.push((Bytes::from_static(rows::JOINING), Bytes::from_static(rows::JOINING_DAMAGED)));
    (kept, number)
}

/// Makes a database that begins with some rows; whole or not at all.
fn begin(
    data_dir: &Path,
    storage: &StorageSection,
    part: Part,
    first: &[Row],
    number: u64,
) -> Result<Table, OpenError> {
    let path = data_dir.join(part.name());
    let build = |beside: &Path| -> Result<(), fjall::Error> {
        let table = Table::open_at(beside, part.name(), storage)?;
        let mut batch = table.database.batch();
        let number = (Bytes::from_static(NUMBER_KEY), Bytes::copy_from_slice(&number.to_be_bytes()));
        for (key, value) in first.iter().chain(std::iter::once(&number)) {
            batch.insert(&table.keyspace, key.clone(), row::seal(key, value));
        }
        batch.durability(Some(PersistMode::SyncAll)).commit()
    };
    making::make(&path, build).map_err(|error| OpenError::Database { path: path.clone(), error })?;
    Table::open(data_dir, part.name(), storage)
}
