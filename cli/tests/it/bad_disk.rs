//! A disk that is full for real: a small file system of its own, mounted where only this test sees it.
//!
//! Writes are refused as soon as less than the reserve is free, reads go on, also when not one byte is left and when a
//! node is killed then; when there is room again everything goes on, and nothing that was acknowledged is gone.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::bad_region::{PATIENCE, Region, try_http};

/// Set in the process that has the small disk: where it is.
const HERE: &str = "TRINE_TEST_SMALL_DISK";
const DISK_MIB: usize = 128;
const RESERVE: &str = "16MiB";
const VALUE_BYTES: usize = 64 * 1024;

/// Runs a test of this module again, in a process that may mount; false where the system allows nobody to.
fn again_with_a_small_disk(test: &str) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let may = |options: &str| {
        let tried = Command::new("unshare").args([options, "true"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let Some(options) = ["-m", "-Urm"].into_iter().find(|options| may(options)) else {
        eprintln!("not shown here: this system lets nobody mount a file system, not even in a namespace");
        return false;
    };
    let itself = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .arg(options)
        .arg(itself)
        .args(["--exact", test, "--nocapture"])
        .env(HERE, directory.path())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    true
}

/// Mounts a small disk: ext4 where a loop device is to be had, otherwise tmpfs, which fills up the same way.
fn mount(at: &Path) -> PathBuf {
    let image = at.join("image");
    let disk = at.join("disk");
    std::fs::create_dir_all(&disk).unwrap();
    std::fs::File::create(&image).unwrap().set_len(DISK_MIB as u64 * 1024 * 1024).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).arg(&image).output().is_ok_and(|output| output.status.success())
    };
    let made = run("mkfs.ext4", &["-q", "-m", "0"]);
    let looped = Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&disk).output();
    if made && looped.is_ok_and(|output| output.status.success()) {
        println!("a disk of {DISK_MIB} MiB: ext4");
        return disk;
    }
    let size = format!("size={DISK_MIB}m");
    let output = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&disk).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    println!("a disk of {DISK_MIB} MiB: tmpfs");
    disk
}

/// Everything that was acknowledged.
#[derive(Default)]
struct Acknowledged {
    records: Vec<usize>,
    objects: Vec<usize>,
}

fn value(number: usize) -> String {
    format!("{number:08}").repeat(VALUE_BYTES / 8)
}

impl Acknowledged {
    /// Appends a record and sets an object through a node, until one of them is refused; with which code.
    fn write_until_refused(&mut self, region: &Region, at: usize, first: usize, most: usize) -> Option<String> {
        for number in first..first + most {
            let answer = region.http(at, "PUT", &format!("/api/v1/ledger/default/record-{number}"), value(number));
            if answer.status != 201 {
                return Some(format!("{} {}", answer.status, answer.code()));
            }
            self.records.push(number);
            let edit = serde_json::json!({ "op": "set", "value": value(number) }).to_string();
            let answer = region.http(at, "POST", &format!("/api/v1/objects/objects/object-{number}"), edit);
            if answer.status != 200 {
                return Some(format!("{} {}", answer.status, answer.code()));
            }
            self.objects.push(number);
        }
        None
    }

    /// All of it can be read at a node, from its own disk.
    fn check(&self, region: &Region, at: usize, when: &str) {
        self.check_records(region, at, when);
        let path = |number: &usize| format!("/api/v1/objects/objects/object-{number}");
        self.objects.iter().for_each(|n| read(region, &[at], &path(n), &value(*n), when));
    }

    /// The same while disks are full: a majority has each object, and a node without room may not be of it.
    fn check_while_full(&self, region: &Region, at: usize, when: &str) {
        self.check_records(region, at, when);
        let path = |number: &usize| format!("/api/v1/objects/objects/object-{number}");
        let others: Vec<usize> = std::iter::once(at).chain((0..3).filter(|other| *other != at)).collect();
        self.objects.iter().for_each(|n| read(region, &others, &path(n), &value(*n), when));
    }

    fn check_records(&self, region: &Region, at: usize, when: &str) {
        self.records.iter().for_each(|n| {
            read(region, &[at], &format!("/api/v1/ledger/default/record-{n}"), &value(*n), when);
        });
    }
}

/// Reads a path at the first of these nodes that has it; none may show another value.
fn read(region: &Region, nodes: &[usize], path: &str, expected: &str, when: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        for at in nodes {
            let Some(answer) = try_http(&region.node(*at).http, "GET", path, &[], b"") else {
                assert!(
                    nodes.len() > 1 && Instant::now() < deadline,
                    "{when}: node {at} is gone:\n{}",
                    region.log(*at)
                );
                continue;
            };
            if answer.status == 200 {
                assert!(answer.body.contains(expected), "{when}: {path} at {at} has another value");
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{when}: {path} at {at}: {} {}\n{}",
                answer.status,
                answer.body,
                region.log(*at)
            );
        }
    }
}

/// Both kinds of writes are refused at a node, over HTTP and on the command line.
fn refuses(region: &Region, at: usize, when: &str) {
    let increment = br#"{"op":"increment","by":1}"#;
    for (method, path, body) in [
        ("PUT", "/api/v1/ledger/default/refused", &b"value"[..]),
        ("POST", "/api/v1/objects/objects/refused", &increment[..]),
    ] {
        // Of what is under way as a disk fills, perhaps nobody knows what became; whatever comes after is refused.
        let deadline = Instant::now() + PATIENCE;
        let answer = loop {
            let answer = region.http(at, method, path, body);
            if answer.status != 504 || Instant::now() > deadline {
                break answer;
            }
        };
        assert_eq!((answer.status, answer.code().as_str()), (507, "disk_full"), "{when} at {at}: {}", answer.body);
        assert!(answer.head.to_lowercase().contains("retry-after:"), "{}", answer.head);
        assert!(answer.detail().contains("writes are refused until there is room, reads go on"), "{}", answer.body);
    }
    let name = region.node(at).name.clone();
    let deadline = Instant::now() + PATIENCE;
    let output = loop {
        let output = region.trine(&["--endpoint", &name, "--timeout", "2s", "ledger", "append", "refused", "value"]);
        if matches!(output.status.code(), Some(0 | 4)) || Instant::now() > deadline {
            break output;
        }
    };
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{when}: {text}");
    assert!(text.contains("the disk is full: writes are refused until there is room"), "{when}: {text}");
}

/// Fills what is left of a disk, to the last byte.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    for bytes in [1024 * 1024, 4096, 1] {
        let block = vec![0xa5; bytes];
        while file.write_all(&block).is_ok() {}
    }
}

/// Waits until a node takes writes again.
fn accepts(region: &Region, at: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = region.http(at, "PUT", "/api/v1/ledger/default/again", "value");
        if answer.status == 201 {
            return;
        }
        assert!(Instant::now() < deadline, "node {at}: {}\n{}", answer.body, region.log(at));
    }
}

#[test]
fn a_full_disk_refuses_writes_and_loses_nothing() {
    let Some(here) = std::env::var_os(HERE) else {
        again_with_a_small_disk("bad_disk::a_full_disk_refuses_writes_and_loses_nothing");
        return;
    };
    let disk = mount(Path::new(&here));
    // What can be removed later to make room.
    std::fs::write(disk.join("ballast"), vec![0x5a; 40 * 1024 * 1024]).unwrap();
    let mut region = Region::started(&disk.join("cluster"), &[("TRINE_LIMITS__DISK_RESERVE", RESERVE)]);
    let mut acknowledged = Acknowledged::default();

    let refusal = acknowledged.write_until_refused(&region, 0, 0, 2000).expect("the disk is full at some time");
    println!("{} records and {} objects, then {refusal}", acknowledged.records.len(), acknowledged.objects.len());
    // What is under way in the moment in which all disks fill up may have been done.
    assert!(["507 disk_full", "504 unknown"].contains(&refusal.as_str()), "{refusal}");
    assert!(acknowledged.records.len() > 20);
    (0..3).for_each(|at| {
        refuses(&region, at, "below the reserve");
        acknowledged.check_while_full(&region, at, "below the reserve");
        let readiness = region.http(at, "GET", "/readyz", "");
        assert_eq!(readiness.status, 200, "reads go on");
        assert!(readiness.body.contains("the disk is full: writes are refused"), "{}", readiness.body);
        let readiness = region.http(at, "GET", "/readyz?write", "");
        assert_eq!(readiness.status, 503);
        assert!(readiness.detail().contains("the disk is full"), "{}", readiness.body);
    });

    // Somebody else fills the rest.
    fill(&disk.join("brim"));
    (0..3).for_each(|at| {
        refuses(&region, at, "without a byte");
        acknowledged.check_while_full(&region, at, "without a byte");
    });
    // Killed then, and started while nothing can be written: whether it comes up or says why not, it harms nothing.
    region.kill(1);
    region.start(1);
    [0, 2].into_iter().for_each(|at| acknowledged.check_while_full(&region, at, "without a byte, one killed"));
    [0, 2].into_iter().for_each(|at| refuses(&region, at, "without a byte, one killed"));
    println!("node 1, started without a byte free, lives: {}", region.lives(1));
    assert!(region.lives(0) && region.lives(2), "a full disk is no reason to die");
    // What waits for room is let go when a node is to stop.
    region.stop(2);
    let said = region.log(2);
    assert!(said.contains("stopped") && !said.contains("stopping took too long"), "{said}");
    (0..2).filter(|at| *at != 1 || region.lives(1)).collect::<Vec<_>>().into_iter().for_each(|at| region.kill(at));

    // Room again: all of them come back and go on.
    std::fs::remove_file(disk.join("brim")).unwrap();
    std::fs::remove_file(disk.join("ballast")).unwrap();
    (0..3).for_each(|at| region.start(at));
    (0..3).for_each(|at| region.ready(at));
    (0..3).for_each(|at| accepts(&region, at));
    assert_eq!(acknowledged.write_until_refused(&region, 2, 5000, 5), None);
    (0..3).for_each(|at| acknowledged.check(&region, at, "with room again"));

    // Filled by their own writes while they run, and freed while they run.
    let ballast = disk.join("ballast");
    std::fs::File::create(&ballast).unwrap();
    fill(&ballast);
    let refusal = acknowledged.write_until_refused(&region, 1, 6000, 2000).expect("full again");
    println!("full again: {refusal}");
    (0..3).for_each(|at| refuses(&region, at, "full again"));
    std::fs::remove_file(&ballast).unwrap();
    (0..3).for_each(|at| accepts(&region, at));
    (0..3).for_each(|at| region.stop(at));
    (0..3).for_each(|at| region.start(at));
    (0..3).for_each(|at| region.ready(at));
    (0..3).for_each(|at| acknowledged.check(&region, at, "at the end"));
    let status = region.trine(&["status"]);
    assert_eq!(status.status.code(), Some(0), "{status:?}");
    let said = (0..3).map(|at| region.log(at)).collect::<String>();
    assert!(said.contains("the disk is nearly full: writes are refused"), "{said}");
    assert!(!said.contains("damaged"), "{said}");
}

#[test]
fn a_leader_without_room_makes_way_for_one_that_has_some() {
    let Some(here) = std::env::var_os(HERE) else {
        again_with_a_small_disk("bad_disk::a_leader_without_room_makes_way_for_one_that_has_some");
        return;
    };
    let here = Path::new(&here);
    let mut region = Region::prepared(&here.join("cluster"), &[("TRINE_LIMITS__DISK_RESERVE", RESERVE)]);
    let disks: Vec<PathBuf> = (0..3).map(|at| mount(&here.join(at.to_string()))).collect();
    (0..3).for_each(|at| std::os::unix::fs::symlink(&disks[at], region.data(at)).unwrap());
    (0..3).for_each(|at| region.start(at));
    (0..3).for_each(|at| region.ready(at));
    let mut acknowledged = Acknowledged::default();
    assert_eq!(acknowledged.write_until_refused(&region, 0, 0, 10), None);

    let status = String::from_utf8(region.trine(&["status"]).stdout).unwrap();
    let leads =
        |at: &usize| status.lines().any(|line| line.starts_with(&region.node(*at).name) && line.contains("leader"));
    let leader = (0..3).find(leads).unwrap_or_else(|| panic!("nobody leads:\n{status}"));
    fill(&disks[leader].join("brim"));
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    others.into_iter().for_each(|at| accepts(&region, at));
    refuses(&region, leader, "it alone is full");
    assert_eq!(acknowledged.write_until_refused(&region, others[0], 100, 10), None, "the region goes on");

    std::fs::remove_file(disks[leader].join("brim")).unwrap();
    accepts(&region, leader);
    (0..3).for_each(|at| acknowledged.check(&region, at, "with room again"));
    assert!((0..3).all(|at| region.lives(at)));
}
