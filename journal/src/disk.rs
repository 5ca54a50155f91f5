//! What a log asks of a file system, and nothing more.
//!
//! There are two: [`FileSystem`], and one in the tests that forgets whatever was not synced. Everything is dispatched
//! statically, so the one costs nothing for the other's sake. Names and contents are durable apart, as in POSIX: a
//! file's sync says nothing of the entry that names it; that takes a sync of the directory.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file system.
pub trait Disk: Clone + fmt::Debug + Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;
    /// Keeps others out of a directory until it is dropped.
    type Lock: Send + 'static;

    /// Whether reads may block, so that they belong on a thread of their own.
    const BLOCKS: bool;
    /// How long to wait before a full disk is tried again.
    const FULL_RETRY: Duration;

    /// Makes a directory and those above it, where they are missing.
    ///
    /// # Errors
    /// What the system says; so for all that follow.
    fn create_directory(&self, directory: &Path) -> io::Result<()>;
    /// Locks by means of a file; an error of kind `WouldBlock` when somebody else has it.
    ///
    /// # Errors
    /// As above.
    fn lock(&self, file: &Path) -> io::Result<Self::Lock>;
    /// The paths in a directory, in any order.
    ///
    /// # Errors
    /// As above.
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>>;
    /// All of a file.
    ///
    /// # Errors
    /// As above.
    fn read(&self, file: &Path) -> io::Result<Vec<u8>>;
    /// A file to read and write, emptied when it was there.
    ///
    /// # Errors
    /// As above.
    fn create(&self, file: &Path) -> io::Result<Self::File>;
    /// A file to read and write that must be there.
    ///
    /// # Errors
    /// As above.
    fn open(&self, file: &Path) -> io::Result<Self::File>;
    /// Gives a file another name, whose former file is gone.
    ///
    /// # Errors
    /// As above.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a name.
    ///
    /// # Errors
    /// As above.
    fn remove(&self, file: &Path) -> io::Result<()>;
    /// Makes created, renamed and removed names of a directory durable.
    ///
    /// # Errors
    /// As above.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
    /// Bytes that may still be written.
    ///
    /// # Errors
    /// As above.
    fn free_bytes(&self, directory: &Path) -> io::Result<u64>;
}

/// An open file of a [`Disk`].
pub trait DiskFile: fmt::Debug + Send + Sync + 'static {
    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// What the system says; so for all that follow.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `bytes` from `offset` on; after an error, any part of it.
    ///
    /// # Errors
    /// As above.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts the file to `length`.
    ///
    /// # Errors
    /// As above.
    fn cut(&self, length: u64) -> io::Result<()>;
    /// Makes the contents durable, and the length as far as they need it.
    ///
    /// # Errors
    /// As above.
    fn sync_data(&self) -> io::Result<()>;
    /// Makes contents and length durable.
    ///
    /// # Errors
    /// As above.
    fn sync_all(&self) -> io::Result<()>;
}

/// The system's own file systems.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileSystem;

impl Disk for FileSystem {
    type File = File;
    type Lock = File;

    const BLOCKS: bool = true;
    const FULL_RETRY: Duration = Duration::from_millis(250);

    fn create_directory(&self, directory: &Path) -> io::Result<()> {
        fs::create_dir_all(directory)
    }

    fn lock(&self, file: &Path) -> io::Result<File> {
        let lock = File::create(file)?;
        lock.try_lock().map_err(|_| io::Error::from(io::ErrorKind::WouldBlock))?;
        Ok(lock)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect()
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        fs::read(file)
    }

    fn create(&self, file: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(file)
    }

    fn open(&self, file: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        fs::remove_file(file)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }

    fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        let disk = nix::sys::statvfs::statvfs(directory)?;
        Ok(disk.blocks_available().saturating_mul(disk.fragment_size()))
    }
}

impl DiskFile for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, offset)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn sync_all(&self) -> io::Result<()> {
        Self::sync_all(self)
    }
}
