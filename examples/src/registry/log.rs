//! The log of acknowledgements: what the cluster promised, a line of JSON for each release.
//!
//! It is written by the side that was promised something, so that it can be held against any region later. Each step of
//! a release stands for itself: a record may be acknowledged while the fate of a counter is unknown, and what was
//! acknowledged must be kept in any case. A time-out is *unknown*, never *refused*: it may have been done or may yet be.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use trine_client::ClientError;
use trine_protocol::RequestError;

/// How one step ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Step {
    /// It was not tried, because an earlier one was not acknowledged.
    #[default]
    NotTried,
    /// The cluster said that it is done.
    Acknowledged,
    /// It may have been done or may yet be.
    Unknown {
        /// What the client said.
        why: String,
    },
    /// Nothing was done.
    Refused {
        /// What the client said.
        why: String,
    },
}

impl Step {
    /// How a call ended, and what it brought.
    pub fn of<T>(result: Result<T, ClientError>) -> (Self, Option<T>) {
        match result {
            Ok(brought) => (Self::Acknowledged, Some(brought)),
            Err(error) => {
                let why = error.to_string();
                (if undecided(&error) { Self::Unknown { why } } else { Self::Refused { why } }, None)
            }
        }
    }

    /// Whether it was acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> bool {
        *self == Self::Acknowledged
    }

    /// Whether it may have been done.
    #[must_use]
    pub fn perhaps(&self) -> bool {
        matches!(self, Self::Acknowledged | Self::Unknown { .. })
    }
}

/// Whether a failed write may have been done all the same. Whatever is not known to have done nothing may.
#[must_use]
pub fn undecided(error: &ClientError) -> bool {
    match error {
        ClientError::Request(RequestError::Unknown) => true,
        ClientError::Request(_) | ClientError::Unreachable { .. } | ClientError::Refused(_) => false,
        ClientError::TooShort { .. } | ClientError::RegionUnreachable { .. } => false,
        _ => true,
    }
}

/// Where a record stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Whose ledger.
    pub region: String,
    /// The record's index there.
    pub index: u64,
    /// Its hybrid time.
    pub timestamp: String,
    /// The leaf hash, 64 hexadecimal digits.
    pub leaf: String,
    /// Whether the ledger had it already, from an earlier try.
    pub duplicate: bool,
}

/// One release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The archive's SHA-256.
    pub sha256: String,
    /// The region that was asked.
    pub asked: String,
    /// When the first request was sent, by this machine's clock.
    pub begun_unix_ms: u64,
    /// When the last answer came or was given up.
    pub ended_unix_ms: u64,
    /// The record.
    pub record: Step,
    /// Where the record stands, when it was acknowledged.
    pub position: Option<Position>,
    /// The version in the set of versions.
    pub versions: Step,
    /// The register of the latest release.
    pub latest: Step,
    /// The counter of downloads.
    pub downloads: Step,
}

impl Entry {
    /// The steps in order, with their names.
    #[must_use]
    pub fn steps(&self) -> [(&'static str, &Step); 4] {
        [
            ("record", &self.record),
            ("versions", &self.versions),
            ("latest", &self.latest),
            ("downloads", &self.downloads),
        ]
    }

    /// Whether record and objects were all acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> bool {
        self.steps().iter().all(|(_, step)| step.acknowledged())
    }
}

/// A log that is being written.
#[derive(Debug)]
pub struct Writer {
    file: BufWriter<File>,
}

impl Writer {
    /// Begins a log in a new file.
    ///
    /// # Errors
    /// When it exists already or cannot be made.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create_new(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                anyhow::anyhow!("{} is there already: a log is never overwritten", path.display())
            }
            _ => anyhow::Error::new(error).context(format!("cannot make {}", path.display())),
        })?;
        Ok(Self { file: BufWriter::new(file) })
    }

    /// Writes an entry.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, entry: &Entry) -> io::Result<()> {
        serde_json::to_writer(&mut self.file, entry)?;
        self.file.write_all(b"\n")
    }

    /// Writes what is buffered and makes it last.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()
    }
}

/// Reads a log.
///
/// # Errors
/// When it cannot be read, or a line is no entry.
pub fn read(path: &Path) -> anyhow::Result<Vec<Entry>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut entries = Vec::new();
    for (line, number) in BufReader::new(file).lines().zip(1..) {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        let entry = serde_json::from_str(&line).with_context(|| format!("{} line {number}", path.display()))?;
        entries.push(entry);
    }
    Ok(entries)
}
