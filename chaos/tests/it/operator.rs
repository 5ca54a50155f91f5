//! What an operator asks the simulator: what happens to a cluster of this shape if a region is cut off.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Runs `trine-chaos`; the exit code, and what it said.
fn chaos(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_trine-chaos")).args(arguments).output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

const SPLIT: [&str; 12] =
    ["sim", "--plan", "split-full", "--regions", "4", "--nodes", "4", "--seed", "7", "--duration", "2s", "--report"];

#[test]
fn a_run_in_a_shape_of_ones_own_ends_with_a_table_and_a_report() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path().display().to_string();
    let (code, said) = chaos(&[&SPLIT[..], &[&place]].concat());
    assert_eq!(code, Some(0), "{said}");
    for line in [
        "plan      split-full, 2s: ",
        "topology  4 regions of 4 nodes, 16 in all; simulated",
        "seed      7",
        " FAULT ",
        " split ",
        " CALLS ",
        " add to a counter ",
        " append ",
        " within regions ",
        " between regions ",
        "all nodes hold the same  after ",
        "simulated                ",
        " a second",
        "trace hash",
        " CHECK ",
        " convergence ",
        " trim ",
        "split-full (seed 7): held; see ",
    ] {
        assert!(said.contains(line), "`{line}` is missing in\n{said}");
    }
    assert!(!said.contains("BROKEN") && !said.contains("NaN") && !said.contains("inf"), "{said}");
    let own = directory.path().join("split-full-7-simulated");
    let page = std::fs::read_to_string(own.join("report.html")).expect("a page");
    assert!(page.contains("simulated, seed 7, 4 regions of 4 nodes") && page.contains("between regions"), "{page}");
    // Both arenas' runs stand in one table.
    let (code, table) = chaos(&["table", &place]);
    assert_eq!(code, Some(0), "{table}");
    assert!(table.contains("| split-full | simulated | 1 | 1 | held |"), "{table}");
}

fn report(directory: &Path) -> Value {
    let text = std::fs::read_to_string(directory.join("split-full-7-simulated/report.json")).expect("a report");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn the_same_is_told_as_json_and_its_figures_agree_with_each_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path().display().to_string();
    let (code, said) = chaos(&[&SPLIT[..], &[&place, "--output", "json"]].concat());
    assert_eq!(code, Some(0), "{said}");
    let told: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(told, report(directory.path()));
    let number = |path: &str| told.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path}: {said}"));
    let kinds = told["kinds"].as_object().expect("kinds");
    let done: u64 = kinds.values().map(|kind| kind["ok"].as_u64().expect("a number")).sum();
    assert_eq!(done, number("/figures/ok"));
    for path in ["/simulated/inside", "/simulated/between"] {
        let (messages, bytes) = (number(&format!("{path}/messages")), number(&format!("{path}/bytes")));
        assert!(messages > 0 && bytes > messages, "{path}: {bytes} bytes in {messages} messages");
    }
    assert!((1..done).contains(&number("/simulated/writes")), "{said}");
    assert!(number("/simulated/events") > number("/simulated/inside/messages"), "most messages arrive");
    assert!(number("/simulated/simulated_ms") >= 2_000, "{said}");
    assert!(told["checks"].as_array().expect("checks").iter().any(|check| check["check"] == "trim"), "{said}");
}

#[test]
fn many_seeds_are_told_by_scenario_and_stand_in_the_report_directory_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path().display().to_string();
    let many = ["sim", "--plans", "quiet", "split-full", "--seeds", "2", "--duration", "1s", "--report", &place];
    let (code, said) = chaos(&many);
    assert_eq!(code, Some(0), "{said}");
    for column in ["EVENTS/s", "MESSAGES/WRITE", "BYTES/WRITE", "CONVERGED p50 p99 max", "MEMORY/NODE"] {
        assert!(said.contains(column), "{said}");
    }
    let (_, table) = chaos(&["table", &place]);
    for scenario in ["| quiet | simulated | 2 | 2 | held |", "| split-full | simulated | 2 | 2 | held |"] {
        assert!(table.contains(scenario), "{table}");
    }
}
