//! Real processes whose disks go back in time: an old copy of a data directory is put in its place, or nothing is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::bad_region::{PATIENCE, Region, try_http};

/// Waits until something holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + 2 * PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} does not come true");
    }
}

/// Appends records `from` to before `to` at a node; each must get the index of its number.
fn appends(region: &Region, at: usize, from: u64, to: u64) {
    for number in from..to {
        let path = format!("/api/v1/ledger/default/key-{number}");
        until("an append", || {
            let answer = region.http(at, "PUT", &path, format!("value {number}"));
            let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
            let there = told["index"].as_u64() == Some(number);
            assert!(answer.status != 201 || there, "record {number}: {answer:?}");
            answer.status == 201
        });
    }
}

/// How a node holds the first region's ledger: size and root.
fn held(region: &Region, at: usize) -> (u64, String) {
    let status: serde_json::Value = serde_json::from_str(&region.http(at, "GET", "/api/v1/status", "").body).unwrap();
    let ledger = &status["ledgers"]["us-east-1"];
    (ledger["size"].as_u64().unwrap(), ledger["root"].as_str().unwrap().to_owned())
}

/// The value of a record of the first region, as a node has it.
fn value(region: &Region, at: usize, number: u64) -> String {
    let answer = region.http(at, "GET", &format!("/api/v1/records/us-east-1/{number}"), "");
    let record: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
    record["value"].as_str().unwrap_or(&answer.body).to_owned()
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// Three regions of one node; the first appended 20, was stopped and copied, and appended 50 more.
fn with_an_old_copy(directory: &Path) -> (Region, PathBuf) {
    let mut region = Region::prepared_as(&directory.join("cluster"), (3, 1), &[]).all_ready();
    appends(&region, 0, 0, 20);
    region.stop(0);
    let old = directory.join("old");
    copy(&region.data(0), &old);
    region.start(0);
    region.ready(0);
    appends(&region, 0, 20, 70);
    until("the mirrors", || held(&region, 1).0 == 70 && held(&region, 2).0 == 70);
    region.kill(0);
    (region, old)
}

/// What a node says that keeps it from taking appends.
fn withheld(region: &Region, here: u64) {
    let words = format!("others hold 70 records signed by this region's key, here are {here}");
    until("the refusal", || {
        try_http(&region.node(0).http, "GET", "/readyz", &[], b"").is_some_and(|answer| answer.body.contains(&words))
    });
    let answer = region.http(0, "PUT", "/api/v1/ledger/default/late", "value");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.detail().contains(&words), "{answer:?}");
    assert!(answer.detail().contains("trine region recover us-east-1"), "{answer:?}");
    until("the figure", || (region.figure(0, "trine_records_missing", "") - (70 - here) as f64).abs() < 0.5);
    let status = region.trine(&["status", "--endpoint", "us-east-1-a"]);
    assert_eq!(status.status.code(), Some(4), "{status:?}");
    assert!(String::from_utf8_lossy(&status.stdout).contains(&words), "{status:?}");
}

#[test]
fn a_region_on_an_old_copy_of_its_disk_takes_no_appends_and_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let (mut region, old) = with_an_old_copy(directory.path());
    let whole = held(&region, 1);
    copy(&old, &region.data(0));
    region.start(0);
    withheld(&region, 20);
    assert_eq!((held(&region, 1), held(&region, 2)), (whole.clone(), whole));
}

/// Brings back what the first region lost, by the command line.
fn recovered(region: &Region, restored: u64) {
    let output = region.trine(&["region", "recover", "us-east-1", "-o", "json", "--timeout", "30s"]);
    assert!(output.status.success(), "{output:?}");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((told["size"].as_u64(), told["restored"].as_u64()), (Some(70), Some(restored)), "{told}");
}

/// All is as it was, appends go on at 70, and what a mirror proves of it holds.
fn goes_on(region: &Region, whole: &(u64, String)) {
    assert_eq!(held(region, 0), *whole);
    appends(region, 0, 70, 72);
    until("the mirrors", || (1..3).all(|at| held(region, at) == held(region, 0)));
    for (at, number) in [(0, 20), (1, 20), (1, 69), (2, 71)] {
        assert_eq!(value(region, at, number), format!("value {number}"), "record {number} at {at}");
    }
    let (one, other) = ("/api/v1/consistency/us-east-1?from=20&to=72", "/api/v1/consistency/us-east-1?from=70&to=72");
    for path in [one, other] {
        assert_eq!(region.http(0, "GET", path, "").body, region.http(1, "GET", path, "").body);
    }
    until("a healthy status", || region.trine(&["status"]).status.code() == Some(0));
}

/// The first region comes back with some of its 70 records and gets the rest by the command.
fn comes_back(mut region: Region, kept: u64) {
    let whole = held(&region, 1);
    region.start(0);
    withheld(&region, kept);
    recovered(&region, 70 - kept);
    region.ready(0);
    goes_on(&region, &whole);
}

#[test]
fn what_a_region_lost_comes_back_by_a_command() {
    let directory = tempfile::tempdir().unwrap();
    let (region, old) = with_an_old_copy(directory.path());
    copy(&old, &region.data(0));
    comes_back(region, 20);
}

#[test]
fn an_emptied_region_of_one_node_comes_back_by_the_same_command() {
    let directory = tempfile::tempdir().unwrap();
    let (region, _) = with_an_old_copy(directory.path());
    std::fs::remove_dir_all(region.data(0)).unwrap();
    comes_back(region, 0);
}

#[test]
fn a_voter_on_an_old_copy_of_its_disk_does_not_vote_before_it_has_all() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::started(&directory.path().join("cluster"), &[]);
    appends(&region, 0, 0, 5);
    region.stop(0);
    let old = directory.path().join("old");
    copy(&region.data(0), &old);
    region.start(0);
    region.ready(0);
    // One node is away while the other two acknowledge thirty more.
    region.stop(1);
    appends(&region, 0, 5, 35);
    region.kill(0);
    region.kill(2);
    copy(&old, &region.data(0));
    region.start(0);
    region.start(1);
    // These two are a majority, and neither has the thirty: they must not elect.
    let words = "older than what it acknowledged";
    until("the words", || region.log(0).contains(words));
    until("the words over HTTP", || {
        try_http(&region.node(0).http, "GET", "/readyz", &[], b"").is_some_and(|answer| answer.body.contains(words))
    });
    until("the figure", || (region.figure(0, "trine_raft_held_back", "") - 1.0).abs() < 0.5);
    // Over a restart too; by then it has registered nothing, but its disk has seen another incarnation.
    region.kill(0);
    region.start(0);
    until("the words again", || {
        try_http(&region.node(0).http, "GET", "/readyz", &[], b"").is_some_and(|answer| answer.body.contains(words))
    });
    let answer = region.http(1, "PUT", "/api/v1/ledger/default/late", "value");
    assert_ne!(answer.status, 201, "{answer:?}");
    // Who has all comes back, is elected, and brings it.
    region.start(2);
    (0..3).for_each(|at| region.ready(at));
    for at in 0..3 {
        until("the thirty", || held(&region, at).0 >= 35);
        assert_eq!(value(&region, at, 34), "value 34", "at {at}");
    }
    until("the figure", || region.figure(0, "trine_raft_held_back", "") < 0.5);
    region.is_well("after");
}
