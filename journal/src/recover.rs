//! What the segment files hold at a start.
//!
//! Every frame is read and checked. A file is only begun after its predecessor was durable as a whole, so a bad
//! frame in any but the last file is damage. In the last file it is damage when the floor or a later frame says that
//! those bytes were durable, otherwise the torn end of the last write, which is cut off.
//!
//! What is read is not for that reason on the disk. A process that was killed leaves what it had not synced in the
//! system's memory, and one that died of a failed sync leaves there what will never be written. So all that no floor
//! covers is written and synced once more before anybody is told of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use trine_crdt::NodeId;
use trine_ledger::LogPosition;
use trine_ledger::frame::{self, FILE_HEADER_BYTES, FRAME_HEADER_BYTES, FrameError, FrameKind, Placed, TailState};

use super::disk::{Disk, DiskFile};
use super::error::LogError;
use super::index::{Index, SegmentFile};
use crate::mutants::{self, Mutant};

/// The log as found.
#[derive(Debug)]
pub struct Recovered<D: Disk> {
    /// Where the entries stand.
    pub index: Index<D>,
    /// The last entry.
    pub last: Option<LogPosition>,
    /// The file to append to, its number and length; none when there is no file yet.
    pub active: Option<(Arc<SegmentFile<D>>, u64, u64)>,
    /// Where that file ends on the disk: behind its frames there may be zeros.
    pub room: u64,
    /// The first entry of each leader, to know who led the entry before a truncation.
    led: Vec<LogPosition>,
}

/// Opens and reads all segment files. `floor` is the last index that was durable for sure; entries up to `purged` may be
/// missing, because the log began behind them.
///
/// # Errors
/// [`LogError`]: damage, a log shorter than its floor, a disk that does not answer.
pub fn recover<D: Disk>(
    disk: &D,
    directory: &Path,
    floor: Option<u64>,
    purged: Option<LogPosition>,
) -> Result<Recovered<D>, LogError> {
    let mut found = Recovered { index: Index::default(), last: None, active: None, room: 0, led: Vec::new() };
    let files = segments(disk, directory)?;
    let count = files.len();
    for (place, (number, path)) in files.into_iter().enumerate() {
        found.file(disk, number, path, place + 1 == count, floor, purged)?;
    }
    // The vote, too, may have been renamed into place and no more.
    disk.sync_directory(directory).map_err(LogError::io("syncing", directory))?;
    let last = found.last.max(purged).map(|last| last.index);
    match floor {
        Some(floor) if last.is_none_or(|last| last < floor) && !mutants::is(Mutant::ShortLogAccepted) => {
            Err(LogError::ShorterThanFloor { directory: directory.to_owned(), last, floor })
        }
        _ => Ok(found),
    }
}

/// The path of a segment file.
#[must_use]
pub fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:010}.log"))
}

impl<D: Disk> Recovered<D> {
    fn file(
        &mut self,
        disk: &D,
        number: u64,
        path: PathBuf,
        is_last: bool,
        floor: Option<u64>,
        purged: Option<LogPosition>,
    ) -> Result<(), LogError> {
        let bytes = disk.read(&path).map_err(LogError::io("reading", &path))?;
        let damaged = |offset: u64, reason: String| LogError::Damaged { file: path.clone(), offset, reason };
        let scan = match frame::scan(&bytes) {
            Ok(scan) => scan,
            // Its header was being written, so no frame of it was promised; unless the floor says otherwise, below.
            Err(FrameError::TornHeader) if is_last => return remove(disk, &path),
            // The same, of a file whose length arrived before its bytes.
            Err(FrameError::DamagedHeader) if is_last && bytes.len() <= FILE_HEADER_BYTES => {
                return remove(disk, &path);
            }
            Err(error) => return Err(damaged(0, error.to_string())),
        };
        let next = self.last.map_or(0, |last| last.index + 1);
        let first = scan.header.first;
        if first != next && !purged.is_some_and(|purged| (next..=purged.index + 1).contains(&first)) {
            let short = self.active.as_ref().map_or_else(|| path.clone(), |(before, _, _)| before.path.clone());
            let reason = format!("entry {next} is missing: the next file begins with {first}");
            return Err(LogError::Damaged { file: short, offset: 0, reason });
        }
        let file = disk.open(&path).map_err(LogError::io("opening", &path))?;
        let segment = Arc::new(SegmentFile::new(disk.clone(), path.clone(), file, scan.header));
        let file = segment.file().map_err(LogError::io("opening", &path))?;
        if let Some((before, _, _)) = &self.active {
            before.close();
        }
        for placed in &scan.frames {
            self.frame(&segment, placed, purged).map_err(|reason| damaged(placed.at, reason))?;
        }
        // What was purged counts as there: the first write of the first file that is left may be torn.
        let next = self.last.max(purged).map_or(0, |last| last.index + 1);
        let torn = match scan.tail {
            TailState::Damaged { at } if is_last && mutants::is(Mutant::DamageCutOff) => TailState::Torn { at },
            tail => tail,
        };
        match torn {
            TailState::Clean => self.room = bytes.len() as u64,
            TailState::Torn { at } if is_last && floor.is_none_or(|floor| next > floor) => {
                let torn = bytes.len() as u64 - at;
                tracing::warn!(file = %path.display(), offset = at, bytes = torn, "cut a torn end off the log");
                cut(&*file, at).map_err(LogError::io("cutting", &path))?;
                self.room = at;
            }
            TailState::Torn { at } | TailState::Damaged { at } => {
                return Err(damaged(at, "a frame that had been durable is not what was written".to_owned()));
            }
        }
        if is_last {
            let covered = |placed: &Placed<'_>| floor == Some(placed.frame.position.index) && is_entry(placed);
            let from = scan.frames.iter().rfind(|placed| covered(placed)).map_or(0, end);
            let rest = usize::try_from(from).ok().zip(usize::try_from(scan.end).ok());
            if let Some(rest) = rest.and_then(|(from, end)| bytes.get(from..end)).filter(|rest| !rest.is_empty()) {
                file.write_all_at(rest, from).map_err(LogError::io("writing once more", &path))?;
                file.sync_all().map_err(LogError::io("syncing", &path))?;
            }
        }
        self.active = Some((segment, number, scan.end));
        Ok(())
    }

    fn frame(
        &mut self,
        segment: &Arc<SegmentFile<D>>,
        placed: &Placed<'_>,
        purged: Option<LogPosition>,
    ) -> Result<(), String> {
        let id = placed.frame.position;
        if placed.frame.kind == FrameKind::Truncate {
            self.index.truncate(id.index);
            while self.led.last().is_some_and(|first| first.index >= id.index) {
                self.led.pop();
            }
            if self.last.is_some_and(|last| last.index >= id.index) {
                let before = id.index.checked_sub(1);
                self.last = self.led.last().zip(before).map(|(led, before)| LogPosition { index: before, ..*led });
            }
            return Ok(());
        }
        let first_kept = purged.is_some_and(|purged| id.index == purged.index + 1);
        if let Some(last) = self.last
            && !(first_kept || id.index == last.index + 1 && leader(&last) <= leader(&id))
        {
            return Err(format!("entry {id} does not follow {last}"));
        }
        let offset = |at: u64| u32::try_from(at).map_err(|_| "the file is too long".to_owned());
        self.index.push(segment, id.index, offset(placed.at)?, offset(end(placed))?);
        if self.led.last().is_none_or(|first| leader(first) != leader(&id)) {
            self.led.push(id);
        }
        self.last = Some(id);
        Ok(())
    }
}

/// Who led when an entry was proposed.
fn leader(position: &LogPosition) -> (u64, NodeId) {
    (position.term, position.leader)
}

fn is_entry(placed: &Placed<'_>) -> bool {
    placed.frame.kind != FrameKind::Truncate
}

/// The offset after a frame.
fn end(placed: &Placed<'_>) -> u64 {
    placed.at + (FRAME_HEADER_BYTES + placed.frame.payload.len()) as u64
}

fn cut(file: &impl DiskFile, at: u64) -> std::io::Result<()> {
    file.cut(at)?;
    file.sync_all()
}

fn remove(disk: &impl Disk, path: &Path) -> Result<(), LogError> {
    disk.remove(path).map_err(LogError::io("removing", path))?;
    path.parent()
        .map_or(Ok(()), |directory| disk.sync_directory(directory))
        .map_err(LogError::io("syncing the directory of", path))
}

/// All segment files, by number.
///
/// # Errors
/// [`LogError`]: one is missing, or the disk does not answer.
pub fn segments(disk: &impl Disk, directory: &Path) -> Result<Vec<(u64, PathBuf)>, LogError> {
    let mut files = Vec::new();
    for path in disk.list(directory).map_err(LogError::io("listing", directory))? {
        let number = path
            .extension()
            .filter(|extension| *extension == "log")
            .and_then(|_| path.file_stem()?.to_str()?.parse::<u64>().ok());
        if let Some(number) = number {
            files.push((number, path));
        }
    }
    files.sort();
    // A log whose beginning was purged begins with a later one; whether it may, its first entry says.
    let first = files.first().map_or(0, |(number, _)| *number);
    if let Some((missing, _)) = (first..).zip(&files).find(|(expected, (number, _))| expected != number) {
        let file = segment_path(directory, missing);
        return Err(LogError::Damaged { file, offset: 0, reason: "the file is missing".to_owned() });
    }
    Ok(files)
}
