//! The kernel's requests, answered from the tree.
//!
//! Files opened for writing bypass the kernel's cache, so that each write arrives here as it was made and can be done in
//! part; files opened for reading only are cached by the kernel, and each opening begins afresh. Real syncs are waited for
//! without the tree's lock.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    AccessFlags, BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    KernelConfig, LockOwner, OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use nix::errno::Errno as SystemErrno;
use nix::sys::statvfs::fstatvfs;

use super::fault::Faults;
use super::limits::{PAGE_BYTES, WRITE_BYTES_MAX};
use super::tree::{Kind, Tree, errno};

/// The kernel may believe us for so long: nobody else changes the disk, and a loss of power begins a new mount.
const VALID: Duration = Duration::from_secs(60);

type Result<T> = std::result::Result<T, SystemErrno>;

/// What those who serve a disk share with the one who commands it.
#[derive(Debug)]
pub struct Shared {
    /// The inodes; none after the power is gone.
    pub tree: Mutex<Option<Tree>>,
    /// What is wrong.
    pub faults: Arc<Faults>,
    /// The real disk, for its figures.
    pub real: PathBuf,
}

/// One mount's answers.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    listings: Mutex<BTreeMap<u64, Vec<Listed>>>,
    handles: AtomicU64,
}

#[derive(Debug, Clone)]
struct Listed {
    name: OsString,
    inode: u64,
    directory: bool,
}

impl Server {
    /// Serves what is shared.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, listings: Mutex::default(), handles: AtomicU64::new(1) }
    }

    fn on<T>(&self, body: impl FnOnce(&mut Tree) -> Result<T>) -> Result<T> {
        let mut tree: MutexGuard<'_, Option<Tree>> = self.shared.tree.lock().unwrap_or_else(PoisonError::into_inner);
        body(tree.as_mut().ok_or(SystemErrno::EIO)?)
    }

    fn entry(&self, found: impl FnOnce(&mut Tree) -> Result<u64>) -> Result<FileAttr> {
        self.shared.faults.operation();
        self.on(|tree| {
            let inode = found(tree)?;
            let attributes = attributes(tree, inode)?;
            tree.told(inode);
            Ok(attributes)
        })
    }

    fn forget_name(&self, parent: INodeNo, name: &OsStr, directory: bool) -> Result<()> {
        self.shared.faults.operation();
        let weight = self.on(|tree| {
            let inode = tree.lookup(parent.0, name)?;
            let weight = tree.weight(inode);
            tree.remove(parent.0, name, directory).map(|()| weight)
        })?;
        self.shared.faults.removed(weight);
        Ok(())
    }

    fn store(&self, inode: INodeNo, offset: u64, data: &[u8]) -> Result<u32> {
        let pages = offset / PAGE_BYTES..(offset + data.len() as u64).div_ceil(PAGE_BYTES);
        let new = self.on(|tree| {
            let file = tree.file(inode.0)?;
            Ok(pages.filter(|page| !file.has_page(*page)).count() as u64 * PAGE_BYTES)
        })?;
        let taken = self.shared.faults.write(data.len() as u64, new)?;
        let data = &data[..usize::try_from(taken).unwrap_or(data.len()).min(data.len())];
        self.on(|tree| {
            tree.file_mut(inode.0)?.write(offset, data).map_err(errno)?;
            tree.bound_pages(inode.0)
        })?;
        Ok(u32::try_from(data.len()).unwrap_or(u32::MAX))
    }

    fn sync_file(&self, inode: INodeNo) -> Result<()> {
        if let Err(refused) = self.shared.faults.sync() {
            self.on(|tree| tree.file_mut(inode.0).map(super::file::Content::abandon))?;
            return Err(refused);
        }
        let image = self.on(|tree| {
            let file = tree.file_mut(inode.0)?;
            file.sync().map_err(errno)?;
            Ok(file.image().clone())
        })?;
        image.sync_data().map_err(errno)
    }

    fn sync_names(&self, inode: INodeNo) -> Result<()> {
        self.shared.faults.sync()?;
        let touched: Vec<Arc<File>> = self.on(|tree| tree.sync_directory(inode.0).map_err(errno))?;
        touched.iter().try_for_each(|image| image.sync_all()).map_err(errno)
    }
}

fn attributes(tree: &Tree, number: u64) -> Result<FileAttr> {
    let inode = tree.inode(number)?;
    let (kind, size) = match &inode.kind {
        Kind::File(content) => (FileType::RegularFile, content.len()),
        Kind::Directory(_) => (FileType::Directory, PAGE_BYTES),
    };
    Ok(FileAttr {
        ino: INodeNo(number),
        size,
        blocks: tree.weight(number) / 512,
        atime: inode.changed,
        mtime: inode.changed,
        ctime: inode.changed,
        crtime: inode.changed,
        kind,
        perm: u16::try_from(inode.mode & 0o7777).unwrap_or(0o600),
        nlink: if kind == FileType::Directory { 2 } else { 1 },
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
        rdev: 0,
        blksize: PAGE_BYTES as u32,
        flags: 0,
    })
}

fn code(errno: SystemErrno) -> Errno {
    Errno::from_i32(errno as i32)
}

/// Answers with what was found, or with why not.
macro_rules! answer {
    ($reply:expr, $result:expr, |$found:pat_param| $body:expr) => {
        match $result {
            Ok($found) => $body,
            Err(errno) => $reply.error(code(errno)),
        }
    };
}

impl Filesystem for Server {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // A kernel that cannot only sends more, smaller requests.
        let _ = config.set_max_write(WRITE_BYTES_MAX);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        answer!(reply, self.entry(|tree| tree.lookup(parent.0, name)), |found| reply.entry(
            &VALID,
            &found,
            Generation(0)
        ));
    }

    fn forget(&self, _: &Request, inode: INodeNo, count: u64) {
        // After a loss of power there is nothing to forget.
        let _ = self.on(|tree| {
            tree.untold(inode.0, count);
            Ok(())
        });
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.shared.faults.operation();
        answer!(reply, self.on(|tree| attributes(tree, inode.0)), |found| reply.attr(&VALID, &found));
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        use std::os::unix::fs::PermissionsExt;
        self.shared.faults.operation();
        let changed = self.on(|tree| {
            if let Some(size) = size {
                tree.file_mut(inode.0)?.set_len(size);
            }
            let entry = tree.inode_mut(inode.0)?;
            if let Some(TimeOrNow::SpecificTime(time)) = mtime {
                entry.changed = time;
            }
            if let Some(mode) = mode {
                entry.mode = mode & 0o7777;
                let permissions = std::fs::Permissions::from_mode(mode & 0o7777);
                let real = match &entry.kind {
                    Kind::File(content) => Some(content.image()),
                    Kind::Directory(directory) => directory.image.as_ref().map(super::image::ImageDirectory::file),
                };
                real.map_or(Ok(()), |real| real.set_permissions(permissions)).map_err(errno)?;
            }
            attributes(tree, inode.0)
        });
        answer!(reply, changed, |found| reply.attr(&VALID, &found));
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let made = self.entry(|tree| tree.create(parent.0, name, mode & !umask, true));
        answer!(reply, made, |found| reply.entry(&VALID, &found, Generation(0)));
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let made = self.entry(|tree| tree.create(parent.0, name, mode & !umask, false));
        let flags = how(OpenFlags(flags));
        answer!(reply, made, |found| reply.created(&VALID, &found, Generation(0), FileHandle(0), flags));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer!(reply, self.forget_name(parent, name, false), |()| reply.ok());
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer!(reply, self.forget_name(parent, name, true), |()| reply.ok());
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if flags.contains(RenameFlags::RENAME_EXCHANGE) || flags.contains(RenameFlags::RENAME_WHITEOUT) {
            return reply.error(Errno::EINVAL);
        }
        self.shared.faults.operation();
        let replace = !flags.contains(RenameFlags::RENAME_NOREPLACE);
        let done = self.on(|tree| tree.rename((parent.0, name), (newparent.0, newname), replace));
        answer!(reply, done, |()| reply.ok());
    }

    fn open(&self, _: &Request, _: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        self.shared.faults.operation();
        reply.opened(FileHandle(0), how(flags));
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.shared.faults.operation();
        let read = self.on(|tree| tree.file(inode.0)?.read(offset, size.into()).map_err(errno));
        answer!(reply, read, |bytes| reply.data(&bytes));
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        answer!(reply, self.store(inode, offset, data), |written| reply.written(written));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, inode: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer!(reply, self.sync_file(inode), |()| reply.ok());
    }

    fn opendir(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.shared.faults.operation();
        let listed = self.on(|tree| tree.list(inode.0));
        answer!(reply, listed, |found| {
            let own = [".", ".."].map(|name| Listed { name: name.into(), inode: inode.0, directory: true });
            let found = found.into_iter().map(|(name, inode, directory)| Listed { name, inode, directory });
            let handle = self.handles.fetch_add(1, Ordering::Relaxed);
            let listing = own.into_iter().chain(found).collect();
            self.listings.lock().unwrap_or_else(PoisonError::into_inner).insert(handle, listing);
            reply.opened(FileHandle(handle), FopenFlags::empty());
        });
    }

    fn readdir(&self, _: &Request, _: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listings = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
        let listing = listings.get(&handle.0).map(Vec::as_slice).unwrap_or_default();
        for (place, listed) in listing.iter().enumerate().skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
            let kind = if listed.directory { FileType::Directory } else { FileType::RegularFile };
            if reply.add(INodeNo(listed.inode), place as u64 + 1, kind, &listed.name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner).remove(&handle.0);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, inode: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer!(reply, self.sync_names(inode), |()| reply.ok());
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let real = File::open(&self.shared.real).map_err(errno).and_then(|real| fstatvfs(&real));
        answer!(reply, real, |real| {
            let free = self.shared.faults.free_bytes().map(|bytes| bytes / real.fragment_size().max(1));
            let size = u32::try_from(real.fragment_size()).unwrap_or(PAGE_BYTES as u32);
            let (all, available) = (real.blocks(), free.unwrap_or_else(|| real.blocks_available()));
            reply.statfs(all, available, available, real.files(), real.files_available(), size, 255, size);
        });
    }

    fn access(&self, _: &Request, _: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        reply.ok();
    }

    fn getxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOTSUP);
    }

    fn listxattr(&self, _: &Request, _: INodeNo, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOTSUP);
    }

    fn fallocate(&self, _: &Request, _: INodeNo, _: FileHandle, _: u64, _: u64, _: i32, reply: ReplyEmpty) {
        reply.error(Errno::ENOTSUP);
    }
}

/// How a file is opened: what can be written bypasses the kernel's cache.
fn how(flags: OpenFlags) -> FopenFlags {
    if flags.acc_mode() == OpenAccMode::O_RDONLY { FopenFlags::empty() } else { FopenFlags::FOPEN_DIRECT_IO }
}
