//! Damage on a disk is found, counted, told, and healed: derived rows from the log, objects from peers.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use trine_node::store::{Damage, Databases, Entries, Part};
use trine_replica::store::Store;
use trine_replica::{Persistence, StoreError, rows};

use crate::store::{copied, filled, journaled, storage};

struct NoLog;

impl Entries for NoLog {
    fn entry(&self, _index: u64) -> Result<Option<Bytes>, StoreError> {
        Ok(None)
    }
}

fn below(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { below(&path, found) } else { found.push(path) }
    }
}

/// The files of one part of a data directory whose path shows this.
fn files(data_dir: &Path, part: &str, like: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    below(&data_dir.join(part), &mut found);
    found.retain(|path| path.display().to_string().contains(like));
    found.sort();
    found
}

/// Turns one bit in the middle of a file.
fn flip(file: &Path) {
    let bytes = std::fs::read(file).unwrap();
    let at = bytes.len() / 2;
    File::options().write(true).open(file).unwrap().write_all_at(&[bytes[at] ^ 0x10], at as u64).unwrap();
}

/// Opens a directory as a node does.
fn open(directory: &Path, alone: bool) -> (Damage, Result<Databases, String>) {
    let damage = Damage::open(directory, alone);
    let opened = Databases::open_healing(directory, &storage(), &damage);
    (damage, opened.map_err(|error| error.to_string()))
}

#[test]
fn a_list_of_tables_that_was_changed_is_not_believed() {
    for part in ["synced", "derived"] {
        let directory = tempfile::tempdir().unwrap();
        filled(directory.path());
        let lists = files(directory.path(), part, "/v");
        assert!(!lists.is_empty());
        lists.iter().for_each(|list| flip(list));
        let (damage, opened) = open(directory.path(), false);
        opened.unwrap();
        let words = damage.words().join("; ");
        assert!(words.contains("is not what was written") && words.contains(part), "{words}");
    }
}

#[test]
fn a_damaged_database_is_replaced_and_what_only_peers_know_is_asked_of_them() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path());
    for (part, kind) in [(Part::Derived, Persistence::Derived), (Part::Synced, Persistence::Synced)] {
        for table in files(directory.path(), part.name(), "/tables/") {
            flip(&table);
        }
        // It is met when it is read, counted once, and calls for a new process.
        let (damage, opened) = open(directory.path(), false);
        if let Ok(opened) = opened {
            let rows = opened.rows(Box::new(NoLog));
            let _ = rows.scan(kind, b"", b"\xff", usize::MAX, false);
            let _ = rows.scan(kind, b"", b"\xff", usize::MAX, false);
        }
        assert!(damage.pending(part).is_some(), "{part:?}");
        let (damage, opened) = open(directory.path(), false);
        let rows = opened.unwrap().rows(Box::new(NoLog));
        let held = rows.scan(kind, b"", b"\xff", usize::MAX, false).unwrap();
        match part {
            Part::Derived => assert_eq!(held, []),
            _ => {
                let keys: Vec<&[u8]> = held.iter().map(|(key, _)| key.as_ref()).collect();
                assert_eq!(keys, [rows::CLOCK, rows::JOINING]);
            }
        }
        damage.healed();
        assert_eq!(Damage::open(directory.path(), false).words(), [""; 0]);
    }
    // Nothing is damaged any more, and the floor holds.
    let (damage, opened) = open(directory.path(), false);
    opened.unwrap();
    assert_eq!(damage.words(), [""; 0]);
}

#[test]
fn the_clock_goes_on_above_a_mark_that_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    journaled(directory.path(), &[(rows::CLOCK, 5), (b"other", 0), (rows::CLOCK, 7)]);
    let mark = |directory: &Path| -> u64 {
        let (_, opened) = open(directory, false);
        let row = opened.unwrap().rows(Box::new(NoLog)).get(Persistence::Synced, rows::CLOCK).unwrap().unwrap();
        u64::from_be_bytes(row.as_ref().try_into().unwrap())
    };
    assert_eq!(mark(copied(directory.path()).path()), 7);
    // Its last frame: the zeros behind it are room.
    let copy = copied(directory.path());
    let journal = files(copy.path(), "journal", ".log").pop().unwrap();
    let bytes = std::fs::read(&journal).unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    File::options().write(true).open(&journal).unwrap().write_all_at(&[bytes[last] ^ 1], last as u64).unwrap();
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(mark(copy.path()) > u64::try_from(wall.as_nanos()).unwrap(), "above any mark that may have stood there");
    assert_eq!(files(copy.path(), "journal.damaged", ".log").len(), 1, "what is damaged is put aside");
}

/// As a process leaves it that is killed while it heals: put aside, removed, or another begun.
#[test]
fn healing_that_was_cut_short_is_done_again() {
    for (part, removed, begun) in [
        (Part::Synced, false, false),
        (Part::Synced, false, true),
        (Part::Derived, false, false),
        (Part::Derived, true, false),
        (Part::Derived, true, true),
    ] {
        let directory = tempfile::tempdir().unwrap();
        filled(directory.path());
        files(directory.path(), part.name(), "/v").iter().for_each(|list| flip(list));
        let damage = Damage::open(directory.path(), false);
        damage.found(part, "it was met");
        let beside = |ending: &str| directory.path().join(format!("{}{ending}", part.name()));
        std::fs::rename(beside(""), beside(".damaged")).unwrap();
        if removed {
            std::fs::remove_dir_all(beside(".damaged")).unwrap();
        }
        if begun {
            std::fs::create_dir_all(beside(".new").join("keyspaces")).unwrap();
        }
        let (damage, opened) = open(directory.path(), false);
        assert_eq!(opened.err(), None, "{part:?}, removed: {removed}, begun: {begun}");
        damage.healed();
        assert_eq!(damage.words(), [""; 0]);
        open(directory.path(), false).1.unwrap();
    }
}

#[test]
fn what_was_put_aside_stays_when_a_node_starts_again_before_it_has_caught_up() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path());
    files(directory.path(), "synced", "/v").iter().for_each(|list| flip(list));
    let found = Damage::open(directory.path(), false);
    found.found(Part::Synced, "it was met");
    open(directory.path(), false).1.unwrap();
    let kept = files(directory.path(), "synced.damaged", "/");
    assert!(!kept.is_empty());
    // It told its peers what it holds of theirs since: that is gone on with, and nothing is begun anew.
    let place = |path: &str| std::fs::metadata(directory.path().join(path)).unwrap().ino();
    let begun = place("synced");
    // As long as it is open nothing else gets its number.
    let _open = File::open(directory.path().join("synced")).unwrap();
    for _ in 0..5 {
        let (_, opened) = open(directory.path(), false);
        opened.unwrap();
        assert_eq!(place("synced"), begun);
    }
    assert_eq!(files(directory.path(), "synced.damaged", "/"), kept, "the only copy of what this node alone held");
    // It is damaged, too.
    files(directory.path(), "synced", "/v").iter().for_each(|list| flip(list));
    let (damage, opened) = open(directory.path(), false);
    opened.unwrap();
    assert_ne!(place("synced"), begun);
    assert_eq!(files(directory.path(), "synced.damaged", "/"), kept);
    damage.healed();
    // Another damage puts aside what is there then.
    let found = Damage::open(directory.path(), false);
    found.found(Part::Synced, "it was met");
    open(directory.path(), false).1.unwrap();
    assert_ne!(files(directory.path(), "synced.damaged", "/"), kept);
}

#[test]
fn objects_that_nobody_else_has_are_not_thrown_away() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path());
    files(directory.path(), "synced", "/v").iter().for_each(|list| flip(list));
    let (_, opened) = open(directory.path(), true);
    let words = opened.err().expect("it is refused");
    assert!(words.contains("/synced") && words.contains("restore"), "{words}");
    assert!(!files(directory.path(), "synced", "/tables/").is_empty());
}

#[test]
fn a_disk_that_is_damaged_again_and_again_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        filled(directory.path());
        files(directory.path(), "derived", "/v").iter().for_each(|list| flip(list));
        open(directory.path(), false).1.unwrap();
    }
    filled(directory.path());
    files(directory.path(), "derived", "/v").iter().for_each(|list| flip(list));
    let words = open(directory.path(), false).1.err().expect("it is refused");
    assert!(words.contains("The disk fails"), "{words}");
}
