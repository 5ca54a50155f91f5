//! A prefix of a log, as a snapshot: a claim on the log that has it, or a file that it was received into.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use trine_ledger::frame::{FRAME_HEADER_BYTES, FileHeader};
use trine_ledger::limits::FRAME_PAYLOAD_BYTES_MAX;

use super::log::{Disk, LogStore, convert};
use super::types::{Entry, LogId, Types};

/// A prefix of a log: its entries, read piece by piece when they are asked for.
pub struct Prefix(BoxStream<'static, io::Result<Entry>>);

impl std::fmt::Debug for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prefix").finish_non_exhaustive()
    }
}

impl Prefix {
    /// The entries of `log` up to `upto`.
    #[must_use]
    pub fn of_log<D: Disk, C: Types>(log: &LogStore<D, C>, upto: Option<LogId>) -> Self {
        Self(log.entries(0..upto.map_or(0, |upto| upto.index + 1)).boxed())
    }

    /// The entries that were spooled.
    #[must_use]
    pub fn received(spool: Spool) -> Self {
        let entries = stream::try_unfold(Some(spool.0), |file| async move {
            let Some(mut file) = file else { return Ok(None) };
            let step = tokio::task::spawn_blocking(move || {
                let entry = next(&mut file)?;
                Ok::<_, io::Error>((entry, file))
            });
            let (entry, file) = step.await.map_err(io::Error::other)??;
            Ok(entry.map(|entry| (entry, Some(file))))
        });
        Self(entries.boxed())
    }

    /// Entries that are in memory.
    #[must_use]
    pub fn of_entries(entries: Vec<Entry>) -> Self {
        Self(stream::iter(entries.into_iter().map(Ok)).boxed())
    }

    /// All entries, in order.
    #[must_use]
    pub fn entries(self) -> BoxStream<'static, io::Result<Entry>> {
        self.0
    }
}

/// A file without a name that received entries are written to; it vanishes with the process.
#[derive(Debug)]
pub struct Spool(File);

impl Spool {
    /// An empty one in `directory`.
    ///
    /// # Errors
    /// When the disk does not answer.
    pub fn new(directory: &Path) -> io::Result<Self> {
        let path = directory.join("received.prefix");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(Self(file))
    }

    /// Adds entries.
    ///
    /// # Errors
    /// When the disk is full or does not answer.
    pub fn push(&mut self, entries: &[Entry]) -> io::Result<()> {
        let mut bytes = Vec::new();
        entries.iter().for_each(|entry| convert::write_entry(&mut bytes, &SPOOL, entry, 0));
        self.0.write_all(&bytes)
    }

    /// Ready to be read.
    ///
    /// # Errors
    /// When the disk does not answer.
    pub fn finish(mut self) -> io::Result<Self> {
        self.0.seek(SeekFrom::Start(0))?;
        Ok(self)
    }
}

/// Spools have no header: they never outlive the process that wrote them.
const SPOOL: FileHeader = FileHeader { first: 0, salt: [0; 32] };

fn next(file: &mut File) -> io::Result<Option<Entry>> {
    let mut bytes = vec![0; FRAME_HEADER_BYTES];
    if file.read(&mut bytes[..1])? == 0 {
        return Ok(None);
    }
    file.read_exact(&mut bytes[1..])?;
    let damaged = |reason: String| io::Error::new(io::ErrorKind::InvalidData, format!("received prefix: {reason}"));
    let length = u32::from_be_bytes(bytes[..4].try_into().expect("four bytes")) as usize;
    if length > FRAME_PAYLOAD_BYTES_MAX {
        return Err(damaged("impossible length".to_owned()));
    }
    bytes.resize(FRAME_HEADER_BYTES + length, 0);
    file.read_exact(&mut bytes[FRAME_HEADER_BYTES..])?;
    let bytes = Bytes::from(bytes);
    let frame = SPOOL.read_frame(0, &bytes).map_err(|error| damaged(error.to_string()))?;
    convert::entry(&frame, bytes.slice(FRAME_HEADER_BYTES..)).map(Some).map_err(damaged)
}
