//! Small files of `name value` lines whose last line is a checksum, replaced as a whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::limits::TEXT_FILE_BYTES_MAX;

/// What is in such a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Contents {
    /// There is none.
    Absent,
    /// It is not what was written.
    Damaged,
    /// Its lines.
    Lines(Vec<(String, String)>),
}

/// Replaces the file: written beside it, synced, renamed over it, and the directory synced.
///
/// # Errors
/// What the system says.
pub fn replace(path: &Path, lines: &[(&str, &str)]) -> io::Result<()> {
    let mut text: String = lines.iter().map(|(name, value)| format!("{name} {value}\n")).collect();
    text.push_str(&format!("checksum {}\n", checksum(text.as_bytes())));
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    sync_parent(path)
}

/// Makes the directory entry of `path` durable.
///
/// # Errors
/// What the system says.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// Reads the file.
///
/// # Errors
/// What the system says.
pub fn read(path: &Path) -> io::Result<Contents> {
    let mut text = String::new();
    match File::open(path) {
        Ok(file) => match file.take(TEXT_FILE_BYTES_MAX).read_to_string(&mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(Contents::Damaged),
            Err(error) => return Err(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contents::Absent),
        Err(error) => return Err(error),
    }
    Ok(parse(&text).map_or(Contents::Damaged, Contents::Lines))
}

fn parse(text: &str) -> Option<Vec<(String, String)>> {
    let start = text.rfind("checksum ")?;
    let (body, last) = text.split_at(start);
    if last.strip_prefix("checksum ")?.strip_suffix('\n')? != checksum(body.as_bytes()) {
        return None;
    }
    body.lines().map(|line| line.split_once(' ').map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
}

fn checksum(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_owned()
}
