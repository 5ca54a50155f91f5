//! Where each entry stands: index → file and offset, four bytes an entry.
//!
//! The log is a sequence of *runs*: entries of consecutive indexes in one file, back to back. A new file starts a
//! run, and so does the first entry after a truncation, whose index may have been used before.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use trine_ledger::frame::FileHeader;

use super::disk::Disk;
use crate::limits::{OPEN_PATIENCE, OPEN_PAUSE};
use crate::passing::exhausted;

/// A segment file: open while it is written, opened for each read once it is not, since a log grows to any number of
/// files and a process may have only some open.
#[derive(Debug)]
pub struct SegmentFile<D: Disk> {
    /// Its path.
    pub path: PathBuf,
    /// What it starts with.
    pub header: FileHeader,
    disk: D,
    open: RwLock<Option<Arc<D::File>>>,
}

impl<D: Disk> SegmentFile<D> {
    /// An open one.
    pub fn new(disk: D, path: PathBuf, file: D::File, header: FileHeader) -> Self {
        Self { path, header, disk, open: RwLock::new(Some(Arc::new(file))) }
    }

    /// The open file. Without a descriptor to open it with, it waits a little: some other file will be closed.
    ///
    /// # Errors
    /// What the system says.
    pub fn file(&self) -> io::Result<Arc<D::File>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(open) = open {
            return Ok(open);
        }
        let ends = Instant::now() + OPEN_PATIENCE;
        loop {
            match self.disk.open(&self.path) {
                Err(error) if exhausted(&error) && Instant::now() < ends => std::thread::sleep(OPEN_PAUSE),
                opened => return opened.map(Arc::new),
            }
        }
    }

    /// It is written no more: it is closed, and opened by whoever reads it.
    pub fn close(&self) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[derive(Debug)]
struct Run<D: Disk> {
    file: Arc<SegmentFile<D>>,
    first: u64,
    offsets: Vec<u32>,
    end: u32,
}

impl<D: Disk> Run<D> {
    fn next(&self) -> u64 {
        self.first + self.offsets.len() as u64
    }
}

/// A piece of a file that holds consecutive entries.
#[derive(Debug)]
pub struct Extent<D: Disk> {
    /// The file.
    pub file: Arc<SegmentFile<D>>,
    /// The first entry's index.
    pub first: u64,
    /// Where it starts.
    pub start: u32,
    /// Where the last one ends.
    pub end: u32,
}

/// Where the written entries stand.
#[derive(Debug)]
pub struct Index<D: Disk> {
    runs: Vec<Run<D>>,
}

impl<D: Disk> Default for Index<D> {
    fn default() -> Self {
        Self { runs: Vec::new() }
    }
}

impl<D: Disk> Index<D> {
    /// The first index, when there is any entry.
    pub fn first(&self) -> Option<u64> {
        self.runs.first().map(|run| run.first)
    }

    /// The index after the last written entry.
    pub fn next(&self) -> Option<u64> {
        self.runs.last().map(Run::next)
    }

    /// The files, each with the index after its last entry.
    pub fn files(&self) -> impl Iterator<Item = (PathBuf, u64)> + '_ {
        let ends = self
            .runs
            .iter()
            .enumerate()
            .filter(|(at, run)| self.runs.get(at + 1).is_none_or(|next| !Arc::ptr_eq(&next.file, &run.file)));
        ends.map(|(_, run)| (run.file.path.clone(), run.next()))
    }

    /// Adds the entry `index`, which stands at `start..end` of `file`.
    pub fn push(&mut self, file: &Arc<SegmentFile<D>>, index: u64, start: u32, end: u32) {
        if let Some(run) = self.runs.last_mut()
            && Arc::ptr_eq(&run.file, file)
            && run.next() == index
            && run.end == start
        {
            run.offsets.push(start);
            run.end = end;
            return;
        }
        self.runs.push(Run { file: file.clone(), first: index, offsets: vec![start], end });
    }

    /// Forgets `from` and all after it.
    pub fn truncate(&mut self, from: u64) {
        while self.runs.last().is_some_and(|run| run.first >= from) {
            self.runs.pop();
        }
        if let Some(run) = self.runs.last_mut()
            && run.next() > from
        {
            let keep = usize::try_from(from - run.first).expect("fewer entries than fit in memory");
            run.end = run.offsets[keep];
            run.offsets.truncate(keep);
        }
    }

    /// A piece that starts with the entry `from`, ends before `to`, and has at most `bytes_max` bytes unless a single
    /// entry has more; none when `from` is not there.
    pub fn extent(&self, from: u64, to: u64, bytes_max: usize) -> Option<Extent<D>> {
        let at = self.runs.partition_point(|run| run.first <= from).checked_sub(1)?;
        let run = &self.runs[at];
        if from >= run.next() || from >= to {
            return None;
        }
        let skip = usize::try_from(from - run.first).ok()?;
        let start = run.offsets[skip];
        let ends = run.offsets[skip + 1..].iter().copied().chain([run.end]);
        let wanted = usize::try_from(to - from).unwrap_or(usize::MAX);
        let mut end = 0;
        for (count, candidate) in ends.take(wanted).enumerate() {
            if count > 0 && (candidate - start) as usize > bytes_max {
                break;
            }
            end = candidate;
        }
        Some(Extent { file: run.file.clone(), first: from, start, end })
    }
}
