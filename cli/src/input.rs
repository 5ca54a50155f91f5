//! Values that come from the command line, a file or standard input, and questions to the person who types.

use std::io::{self, BufRead as _, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use trine_protocol::limits::VALUE_BYTES_MAX;

use super::args::Globals;
use super::exit::{Exit, Failure};
use crate::say;

/// Where a value comes from.
#[derive(Debug, Clone, Args)]
pub struct ValueArgs {
    /// The value; `-` reads it from standard input, and one that begins with `-` stands after `--`
    #[arg(value_name = "VALUE", required_unless_present = "file", conflicts_with = "file")]
    pub value: Option<String>,
    /// A file that holds the value
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

impl ValueArgs {
    /// Reads the value.
    ///
    /// # Errors
    /// When it cannot be read or is too large.
    pub fn read(&self) -> Result<Bytes, Failure> {
        match (&self.value, &self.file) {
            (_, Some(path)) => {
                let file = std::fs::File::open(path).map_err(|error| unreadable(path, &error))?;
                bounded(file)
                    .map_err(|error| unreadable(path, &error))?
                    .ok_or_else(|| too_large(&path.display().to_string()))
            }
            (Some(text), None) if text == "-" => bounded(io::stdin().lock())
                .map_err(|error| unreadable(Path::new("standard input"), &error))?
                .ok_or_else(|| too_large("standard input")),
            (Some(text), None) if text.len() > VALUE_BYTES_MAX => Err(too_large("the value")),
            (Some(text), None) => Ok(Bytes::copy_from_slice(text.as_bytes())),
            (None, None) => Err(Failure::usage("no value: give one, or --file FILE, or - for standard input")),
        }
    }
}

fn bounded(from: impl Read) -> io::Result<Option<Bytes>> {
    let mut bytes = Vec::new();
    from.take(VALUE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= VALUE_BYTES_MAX).then(|| bytes.into()))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("{}: {error}", path.display()))
}

fn too_large(what: &str) -> Failure {
    Failure::new(
        Exit::Refused,
        format!("{what} is larger than the {} MiB that a value may have", VALUE_BYTES_MAX >> 20),
    )
}

/// Asks before something that cannot be taken back, unless `--yes` was given.
///
/// # Errors
/// When the answer is no, or nobody is there to answer.
pub fn confirm(globals: &Globals, question: &str) -> Result<(), Failure> {
    if globals.yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(format!("{question} Nobody is there to ask")).hint("say --yes"));
    }
    say::ask(format!("{question} [y/N]"));
    let mut answer = String::new();
    let _ = io::stdin().lock().read_line(&mut answer);
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, "not done"))
}
