//! Why a log cannot be opened or read.

use std::io;
use std::path::PathBuf;

use crate::passing::passes;

/// Why a log cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Bytes that were durable are not what was written.
    #[error("damaged data in {} at byte {offset}: {reason}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// The log ends before what this node had made durable and may have acknowledged.
    #[error("the log in {} ends at {last:?}, before {floor}, which was durable", directory.display())]
    ShorterThanFloor {
        /// The log's directory.
        directory: PathBuf,
        /// The last index that is there.
        last: Option<u64>,
        /// The index that was durable.
        floor: u64,
    },
    /// Another process, or another group of this one, has the log open.
    #[error("the log in {} is in use", directory.display())]
    InUse {
        /// The log's directory.
        directory: PathBuf,
    },
    /// The disk did not answer.
    #[error("{what} {}: {error}", file.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl LogError {
    /// An error of the system, with what was tried.
    pub fn io(what: &'static str, file: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let file = file.into();
        move |error| Self::Io { what, file, error }
    }

    /// Whether the disk had no room, or the process no descriptor left; nothing else is wrong then.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { error, .. } if passes(error))
    }
}

impl From<LogError> for io::Error {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Damaged { .. } | LogError::ShorterThanFloor { .. } => {
                Self::new(io::ErrorKind::InvalidData, error)
            }
            LogError::InUse { .. } => Self::new(io::ErrorKind::ResourceBusy, error),
            LogError::Io { error: ref cause, .. } => Self::new(cause.kind(), error),
        }
    }
}
