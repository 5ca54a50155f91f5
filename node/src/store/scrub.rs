//! Tables are looked at again and again, so that damage is found before somebody needs what it took.
//!
//! A table never changes once it is written, and the list of tables holds the hash of each. Reading the files keeps the
//! databases' own caches out of it, which would hide what the disk says. It is slow on purpose.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::damage::{Damage, Part};
use super::limits::{SCRUB_INTERVAL, SCRUB_PAUSE};
use super::manifest;

/// How often a list of tables is read until it is whole.
const LIST_TRIES: usize = 10;

/// Looks at the tables until it is dropped.
pub struct Scrub {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Scrub {
    /// Starts.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(data_dir: &Path, damage: Damage) -> io::Result<Self> {
        let (stop, stopped) = sync_channel(0);
        let data_dir = data_dir.to_owned();
        let thread = std::thread::Builder::new()
            .name("trine-scrub".to_owned())
            .spawn(move || while round(&data_dir, &damage, &stopped) && wait(&stopped, SCRUB_INTERVAL) {})?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Scrub {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Waits; false: it is to stop.
fn wait(stopped: &Receiver<()>, time: Duration) -> bool {
    matches!(stopped.recv_timeout(time), Err(RecvTimeoutError::Timeout))
}

/// Looks at each table once; false: it is to stop.
fn round(data_dir: &Path, damage: &Damage, stopped: &Receiver<()>) -> bool {
    for part in [Part::Synced, Part::Derived] {
        let directory = data_dir.join(part.name());
        // A list that is being replaced is whole a moment later; one that is damaged is met at the next start.
        let tables = (0..LIST_TRIES).find_map(|_| manifest::tables(&directory).ok());
        for table in tables.unwrap_or_default() {
            match table.is_whole(|| wait(stopped, SCRUB_PAUSE)) {
                Ok(Some(true)) => {}
                Ok(Some(false)) => damage.found(part, &format!("{} is not what was written", table.path.display())),
                Ok(None) => return false,
                // Merged into others meanwhile; or the disk does not answer, which whoever needs it will say.
                Err(_) => {}
            }
        }
    }
    true
}
