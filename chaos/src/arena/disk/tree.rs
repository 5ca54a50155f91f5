//! All inodes of a disk, and what is done to names and files as a reader sees them. Nothing here is durable; see `settle`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use nix::errno::Errno;

use super::directory::{Directory, Entries};
use super::file::Content;
use super::image::ImageDirectory;
use super::limits::{PAGE_BYTES, UNSYNCED_BYTES_MAX, UNSYNCED_CHANGES_MAX};

/// The root's number, as the kernel wants it.
pub const ROOT: u64 = 1;

/// What an inode is.
#[derive(Debug)]
pub enum Kind {
    /// A file.
    File(Content),
    /// A directory.
    Directory(Directory),
}

/// An inode. Its permissions and times are not kept in two states: they are durable at once, or never.
#[derive(Debug)]
pub struct Inode {
    /// What it is.
    pub kind: Kind,
    /// Its permissions.
    pub mode: u32,
    /// When its content changed.
    pub changed: SystemTime,
    /// How often the kernel was told of it.
    lookups: u64,
}

/// The inodes.
#[derive(Debug)]
pub struct Tree {
    pub(super) root: ImageDirectory,
    pub(super) inodes: BTreeMap<u64, Inode>,
    next: u64,
}

type Result<T> = std::result::Result<T, Errno>;

impl Tree {
    /// Everything that a real directory holds.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let root = ImageDirectory::open(path)?;
        let mut tree = Self { root: root.clone(), inodes: BTreeMap::new(), next: ROOT };
        tree.find(root)?;
        Ok(tree)
    }

    fn find(&mut self, image: ImageDirectory) -> io::Result<u64> {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let directory = self.number();
        let mut names = Entries::new();
        let mode = image.file().metadata()?.permissions().mode();
        for (name, is_directory) in image.list()? {
            let inode = if is_directory {
                self.find(image.directory_at(&name)?)?
            } else {
                let file = image.file_at(&name)?;
                let mode = file.metadata()?.permissions().mode();
                let two_names = file.metadata()?.nlink() > 1;
                let mut content = Content::new(file)?;
                if two_names {
                    // Power was lost between its old name and its new one in another directory: two files from now on.
                    content.move_to(self.root.nameless(mode)?)?;
                    image.place(content.image(), &name)?;
                }
                let inode = self.number();
                self.put(inode, Kind::File(content), mode);
                inode
            };
            names.insert(name, inode);
        }
        self.put(directory, Kind::Directory(Directory::found(image, names)), mode);
        Ok(directory)
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    fn put(&mut self, number: u64, kind: Kind, mode: u32) {
        self.inodes.insert(number, Inode { kind, mode: mode & 0o7777, changed: SystemTime::now(), lookups: 0 });
    }

    /// An inode.
    ///
    /// # Errors
    /// `ESTALE` when there is none.
    pub fn inode(&self, number: u64) -> Result<&Inode> {
        self.inodes.get(&number).ok_or(Errno::ESTALE)
    }

    /// An inode, to be changed.
    ///
    /// # Errors
    /// `ESTALE` when there is none.
    pub fn inode_mut(&mut self, number: u64) -> Result<&mut Inode> {
        self.inodes.get_mut(&number).ok_or(Errno::ESTALE)
    }

    /// A directory.
    ///
    /// # Errors
    /// When it is none.
    pub fn directory(&self, number: u64) -> Result<&Directory> {
        match &self.inode(number)?.kind {
            Kind::Directory(directory) => Ok(directory),
            Kind::File(_) => Err(Errno::ENOTDIR),
        }
    }

    pub(super) fn directory_mut(&mut self, number: u64) -> Result<&mut Directory> {
        match &mut self.inode_mut(number)?.kind {
            Kind::Directory(directory) => Ok(directory),
            Kind::File(_) => Err(Errno::ENOTDIR),
        }
    }

    /// A file.
    ///
    /// # Errors
    /// When it is none.
    pub fn file(&self, number: u64) -> Result<&Content> {
        match &self.inode(number)?.kind {
            Kind::File(content) => Ok(content),
            Kind::Directory(_) => Err(Errno::EISDIR),
        }
    }

    /// A file, to be changed.
    ///
    /// # Errors
    /// When it is none.
    pub fn file_mut(&mut self, number: u64) -> Result<&mut Content> {
        let inode = self.inode_mut(number)?;
        inode.changed = SystemTime::now();
        match &mut inode.kind {
            Kind::File(content) => Ok(content),
            Kind::Directory(_) => Err(Errno::EISDIR),
        }
    }

    /// The inode of a name.
    ///
    /// # Errors
    /// `ENOENT` when there is none.
    pub fn lookup(&self, parent: u64, name: &OsStr) -> Result<u64> {
        self.directory(parent)?.get(name).ok_or(Errno::ENOENT)
    }

    /// Makes a file or a directory.
    ///
    /// # Errors
    /// `EEXIST`, or when the real disk refuses.
    pub fn create(&mut self, parent: u64, name: &OsStr, mode: u32, directory: bool) -> Result<u64> {
        if self.directory(parent)?.get(name).is_some() {
            return Err(Errno::EEXIST);
        }
        let kind = if directory {
            Kind::Directory(Directory::default())
        } else {
            Kind::File(self.root.nameless(mode).and_then(Content::new).map_err(errno)?)
        };
        let number = self.number();
        self.put(number, kind, mode);
        self.directory_mut(parent)?.set(name, number);
        self.bound_changes(parent)?;
        Ok(number)
    }

    /// Removes a file's or a directory's name.
    ///
    /// # Errors
    /// `ENOENT`, `EISDIR`, `ENOTDIR`, `ENOTEMPTY`.
    pub fn remove(&mut self, parent: u64, name: &OsStr, directory: bool) -> Result<()> {
        let number = self.lookup(parent, name)?;
        match (&self.inode(number)?.kind, directory) {
            (Kind::File(_), true) => return Err(Errno::ENOTDIR),
            (Kind::Directory(_), false) => return Err(Errno::EISDIR),
            (Kind::Directory(held), true) if !held.names().is_empty() => return Err(Errno::ENOTEMPTY),
            _ => {}
        }
        self.directory_mut(parent)?.remove(name);
        self.bound_changes(parent)?;
        self.reap(number);
        Ok(())
    }

    /// Renames. A directory stays within its directory.
    ///
    /// # Errors
    /// As rename(2) says; `EXDEV` for a directory that is to move.
    pub fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr), replace: bool) -> Result<()> {
        let number = self.lookup(from.0, from.1)?;
        let is_directory = matches!(self.inode(number)?.kind, Kind::Directory(_));
        if is_directory && from.0 != to.0 {
            return Err(Errno::EXDEV);
        }
        let replaced = self.directory(to.0)?.get(to.1);
        if replaced == Some(number) {
            return Ok(());
        }
        if let Some(replaced) = replaced {
            match &self.inode(replaced)?.kind {
                _ if !replace => return Err(Errno::EEXIST),
                Kind::Directory(_) if !is_directory => return Err(Errno::EISDIR),
                Kind::File(_) if is_directory => return Err(Errno::ENOTDIR),
                Kind::Directory(held) if !held.names().is_empty() => return Err(Errno::ENOTEMPTY),
                _ => {}
            }
        }
        if from.0 == to.0 {
            self.directory_mut(from.0)?.rename(from.1, to.1);
        } else {
            self.directory_mut(to.0)?.set(to.1, number);
            self.directory_mut(from.0)?.remove(from.1);
            self.bound_changes(to.0)?;
        }
        self.bound_changes(from.0)?;
        if let Some(replaced) = replaced {
            self.reap(replaced);
        }
        Ok(())
    }

    /// Names of a directory with their inodes and whether these are directories.
    ///
    /// # Errors
    /// When it is none.
    pub fn list(&self, number: u64) -> Result<Vec<(OsString, u64, bool)>> {
        let names = self.directory(number)?.names().iter();
        let is_directory = |of: &u64| self.inodes.get(of).is_some_and(|of| matches!(of.kind, Kind::Directory(_)));
        Ok(names.map(|(name, of)| (name.clone(), *of, is_directory(of))).collect())
    }

    /// The kernel was told of an inode.
    pub fn told(&mut self, number: u64) {
        if let Some(inode) = self.inodes.get_mut(&number) {
            inode.lookups += 1;
        }
    }

    /// The kernel forgot an inode that it had been told of this many times.
    pub fn untold(&mut self, number: u64, count: u64) {
        if let Some(inode) = self.inodes.get_mut(&number) {
            inode.lookups = inode.lookups.saturating_sub(count);
            self.reap(number);
        }
    }

    /// Drops an inode that nobody can reach any more, not even after a loss of power.
    pub(super) fn reap(&mut self, number: u64) {
        let told = self.inodes.get(&number).is_some_and(|inode| inode.lookups > 0);
        let mentions = |inode: &Inode| matches!(&inode.kind, Kind::Directory(directory) if directory.mentions(number));
        if number != ROOT && !told && !self.inodes.values().any(mentions) {
            self.inodes.remove(&number);
        }
    }

    /// Bytes that were not synced.
    #[must_use]
    pub fn unsynced_bytes(&self) -> u64 {
        let bytes = |inode: &Inode| match &inode.kind {
            Kind::File(content) => content.unsynced_bytes(),
            Kind::Directory(_) => 0,
        };
        self.inodes.values().map(bytes).sum()
    }

    /// Bytes that a file takes on the disk, about.
    #[must_use]
    pub fn weight(&self, number: u64) -> u64 {
        use std::os::unix::fs::MetadataExt;
        let Ok(content) = self.file(number) else { return 0 };
        let blocks = content.image().metadata().map_or(0, |image| image.blocks() * 512);
        blocks.max(content.unsynced_bytes()).min(content.len().next_multiple_of(PAGE_BYTES))
    }

    /// Writes a file back that has grown beyond what may stay unsynced.
    ///
    /// # Errors
    /// When the real disk refuses.
    pub fn bound_pages(&mut self, number: u64) -> Result<()> {
        if self.file(number)?.unsynced_bytes() > UNSYNCED_BYTES_MAX / 4 && self.unsynced_bytes() > UNSYNCED_BYTES_MAX {
            self.file_mut(number)?.sync().map_err(errno)?;
        }
        Ok(())
    }

    fn bound_changes(&mut self, number: u64) -> Result<()> {
        if self.directory(number)?.unsynced() > UNSYNCED_CHANGES_MAX {
            self.sync_directory(number).map_err(errno)?;
        }
        Ok(())
    }
}

/// The error of the real disk, as a reader is told of it.
pub(super) fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
