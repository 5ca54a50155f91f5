//! Groups of bytes under numbers that rise: written behind the last and synced, read through at a start, forgotten from the
//! front.
//!
//! What a group holds stands elsewhere in the end: this is how it is durable until then. Whoever has put it there says up to
//! which number ([`Groups::forget`]), and files that hold nothing later are removed. A group that is larger than a frame
//! stands in several, of which only the last makes it count: a crash in between leaves none of it.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;
use trine_crdt::NodeId;
use trine_ledger::LogPosition;
use trine_ledger::frame::{FileHeader, Frame, FrameKind};

use super::appender::{Appender, Closing, Sizes, Stop};
use super::disk::Disk;
use super::error::LogError;
use super::limits::REPLAY_BYTES_AT_ONCE;
use super::read;
use super::recover::{Recovered, recover, segments};
use crate::mutants::{self, Mutant};

/// A part that begins a group.
const FIRST: u8 = 1;
/// A part that ends a group.
const LAST: u8 = 2;

/// How groups are laid down.
#[derive(Debug, Clone, Copy)]
pub struct GroupSizes {
    /// Their files.
    pub files: Sizes,
    /// Bytes of a group that one frame takes: [`GROUP_PART_BYTES_MAX`](super::limits::GROUP_PART_BYTES_MAX) at most.
    pub part_bytes: usize,
}

/// The groups of a directory; who has it is the only one that writes there.
#[derive(Debug)]
pub struct Groups<D: Disk> {
    appender: Appender<D>,
    part_bytes: usize,
    next: u64,
    /// The files before the one that is written, oldest first, each with the number after its last part.
    older: VecDeque<(PathBuf, u64)>,
}

impl<D: Disk> Groups<D> {
    /// Opens a directory, or makes it, and hands every whole group after number `kept` to `each`. At least the groups up to
    /// `floor` must be there or be among those that stand elsewhere.
    ///
    /// # Errors
    /// [`LogError`]: damage (also what `each` says), fewer groups than the floor, a disk that does not answer.
    pub fn open(
        disk: D,
        directory: &Path,
        sizes: GroupSizes,
        (floor, kept): (Option<u64>, u64),
        mut each: impl FnMut(u64, Bytes) -> Result<(), String>,
    ) -> Result<Self, LogError> {
        disk.create_directory(directory).map_err(LogError::io("creating", directory))?;
        if let Some(parent) = directory.parent() {
            disk.sync_directory(parent).map_err(LogError::io("syncing", parent))?;
        }
        follows_kept(&disk, directory, kept)?;
        let found = recover(&disk, directory, floor, Some(position(kept)))?;
        replay(&found, kept, &mut each)?;
        let Recovered { index, last, active, room, .. } = found;
        let next = last.map_or(0, |last| last.index).max(kept) + 1;
        let written = active.as_ref().map(|(file, _, _)| file.path.clone());
        let older = index.files().filter(|(path, _)| Some(path) != written.as_ref()).collect();
        let follows = active.as_ref().map(|(file, _, _)| last.map_or(file.header.first, |last| last.index + 1));
        let (full, _) = watch::channel(false);
        let GroupSizes { files, part_bytes } = sizes;
        let appender = Appender { disk, directory: directory.to_owned(), active, room, sizes: files, full };
        let mut groups = Self { appender, part_bytes, next, older };
        // All of it stands elsewhere, and what comes next does not follow it.
        if follows.is_some_and(|follows| follows != next) {
            groups.forget(u64::MAX - 1)?;
            groups.appender.active = None;
            written.into_iter().try_for_each(|path| groups.remove(&path))?;
        }
        Ok(groups)
    }

    /// The number of the last part written; what was kept when there is none.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.next - 1
    }

    /// Writes a group and syncs it; returns its number.
    ///
    /// # Errors
    /// Why nothing more can be written: nobody knows then what is on the disk.
    pub fn write(&mut self, group: &[u8], closing: &impl Closing) -> Result<u64, Stop> {
        let before = self.appender.active.as_ref().map(|(file, number, _)| (file.path.clone(), *number));
        let (file, start) = self.appender.segment(self.next, self.next, closing)?;
        if let Some((path, number)) = before
            && self.appender.active.as_ref().is_some_and(|(_, active, _)| *active != number)
        {
            self.older.push_back((path, self.next));
        }
        let mut bytes = Vec::with_capacity(group.len() + 128);
        let mut next = self.next;
        let parts = group.len().div_ceil(self.part_bytes).max(1);
        let mut payload = Vec::with_capacity(1 + group.len().min(self.part_bytes));
        for part in 0..parts {
            let from = part * self.part_bytes;
            payload.clear();
            payload.push(if part == 0 { FIRST } else { 0 } | if part + 1 == parts { LAST } else { 0 });
            payload.extend_from_slice(&group[from..(from + self.part_bytes).min(group.len())]);
            let frame = Frame { kind: FrameKind::Entry, position: position(next), synced: start, payload: &payload };
            file.header.write_frame(&frame, &mut bytes).expect("a part is within bounds");
            next += 1;
        }
        self.appender.put(&file, start, &bytes, closing)?;
        if !mutants::is(Mutant::StoreAnswersBeforeSync) {
            self.appender.sync(&file)?;
        }
        self.next = next;
        Ok(next - 1)
    }

    /// Removes the files that hold nothing after number `upto`.
    ///
    /// # Errors
    /// What the disk says. What was not removed is the next time.
    pub fn forget(&mut self, upto: u64) -> Result<(), LogError> {
        while let Some((path, _)) = self.older.front().filter(|(_, end)| *end <= upto + 1) {
            self.remove(path)?;
            self.older.pop_front();
        }
        Ok(())
    }

    /// Removes a file before the next one is: those that are gone must be the oldest.
    fn remove(&self, path: &Path) -> Result<(), LogError> {
        let Appender { disk, directory, .. } = &self.appender;
        match disk.remove(path) {
            // The time before it was removed, and then there was no descriptor to sync the directory with.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            removed => removed.map_err(LogError::io("removing", path))?,
        }
        disk.sync_directory(directory).map_err(LogError::io("syncing", directory))
    }

    /// Leaves no zeros behind the last part.
    ///
    /// # Errors
    /// What the disk says.
    pub fn close(mut self) -> Result<(), LogError> {
        self.appender.cut()
    }
}

/// What stands elsewhere must reach to where the first file begins: otherwise it is older than what was forgotten here.
fn follows_kept<D: Disk>(disk: &D, directory: &Path, kept: u64) -> Result<(), LogError> {
    let Some((_, path)) = segments(disk, directory)?.into_iter().next() else { return Ok(()) };
    let bytes = disk.read(&path).map_err(LogError::io("reading", &path))?;
    match FileHeader::from_bytes(&bytes) {
        Ok(header) if header.first > kept + 1 => Err(LogError::ShorterThanFloor {
            directory: directory.to_owned(),
            last: Some(kept),
            floor: header.first - 1,
        }),
        _ => Ok(()),
    }
}

/// Hands the whole groups after `kept` over, in order.
fn replay<D: Disk>(
    found: &Recovered<D>,
    kept: u64,
    each: &mut impl FnMut(u64, Bytes) -> Result<(), String>,
) -> Result<(), LogError> {
    let Some(first) = found.index.first() else { return Ok(()) };
    let last = found.last.map_or(0, |last| last.index);
    let end = if mutants::is(Mutant::ReplayStopsEarly) { last } else { last + 1 };
    let mut at = first;
    let mut whole: Option<BytesMut> = None;
    while let Some(extent) = found.index.extent(at, end, REPLAY_BYTES_AT_ONCE) {
        for (number, part) in read::entries(&extent, |frame, payload| Ok((frame.position.index, payload)))? {
            at = number + 1;
            let damaged =
                |reason| LogError::Damaged { file: extent.file.path.clone(), offset: extent.start.into(), reason };
            let flags = *part.first().ok_or_else(|| damaged(format!("part {number} is empty")))?;
            let part = part.slice(1..);
            let group = match (whole.take(), flags) {
                // What was begun before and did not end was cut short by a crash.
                (_, flags) if flags == FIRST | LAST => part,
                (_, FIRST) => {
                    whole = Some(BytesMut::from(part.as_ref()));
                    continue;
                }
                // Of a group that began at or below what is kept.
                (None, _) => continue,
                (Some(mut begun), flags) => {
                    begun.extend_from_slice(&part);
                    if flags != LAST {
                        whole = Some(begun);
                        continue;
                    }
                    begun.freeze()
                }
            };
            if number > kept {
                each(number, group).map_err(damaged)?;
            }
        }
    }
    Ok(())
}

fn position(index: u64) -> LogPosition {
    LogPosition { term: 0, leader: NodeId(0), index }
}
