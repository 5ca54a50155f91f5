//! Kills under load, in the short form that every build runs; `trine-chaos rounds --rounds 50` is the long one.

use super::arena::{Ground, PATIENCE};

#[test]
fn nothing_acknowledged_is_lost_when_nodes_are_killed() {
    let Some(ground) = Ground::find() else { return };
    let directory = tempfile::tempdir().unwrap();
    let (data, patience) = (directory.path().join("arena").display().to_string(), PATIENCE.as_secs().to_string());
    let size = ["--regions", "2", "--nodes", "3", "--clients", "2", "--patience", &patience];
    let pace = ["--rounds", "4", "--before", "500ms", "--down", "200ms", "--seed", "7"];
    let summary = ground.json(&[&["rounds", "--data", &data, "-o", "json"][..], &size, &pace].concat());
    println!("{summary:#}");
    assert_eq!(summary["rounds"], 4);
    assert_eq!(summary["all_rounds"], 1, "all nodes were to be killed at once, too");
    assert_eq!(summary["violations"].as_array().map(Vec::len), Some(0), "{summary:#}");
    assert_eq!(summary["digests_equal"], true, "{summary:#}");
    // Or the promises would hold of nothing.
    assert!(summary["acknowledged"].as_u64() > Some(20) && summary["appends"].as_u64() > Some(5), "{summary:#}");
}
