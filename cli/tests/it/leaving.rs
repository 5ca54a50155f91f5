//! Taking nodes away, on real processes: what the rest could not go on after is refused, and who leaves votes until it is
//! not missed any more.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use super::bad_region::{PATIENCE, Region, try_http};
use super::membership::{append, id, members, newcomer, until};

fn region_of(nodes: u16, directory: &Path) -> Region {
    Region::of(nodes, &directory.join("cluster"), &[]).all_ready()
}

/// Asks for a change of the roster at a node.
fn ask(region: &Region, at: usize, arguments: &[&str]) -> Output {
    let all = [arguments, &["--yes", "--timeout", "20s", "--endpoint", &region.node(at).name]].concat();
    region.trine(&[&["nodes"], &all[..]].concat())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The node that leads, as node `at` knows.
fn leader(region: &Region, at: usize) -> usize {
    let mut found = None;
    until(region, "a leader", || {
        let listed: serde_json::Value =
            serde_json::from_str(&region.http(at, "GET", "/api/v1/nodes", "").body).unwrap();
        let nodes = listed["nodes"].as_array().unwrap();
        let leads = nodes.iter().find(|node| node["raft"] == "leader").map(|node| node["name"].clone());
        found = leads.and_then(|name| region.cluster.nodes.iter().position(|node| name == node.name));
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn one_of_two_leaves_and_the_other_goes_on() {
    for leads in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let mut region = region_of(2, directory.path());
        let led = leader(&region, 0);
        let (goes, stays) = if leads { (led, 1 - led) } else { (1 - led, led) };
        append(&region, goes, "before", "kept");
        let name = region.node(goes).name.clone();
        let removed = ask(&region, stays, &["remove", &name]);
        assert!(removed.status.success(), "{removed:?}");
        assert_eq!(region.ended(goes), Some(5), "{}", region.log(goes));
        assert!(region.log(goes).contains("and has left"), "it says why:\n{}", region.log(goes));
        append(&region, stays, "after", "alone");
        members(&region, stays, 1, 0);
        assert_eq!(region.http(stays, "GET", "/api/v1/ledger/default/before", "").body, "kept");
        // Over a restart of the one that stayed, too; the other one's disk remembers that it left.
        region.stop(stays);
        region.start(stays);
        region.ready(stays);
        append(&region, stays, "later", "alone");
        assert_eq!(region.tried(goes), Some(5));
    }
}

#[test]
fn the_only_node_of_a_region_stays() {
    let directory = tempfile::tempdir().unwrap();
    let region = region_of(1, directory.path());
    let arguments: [&[&str]; 3] = [&["remove"], &["remove", "--force"], &["replace", "--force"]];
    for arguments in arguments {
        let refused = ask(&region, 0, &[arguments, &["us-east-1-a"]].concat());
        assert_eq!(refused.status.code(), Some(5), "{refused:?}");
        assert!(said(&refused).contains("the only node of us-east-1"), "{refused:?}");
    }
    append(&region, 0, "after", "as before");
}

#[test]
fn what_the_rest_could_not_go_on_after_is_refused_and_forced_it_waits() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = region_of(3, directory.path());
    region.kill(2);
    append(&region, 0, "two-of-three", "kept");
    let mut refused = None;
    // For a short while the leader does not know yet that the killed one is silent.
    until(&region, "its silence", || region.http(0, "GET", "/api/v1/nodes", "").body.contains("silent_ms"));
    let patience = Instant::now() + Duration::from_secs(3);
    until(&region, "the leader's knowledge", || Instant::now() > patience);
    for node in ["us-east-1-b", "us-east-1-a"] {
        let output = ask(&region, 0, &["remove", node]);
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        let words = said(&output);
        assert!(words.contains(&format!("without {node}")) && words.contains("only 1 of 2 answer"), "{words}");
        assert!(words.contains("us-east-1-c") && words.contains("--force"), "{words}");
        refused = Some(output);
    }
    assert!(refused.is_some() && region.lives(1));
    append(&region, 0, "still", "kept");

    // Forced it is off the roster, votes on, and leaves when the third is back.
    let forced = ask(&region, 0, &["remove", "us-east-1-b", "--force"]);
    assert!(forced.status.success(), "{forced:?}");
    append(&region, 0, "with-its-vote", "kept");
    assert!(region.lives(1), "its vote is missed");
    assert_eq!(try_http(&region.node(1).http, "GET", "/readyz", &[], b"").unwrap().status, 503);
    region.start(2);
    region.ready(2);
    assert_eq!(region.ended(1), Some(5));
    append(&region, 0, "without-it", "kept");
    members(&region, 0, 2, 0);
}

#[test]
fn who_is_down_can_be_taken_away_and_then_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = region_of(3, directory.path());
    region.kill(2);
    let removed = ask(&region, 0, &["remove", "us-east-1-c"]);
    assert!(removed.status.success(), "{removed:?}");
    append(&region, 0, "two", "kept");
    members(&region, 0, 2, 0);
    let removed = ask(&region, 0, &["remove", "us-east-1-b"]);
    assert!(removed.status.success(), "{removed:?}");
    assert_eq!(region.ended(1), Some(5));
    append(&region, 0, "one", "kept");
    members(&region, 0, 1, 0);
    // The first comes back with its disk, and is told.
    assert_eq!(region.tried(2), Some(5), "{}", region.log(2));
}

#[test]
fn two_removals_at_once_are_judged_one_after_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = region_of(3, directory.path());
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| ask(&region, 0, &["remove", "us-east-1-b"]));
        let other = ask(&region, 0, &["remove", "us-east-1-c"]);
        (one.join().unwrap(), other)
    });
    assert!(one.status.success() && other.status.success(), "{one:?} {other:?}");
    assert_eq!((region.ended(1), region.ended(2)), (Some(5), Some(5)));
    append(&region, 0, "alone", "kept");
    members(&region, 0, 1, 0);

    let directory = tempfile::tempdir().unwrap();
    let mut region = region_of(2, directory.path());
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| ask(&region, 0, &["remove", "us-east-1-b"]));
        let other = ask(&region, 0, &["remove", "us-east-1-a"]);
        (one.join().unwrap(), other)
    });
    let codes = [one.status.code(), other.status.code()];
    assert!(codes == [Some(0), Some(5)] || codes == [Some(5), Some(0)], "{one:?} {other:?}");
    let (goes, stays) = if codes[0] == Some(0) { (1, 0) } else { (0, 1) };
    assert_eq!(region.ended(goes), Some(5));
    append(&region, stays, "alone", "kept");
}

#[test]
fn without_a_majority_a_change_is_refused_with_the_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = region_of(2, directory.path());
    region.kill(1);
    until(&region, "no leader", || {
        try_http(&region.node(0).http, "GET", "/readyz", &[], b"").is_some_and(|answer| answer.status == 503)
            || region.http(0, "GET", "/api/v1/nodes", "").body.contains("silent_ms")
    });
    for verb in ["remove", "replace"] {
        let refused = ask(&region, 0, &[verb, "us-east-1-b"]);
        assert!(!refused.status.success(), "{refused:?}");
    }
    region.start(1);
    region.ready(1);
    append(&region, 0, "both", "kept");
    assert!(id(&region, 0, "us-east-1-b").is_some());
}

#[test]
fn a_living_node_keeps_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = region_of(2, directory.path());
    let before = id(&region, 0, "us-east-1-b").unwrap();
    // Another machine with the same name: a certificate of its own, an empty disk, other ports.
    let double = newcomer(&mut region, "us-east-1-b", "");
    region.start(double);
    until(&region, "its answer", || {
        try_http(&region.node(double).http, "GET", "/readyz", &[], b"")
            .is_some_and(|answer| answer.detail().contains("which answers and has been registered since"))
    });
    assert_eq!(id(&region, 0, "us-east-1-b"), Some(before.clone()));
    append(&region, 1, "held", "kept");
    // It gives way by itself.
    assert_eq!(region.ended(double), Some(1), "{}", region.log(double));
    assert!(region.log(double).contains(&before), "it says who has the name:\n{}", region.log(double));
    assert_eq!(id(&region, 0, "us-east-1-b"), Some(before));
    append(&region, 1, "after", "kept");
    let deadline = Instant::now() + PATIENCE;
    assert!(region.lives(1) && Instant::now() < deadline);
}
