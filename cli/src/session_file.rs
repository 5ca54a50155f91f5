//! The file in which a session goes on from one command to the next.
//!
//! It is written after the answer came, and a script that is told "failed" then does the same once more: an append that is
//! in the ledger already. So whether the file can be written is tried before anything is asked; and should it fail all the
//! same (a disk that fills up meanwhile), the result is printed first and the command ends with a code of its own,
//! [`Exit::DoneUntold`]. The old session stays until the new one is whole on the disk.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use trine_client::Session;

use super::exit::{Exit, Failure};

/// A session's file.
#[derive(Debug)]
pub struct SessionFile {
    path: PathBuf,
}

impl SessionFile {
    /// Reads the session, a new one when there is no file, and sees that the file can be written.
    ///
    /// # Errors
    /// When it holds something else, or cannot be written.
    pub fn open(path: &Path) -> Result<(Self, Session), Failure> {
        let wrong = |what: String| Failure::usage(format!("the session file {}: {what}", path.display()));
        let session = match std::fs::read_to_string(path) {
            // `mktemp` makes an empty one.
            Ok(text) if text.trim().is_empty() => Session::new(),
            Ok(text) => text.trim().parse().map_err(|error| wrong(format!("{error}")))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Session::new(),
            Err(error) => return Err(wrong(error.to_string())),
        };
        let file = Self { path: path.to_owned() };
        let beside = file.beside();
        std::fs::File::create(&beside)
            .and_then(|_| std::fs::remove_file(&beside))
            .map_err(|error| wrong(format!("cannot be written ({error}); nothing was asked")))?;
        Ok((file, session))
    }

    /// Writes what the session has seen by now.
    ///
    /// # Errors
    /// What the system says.
    pub fn save(&self, session: &Session) -> Result<(), Failure> {
        let beside = self.beside();
        let write = || {
            std::fs::write(&beside, format!("{session}\n"))?;
            std::fs::rename(&beside, &self.path)
        };
        write().map_err(|error| {
            let _ = std::fs::remove_file(&beside);
            let what = format!("it is done, but the session file {} was not written: {error}", self.path.display());
            Failure::new(Exit::DoneUntold, what)
                .hint("do not repeat a write because of this; the file is as it was before")
        })
    }

    /// A name of this process's own, in the same directory.
    fn beside(&self) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(format!(".{}", std::process::id()));
        self.path.with_file_name(name)
    }
}

/// What failed after a command's work was done. It is told once the result is printed.
#[derive(Debug, Clone, Default)]
pub struct Afterwards(Arc<Mutex<Option<Failure>>>);

impl Afterwards {
    /// Keeps the latest outcome: a later success makes good for an earlier failure.
    pub fn keep(&self, outcome: Result<(), Failure>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = outcome.err();
    }

    /// What failed, once.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
