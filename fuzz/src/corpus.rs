//! The committed corpora: a folder a target, a file an input.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::target::{Sample, Target};

/// Where a target's inputs lie.
#[must_use]
pub fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// All inputs of a target, by name.
///
/// # Errors
/// When they cannot be read.
pub fn read(target: &Target) -> io::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for entry in fs::read_dir(folder(target))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        samples.push(Sample { name, bytes: fs::read(entry.path())? });
    }
    samples.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(samples)
}

/// Writes what the target's corpus must have anew, and leaves what was found in its place.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write(target: &Target) -> io::Result<usize> {
    let folder = folder(target);
    fs::create_dir_all(&folder)?;
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let found = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("found-"));
        if !found {
            fs::remove_file(path)?;
        }
    }
    let samples = (target.samples)();
    for sample in &samples {
        fs::write(folder.join(&sample.name), &sample.bytes)?;
    }
    Ok(samples.len())
}
