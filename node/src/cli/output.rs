//! What a command prints: one result, in the format asked for.

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::args::{Format, Globals};
use super::exit::{Exit, Failure};
use super::yaml;

/// The result of a command.
#[derive(Debug)]
pub struct Output {
    json: serde_json::Value,
    people: String,
    quiet: Vec<u8>,
    note: Option<String>,
    exit: Exit,
}

impl Output {
    /// A result: the same for programs and for people.
    ///
    /// # Panics
    /// When the value has no JSON form: an error of ours.
    pub fn new(value: &impl Serialize, people: impl Into<String>) -> Self {
        let json = serde_json::to_value(value).expect("our own types have a JSON form");
        Self { json, people: people.into(), quiet: Vec::new(), note: None, exit: Exit::Done }
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
            Format::Table => self.people.clone().into_bytes(),
            Format::Json => serde_json::to_vec_pretty(&self.json).expect("a value is JSON"),
            Format::Yaml => yaml::write(&self.json).into_bytes(),
        };
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        bytes
    }

    /// Prints it.
    ///
    /// # Errors
    /// When standard output is gone.
    pub fn print(&self, globals: &Globals) -> Result<Exit, Failure> {
        let mut bytes = self.rendered(globals.output, globals.quiet);
        let mut out = io::stdout().lock();
        if out.is_terminal() && !bytes.is_empty() && !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        match out.write_all(&bytes).and_then(|()| out.flush()) {
            // `trine … | head` is no failure.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                return Err(Failure::new(Exit::Failed, format!("cannot write to standard output: {error}")));
            }
            _ => {}
        }
        if let (Some(note), false) = (&self.note, globals.quiet) {
            eprintln!("{note}");
        }
        Ok(self.exit)
    }
}

/// A table with a header line.
#[must_use]
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(|name| name.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    trimmed(&table)
}

/// Names and what belongs to them, one pair a line.
#[must_use]
pub fn pairs(pairs: &[(&str, String)]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    for (name, value) in pairs {
        table.add_row(vec![(*name).to_owned(), value.clone()]);
    }
    trimmed(&table)
}

/// Without the margin that the library leaves.
fn trimmed(table: &Table) -> String {
    let lines: Vec<String> =
        table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned()).collect();
    lines.join("\n")
}

/// The first digits of a hash, enough to compare by eye.
#[must_use]
pub fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}
