//! The list of a database's tables, and what each must be, checked before it is believed.
//!
//! fjall writes the list with a checksum beside it (`current`: the list's number, its xxh3, the kind of hash) and compares neither that when
//! it opens, nor ever the checksums of whole tables that the list holds. A bit that is turned in the list can leave a table
//! out, and with it the newest rows: what is read then is old, and bears good checksums.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::limits::SCRUB_BYTES_AT_ONCE;

const CURRENT: &str = "current";
const TABLES: &str = "tables";

/// A table, and the hash of the whole file.
pub(super) struct Table {
    pub(super) path: PathBuf,
    sum: u128,
}

impl Table {
    /// Whether the file is what was written; `pause` is called between pieces, and ends it when it says false.
    pub(super) fn is_whole(&self, mut pause: impl FnMut() -> bool) -> io::Result<Option<bool>> {
        let mut file = File::open(&self.path)?;
        let (mut hasher, mut bytes) = (Xxh3::new(), vec![0; SCRUB_BYTES_AT_ONCE]);
        loop {
            let length = file.read(&mut bytes)?;
            if length == 0 {
                return Ok(Some(hasher.digest128() == self.sum));
            }
            hasher.update(&bytes[..length]);
            if !pause() {
                return Ok(None);
            }
        }
    }
}

/// All tables that the lists below a database's directory name.
///
/// # Errors
/// What the system says; `InvalidData`, naming the file, for a list that is not what was written.
pub(super) fn tables(directory: &Path) -> io::Result<Vec<Table>> {
    let mut tables = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            tables.extend(self::tables(&path)?);
        } else if entry.file_name() == CURRENT {
            tables.extend(listed(&path)?);
        }
    }
    Ok(tables)
}

/// The first damage that shows in a database's list of tables, or in a table as a whole.
pub(super) fn damaged_file(directory: &Path) -> Option<String> {
    match tables(directory) {
        Ok(tables) => {
            let bad = tables.into_iter().find(|table| table.is_whole(|| true).is_ok_and(|whole| whole == Some(false)));
            bad.map(|table| format!("{} is not what was written", table.path.display()))
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Some(error.to_string()),
        Err(_) => None,
    }
}

fn listed(current: &Path) -> io::Result<Vec<Table>> {
    let named = std::fs::read(current)?;
    let (number, rest) = named.split_first_chunk::<8>().ok_or_else(|| damaged(current))?;
    let (sum, kind) = rest.split_first_chunk::<16>().ok_or_else(|| damaged(current))?;
    if kind != [0] {
        return Err(damaged(current));
    }
    let list = current.with_file_name(format!("v{}", u64::from_le_bytes(*number)));
    let bytes = std::fs::read(&list).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => damaged(current),
        _ => error,
    })?;
    if xxh3_128(&bytes) != u128::from_le_bytes(*sum) {
        return Err(damaged(&list));
    }
    let reader = sfa::Reader::new(&list).map_err(|_| damaged(&list))?;
    let section = reader.toc().section(b"tables").ok_or_else(|| damaged(&list))?;
    let mut section = section.buf_reader(&list)?;
    let mut tables = Vec::new();
    for _level in 0..number_of::<1>(&mut section)? {
        for _run in 0..number_of::<1>(&mut section)? {
            for _table in 0..number_of::<4>(&mut section)? {
                let id = number_of::<8>(&mut section)?;
                let _kind = number_of::<1>(&mut section)?;
                let mut sum = [0; 16];
                section.read_exact(&mut sum)?;
                let _sequence = number_of::<8>(&mut section)?;
                let path = current.with_file_name(TABLES).join(id.to_string());
                tables.push(Table { path, sum: u128::from_le_bytes(sum) });
            }
        }
    }
    Ok(tables)
}

fn damaged(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} is not what was written", path.display()))
}

/// A little-endian number of this many bytes.
fn number_of<const BYTES: usize>(from: &mut impl io::Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes[..BYTES])?;
    Ok(u64::from_le_bytes(bytes))
}
