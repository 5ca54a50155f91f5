//! A database is made whole or not at all.
//!
//! Making one takes many files and directories, and fjall does not sync the directories that hold the names of the directories it makes:
//! a loss of power could take a table's whole directory and leave the journal, whose rows then belong to nothing. So a
//! database is made beside its place, synced with everything in it, and renamed; one that stands in its place is whole.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use trine_journal::textfile::sync_parent;

/// Makes what is to stand at `path`, unless it is there; `build` makes it at the path that it is given, and closes it.
pub(super) fn make(path: &Path, build: impl FnOnce(&Path) -> Result<(), fjall::Error>) -> Result<(), fjall::Error> {
    if path.try_exists()? {
        return Ok(());
    }
    let beside = path.with_extension("new");
    if beside.try_exists()? {
        // Its making was cut short: nothing was ever promised from it.
        fs::remove_dir_all(&beside)?;
    }
    build(&beside)?;
    sync_all(&beside)?;
    fs::rename(&beside, path)?;
    Ok(sync_parent(path)?)
}

/// Syncs a directory and everything in it.
fn sync_all(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(path)?.sync_all()
}

/// Makes a directory and those that it lies in, with durable names; gives new ones to their owner alone.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if path.as_os_str().is_empty() || path.try_exists()? {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    sync_parent(path)
}

/// Whether [`make_directory`] and files in the directory would be allowed, without making anything.
pub(super) fn can_make_directory(path: &Path) -> io::Result<()> {
    use nix::unistd::{AccessFlags, access};
    let absolute = std::path::absolute(path)?;
    for there in absolute.ancestors() {
        match there.metadata() {
            Ok(found) if !found.is_dir() => {
                return Err(io::Error::new(io::ErrorKind::NotADirectory, format!("{} is a file", there.display())));
            }
            Ok(_) => return Ok(access(there, AccessFlags::W_OK | AccessFlags::X_OK)?),
            Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}
