//! A disk that forgets: a file system of our own, in user space, under each node's data directory.
//!
//! SIGKILL never tests a sync: what was written and not synced lives on in the operating system's memory. Nor does it test
//! whether a created or renamed name was made durable by a sync of its directory. So the arena can mount a file system of its
//! own (FUSE), which knows the difference, and take power away from it.
//!
//! ```text
//!   node ──▶ kernel ──/dev/fuse──▶ serve ──▶ tree: names and pages that were not synced, in memory
//!                                              │ fsync of a file, fsync of a directory: and nothing else
//!                                              ▼
//!                                            image: the directory that the mount covers, on the real disk
//! ```
//!
//! **The durable image is the real directory itself.** Only a sync changes it, through descriptors opened before it was
//! covered; a file without a durable name has none there either (`O_TMPFILE`). So a loss of power is simple to believe: what
//! is in memory is dropped and the directory mounted anew, with a server that knows nothing of the past. A clean end
//! writes all back, as an unmount does; when the arena itself is killed, that too is a loss of power.
//!
//! A sync of a file does not make its name durable, nor that of a name the data behind it, and a directory's sync is not
//! another's: POSIX promises no more, though some file systems do. Syncs are passed on to the real disk, so that figures stay
//! honest. Permissions and times are not part of the game.
//!
//! Mounts live in a mount namespace of the arena's own: they end with it, however it ends, so none is ever stale.

pub mod directory;
pub mod fault;
pub mod file;
pub mod image;
pub mod limits;
pub mod loss;
pub mod serve;
mod settle;
pub mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use fuser::{BackgroundSession, Config, MountOption, SessionACL};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use fault::{DiskCounts, Fault, Faults};
use loss::{Forgotten, Loss};
use serve::{Server, Shared};
use tree::Tree;

use crate::chance::Chance;

/// What the mount is called in the system's list.
const NAME: &str = "trine-forgetful";

/// One mounted disk; unmounted, with everything written back, when it is dropped.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    faults: Arc<Faults>,
    mounted: Option<(Arc<Shared>, BackgroundSession)>,
}

impl Disk {
    /// Mounts a forgetful disk over a directory, which is its durable image.
    ///
    /// # Errors
    /// When the system does not let us, with what to do about it.
    pub fn mount(path: &Path) -> anyhow::Result<Self> {
        let mut disk = Self { path: path.to_owned(), faults: Arc::default(), mounted: None };
        disk.attach()?;
        Ok(disk)
    }

    fn attach(&mut self) -> anyhow::Result<()> {
        let tree = Tree::open(&self.path).with_context(|| format!("read {}", self.path.display()))?;
        if tree.root.nameless(0o600).is_err() {
            bail!(
                "{}: this file system has no files without a name (O_TMPFILE), which a forgetful disk needs",
                self.path.display()
            );
        }
        // Beside the image, not in it: asking the covered directory for its figures would ask ourselves.
        let real = self.path.parent().unwrap_or(Path::new("/")).to_owned();
        let shared = Arc::new(Shared { tree: Mutex::new(Some(tree)), faults: self.faults.clone(), real });
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName(NAME.to_owned()),
            MountOption::DefaultPermissions,
            MountOption::NoAtime,
            MountOption::NoSuid,
            MountOption::NoDev,
        ];
        config.acl = SessionACL::Owner;
        config.n_threads = Some(limits::SERVER_THREADS);
        let session = fuser::spawn_mount(Server::new(shared.clone()), &self.path, &config).with_context(|| {
            format!(
                "mount a forgetful disk at {} (it needs /dev/fuse, and root, a user namespace or fusermount3; in a \
                 container: --cap-add SYS_ADMIN --device /dev/fuse)",
                self.path.display()
            )
        })?;
        self.mounted = Some((shared, session));
        Ok(())
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes something wrong, or everything right.
    pub fn set(&self, fault: Fault) {
        self.faults.set(fault);
    }

    /// How power is lost when nothing else is said.
    #[must_use]
    pub fn loss(&self) -> Loss {
        self.faults.loss()
    }

    /// What it did.
    #[must_use]
    pub fn counts(&self) -> DiskCounts {
        self.faults.counts()
    }

    /// Loses power. Nobody may use the disk; whoever still does is told of errors. It is mounted anew at once.
    ///
    /// # Errors
    /// When the real disk refuses.
    pub fn lose(&mut self, how: Loss, seed: u64) -> anyhow::Result<Forgotten> {
        let tree = self.take_tree();
        let forgotten = tree.map_or(Ok(Forgotten::default()), |mut tree| tree.lose(how, &mut Chance::new(seed)));
        self.detach();
        self.attach()?;
        forgotten.with_context(|| format!("lose what was not synced at {}", self.path.display()))
    }

    /// Takes the disk away and puts an empty one in its place. Nobody may use it.
    ///
    /// # Errors
    /// When the real disk refuses.
    pub fn wipe(&mut self) -> anyhow::Result<()> {
        drop(self.take_tree());
        self.detach();
        empty(&self.path)?;
        self.attach()
    }

    fn take_tree(&self) -> Option<Tree> {
        let (shared, _) = self.mounted.as_ref()?;
        shared.tree.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn detach(&mut self) {
        let Some((_, session)) = self.mounted.take() else { return };
        let ended = match umount2(&self.path, MntFlags::empty()) {
            Ok(()) => session.join(),
            // Without the right to do this ourselves, the session asks fusermount3.
            Err(Errno::EPERM) => session.umount_and_join(),
            Err(errno) => {
                // Somebody still has a file open: the mount goes now, its threads when that is over.
                tracing::debug!("unmount {}: {errno}", self.path.display());
                drop(session);
                umount2(&self.path, MntFlags::MNT_DETACH).map_err(Into::into)
            }
        };
        if let Err(error) = ended {
            tracing::warn!("unmount {}: {error}", self.path.display());
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(mut tree) = self.take_tree()
            && let Err(error) = tree.sync_all()
        {
            tracing::error!("{} was not written back whole: {error}", self.path.display());
        }
        self.detach();
    }
}

/// The nodes' disks, by their names.
#[derive(Debug, Default)]
pub struct Disks {
    disks: BTreeMap<String, Disk>,
}

impl Disks {
    /// Mounts one over each directory, made where it is missing.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn mount(directories: impl IntoIterator<Item = (String, PathBuf)>) -> anyhow::Result<Self> {
        own_mounts()?;
        let mut disks = BTreeMap::new();
        for (name, path) in directories {
            std::fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
            disks.insert(name, Disk::mount(&path)?);
        }
        Ok(Self { disks })
    }

    /// A node's disk.
    ///
    /// # Errors
    /// When it has none.
    pub fn get(&mut self, node: &str) -> anyhow::Result<&mut Disk> {
        self.disks
            .get_mut(node)
            .with_context(|| format!("{node} has no forgetful disk (start the arena with --disk forgetful)"))
    }

    /// Whether there are any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.disks.is_empty()
    }

    /// What a node's disk did, when it has one.
    #[must_use]
    pub fn counts(&self, node: &str) -> Option<DiskCounts> {
        self.disks.get(node).map(Disk::counts)
    }
}

/// Removes everything in a directory.
///
/// # Errors
/// When it cannot be removed.
pub fn empty(directory: &Path) -> anyhow::Result<()> {
    let remove = || -> std::io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
        }
        Ok(())
    };
    remove().with_context(|| format!("empty {}", directory.display()))
}

/// Puts a copy of a directory in the place of another, or where there is none.
///
/// # Errors
/// When something cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to).with_context(|| format!("remove {}", to.display()))?;
    }
    let mut open = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = open.pop() {
        let mut copy = || -> std::io::Result<()> {
            std::fs::create_dir_all(&to)?;
            std::fs::set_permissions(&to, std::fs::metadata(&from)?.permissions())?;
            for entry in std::fs::read_dir(&from)? {
                let entry = entry?;
                let there = to.join(entry.file_name());
                if entry.file_type()?.is_dir() {
                    open.push((entry.path(), there));
                } else {
                    std::fs::copy(entry.path(), there)?;
                }
            }
            Ok(())
        };
        copy().with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    }
    Ok(())
}

/// Gives this thread, and the threads and processes that it starts from now on, mounts of their own; and room for a descriptor
/// a file.
///
/// # Errors
/// When the system does not let us.
pub fn own_mounts() -> anyhow::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)
        .context("make a mount namespace for forgetful disks (it needs root or a user namespace)")?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .context("keep mounts to ourselves")?;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("ask how many files may be open")?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("raise how many files may be open")?;
    }
    Ok(())
}
