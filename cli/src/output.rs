//! What a command prints: one result, in the format asked for.

use serde::Serialize;

use super::args::{Format, Globals};
use super::exit::{Exit, Failure};
use super::table::visible;
pub use super::table::{pairs, table};
use super::yaml;
use crate::limits::SHOWN_CHARS_MAX;
use crate::say::{self, Unheard};

/// The result of a command.
#[derive(Debug)]
pub struct Output {
    json: serde_json::Value,
    people: String,
    quiet: Vec<u8>,
    note: Option<String>,
    exit: Exit,
    changed: bool,
}

impl Output {
    /// A result: the same for programs and for people.
    ///
    /// # Panics
    /// When the value has no JSON form: an error of ours.
    pub fn new(value: &impl Serialize, people: impl Into<String>) -> Self {
        let json = serde_json::to_value(value).expect("our own types have a JSON form");
        Self { json, people: people.into(), quiet: Vec::new(), note: None, exit: Exit::Done, changed: false }
    }

    /// Just the ids, one a line, for `--quiet`.
    #[must_use]
    pub fn ids<I: IntoIterator<Item = S>, S: AsRef<str>>(mut self, ids: I) -> Self {
        for id in ids {
            self.quiet.extend_from_slice(id.as_ref().as_bytes());
            self.quiet.push(b'\n');
        }
        self
    }

    /// Just the value, byte for byte, for `--quiet`.
    #[must_use]
    pub fn value(mut self, bytes: &[u8]) -> Self {
        self.quiet = bytes.to_vec();
        self
    }

    /// What people should know besides; goes to standard error.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// What people should know besides everything else; on a line of its own.
    #[must_use]
    pub fn also(mut self, note: impl Into<String>) -> Self {
        let before = self.note.take().map(|before| before + "\n").unwrap_or_default();
        self.note = Some(before + &note.into());
        self
    }

    /// Something was changed by the command: should the result not reach anybody, that must not look as if nothing was done.
    #[must_use]
    pub fn changed(mut self) -> Self {
        self.changed = true;
        self
    }

    /// Another exit code than 0: the result is there, and it is bad news.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// What goes to standard output.
    #[must_use]
    pub fn rendered(&self, format: Format, quiet: bool) -> Vec<u8> {
        let mut bytes = match format {
            _ if quiet => return self.quiet.clone(),
            // What did not go through a table may be anybody's bytes, too.
            Format::Table => visible(&self.people, &['\n', '\t']).into_bytes(),
            Format::Json => {
                yaml::escaped(&serde_json::to_string_pretty(&self.json).expect("a value is JSON")).into_bytes()
            }
            Format::Yaml => yaml::write(&self.json).into_bytes(),
        };
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        bytes
    }

    /// Prints it, and says how the process ends.
    ///
    /// # Errors
    /// When standard output cannot be written. What was changed by then is told on standard error.
    pub fn print(&self, globals: &Globals) -> Result<Exit, Failure> {
        match say::result(&self.rendered(globals.output, globals.quiet)) {
            Ok(()) => {}
            Err(Unheard::Gone) => return Ok(Exit::Unread),
            Err(unheard) if self.changed => {
                let done = String::from_utf8_lossy(&self.quiet);
                let done = if done.is_empty() { String::new() } else { format!(" ({})", done.trim_end()) };
                return Err(Failure::new(Exit::DoneUntold, format!("{unheard}; what was asked for is done{done}")));
            }
            Err(unheard) => return Err(unheard.into()),
        }
        if let (Some(note), false) = (&self.note, globals.quiet) {
            say::people(note);
        }
        Ok(self.exit)
    }
}

/// The beginning of a value, for a line of a table.
#[must_use]
pub fn shortened(text: &str) -> String {
    let line: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() { format!("{line}…") } else { line }
}

/// The first digits of a hash, enough to compare by eye.
#[must_use]
pub fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}
