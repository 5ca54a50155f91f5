//! The log on a real disk: openraft's own suite, then what a crash, a cut and a flipped bit leave behind.

use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::BoxFuture;
use openraft::StorageError;
use openraft::entry::RaftEntry as _;
use openraft::storage::{RaftLogReader as _, RaftLogStorage as _, RaftLogStorageExt as _};
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;
use trine_ledger::LogPosition;
use trine_ledger::frame::FileHeader;
use trine_raft::config::Fatal;
use trine_raft::log::{LogError, LogStore};
use trine_raft::machine::Machine;
use trine_raft::types::{AppData, Entry, Leader, Led, LogId, TypeConfig, Vote};
use trine_raft::{Applied, LogConfig};
use trine_replica::input::CommittedEntry;

struct Nobody;

impl Applied for Nobody {
    fn last_applied(&self) -> (Option<LogPosition>, Option<Bytes>) {
        (None, None)
    }

    fn committed(&self, _entries: Vec<CommittedEntry>) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

struct Builder;

/// Closes the log before its directory goes.
struct Guard(LogStore, #[expect(dead_code, reason = "removed when it is dropped")] TempDir);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl StoreBuilder<TypeConfig, LogStore, Machine, Guard> for Builder {
    async fn build(&self) -> Result<(Guard, LogStore, Machine), StorageError<TypeConfig>> {
        let directory = TempDir::new().expect("a directory");
        let log = open(directory.path()).expect("an empty log opens");
        let machine = Machine::new(Arc::new(Nobody), log.clone()).expect("no membership yet");
        Ok((Guard(log.clone(), directory), log, machine))
    }
}

fn config() -> LogConfig {
    // Small, so that the tests cross segments and read from files.
    LogConfig { segment_bytes: 900, cache_bytes: 500, reserve_bytes: 0, ..LogConfig::default() }
}

fn open(directory: &Path) -> Result<LogStore, LogError> {
    let fatal: Fatal = Arc::new(|reason| panic!("the log gave up: {reason}"));
    LogStore::open(directory, config(), fatal)
}

fn entry(term: u64, index: u64) -> Entry {
    let id = LogId::new(Led { term, node: 7 }, index);
    let text = format!("entry {index} of term {term} {}", "x".repeat(usize::try_from(index % 50).expect("small")));
    Entry::new_normal(id, AppData(Bytes::from(text)))
}

async fn append(log: &LogStore, term: u64, indexes: std::ops::Range<u64>) {
    for index in indexes {
        log.clone().blocking_append([entry(term, index)]).await.expect("appended");
    }
}

async fn all(log: &LogStore) -> Vec<Entry> {
    log.clone().try_get_log_entries(0..u64::MAX).await.expect("readable")
}

fn last_file(directory: &Path) -> std::path::PathBuf {
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    files.sort();
    files.pop().expect("a segment")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openrafts_storage_suite_passes() {
    Suite::test_all(Builder).await.expect("the suite passes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_the_same_after_a_restart_and_a_truncation() {
    let directory = TempDir::new().expect("a directory");
    let log = open(directory.path()).expect("opens");
    append(&log, 1, 0..60).await;
    log.clone().save_vote(&Vote::new(3, 9)).await.expect("voted");
    log.clone().truncate_after(Some(entry(1, 20).log_id)).await.expect("truncated");
    append(&log, 3, 21..40).await;
    let before = all(&log).await;
    log.close();

    let log = open(directory.path()).expect("opens again");
    assert_eq!(before, all(&log).await);
    assert_eq!(before.len(), 40);
    assert_eq!(before[20], entry(1, 20));
    assert_eq!(before[21], entry(3, 21));
    assert_eq!(log.vote(), Some(Vote::new(3, 9)));
    assert_eq!(log.last(), Some(entry(3, 39).log_id));
    assert_eq!(*log.vote().expect("a vote").leader_id(), Leader { term: 3, node: 9 });
    log.close();
}

/// A log grows to any number of files, and a process may have only some open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_file_that_is_written_is_kept_open() {
    let directory = TempDir::new().expect("a directory");
    let open_files = || {
        let links = std::fs::read_dir("/proc/self/fd").expect("descriptors").filter_map(|link| {
            let target = std::fs::read_link(link.ok()?.path()).ok()?;
            (target.starts_with(directory.path()) && target.extension().is_some_and(|end| end == "log")).then_some(())
        });
        links.count()
    };
    let log = open(directory.path()).expect("opens");
    append(&log, 1, 0..120).await;
    let files = std::fs::read_dir(directory.path()).expect("a directory").count();
    assert!(files > 10, "{files} files");
    assert_eq!(open_files(), 1);
    assert_eq!(all(&log).await.len(), 120, "the others are read all the same");
    assert_eq!(open_files(), 1);
    log.close();
    drop(log);
    let log = open(directory.path()).expect("opens again");
    assert_eq!(all(&log).await.len(), 120);
    assert_eq!(open_files(), 1);
    log.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cutting_the_log_anywhere_never_loses_what_was_durable() {
    let directory = TempDir::new().expect("a directory");
    let log = open(directory.path()).expect("opens");
    append(&log, 1, 0..12).await;
    log.close();
    let file = last_file(directory.path());
    let whole = std::fs::read(&file).expect("readable");
    for length in 0..whole.len() {
        std::fs::write(&file, &whole[..length]).expect("cut");
        // The floor says that entry 11 was durable: a log without it must not vote, however it was cut.
        match open(directory.path()) {
            Err(LogError::ShorterThanFloor { floor: 11, .. } | LogError::Damaged { .. }) => {}
            other => panic!("cut at {length}: {:?}", other.map(|log| log.last())),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_end_that_nobody_was_told_of_is_cut_off() {
    let directory = TempDir::new().expect("a directory");
    let log = open(directory.path()).expect("opens");
    append(&log, 1, 0..12).await;
    log.close();
    // The next write, torn by a loss of power: any part of it may have reached the disk.
    let file = last_file(directory.path());
    let whole = std::fs::read(&file).expect("readable");
    let header = FileHeader::from_bytes(&whole).expect("a header");
    let mut torn = Vec::new();
    trine_raft::log::convert::write_entry(&mut torn, &header, &entry(1, 12), whole.len() as u64);
    for length in 1..torn.len() {
        let mut bytes = whole.clone();
        bytes.extend_from_slice(&torn[..length]);
        std::fs::write(&file, &bytes).expect("torn");
        let log = open(directory.path()).unwrap_or_else(|error| panic!("torn after {length}: {error}"));
        assert_eq!(log.last(), Some(entry(1, 11).log_id), "torn after {length}");
        log.close();
        assert_eq!(std::fs::read(&file).expect("readable"), whole, "the torn end is gone");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_is_found_and_named() {
    let directory = TempDir::new().expect("a directory");
    let log = open(directory.path()).expect("opens");
    append(&log, 1, 0..40).await;
    log.close();
    let files: Vec<_> = std::fs::read_dir(directory.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert!(files.len() > 4, "several segments: {files:?}");
    for file in files {
        let whole = std::fs::read(&file).expect("readable");
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&file, &bytes).expect("flipped");
            match open(directory.path()) {
                Err(LogError::Damaged { file: named, .. }) => assert_eq!(named, file, "byte {at}"),
                other => panic!("byte {at} of {}: {:?}", file.display(), other.map(|log| log.last())),
            }
        }
        std::fs::write(&file, &whole).expect("restored");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_under_a_running_log_is_an_error_of_the_read() {
    let directory = TempDir::new().expect("a directory");
    let log = open(directory.path()).expect("opens");
    append(&log, 1, 0..40).await;
    assert_eq!(log.reader().entry(0).expect("readable").map(|bytes| bytes.len()), Some(entry_bytes(0)));
    let file = directory.path().join("0000000000.log");
    let mut bytes = std::fs::read(&file).expect("readable");
    bytes[100] ^= 1;
    std::fs::write(&file, &bytes).expect("flipped");
    let error = log.reader().entry(0).expect_err("damaged");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    assert!(error.to_string().contains("0000000000.log at byte 60"), "{error}");
    log.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_makes_appends_wait_and_fails_nothing() {
    let directory = TempDir::new().expect("a directory");
    let fatals = Arc::new(Mutex::new(Vec::new()));
    let told = fatals.clone();
    let fatal: Fatal = Arc::new(move |reason| told.lock().expect("alive").push(reason));
    let reserve = LogConfig { reserve_bytes: u64::MAX / 2, ..config() };
    let log = LogStore::open(directory.path(), reserve, fatal).expect("opens");
    let mut full = log.full();
    let waiting = {
        let mut log = log.clone();
        tokio::spawn(async move { log.blocking_append([entry(1, 0)]).await })
    };
    full.wait_for(|full| *full).await.expect("the log says that it waits");
    assert_eq!(all(&log).await, [entry(1, 0)], "readable at once, as openraft asks");
    assert!(!waiting.is_finished(), "not durable, so not answered");
    log.close();
    assert!(waiting.await.expect("no panic").is_err(), "never promised");
    assert!(fatals.lock().expect("alive").is_empty(), "a full disk is no reason to die");
    let log = open(directory.path()).expect("opens again");
    assert_eq!(log.last(), None);
    log.close();
}

fn entry_bytes(index: u64) -> usize {
    let openraft::EntryPayload::Normal(data) = entry(1, index).payload else { unreachable!("an application's entry") };
    data.0.len()
}
