//! The data directory: who this disk is, and that only one process has it.
//!
//! The node id is drawn when a directory is first used and written before anything else. A directory that holds rows but no
//! identity was half wiped; it is refused, because a new id over old rows would let a voter vote twice.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use trine_crdt::NodeId;
use trine_journal::textfile::{self, Contents};

use super::making;

/// The format of a data directory: the second, in which synced rows go through a journal.
pub const FORMAT: u32 = 2;
const IDENTITY_FILE: &str = "node";
const LOCK_FILE: &str = "lock";
const HELD: [&str; 5] = ["synced", "journal", "derived", "raft", "floor"];

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The system refuses.
    #[error("{}: {error}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another process has it.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The identity file is not what was written.
    #[error("the identity file {} is damaged: restore it, or wipe the directory and let the node join anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// There are rows but no identity.
    #[error("{} holds data ({found}) but no identity: wipe it whole and let the node join anew", path.display())]
    HalfWiped {
        /// The directory.
        path: PathBuf,
        /// What was found.
        found: String,
    },
    /// It belongs to somebody else.
    #[error("{} belongs to {what} `{actual}`, not `{expected}`: use another directory", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Cluster or node.
        what: &'static str,
        /// Whose it is.
        actual: String,
        /// Who wants it.
        expected: String,
    },
    /// Another program wrote it, newer or older.
    #[error(
        "{} has format {format}, and this program reads {FORMAT}: start the program that wrote it, or wipe the directory and \
         let the node join anew",
        path.display()
    )]
    Format {
        /// The directory.
        path: PathBuf,
        /// Its format.
        format: String,
    },
}

/// An open data directory; locked while this value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    node: NodeId,
    fresh: bool,
    _lock: File,
}

impl DataDir {
    /// Opens the directory for the node `name` of `cluster`, and makes it one when it is empty or missing.
    ///
    /// # Errors
    /// [`DataDirError`], worded for the operator.
    pub fn open(path: &Path, cluster: &str, name: &str) -> Result<Self, DataDirError> {
        let io_error = |error| DataDirError::Io { path: path.to_owned(), error };
        making::make_directory(path).map_err(io_error)?;
        textfile::sync_parent(path).map_err(io_error)?;
        let lock = lock(path)?;
        let file = path.join(IDENTITY_FILE);
        match belongs(path, cluster, name)? {
            Some(node) => Ok(Self { path: path.to_owned(), node, fresh: false, _lock: lock }),
            None => {
                let node = draw_node_id();
                let lines = [
                    ("format", FORMAT.to_string()),
                    ("node", node.to_string()),
                    ("cluster", cluster.to_owned()),
                    ("name", name.to_owned()),
                ];
                let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
                textfile::replace(&file, &lines).map_err(io_error)?;
                Ok(Self { path: path.to_owned(), node, fresh: true, _lock: lock })
            }
        }
    }

    /// Whether [`Self::open`] would take the directory, as far as can be told without making, writing or locking anything; one
    /// that another process has is fine.
    ///
    /// # Errors
    /// As [`Self::open`], and when the directory is missing and could not be made.
    pub fn check(path: &Path, cluster: &str, name: &str) -> Result<(), DataDirError> {
        making::can_make_directory(path).map_err(|error| DataDirError::Io { path: path.to_owned(), error })?;
        belongs(path, cluster, name).map(|_| ())
    }

    /// Opens a directory that is there, whosever it is; which cluster it is of, and the name of its node.
    ///
    /// # Errors
    /// [`DataDirError`], worded for the operator.
    pub fn found(path: &Path) -> Result<(Self, String, String), DataDirError> {
        let file = path.join(IDENTITY_FILE);
        let io_error = |error| DataDirError::Io { path: file.clone(), error };
        match textfile::read(&file).map_err(io_error)? {
            Contents::Absent => Err(io_error(io::ErrorKind::NotFound.into())),
            Contents::Damaged => Err(DataDirError::Damaged { path: file }),
            Contents::Lines(lines) => {
                let value = |key: &str| {
                    let found = lines.iter().find(|(name, _)| name == key);
                    found.map(|(_, value)| value.clone()).unwrap_or_default()
                };
                let (cluster, name) = (value("cluster"), value("name"));
                Ok((Self::open(path, &cluster, &name)?, cluster, name))
            }
        }
    }

    /// Gives the disk another id, drawn afresh: nobody may take it for the node that it was.
    ///
    /// # Errors
    /// What the system says; the id is the old one then, or the new one.
    pub fn rename(&self, node: NodeId, cluster: &str, name: &str) -> Result<(), DataDirError> {
        let file = self.path.join(IDENTITY_FILE);
        let (format, node) = (FORMAT.to_string(), node.to_string());
        let lines = [("format", format.as_str()), ("node", &node), ("cluster", cluster), ("name", name)];
        textfile::replace(&file, &lines).map_err(|error| DataDirError::Io { path: file, error })
    }

    /// The disk's id.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Whether this is the directory's first use.
    #[must_use]
    pub fn fresh(&self) -> bool {
        self.fresh
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the log lives.
    #[must_use]
    pub fn raft(&self) -> PathBuf {
        self.path.join("raft")
    }
}

/// The id in a directory of the node `name` of `cluster`; none when it is unused.
fn belongs(path: &Path, cluster: &str, name: &str) -> Result<Option<NodeId>, DataDirError> {
    let file = path.join(IDENTITY_FILE);
    match textfile::read(&file).map_err(|error| DataDirError::Io { path: path.to_owned(), error })? {
        Contents::Damaged => Err(DataDirError::Damaged { path: file }),
        Contents::Lines(lines) => admit(path, &file, &lines, cluster, name).map(Some),
        Contents::Absent => match HELD.iter().find(|name| path.join(name).exists()) {
            Some(found) => Err(DataDirError::HalfWiped { path: path.to_owned(), found: (*found).to_owned() }),
            None => Ok(None),
        },
    }
}

fn lock(path: &Path) -> Result<File, DataDirError> {
    let file = path.join(LOCK_FILE);
    let io_error = |error| DataDirError::Io { path: file.clone(), error };
    let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&file).map_err(io_error)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(DataDirError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io_error(error)),
    }
}

fn admit(
    path: &Path,
    file: &Path,
    lines: &[(String, String)],
    cluster: &str,
    name: &str,
) -> Result<NodeId, DataDirError> {
    let value =
        |key: &str| lines.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str()).unwrap_or_default();
    if value("format") != FORMAT.to_string() {
        return Err(DataDirError::Format { path: path.to_owned(), format: value("format").to_owned() });
    }
    for (what, key, expected) in [("cluster", "cluster", cluster), ("node", "name", name)] {
        if value(key) != expected {
            let (actual, expected) = (value(key).to_owned(), expected.to_owned());
            return Err(DataDirError::Foreign { path: path.to_owned(), what, actual, expected });
        }
    }
    value("node").parse().map_err(|_| DataDirError::Damaged { path: file.to_owned() })
}

/// An id for a disk.
pub(crate) fn draw_node_id() -> NodeId {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the system has a random source");
    // 0 stands for "nobody" in a few places; one draw in 2^64 is moved aside.
    NodeId(u64::from_be_bytes(bytes).max(1))
}
