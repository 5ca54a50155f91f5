//! The files of Raft's log, as a node finds them when it starts.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use trine_crdt::NodeId;
use trine_journal::disk::{Disk, DiskFile};
use trine_journal::recover::segment_path;
use trine_ledger::LogPosition;
use trine_ledger::frame::{FILE_HEADER_BYTES, FileHeader, Frame, FrameKind};
use trine_raft::config::LogConfig;
use trine_raft::log::LogStore;

use crate::target::{Memory, Sample, Target, Verdict};

/// Two bytes say how long the state file is; then it, then the only segment. A log that opens, opens again as the same.
pub const TARGET: Target = Target { name: "raft_log", run, samples, memory: Memory::SERDE };

fn run(bytes: &[u8]) -> Verdict {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return Verdict::Refused };
    let Some((state, segment)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))) else {
        return Verdict::Refused;
    };
    let disk = Files::default();
    disk.put(&directory().join("state"), state);
    if !segment.is_empty() {
        disk.put(&segment_path(&directory(), 0), segment);
    }
    let open = || {
        let config = LogConfig { room_bytes: 0, reserve_bytes: 0, ..LogConfig::default() };
        let fatal = Arc::new(|reason: String| panic!("nothing is written, and yet: {reason}"));
        LogStore::<Files>::stopped(disk.clone(), &directory(), config, fatal).map(|(log, _)| (log.last(), log.vote()))
    };
    match open() {
        Ok(found) => {
            assert_eq!(open().ok(), Some(found), "a log that opened is another one the second time");
            Verdict::Accepted
        }
        Err(error) => {
            assert!(!error.to_string().is_empty(), "refused without a reason");
            Verdict::Refused
        }
    }
}

fn directory() -> PathBuf {
    PathBuf::from("/log")
}

/// A disk in memory on which everything is durable.
#[derive(Debug, Clone, Default)]
struct Files(Arc<Mutex<BTreeMap<PathBuf, File>>>);

type File = Arc<Mutex<Vec<u8>>>;

impl Files {
    fn put(&self, path: &Path, bytes: &[u8]) {
        lock(&self.0).insert(path.to_owned(), Arc::new(Mutex::new(bytes.to_vec())));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk for Files {
    type File = Contents;
    type Lock = ();

    const BLOCKS: bool = false;
    const FULL_RETRY: Duration = Duration::ZERO;

    fn create_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(lock(&self.0).keys().filter(|path| path.parent() == Some(directory)).cloned().collect())
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        Ok(lock(&self.open(file)?.0).clone())
    }

    fn create(&self, file: &Path) -> io::Result<Contents> {
        self.put(file, &[]);
        self.open(file)
    }

    fn open(&self, file: &Path) -> io::Result<Contents> {
        lock(&self.0).get(file).cloned().map(Contents).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = lock(&self.0);
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        lock(&self.0).remove(file).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

/// An open file of [`Files`].
#[derive(Debug)]
struct Contents(File);

impl DiskFile for Contents {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let (bytes, from) = (lock(&self.0), usize::try_from(offset).unwrap_or(usize::MAX));
        let found = bytes.get(from..from.saturating_add(buffer.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(found);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (mut file, from) = (lock(&self.0), usize::try_from(offset).map_err(io::Error::other)?);
        let end = from + bytes.len();
        if file.len() < end {
            file.resize(end, 0);
        }
        file[from..end].copy_from_slice(bytes);
        Ok(())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        lock(&self.0).resize(usize::try_from(length).map_err(io::Error::other)?, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }
}

/// What an empty log writes when it is made.
fn state() -> Vec<u8> {
    let disk = Files::default();
    let made = LogStore::<Files>::stopped(disk.clone(), &directory(), LogConfig::default(), Arc::new(|_| {}));
    drop(made.expect("an empty log can be made"));
    disk.read(&directory().join("state")).expect("it has a state")
}

fn segment(frames: u64) -> Vec<u8> {
    let header = FileHeader { first: 0, salt: [42; 32] };
    let mut bytes = header.to_bytes().to_vec();
    for index in 0..frames {
        let position = LogPosition { term: 3, leader: NodeId(7), index };
        // Each was written when those before it were durable.
        let synced = if index == 0 { 0 } else { bytes.len() as u64 };
        let (kind, payload): (_, &[u8]) =
            if index == 0 { (FrameKind::Blank, b"") } else { (FrameKind::Entry, b"entry") };
        header.write_frame(&Frame { kind, position, synced, payload }, &mut bytes).expect("within bounds");
    }
    bytes
}

fn samples() -> Vec<Sample> {
    let of = |state: &[u8], segment: &[u8]| {
        let length = u16::try_from(state.len()).expect("a state is small").to_be_bytes();
        [&length[..], state, segment].concat()
    };
    let (state, three) = (state(), segment(3));
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    vec![
        Sample::valid("empty", of(&state, &[])),
        Sample::valid("three", of(&state, &three)),
        Sample::valid("header-alone", of(&state, &three[..FILE_HEADER_BYTES])),
        Sample::valid("torn-header", of(&state, &three[..FILE_HEADER_BYTES / 2])),
        Sample::valid("torn-end", of(&state, &three[..three.len() - 3])),
        Sample::valid("room-behind", of(&state, &[&three[..], &[0; 600]].concat())),
        Sample::hostile("no-state", of(&[], &three)),
        Sample::hostile("state-cut", of(&state[..state.len() - 1], &three)),
        Sample::hostile("state-flipped", of(&flipped(&state, state.len() - 1), &three)),
        Sample::hostile("header-flipped", of(&state, &flipped(&three, 20))),
        Sample::hostile("first-frame-flipped", of(&state, &flipped(&three, FILE_HEADER_BYTES + 3))),
        Sample::hostile(
            "first-entry-missing",
            of(&state, &{
                let mut bytes = FileHeader { first: 9, salt: [42; 32] }.to_bytes().to_vec();
                bytes.extend_from_slice(&three[FILE_HEADER_BYTES..]);
                bytes
            }),
        ),
    ]
}
