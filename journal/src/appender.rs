//! The end of a journal: where frames are put and made durable.
//!
//! Who has it is the only one that writes there. The order of effects is the safety argument:
//!
//! 1. Frames are written with one call and synced with one `fdatasync`. Nothing is promised before.
//! 2. A new segment is created and its name synced before anything is written to it, and only when the old one is
//!    durable; so damage in an older file can never be a torn write.
//! 3. Room is made ahead of the frames, as zeros: a sync that need not change the file's length and extents as well costs
//!    half. Zeros are no frames; a file is cut to its frames before the next one is begun, and when the log closes.
//! 4. A write that finds the disk full waits and starts again at the same place, and so does a file that cannot be made for
//!    want of a descriptor. After any other error, and any error
//!    of a sync, nobody knows what the disk holds: nothing may be promised any more.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use trine_ledger::frame::{FILE_HEADER_BYTES, FileHeader};

use super::disk::{Disk, DiskFile as _};
use super::error::LogError;
use super::index::SegmentFile;
use super::passing::passes;
use super::recover::segment_path;
use crate::mutants::{self, Mutant};

/// How files grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// A segment file that has grown to this size is followed by a new one.
    pub segment_bytes: u64,
    /// The least room that the disk must have left; appends wait while it has less.
    pub reserve_bytes: u64,
    /// Zeros written ahead of the frames at a time, so that a sync seldom changes a file's length; 0 writes none.
    pub room_bytes: usize,
}

/// Where the next frames go.
#[derive(Debug)]
pub struct Appender<D: Disk> {
    /// Where it writes.
    pub disk: D,
    /// In which directory.
    pub directory: PathBuf,
    /// The file appended to, its number, its length.
    pub active: Option<(Arc<SegmentFile<D>>, u64, u64)>,
    /// Where the zeros behind the active file's frames end.
    pub room: u64,
    /// Sizes.
    pub sizes: Sizes,
    /// Whether appends wait for room on the disk.
    pub full: watch::Sender<bool>,
}

/// Ends the wait of who writes to a full disk.
pub trait Closing {
    /// Waits until nothing more is to be written, for at most `patience`; whether that is so.
    fn wait_closed(&self, patience: Duration) -> bool;
}

/// Why the writer does not go on.
#[derive(Debug)]
pub enum Stop {
    /// The log closed while the disk was full.
    Closed,
    /// The disk failed.
    Failed(LogError),
}

impl From<LogError> for Stop {
    fn from(error: LogError) -> Self {
        Self::Failed(error)
    }
}

impl<D: Disk> Appender<D> {
    /// Writes at the end of the active file and syncs.
    ///
    /// # Errors
    /// Why the writer does not go on.
    pub fn write(
        &mut self,
        file: &Arc<SegmentFile<D>>,
        start: u64,
        bytes: &[u8],
        closing: &impl Closing,
    ) -> Result<(), Stop> {
        self.put(file, start, bytes, closing)?;
        if !mutants::is(Mutant::LogAnswersBeforeSync) {
            self.sync(file)?;
        }
        Ok(())
    }

    /// Writes at the end of the active file. Nothing is promised before [`Self::sync`].
    ///
    /// # Errors
    /// Why the writer does not go on.
    pub fn put(
        &mut self,
        file: &Arc<SegmentFile<D>>,
        start: u64,
        bytes: &[u8],
        closing: &impl Closing,
    ) -> Result<(), Stop> {
        loop {
            let result = if self.has_room(bytes.len()) {
                self.make_room(file, start + bytes.len() as u64).and_then(|()| file.file()?.write_all_at(bytes, start))
            } else {
                Err(io::ErrorKind::StorageFull.into())
            };
            match result {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    if mutants::is(Mutant::FullDiskBelieved) {
                        break;
                    }
                    if !self.full.send_replace(true) {
                        tracing::error!(directory = %self.directory.display(), "the disk is full: appends wait for room");
                    }
                    if closing.wait_closed(D::FULL_RETRY) {
                        return Err(Stop::Closed);
                    }
                }
                Err(error) => return Err(LogError::io("writing", &file.path)(error).into()),
            }
        }
        if self.full.send_replace(false) {
            tracing::info!(directory = %self.directory.display(), "the disk has room again");
        }
        if let Some((_, _, length)) = &mut self.active {
            *length = start + bytes.len() as u64;
        }
        Ok(())
    }

    /// Syncs what was written to the active file.
    ///
    /// # Errors
    /// What the disk says: nobody knows then what it holds.
    pub fn sync(&self, file: &SegmentFile<D>) -> Result<(), Stop> {
        let began = Instant::now();
        let synced = file.file().and_then(|file| file.sync_data()).map_err(LogError::io("syncing", &file.path));
        synced.or_else(|error| if mutants::is(Mutant::SyncErrorIgnored) { Ok(()) } else { Err(error) })?;
        metrics::histogram!("trine_fsync_seconds").record(began.elapsed());
        Ok(())
    }

    /// Writes zeros behind what is about to be written, when what there is does not suffice. Without room on the disk
    /// it goes without: the write itself will tell.
    fn make_room(&mut self, file: &Arc<SegmentFile<D>>, end: u64) -> io::Result<()> {
        let bytes = self.sizes.room_bytes;
        if bytes == 0 || end <= self.room || !self.has_room(bytes.saturating_mul(2)) {
            return Ok(());
        }
        match file.file()?.write_all_at(&vec![0; bytes], end) {
            Ok(()) => self.room = end + bytes as u64,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Cuts the zeros behind the active file's frames off.
    ///
    /// # Errors
    /// What the disk said.
    pub fn cut(&mut self) -> Result<(), LogError> {
        let Some((file, _, length)) = &self.active else { return Ok(()) };
        if self.room > *length {
            let cut = || {
                let file = file.file()?;
                file.cut(*length)?;
                file.sync_all()
            };
            cut().map_err(LogError::io("cutting", &file.path))?;
        }
        self.room = *length;
        Ok(())
    }

    /// The file to append `first` to and its length; a new one when the last has grown to its size, or when `first`
    /// does not follow (`next`) what it holds.
    ///
    /// # Errors
    /// Why the writer does not go on.
    pub fn segment(
        &mut self,
        first: u64,
        next: u64,
        closing: &impl Closing,
    ) -> Result<(Arc<SegmentFile<D>>, u64), Stop> {
        let number = match &self.active {
            Some((file, _, length)) if *length < self.sizes.segment_bytes && next == first => {
                return Ok((file.clone(), *length));
            }
            Some((_, number, _)) => number + 1,
            None => 0,
        };
        self.cut()?;
        let path = segment_path(&self.directory, number);
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).map_err(|error| LogError::Io {
            what: "drawing a salt for",
            file: path.clone(),
            error: error.into(),
        })?;
        let header = FileHeader { first, salt };
        let create = || {
            let file = self.disk.create(&path)?;
            file.write_all_at(&header.to_bytes(), 0)?;
            file.sync_all()?;
            if !mutants::is(Mutant::DirectoryUnsynced) {
                self.disk.sync_directory(&self.directory)?;
            }
            Ok::<_, io::Error>(file)
        };
        let file = loop {
            match create() {
                Ok(file) => break file,
                Err(error) if passes(&error) => {
                    if closing.wait_closed(D::FULL_RETRY) {
                        return Err(Stop::Closed);
                    }
                }
                Err(error) => return Err(LogError::io("creating", path)(error).into()),
            }
        };
        if let Some((before, _, _)) = &self.active {
            before.close();
        }
        let segment = Arc::new(SegmentFile::new(self.disk.clone(), path, file, header));
        self.active = Some((segment.clone(), number, FILE_HEADER_BYTES as u64));
        self.room = FILE_HEADER_BYTES as u64;
        Ok((segment, FILE_HEADER_BYTES as u64))
    }

    fn has_room(&self, bytes: usize) -> bool {
        if self.sizes.reserve_bytes == 0 {
            return true;
        }
        let wanted = self.sizes.reserve_bytes.saturating_add(bytes as u64);
        // Not knowing is no reason to stop: the write itself will tell.
        self.disk.free_bytes(&self.directory).map_or(true, |free| free >= wanted)
    }
}
