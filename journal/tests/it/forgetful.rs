//! A disk in memory that forgets: what was not synced may be gone after a crash, names and contents apart.
//!
//! It knows what a crash may leave at any moment. Contents are kept or lost by sectors of 512 bytes, each by itself and
//! apart from the file's length; names by the changes since the directory's last sync, some of which may have arrived.
//! A sync that fails forgets as Linux does: what it should have written is clean from then on, so that the next sync
//! succeeds without having written it.

#![allow(dead_code, reason = "each program of tests uses a part")]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use trine_journal::disk::{Disk, DiskFile};

const SECTOR: usize = 512;

/// Numbers that a seed decides.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % bound as u64).expect("fits")
    }

    /// True this many times of a hundred.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.roll() % 100 < chance
    }
}

/// A call that changes the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Create,
    Write,
    Cut,
    Sync,
    Rename,
    Remove,
    SyncDirectory,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// With an error that says nothing.
    Broken,
    /// For want of room; half of a write is done.
    Full,
    /// The machine stops: nothing answers any more.
    Crash,
}

/// What a crash leaves of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Nothing,
    Everything,
    /// By the dice.
    Some(u64),
}

#[derive(Debug, Clone, Default)]
struct Contents {
    now: Vec<u8>,
    synced: Vec<u8>,
    /// Sectors that a failed sync dropped: they are clean, and on no disk.
    dropped: BTreeSet<usize>,
}

#[derive(Debug, Clone)]
enum Naming {
    Is(PathBuf, usize),
    Gone(PathBuf),
}

type Names = BTreeMap<PathBuf, usize>;

type Watch = Box<dyn FnMut(&State, Call) + Send>;
type Faults = Box<dyn FnMut(u64, Call) -> Option<Fault> + Send>;

#[derive(Debug, Clone, Default)]
pub struct State {
    files: Vec<Contents>,
    names: Names,
    synced_names: Names,
    renaming: Vec<Naming>,
    calls: u64,
    dead: bool,
}

#[derive(Default)]
struct Inner {
    state: State,
    watch: Option<Watch>,
    faults: Option<Faults>,
}

/// A handle on the disk; clones share it.
#[derive(Clone, Default)]
pub struct ForgetfulDisk(Arc<Mutex<Inner>>);

/// An open file of it.
pub struct ForgetfulFile {
    disk: ForgetfulDisk,
    number: usize,
}

impl State {
    /// The disk as a new process finds it when the last one was killed: nothing is lost, nothing more is durable.
    pub fn after_kill(&self) -> ForgetfulDisk {
        let state = Self { calls: 0, dead: false, ..self.clone() };
        ForgetfulDisk(Arc::new(Mutex::new(Inner { state, ..Inner::default() })))
    }

    /// The disk as it is after a crash now.
    pub fn after_crash(&self, kept: Kept) -> ForgetfulDisk {
        let mut dice = Dice::new(if let Kept::Some(seed) = kept { seed } else { 0 });
        let files: Vec<_> = self.files.iter().map(|file| file.after_crash(kept, &mut dice)).collect();
        let files = files.into_iter().map(|now| Contents { synced: now.clone(), now, dropped: BTreeSet::new() });
        let mut names = self.synced_names.clone();
        // A journal keeps a prefix of the changes; a file system without one keeps any of them.
        let upto = dice.below(self.renaming.len() + 1);
        let journal = dice.percent(50);
        for (place, change) in self.renaming.iter().enumerate() {
            let arrived = match kept {
                Kept::Nothing => false,
                Kept::Everything => true,
                Kept::Some(_) if journal => place < upto,
                Kept::Some(_) => dice.percent(50),
            };
            if arrived {
                match change {
                    Naming::Is(path, file) => drop(names.insert(path.clone(), *file)),
                    Naming::Gone(path) => drop(names.remove(path)),
                }
            }
        }
        let state = State { files: files.collect(), synced_names: names.clone(), names, ..Self::default() };
        ForgetfulDisk(Arc::new(Mutex::new(Inner { state, ..Inner::default() })))
    }
}

impl Contents {
    fn after_crash(&self, kept: Kept, dice: &mut Dice) -> Vec<u8> {
        match kept {
            Kept::Nothing => return self.synced.clone(),
            Kept::Everything if self.dropped.is_empty() => return self.now.clone(),
            _ => {}
        }
        let (short, long) = (self.synced.len().min(self.now.len()), self.synced.len().max(self.now.len()));
        let length = match dice.below(4) {
            _ if kept == Kept::Everything => self.now.len(),
            0 => self.synced.len(),
            1 | 2 => self.now.len(),
            _ => (short + dice.below(long - short + 1)).next_multiple_of(SECTOR).min(long),
        };
        let mut bytes = vec![0; length];
        for (number, sector) in bytes.chunks_mut(SECTOR).enumerate() {
            let new = !self.dropped.contains(&number) && (kept == Kept::Everything || dice.percent(50));
            let from = if new { &self.now } else { &self.synced };
            let part = from.get(number * SECTOR..).unwrap_or_default();
            let count = part.len().min(sector.len());
            sector[..count].copy_from_slice(&part[..count]);
        }
        bytes
    }

    fn sync(&mut self) {
        let before = std::mem::replace(&mut self.synced, self.now.clone());
        for number in &self.dropped {
            let (from, to) = (number * SECTOR, ((number + 1) * SECTOR).min(self.synced.len()));
            for at in from..to {
                self.synced[at] = before.get(at).copied().unwrap_or(0);
            }
        }
    }

    fn sync_failed(&mut self) {
        let sectors = self.now.len().div_ceil(SECTOR);
        let sector = |bytes: &[u8], number: usize| {
            let end = ((number + 1) * SECTOR).min(bytes.len());
            bytes.get(number * SECTOR..end).map(<[u8]>::to_vec)
        };
        let dirty = (0..sectors).filter(|number| sector(&self.now, *number) != sector(&self.synced, *number));
        self.dropped.extend(dirty.collect::<Vec<_>>());
    }

    fn write(&mut self, bytes: &[u8], at: usize) {
        let end = at + bytes.len();
        if self.now.len() < end {
            self.now.resize(end, 0);
        }
        self.now[at..end].copy_from_slice(bytes);
        for number in at / SECTOR..end.div_ceil(SECTOR) {
            self.dropped.remove(&number);
        }
    }
}

impl ForgetfulDisk {
    /// Called before each call that changes the disk.
    pub fn watch(&self, watch: impl FnMut(&State, Call) + Send + 'static) {
        self.lock().watch = Some(Box::new(watch));
    }

    /// Asked, with the number of the call, whether it fails.
    pub fn fail(&self, faults: impl FnMut(u64, Call) -> Option<Fault> + Send + 'static) {
        self.lock().faults = Some(Box::new(faults));
    }

    /// From now on everything succeeds.
    pub fn heal(&self) {
        self.lock().faults = None;
    }

    /// What a crash now leaves, or without one the end of the process alone. This disk answers no more.
    pub fn crash(&self, kept: Option<Kept>) -> Self {
        let mut inner = self.lock();
        inner.state.dead = true;
        kept.map_or_else(|| inner.state.after_kill(), |kept| inner.state.after_crash(kept))
    }

    /// As it is, to look at what a crash would leave without one.
    pub fn state(&self) -> State {
        self.lock().state.clone()
    }

    /// Whether it stopped in the middle of a call.
    pub fn is_dead(&self) -> bool {
        self.lock().state.dead
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.lock().state.calls
    }

    /// The names of the files, and how long each is.
    pub fn files(&self) -> Vec<(PathBuf, usize)> {
        let inner = self.lock();
        inner.state.names.iter().map(|(path, file)| (path.clone(), inner.state.files[*file].now.len())).collect()
    }

    /// Changes a file behind everybody's back: damage.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut inner = self.lock();
        let number = inner.state.names[path];
        let file = &mut inner.state.files[number];
        change(&mut file.now);
        file.synced.clone_from(&file.now);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no panic under the lock")
    }

    /// Counts a call, tells who watches, and says how it fails.
    fn begin(&self, call: Call) -> io::Result<(MutexGuard<'_, Inner>, Option<Fault>)> {
        let mut guard = self.lock();
        let inner = &mut *guard;
        if inner.state.dead {
            return Err(io::Error::other("the machine has stopped"));
        }
        inner.state.calls += 1;
        if let Some(watch) = &mut inner.watch {
            watch(&inner.state, call);
        }
        let fault = inner.faults.as_mut().and_then(|faults| faults(inner.state.calls, call));
        match fault {
            Some(Fault::Crash) => {
                inner.state.dead = true;
                Err(io::Error::other("the machine stops"))
            }
            fault => Ok((guard, fault)),
        }
    }

    /// As [`Self::begin`] for calls that fail whole.
    fn change(&self, call: Call) -> io::Result<MutexGuard<'_, Inner>> {
        match self.begin(call)? {
            (guard, None) => Ok(guard),
            (_, Some(fault)) => Err(fault.error()),
        }
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, Inner>> {
        let guard = self.lock();
        if guard.state.dead { Err(io::Error::other("the machine has stopped")) } else { Ok(guard) }
    }
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::Broken | Self::Crash => io::Error::from_raw_os_error(5),
            Self::Full => io::ErrorKind::StorageFull.into(),
        }
    }
}

impl Disk for ForgetfulDisk {
    type File = ForgetfulFile;
    type Lock = ();

    const BLOCKS: bool = false;
    const FULL_RETRY: Duration = Duration::ZERO;

    fn create_directory(&self, _directory: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _file: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let inner = self.alive()?;
        Ok(inner.state.names.keys().filter(|path| path.parent() == Some(directory)).cloned().collect())
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        let inner = self.alive()?;
        let number = inner.state.names.get(file).ok_or(io::ErrorKind::NotFound)?;
        Ok(inner.state.files[*number].now.clone())
    }

    fn create(&self, file: &Path) -> io::Result<ForgetfulFile> {
        let mut inner = self.change(Call::Create)?;
        let state = &mut inner.state;
        let number = match state.names.get(file) {
            Some(number) => {
                state.files[*number].now.clear();
                *number
            }
            None => {
                let number = state.files.len();
                state.files.push(Contents::default());
                state.names.insert(file.to_owned(), number);
                state.renaming.push(Naming::Is(file.to_owned(), number));
                number
            }
        };
        Ok(ForgetfulFile { disk: self.clone(), number })
    }

    fn open(&self, file: &Path) -> io::Result<ForgetfulFile> {
        let inner = self.alive()?;
        let number = *inner.state.names.get(file).ok_or(io::ErrorKind::NotFound)?;
        Ok(ForgetfulFile { disk: self.clone(), number })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.change(Call::Rename)?;
        let state = &mut inner.state;
        let number = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), number);
        // The new name may arrive although the file's first name never did.
        state.renaming.push(Naming::Is(to.to_owned(), number));
        state.renaming.push(Naming::Gone(from.to_owned()));
        Ok(())
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        let mut inner = self.change(Call::Remove)?;
        inner.state.names.remove(file).ok_or(io::ErrorKind::NotFound)?;
        inner.state.renaming.push(Naming::Gone(file.to_owned()));
        Ok(())
    }

    fn sync_directory(&self, _directory: &Path) -> io::Result<()> {
        let mut inner = self.change(Call::SyncDirectory)?;
        let state = &mut inner.state;
        state.synced_names.clone_from(&state.names);
        state.renaming.clear();
        Ok(())
    }

    fn free_bytes(&self, _directory: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl ForgetfulFile {
    fn sync(&self) -> io::Result<()> {
        let (mut inner, fault) = self.disk.begin(Call::Sync)?;
        let file = &mut inner.state.files[self.number];
        match fault {
            None => {
                file.sync();
                Ok(())
            }
            Some(fault) => {
                file.sync_failed();
                Err(fault.error())
            }
        }
    }
}

impl DiskFile for ForgetfulFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let inner = self.disk.alive()?;
        let at = usize::try_from(offset).expect("small files");
        let part = inner.state.files[self.number].now.get(at..at + buffer.len());
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (mut inner, fault) = self.disk.begin(Call::Write)?;
        let file = &mut inner.state.files[self.number];
        let at = usize::try_from(offset).expect("small files");
        match fault {
            None => {
                file.write(bytes, at);
                Ok(())
            }
            Some(fault) => {
                file.write(&bytes[..bytes.len() / 2], at);
                Err(fault.error())
            }
        }
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        let mut inner = self.disk.change(Call::Cut)?;
        inner.state.files[self.number].now.truncate(usize::try_from(length).expect("small files"));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync()
    }
}

impl std::fmt::Debug for ForgetfulDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForgetfulDisk").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ForgetfulFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForgetfulFile").field("number", &self.number).finish_non_exhaustive()
    }
}
