//! A directory of the real disk, by descriptor: the mount covers its path.
//!
//! A file without a durable name has no name here either (`O_TMPFILE`): it goes when its descriptor does, also when this
//! process is killed. A name is put in place by a link under a hidden name and a rename, so it changes at once.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

/// Begins the names of what is being put in place; hidden from the disk's users.
const HIDDEN: &str = ".forgetful-";

/// A real directory.
#[derive(Debug, Clone)]
pub struct ImageDirectory(Arc<File>);

impl ImageDirectory {
    /// Opens it by its path, before something is mounted there.
    ///
    /// # Errors
    /// When it is not there.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        Ok(Self(Arc::new(openat(AT_FDCWD, path, flags, Mode::empty())?.into())))
    }

    /// The descriptor.
    #[must_use]
    pub fn file(&self) -> &Arc<File> {
        &self.0
    }

    /// A new file without a name.
    ///
    /// # Errors
    /// When the real file system has no such thing.
    pub fn nameless(&self, mode: u32) -> io::Result<File> {
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        Ok(openat(&*self.0, ".", flags, permissions(mode))?.into())
    }

    /// Opens a file in it.
    ///
    /// # Errors
    /// When it is not there.
    pub fn file_at(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(openat(&*self.0, name, flags, Mode::empty())?.into())
    }

    /// Opens a directory in it.
    ///
    /// # Errors
    /// When it is not there.
    pub fn directory_at(&self, name: &OsStr) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        Ok(Self(Arc::new(openat(&*self.0, name, flags, Mode::empty())?.into())))
    }

    /// Its files (false) and directories (true); other things are no business of ours. What a killed process left half
    /// placed is removed.
    ///
    /// # Errors
    /// When the real disk refuses.
    pub fn list(&self) -> io::Result<Vec<(OsString, bool)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.path())? {
            let entry = entry?;
            let (name, kind) = (entry.file_name(), entry.file_type()?);
            if name.as_encoded_bytes().starts_with(HIDDEN.as_bytes()) {
                self.remove(&name, kind.is_dir())?;
            } else if kind.is_dir() || kind.is_file() {
                found.push((name, kind.is_dir()));
            }
        }
        Ok(found)
    }

    /// Gives a file this name, in place of what has it.
    ///
    /// # Errors
    /// When the real disk refuses.
    pub fn place(&self, file: &File, name: &OsStr) -> io::Result<()> {
        self.link(file, 0)?;
        self.bring_back(0, name)
    }

    /// Gives a file a hidden name, to be brought to its own.
    ///
    /// # Errors
    /// When the real disk refuses.
    pub fn link(&self, file: &File, inode: u64) -> io::Result<()> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let hidden = hidden(&inode.to_string());
        Ok(linkat(AT_FDCWD, &path, &*self.0, hidden.as_os_str(), AtFlags::AT_SYMLINK_FOLLOW)?)
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// When the real disk refuses.
    pub fn make(&self, name: &OsStr, mode: u32) -> io::Result<Self> {
        mkdirat(&*self.0, name, permissions(mode))?;
        self.directory_at(name)
    }

    /// Puts a directory aside, to be brought back under another name.
    ///
    /// # Errors
    /// When the real disk refuses.
    pub fn set_aside(&self, name: &OsStr, inode: u64) -> io::Result<()> {
        Ok(renameat(&*self.0, name, &*self.0, hidden(&inode.to_string()).as_os_str())?)
    }

    /// Brings it back.
    ///
    /// # Errors
    /// When the real disk refuses.
    pub fn bring_back(&self, inode: u64, name: &OsStr) -> io::Result<()> {
        Ok(renameat(&*self.0, hidden(&inode.to_string()).as_os_str(), &*self.0, name)?)
    }

    /// Removes a file, or a directory with all that is in it.
    ///
    /// # Errors
    /// When the real disk refuses.
    pub fn remove(&self, name: &OsStr, directory: bool) -> io::Result<()> {
        if directory {
            return fs::remove_dir_all(self.path().join(name));
        }
        Ok(unlinkat(&*self.0, name, UnlinkatFlags::NoRemoveDir)?)
    }

    /// A path to the directory itself, whatever is mounted over it.
    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

fn hidden(what: &str) -> OsString {
    format!("{HIDDEN}{what}").into()
}

fn permissions(mode: u32) -> Mode {
    Mode::from_bits_truncate(mode & 0o777)
}
