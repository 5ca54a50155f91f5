//! `trine status` tells the truth: what is wrong is said in sentences, and nothing that is right is called wrong.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use trine_cli::status::ask::{Heard, Survey};
use trine_cli::status::judge::judge;
use trine_doors::model::Status;

use crate::bad_region::Region;

/// A node's answer, as its JSON would be.
fn status(name: &str, region: &str, mirrors: bool, ledgers: &[(&str, u64, &str)]) -> Status {
    let ledgers: BTreeMap<&str, serde_json::Value> = ledgers
        .iter()
        .map(|(region, size, root)| (*region, serde_json::json!({ "size": size, "root": root })))
        .collect();
    serde_json::from_value(serde_json::json!({
        "cluster": "c", "ready": true, "term": 1, "objects": {}, "timestamp": "", "time": "", "stamps_held": 0, "standing": "", "forked": [],
        "connected": [], "mirrors": mirrors, "problems": [], "ledgers": ledgers,
        "clock": { "believed": true, "compared": 0, "offsets_ms": {}, "hybrid_ahead_ms": 0 },
        "node": { "id": name, "name": name, "region": region, "peer": "", "addresses": [], "health": "healthy",
                  "raft": "voter" },
    }))
    .unwrap()
}

fn heard(status: Status) -> Heard {
    let (name, region) = (status.node.name.clone(), status.node.region.clone());
    Heard { id: name.clone(), name, region, status: Ok(status), appends: Some(Ok(())) }
}

fn survey(nodes: Vec<Heard>, first: &[(&str, u64)]) -> Survey {
    let first: BTreeMap<String, u64> = first.iter().map(|(region, size)| ((*region).to_owned(), *size)).collect();
    Survey { regions: first.keys().cloned().collect(), nodes, first, moving: false }
}

fn codes(survey: Survey) -> Vec<String> {
    judge(survey).problems.iter().map(|told| told.problem.code.clone()).collect()
}

#[test]
fn what_a_node_once_mirrored_is_no_difference() {
    let now = heard(status("east-a", "east", true, &[("east", 9, "e9"), ("west", 5, "w5")]));
    let no_more = heard(status("east-b", "east", false, &[("east", 9, "e9"), ("west", 3, "w3")]));
    let west = heard(status("west-a", "west", true, &[("east", 9, "e9"), ("west", 5, "w5")]));
    let judged = judge(survey(vec![now, no_more, west], &[("east", 9), ("west", 5)]));
    assert!(judged.healthy && judged.ledgers_agree && judged.behind.is_empty(), "{judged:?}");
}

#[test]
fn behind_is_not_different_and_says_by_how_much() {
    let first = heard(status("east-a", "east", false, &[("east", 9, "e9")]));
    // A size of 0 counts as well: a node that holds nothing is behind by all.
    let empty = heard(status("east-b", "east", false, &[("east", 0, "e0")]));
    let judged = judge(survey(vec![first.clone(), empty], &[("east", 9)]));
    assert!(judged.ledgers_agree && !judged.healthy);
    assert_eq!(judged.behind[0].lacks, 9);
    assert_eq!(judged.problems[0].problem.code, "behind");

    // What came after the first look is under way, and nobody is behind for it.
    let ahead = heard(status("east-b", "east", false, &[("east", 12, "e12")]));
    assert!(judge(survey(vec![first, ahead], &[("east", 9)])).healthy);
}

#[test]
fn two_roots_of_one_size_are_a_contradiction() {
    let one = heard(status("east-a", "east", false, &[("east", 9, "e9")]));
    let other = heard(status("east-b", "east", false, &[("east", 9, "other")]));
    let judged = judge(survey(vec![one, other], &[("east", 9)]));
    assert!(!judged.ledgers_agree);
    assert_eq!(
        judged.problems[0].problem.what,
        "east-a and east-b contradict each other about the first 9 records of east"
    );
}

#[test]
fn a_region_that_takes_no_records_is_told_from_a_node_that_does_not_get_through() {
    let node = |name: &str, reached: bool| {
        let reached = if reached { Ok(()) } else { Err("no answer in time".to_owned()) };
        Heard { appends: Some(reached), ..heard(status(name, "east", false, &[("east", 0, "e0")])) }
    };
    assert_eq!(codes(survey(vec![node("a", false), node("b", true)], &[("east", 0)])), ["cut_off"]);
    assert_eq!(codes(survey(vec![node("a", false), node("b", false)], &[("east", 0)])), ["no_appends"]);
    let away = Heard { status: Err("gone".to_owned()), appends: None, ..node("a", true) };
    assert_eq!(codes(survey(vec![away], &[("east", 0)])), ["no_answer", "region_silent"]);
}

#[test]
fn one_problem_that_several_nodes_tell_of_is_one() {
    let told = |name: &str| {
        let mut told = status(name, "east", false, &[("east", 0, "e0")]);
        told.problems = vec![trine_doors::model::Problem {
            code: "unreachable".to_owned(),
            what: "c is away".to_owned(),
            node: Some("c".to_owned()),
            region: None,
        }];
        heard(told)
    };
    let judged = judge(survey(vec![told("a"), told("b")], &[("east", 0)]));
    assert_eq!(judged.problems.len(), 1);
    assert_eq!(judged.problems[0].told_by, ["a", "b"]);
}

/// Asks until the status is as wanted; what it was at last.
fn told(region: &Region, arguments: &[&str], wanted: impl Fn(&serde_json::Value) -> bool) -> (i32, serde_json::Value) {
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        let output = region.trine(&[&["status", "-o", "json"], arguments].concat());
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if wanted(&told) || Instant::now() > deadline {
            return (output.status.code().unwrap(), told);
        }
    }
}

fn has(told: &serde_json::Value, code: &str, about: &str) -> bool {
    let problems = told["problems"].as_array().cloned().unwrap_or_default();
    problems.iter().any(|problem| problem["code"] == code && (problem["node"] == about || problem["region"] == about))
}

#[test]
fn a_region_without_a_majority_is_no_healthy_cluster() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::started(&directory.path().join("cluster"), &[]);
    let (code, well) = told(&region, &[], |told| told["healthy"] == true);
    assert_eq!((code, &well["problems"]), (0, &serde_json::json!([])), "{well}");

    region.kill(1);
    region.kill(2);
    let (code, ill) = told(&region, &[], |told| has(told, "no_appends", "us-east-1"));
    assert_eq!(code, 4, "{ill}");
    assert!(has(&ill, "no_appends", "us-east-1"), "{ill}");
    assert!(has(&ill, "no_answer", "us-east-1-b") && has(&ill, "no_answer", "us-east-1-c"), "{ill}");
}

#[test]
fn a_founder_that_never_came_is_listed() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::prepared_as(&directory.path().join("cluster"), (3, 1), &[]);
    region.start(0);
    region.start(1);
    region.ready(0);
    region.ready(1);
    let away = region.node(2).name.clone();
    let (code, ill) = told(&region, &[], |told| has(told, "unregistered", &away) && has(told, "no_answer", &away));
    assert_eq!(code, 4, "{ill}");
    assert_eq!(ill["nodes"].as_array().unwrap().len(), 3, "{ill}");
    assert!(has(&ill, "unregistered", &away) && has(&ill, "no_answer", &away), "{ill}");
}
