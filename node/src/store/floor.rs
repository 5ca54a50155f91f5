//! The floor: what a database of acknowledged rows must at least hold when it is opened.
//!
//! Each group of the journal bears the next number, and a row of the table says up to which number it has all. The floor file
//! names a number that was synced. What ends below it was cut by damage or restored from an old copy; to serve
//! from it would be to forget what was acknowledged.

use std::io;
use std::path::{Path, PathBuf};

use trine_journal::textfile::{self, Contents};

/// The row that holds the number; no key of the core begins so.
pub(super) const NUMBER_KEY: &[u8] = b"\xff\xff\xff\xfftrine/number";

/// The floor's file.
pub(super) struct Floor {
    path: PathBuf,
}

impl Floor {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self { path: data_dir.join("floor") }
    }

    /// The number written last, none when there is no file yet, an error when it is damaged.
    pub(super) fn read(&self) -> io::Result<Option<u64>> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged", self.path.display()));
        match textfile::read(&self.path)? {
            Contents::Absent => Ok(None),
            Contents::Damaged => Err(damaged()),
            Contents::Lines(lines) => match lines.as_slice() {
                [(name, value)] if name == "groups" => value.parse().map(Some).map_err(|_| damaged()),
                _ => Err(damaged()),
            },
        }
    }

    /// Writes a number that was synced.
    pub(super) fn write(&self, number: u64) -> io::Result<()> {
        textfile::replace(&self.path, &[("groups", &number.to_string())])
    }
}
