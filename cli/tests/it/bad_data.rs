//! Data that was damaged at rest: a node whose bytes are not what it wrote says which and does not start, or serves
//! everything else; never does it answer with a value that nobody wrote. A torn end, which a crash leaves behind and
//! nobody was promised anything of, is cut off and the node goes on.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use trine_ledger::frame::{self, FileHeader, Frame};

use crate::bad_region::{PATIENCE, Region, try_http};

const ROWS: usize = 24;
const VALUE_BYTES: usize = 8 * 1024;
/// The node that is damaged.
const NODE: usize = 2;

fn value(number: usize) -> String {
    format!("{number:08}").repeat(VALUE_BYTES / 8)
}

/// A region with records and objects on all three disks, in tables and in journals; node 2 stopped.
fn written(directory: &Path) -> Region {
    let mut region = Region::started(&directory.join("cluster"), &[("TRINE_STORAGE__MEMTABLE", "64KiB")]);
    for number in 0..ROWS {
        let answer = region.http(0, "PUT", &format!("/api/v1/ledger/default/record-{number}"), value(number));
        assert_eq!(answer.status, 201, "{}", answer.body);
        let edit = serde_json::json!({ "op": "set", "value": value(number) }).to_string();
        let answer = region.http(NODE, "POST", &format!("/api/v1/objects/objects/object-{number}"), edit);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    check(&region, "whole");
    region.stop(NODE);
    region
}

/// Reads everything from node 2's own state. What is answered is what was written, or that it is damaged.
fn check(region: &Region, what: &str) -> usize {
    let mut damaged = 0;
    for number in 0..ROWS {
        for path in
            [format!("/api/v1/ledger/default/record-{number}"), format!("/api/v1/objects/objects/object-{number}")]
        {
            let deadline = Instant::now() + PATIENCE;
            loop {
                // A node that finds damage starts itself anew.
                let Some(answer) = try_http(&region.node(NODE).http, "GET", &path, &[], b"") else {
                    assert!(Instant::now() < deadline, "{what}: no answer:\n{}", region.log(NODE));
                    continue;
                };
                match (answer.status, answer.code().as_str()) {
                    (200, _) => assert!(answer.body.contains(&value(number)), "{what}: {path} has a wrong value"),
                    (500, "damaged") => damaged += 1,
                    // Not there yet: what it lacks is on its way from the others.
                    _ if Instant::now() < deadline => continue,
                    _ => panic!("{what}: {path}: {} {}", answer.status, answer.body),
                }
                break;
            }
        }
    }
    damaged
}

/// All files below a directory that hold anything, in order.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if std::fs::metadata(&path).unwrap().len() > 0 {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Where a file has bytes other than zero: its beginning, middle and end. Journals are mostly room for more.
fn places(bytes: &[u8]) -> Vec<usize> {
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let mut places: Vec<usize> =
        [used.len() / 4, used.len() / 2, used.len() * 3 / 4].map(|at| used[at.min(used.len() - 1)]).into();
    places.dedup();
    places
}

fn copy(from: &Path, to: &Path) {
    let output = std::process::Command::new("cp").args(["-a", "--sparse=always"]).arg(from).arg(to).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Flips one bit of a file that holds these bytes.
pub fn flip(file: &Path, bytes: &[u8], at: usize) {
    File::options().write(true).open(file).unwrap().write_all_at(&[bytes[at] ^ 0x10], at as u64).unwrap();
}

/// Flips one bit at a few places of every file of one part of node 2's data, one at a time.
fn flip_everywhere(part: &str) -> (usize, usize) {
    let directory = tempfile::tempdir().unwrap();
    let mut region = written(directory.path());
    let (data, whole) = (region.data(NODE), directory.path().join("whole"));
    copy(&data, &whole);
    let (mut refused, mut served) = (0, 0);
    for file in files(&data.join(part)) {
        let bytes = std::fs::read(&file).unwrap();
        let name = file.strip_prefix(&data).unwrap().display().to_string();
        for at in places(&bytes) {
            let what = format!("{name} at byte {at} of {}", bytes.len());
            flip(&file, &bytes, at);
            let before = region.log(NODE).len();
            match region.tried(NODE) {
                Some(code) => {
                    let log = region.log(NODE);
                    let said = log[before..].lines().rfind(|line| line.starts_with("error: ")).unwrap_or_default();
                    println!("{what} -> exit {code}: {}", said.replace(&data.display().to_string(), "DATA"));
                    assert_eq!(code, 1, "{what}: {log}");
                    assert!(said.contains(part), "{what}: names where: {log}");
                    refused += 1;
                }
                None => {
                    let damaged = check(&region, &what);
                    println!("{what} -> serves; {damaged} reads answered `damaged`");
                    // What was met is healed, without hands.
                    let deadline = Instant::now() + PATIENCE;
                    while check(&region, &what) > 0 {
                        assert!(Instant::now() < deadline, "{what}: not healed:\n{}", region.log(NODE));
                    }
                    served += 1;
                    region.kill(NODE);
                }
            }
            std::fs::remove_dir_all(&data).unwrap();
            copy(&whole, &data);
        }
    }
    assert_eq!(region.tried(NODE), None, "as it was, it serves:\n{}", region.log(NODE));
    assert_eq!(check(&region, "restored"), 0);
    region.is_well("restored");
    (refused, served)
}

#[test]
fn a_flipped_bit_in_the_log_is_named_and_the_node_does_not_start() {
    let (refused, served) = flip_everywhere("raft");
    assert!(refused > 0);
    assert_eq!(served, 0, "every byte of the log counts");
}

#[test]
fn a_flipped_bit_in_the_synced_rows_never_becomes_a_value() {
    let (_, served) = flip_everywhere("synced");
    assert!(served > 0, "peers give them again");
}

#[test]
fn a_flipped_bit_in_the_derived_rows_never_becomes_a_value() {
    let (refused, _) = flip_everywhere("derived");
    assert_eq!(refused, 0, "they are made again from the log");
}

#[test]
fn a_torn_end_of_the_log_is_cut_off_and_a_missing_one_is_not_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = written(directory.path());
    let (data, kept) = (region.data(NODE), directory.path().join("whole"));
    copy(&data, &kept);
    let file = files(&data.join("raft")).into_iter().rfind(|path| path.extension().is_some()).unwrap();
    let mut whole = std::fs::read(&file).unwrap();
    // Room that was made ahead is no part of what was written.
    whole.truncate(usize::try_from(frame::scan(&whole).unwrap().end).unwrap());
    let header = FileHeader::from_bytes(&whole).unwrap();
    let last = frame::scan(&whole).unwrap().frames.last().map(|placed| (placed.at, placed.frame.position)).unwrap();

    // The next entry, of which a crash left a part.
    let mut next = Vec::new();
    let position = trine_ledger::LogPosition { index: last.1.index + 1, ..last.1 };
    let synced = whole.len() as u64;
    header
        .write_frame(&Frame { position, synced, payload: &[7; 300], kind: frame::FrameKind::Entry }, &mut next)
        .unwrap();
    for length in [4, next.len() / 2, next.len() - 1] {
        std::fs::write(&file, [&whole[..], &next[..length]].concat()).unwrap();
        assert_eq!(region.tried(NODE), None, "{}", region.log(NODE));
        assert!(region.log(NODE).contains("cut a torn end off the log"), "{}", region.log(NODE));
        assert_eq!(check(&region, "torn"), 0);
        region.stop(NODE);
        std::fs::remove_dir_all(&data).unwrap();
        copy(&kept, &data);
    }

    // The last entry gone, though it was durable: this node may have promised it, and must not vote without it.
    for length in [last.0 as usize, last.0 as usize + 20] {
        std::fs::write(&file, &whole[..length]).unwrap();
        let before = region.log(NODE).len();
        assert_eq!(region.tried(NODE), Some(1), "{}", region.log(NODE));
        let log = region.log(NODE);
        println!("cut at {length} of {}: {}", whole.len(), log[before..].lines().last().unwrap_or_default());
        assert!(log[before..].contains("raft"), "{log}");
    }
    std::fs::write(&file, &whole).unwrap();
    assert_eq!(region.tried(NODE), None, "{}", region.log(NODE));
    assert_eq!(check(&region, "put back"), 0);
}
