//! The few numbers beside the log: vote, commit, purge mark and floor.
//!
//! One small file, replaced as a whole (temporary file, fsync, rename, fsync of the directory), so there is always
//! exactly one and a bit that flips in it is seen. The *floor* is the last index known durable when the file was
//! written: a log that ends before it has lost what this node may have acknowledged, and must not vote.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use trine_crdt::codec;
use trine_journal::LogError;
use trine_journal::disk::{Disk, DiskFile as _};
use trine_journal::mutants::{self, Mutant};

use crate::types::{LogId, Vote};

const NAME: &str = "state";
const MAGIC: &[u8; 8] = b"trineRS1";
const SUM_BYTES: usize = 16;

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The vote that this node gave.
    pub vote: Option<Vote>,
    /// What it knew to be committed; may lag.
    pub committed: Option<LogId>,
    /// Entries up to here may be missing: the log began behind them.
    pub purged: Option<LogId>,
    /// The last entry known durable.
    pub floor: Option<LogId>,
}

impl State {
    /// Reads the file; none when there is none.
    pub fn load(disk: &impl Disk, directory: &Path) -> Result<Option<Self>, LogError> {
        let path = path(directory);
        let bytes = match disk.read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LogError::Io { what: "reading", file: path, error }),
        };
        let damaged = |reason: &str| LogError::Damaged { file: path.clone(), offset: 0, reason: reason.to_owned() };
        let body = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("not a state file"))?;
        let (sum, body) = body.split_at_checked(SUM_BYTES).ok_or_else(|| damaged("too short"))?;
        if blake3::hash(body).as_bytes()[..SUM_BYTES] != *sum {
            return Err(damaged("checksum does not match"));
        }
        codec::decode(body).map(Some).map_err(|error| damaged(&error.to_string()))
    }

    /// Replaces the file; durable when it returns.
    pub fn store(&self, disk: &impl Disk, directory: &Path) -> Result<(), LogError> {
        let body = codec::encode(self);
        let sum = blake3::hash(&body);
        let bytes = [MAGIC, &sum.as_bytes()[..SUM_BYTES], &body].concat();
        let temporary = directory.join("state.new");
        let write = || {
            let file = disk.create(&temporary)?;
            file.write_all_at(&bytes, 0)?;
            file.sync_all()?;
            disk.rename(&temporary, &path(directory))?;
            if mutants::is(Mutant::DirectoryUnsynced) { Ok(()) } else { disk.sync_directory(directory) }
        };
        write().map_err(LogError::io("writing", path(directory)))
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join(NAME)
}
