//! Rows come back as they were written, or not at all, and never fewer than were acknowledged.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use trine_node::config::StorageSection;
use trine_node::store::disk::{DiskRoom, DiskWatcher};
use trine_node::store::{Committers, Databases, Entries};
use trine_replica::store::Store;
use trine_replica::{Batch, Persistence, StoreError};

const PATIENCE: Duration = Duration::from_secs(20);

/// Fills both databases of a directory with rows, so that each has tables, and closes them.
pub fn filled(directory: &Path) {
    let databases = Databases::open(directory, &storage()).unwrap();
    let (committers, synced, derived) = start(&databases, directory, 0);
    let value = Bytes::from(vec![7; 64 * 1024]);
    for id in 1..=40 {
        for persistence in [Persistence::Synced, Persistence::Derived] {
            let row = (Bytes::from(format!("key-{id:03}")), Some(value.clone()));
            committers.write(Batch { id, persistence, rows: vec![row] });
        }
        await_report(&synced, id);
    }
    await_report(&derived, 40);
    // Tables are written by the databases' own threads.
    let deadline = std::time::Instant::now() + PATIENCE;
    let tables = |part: &str| -> usize {
        let keyspaces = std::fs::read_dir(directory.join(part).join("keyspaces")).unwrap();
        let tables = keyspaces.filter_map(|keyspace| std::fs::read_dir(keyspace.unwrap().path().join("tables")).ok());
        tables.map(Iterator::count).sum()
    };
    while tables("synced") == 0 || tables("derived") == 0 {
        assert!(std::time::Instant::now() < deadline, "no tables are written");
    }
}

pub fn storage() -> StorageSection {
    StorageSection {
        cache: 1 << 20,
        memtable: 1 << 20,
        derived_flush: Duration::from_millis(50),
        delta_rows: NonZeroU64::MIN,
        segment: 64 << 20,
    }
}

struct NoLog;

impl Entries for NoLog {
    fn entry(&self, _index: u64) -> Result<Option<Bytes>, StoreError> {
        Ok(None)
    }
}

fn batch(id: u64, persistence: Persistence, rows: &[(&'static str, Option<&'static str>)]) -> Batch {
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    Batch { id, persistence, rows: rows.iter().map(|(key, value)| (bytes(key), value.map(bytes))).collect() }
}

/// The committers of a directory, and what they report as synced and as derived.
fn start(databases: &Databases, path: &Path, reserve: u64) -> (Committers, Receiver<u64>, Receiver<u64>) {
    let room = DiskRoom::new(path, reserve).unwrap();
    let ((synced, synced_reports), (derived, derived_reports)) = (sync_channel(1024), sync_channel(1024));
    let committers = Committers::start(
        databases,
        &room,
        Duration::from_millis(50),
        (
            Box::new(move |batch| synced.send(batch).unwrap_or_default()),
            Box::new(move |batch| derived.send(batch).unwrap_or_default()),
        ),
        (Box::new(|reason| panic!("{reason}")), Box::new(|reason| panic!("{reason}"))),
    )
    .unwrap();
    (committers, synced_reports, derived_reports)
}

fn await_report(reports: &Receiver<u64>, batch: u64) {
    while reports.recv_timeout(PATIENCE).expect("a report") < batch {}
}

#[test]
fn what_was_reported_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let databases = Databases::open(directory.path(), &storage()).unwrap();
    let (committers, synced, derived) = start(&databases, directory.path(), 0);
    committers.write(batch(1, Persistence::Synced, &[("a", Some("1")), ("b", Some("2"))]));
    committers.write(batch(2, Persistence::Derived, &[("a", Some("other"))]));
    committers.write(batch(3, Persistence::Synced, &[("b", None), ("c", Some("3")), ("c", Some("4"))]));
    await_report(&synced, 3);
    await_report(&derived, 2);
    let look = |databases: &Databases| {
        let rows = databases.rows(Box::new(NoLog));
        let all = rows.scan(Persistence::Synced, b"", b"\xff\xff\xff\xff\xff", 10, false).unwrap();
        assert_eq!(all, [("a".into(), "1".into()), ("c".into(), "4".into())]);
        assert_eq!(rows.get(Persistence::Derived, b"a").unwrap().unwrap(), "other");
        assert_eq!(rows.get(Persistence::Synced, b"b").unwrap(), None);
    };
    look(&databases);
    drop((committers, databases));
    look(&Databases::open(directory.path(), &storage()).unwrap());
}

#[test]
fn scans_go_both_ways_within_bounds_and_limit() {
    let directory = tempfile::tempdir().unwrap();
    let databases = Databases::open(directory.path(), &storage()).unwrap();
    let (committers, synced, _derived) = start(&databases, directory.path(), 0);
    committers.write(batch(
        1,
        Persistence::Synced,
        &[("a", Some("1")), ("b", Some("2")), ("c", Some("3")), ("d", Some("4"))],
    ));
    await_report(&synced, 1);
    let rows = databases.rows(Box::new(NoLog));
    let keys = |from: &str, to: &str, limit, reverse| -> Vec<String> {
        let rows = rows.scan(Persistence::Synced, from.as_bytes(), to.as_bytes(), limit, reverse).unwrap();
        rows.into_iter().map(|(key, _)| String::from_utf8(key.to_vec()).unwrap()).collect()
    };
    assert_eq!(keys("a", "d", 10, false), ["a", "b", "c"]);
    assert_eq!(keys("a", "d", 2, true), ["c", "b"]);
    assert_eq!(keys("b", "b", 10, false), [""; 0]);
    assert_eq!(keys("c", "a", 10, false), [""; 0]);
    assert_eq!(rows.scan(Persistence::Synced, b"", b"\xff\xff\xff\xff\xff", 1, true).unwrap().len(), 1);
}

#[test]
fn reports_rise_and_cover_every_batch() {
    let directory = tempfile::tempdir().unwrap();
    let databases = Databases::open(directory.path(), &storage()).unwrap();
    let (committers, synced, _derived) = start(&databases, directory.path(), 0);
    for id in 1..=500 {
        let key = Bytes::from(format!("key-{id:04}"));
        committers.write(Batch {
            id,
            persistence: Persistence::Synced,
            rows: vec![(key, Some(Bytes::from_static(b"v")))],
        });
    }
    let mut last = 0;
    while last < 500 {
        let report = synced.recv_timeout(PATIENCE).unwrap();
        assert!(report > last, "{report} after {last}");
        let rows = databases.rows(Box::new(NoLog));
        let held = rows.scan(Persistence::Synced, b"key-", b"key.", usize::MAX, false).unwrap().len() as u64;
        assert!(held >= report, "{report} reported, {held} there");
        last = report;
    }
}

#[test]
fn a_value_that_was_changed_behind_our_back_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let databases = Databases::open(directory.path(), &storage()).unwrap();
    let (committers, synced, _derived) = start(&databases, directory.path(), 0);
    committers.write(batch(1, Persistence::Synced, &[("sound", Some("1")), ("victim", Some("2"))]));
    await_report(&synced, 1);
    drop((committers, databases));
    {
        // As a database sees it all is well: the change goes through its own front door.
        let database = Database::builder(directory.path().join("synced")).open().unwrap();
        let rows = database.keyspace("rows", KeyspaceCreateOptions::default).unwrap();
        let mut stored = rows.get("victim").unwrap().unwrap().to_vec();
        *stored.last_mut().unwrap() ^= 1;
        rows.insert("victim", stored).unwrap();
        let sound = rows.get("sound").unwrap().unwrap();
        rows.insert("stranger", sound).unwrap();
        database.persist(PersistMode::SyncAll).unwrap();
    }
    let databases = Databases::open(directory.path(), &storage()).unwrap();
    let rows = databases.rows(Box::new(NoLog));
    assert_eq!(rows.get(Persistence::Synced, b"sound").unwrap().unwrap(), "1");
    let damaged = |key: &str| StoreError::Damaged(format!("row {key} of `synced`"));
    assert_eq!(rows.get(Persistence::Synced, b"victim").unwrap_err(), damaged("76696374696d"));
    // A sound value under another's key is damage too.
    assert_eq!(rows.get(Persistence::Synced, b"stranger").unwrap_err(), damaged("737472616e676572"));
    assert!(rows.scan(Persistence::Synced, b"a", b"z", 10, false).is_err());
}

#[test]
fn a_database_that_lost_acknowledged_rows_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let databases = Databases::open(directory.path(), &storage()).unwrap();
    let (committers, synced, _derived) = start(&databases, directory.path(), 0);
    committers.write(batch(1, Persistence::Synced, &[("a", Some("1"))]));
    await_report(&synced, 1);
    // The end writes the floor, and puts the rows into their table.
    drop((committers, databases));
    std::fs::remove_dir_all(directory.path().join("synced")).unwrap();
    {
        let databases = Databases::open(directory.path(), &storage()).unwrap();
        let rows = databases.rows(Box::new(NoLog));
        assert_eq!(rows.get(Persistence::Synced, b"a").unwrap().unwrap(), "1", "the journal has it, too");
    }
    std::fs::remove_dir_all(directory.path().join("synced")).unwrap();
    std::fs::remove_dir_all(directory.path().join("journal")).unwrap();
    let error = Databases::open(directory.path(), &storage()).err().unwrap().to_string();
    assert!(error.contains("0 groups of rows are there, 1 were acknowledged"), "{error}");
}

/// The files of a directory's journal.
fn journal(directory: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(directory.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

/// A directory in which rows were written to the journal, and nothing was put into the table: as a process that is killed
/// leaves it, with a floor that knows of all of them.
pub fn journaled(directory: &Path, groups: &[(&'static [u8], u64)]) {
    let databases = Databases::open(directory, &storage()).unwrap();
    let (committers, synced, _derived) = start(&databases, directory, 0);
    for (id, (key, value)) in (1..).zip(groups) {
        let row = (Bytes::from_static(key), Some(Bytes::copy_from_slice(&value.to_be_bytes())));
        committers.write(Batch { id, persistence: Persistence::Synced, rows: vec![row] });
        await_report(&synced, id);
    }
    let deadline = std::time::Instant::now() + PATIENCE;
    let known = || std::fs::read_to_string(directory.join("floor")).unwrap_or_default();
    while !known().contains(&format!("groups {}\n", groups.len())) {
        assert!(std::time::Instant::now() < deadline, "no floor is written: {}", known());
    }
    std::mem::forget((committers, databases));
}

/// A copy of a directory that is in use.
pub fn copied(directory: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let from = directory.join(".");
    let done = std::process::Command::new("cp").arg("-r").arg(from).arg(copy.path()).status().unwrap();
    assert!(done.success());
    copy
}

#[test]
fn a_node_that_stops_leaves_one_file_of_its_journal() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let databases = Databases::open(directory.path(), &storage()).unwrap();
        let (committers, synced, _derived) = start(&databases, directory.path(), 0);
        for id in 1..=12 {
            let row = (Bytes::from_static(b"key"), Some(noise(id, 1 << 20)));
            committers.write(Batch { id, persistence: Persistence::Synced, rows: vec![row] });
            await_report(&synced, id);
        }
        assert!(journal(directory.path()).len() > 1, "more than a file was written");
        drop((committers, databases));
        assert_eq!(journal(directory.path()).len(), 1);
    }
}

/// Writes megabytes of rows until the journal has forgotten its first file.
fn until_forgotten(directory: &Path, databases: &Databases) {
    let (committers, synced, _derived) = start(databases, directory, 0);
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut id = 0;
    while journal(directory).first().is_none_or(|first| first.ends_with("0000000000.log")) {
        assert!(std::time::Instant::now() < deadline, "nothing is forgotten");
        id += 1;
        let row = (Bytes::from(format!("key-{:02}", id % 40)), Some(noise(id, 1 << 20)));
        committers.write(Batch { id, persistence: Persistence::Synced, rows: vec![row] });
        await_report(&synced, id);
    }
    // As a process that is killed leaves it.
    std::mem::forget(committers);
}

/// Bytes that do not compress.
fn noise(seed: u64, count: usize) -> Bytes {
    let mut bytes = vec![0; count];
    blake3::Hasher::new_derive_key("noise").update(&seed.to_be_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into()
}

#[test]
fn a_table_older_than_what_the_journal_has_forgotten_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let databases = Databases::open(directory.path(), &storage()).unwrap();
    until_forgotten(directory.path(), &databases);
    let copy = copied(directory.path());
    let copy = copy.path();
    {
        let databases = Databases::open(copy, &storage()).unwrap();
        let rows = databases.rows(Box::new(NoLog));
        let keys = rows.scan(Persistence::Synced, b"key-", b"key.", usize::MAX, false).unwrap();
        assert_eq!(keys.len(), 40, "table and journal together hold all");
        let back = rows.scan(Persistence::Synced, b"key-", b"key.", 7, true).unwrap();
        let ends = keys.iter().rev().take(7).cloned().collect::<Vec<_>>();
        assert!(back == ends, "backwards as forwards");
    }
    std::fs::remove_dir_all(copy.join("synced")).unwrap();
    let error = Databases::open(copy, &storage()).err().unwrap().to_string();
    assert!(error.contains("0 groups of rows are there") && error.contains("rolled back"), "{error}");
}

/// A directory with twenty groups of one row each, closed, with one change to its journal's bytes from the eleventh on.
fn with_damaged_journal(damage: impl Fn(&mut [u8])) -> String {
    let directory = tempfile::tempdir().unwrap();
    let databases = Databases::open(directory.path(), &storage()).unwrap();
    let (committers, synced, _derived) = start(&databases, directory.path(), 0);
    for id in 1..=20 {
        let row = (Bytes::from(format!("key-{id}")), Some(Bytes::from(vec![7; 100])));
        committers.write(Batch { id, persistence: Persistence::Synced, rows: vec![row] });
        await_report(&synced, id);
    }
    drop((committers, databases));
    let journal = journal(directory.path()).pop().expect("a journal");
    let mut bytes = std::fs::read(&journal).unwrap();
    let at = bytes.windows(6).position(|window| window == b"key-11").expect("the eleventh row");
    damage(&mut bytes[at..]);
    std::fs::write(&journal, bytes).unwrap();
    // The table holds all of it, and without it the journal would be all there is.
    std::fs::remove_dir_all(directory.path().join("synced")).unwrap();
    Databases::open(directory.path(), &storage()).err().expect("it is noticed").to_string()
}

#[test]
fn a_journal_that_ends_too_early_is_refused() {
    let error = with_damaged_journal(|rest| rest.fill(0));
    assert!(error.contains("cannot open the journal: damaged data in"), "{error}");
}

#[test]
fn a_flipped_bit_in_a_journal_is_refused() {
    let error = with_damaged_journal(|rest| rest[0] ^= 1);
    assert!(error.contains("cannot open the journal: damaged data in"), "{error}");
}

#[test]
fn a_full_disk_refuses_writes_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let (told, telling) = sync_channel(16);
    let room = DiskRoom::new(directory.path(), u64::MAX).unwrap();
    let watcher = DiskWatcher::start(&room, move |writable| told.send(writable).unwrap_or_default(), |_| {}).unwrap();
    assert!(!telling.recv_timeout(PATIENCE).unwrap());
    drop(watcher);

    let (told, telling) = sync_channel(16);
    let room = DiskRoom::new(directory.path(), 0).unwrap();
    let _watcher = DiskWatcher::start(&room, move |writable| told.send(writable).unwrap_or_default(), |_| {}).unwrap();
    assert!(telling.recv_timeout(PATIENCE).unwrap());
}

#[test]
fn a_directory_that_is_gone_is_no_full_disk() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let ((told, telling), (says, said)) = (sync_channel(16), sync_channel(16));
    let room = DiskRoom::new(&data, 0).unwrap();
    let full = move |writable| told.send(writable).unwrap_or_default();
    let _watcher = DiskWatcher::start(&room, full, move |reason| says.send(reason).unwrap_or_default()).unwrap();
    assert!(telling.recv_timeout(PATIENCE).unwrap());
    std::fs::remove_dir(&data).unwrap();
    assert!(said.recv_timeout(PATIENCE).unwrap().contains("is gone"));
    assert!(telling.try_recv().is_err(), "it is not told as full");
}
