//! Free disk: measured often, told to the core, waited for by the committers.
//!
//! Below the reserve the core refuses clients' writes and goes on with what others need of it; the reserve is what that
//! work may use. Below an eighth of the reserve the committers hold their batches back too: nothing is acknowledged, and the
//! databases keep room for the tables that give space back. Writes are taken again only well above the reserve, so
//! that a disk at the edge does not flicker.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use trine_journal::appender::Closing;

use super::limits::{DISK_INTERVAL, RESERVE_HOLD_SHARE};

/// Bytes that this process may still use on the disk of `path`.
///
/// # Errors
/// When the system does not say.
pub fn free_bytes(path: &Path) -> std::io::Result<u64> {
    let stat = statvfs(path)?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

/// Free disk as measured last; shared by the watcher and the committers.
#[derive(Debug, Clone)]
pub struct DiskRoom {
    path: PathBuf,
    reserve_bytes: u64,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    writable: bool,
    stopping: bool,
}

impl DiskRoom {
    /// Measures the disk of `path` for the first time.
    ///
    /// # Errors
    /// When the system does not say how much is free.
    pub fn new(path: &Path, reserve_bytes: u64) -> std::io::Result<Self> {
        let writable = free_bytes(path)? >= reserve_bytes;
        let state = State { writable, stopping: false };
        Ok(Self { path: path.to_owned(), reserve_bytes, state: Arc::new((Mutex::new(state), Condvar::new())) })
    }

    /// Whether clients' writes may be taken.
    #[must_use]
    pub fn writable(&self) -> bool {
        self.lock().writable
    }

    /// Waits until `bytes` more fit, or the node stops; whether it fits.
    pub(super) fn wait_for(&self, bytes: usize) -> bool {
        let wanted = self.reserve_bytes / RESERVE_HOLD_SHARE + bytes as u64;
        let mut state = self.lock();
        let mut told = false;
        loop {
            match free_bytes(&self.path) {
                Ok(free) if free < wanted => {
                    if !told {
                        tracing::error!(free, wanted, "the disk is full: rows are held back until there is room");
                        told = true;
                    }
                }
                _ => return true,
            }
            if state.stopping {
                return false;
            }
            state = self.state.1.wait_timeout(state, DISK_INTERVAL).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Closing for DiskRoom {
    fn wait_closed(&self, patience: Duration) -> bool {
        let state = self.lock();
        let waited = self.state.1.wait_timeout_while(state, patience, |state| !state.stopping);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopping
    }
}

/// Measures free disk until it is dropped, and says when it becomes too little and enough again.
pub struct DiskWatcher {
    room: DiskRoom,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl DiskWatcher {
    /// Starts; `tell` is called with the first measure and with each change, `gone` when the directory is there no more.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(
        room: &DiskRoom,
        tell: impl Fn(bool) + Send + 'static,
        gone: impl Fn(String) + Send + 'static,
    ) -> std::io::Result<Self> {
        let watched = room.clone();
        let thread =
            std::thread::Builder::new().name("trine-disk".to_owned()).spawn(move || watch(&watched, tell, gone))?;
        Ok(Self { room: room.clone(), thread: Some(thread) })
    }
}

impl Drop for DiskWatcher {
    fn drop(&mut self) {
        self.room.lock().stopping = true;
        self.room.state.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn watch(room: &DiskRoom, tell: impl Fn(bool), gone: impl Fn(String)) {
    tell(room.writable());
    let again = room.reserve_bytes.saturating_add(room.reserve_bytes / 4);
    let mut state = room.lock();
    while !state.stopping {
        let free = free_bytes(&room.path);
        if let Err(error) = &free
            && error.kind() == std::io::ErrorKind::NotFound
        {
            gone(format!("the data directory {} is gone", room.path.display()));
            return;
        }
        let writable = match &free {
            Ok(free) => *free >= if state.writable { room.reserve_bytes } else { again },
            Err(_) => false,
        };
        if let Ok(free) = free {
            metrics::gauge!("trine_disk_free_bytes").set(free as f64);
        }
        if writable != state.writable {
            state.writable = writable;
            drop(state);
            if writable {
                tracing::info!("the disk has room again: writes are taken");
            } else {
                tracing::error!(?free, reserve = room.reserve_bytes, "the disk is nearly full: writes are refused");
            }
            tell(writable);
            state = room.lock();
        }
        state = room.state.1.wait_timeout(state, DISK_INTERVAL).unwrap_or_else(PoisonError::into_inner).0;
    }
}
