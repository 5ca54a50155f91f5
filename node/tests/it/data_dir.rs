//! A data directory knows whose it is.

use std::path::Path;

use expect_test::expect;
use trine_node::store::DataDir;

const CLUSTER: &str = "00112233445566778899aabbccddeeff";

fn open(path: &Path, cluster: &str, name: &str) -> Result<DataDir, String> {
    DataDir::open(path, cluster, name).map_err(|error| error.to_string().replace(&path.display().to_string(), "DIR"))
}

#[test]
fn the_id_is_drawn_once_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("made/on/the/way");
    let first = open(&path, CLUSTER, "us-east-1-a").unwrap();
    assert!(first.fresh());
    let node = first.node();
    drop(first);
    let again = open(&path, CLUSTER, "us-east-1-a").unwrap();
    assert!(!again.fresh());
    assert_eq!(again.node(), node);
}

#[test]
fn a_wiped_directory_is_another_node() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let before = open(&path, CLUSTER, "us-east-1-a").unwrap().node();
    std::fs::remove_dir_all(&path).unwrap();
    assert_ne!(open(&path, CLUSTER, "us-east-1-a").unwrap().node(), before);
}

#[test]
fn two_processes_cannot_have_it() {
    let directory = tempfile::tempdir().unwrap();
    let _first = open(directory.path(), CLUSTER, "us-east-1-a").unwrap();
    expect!["DIR is in use by another process"].assert_eq(&open(directory.path(), CLUSTER, "us-east-1-a").unwrap_err());
}

#[test]
fn somebody_elses_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path(), CLUSTER, "us-east-1-a").unwrap());
    expect!["DIR belongs to node `us-east-1-a`, not `us-east-1-b`: use another directory"]
        .assert_eq(&open(directory.path(), CLUSTER, "us-east-1-b").unwrap_err());
    expect![
        "DIR belongs to cluster `00112233445566778899aabbccddeeff`, not `ffeeddccbbaa99887766554433221100`: use another directory"
    ]
    .assert_eq(&open(directory.path(), "ffeeddccbbaa99887766554433221100", "us-east-1-a").unwrap_err());
}

#[test]
fn every_flipped_or_cut_byte_of_the_identity_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path(), CLUSTER, "us-east-1-a").unwrap());
    let file = directory.path().join("node");
    let sound = std::fs::read(&file).unwrap();
    for at in 0..sound.len() {
        let mut flipped = sound.clone();
        flipped[at] ^= 0x04;
        std::fs::write(&file, flipped).unwrap();
        open(directory.path(), CLUSTER, "us-east-1-a").expect_err("a flipped byte");
        std::fs::write(&file, &sound[..at]).unwrap();
        open(directory.path(), CLUSTER, "us-east-1-a").expect_err("a cut file");
    }
    std::fs::write(&file, &sound).unwrap();
    open(directory.path(), CLUSTER, "us-east-1-a").unwrap();
}

#[test]
fn rows_without_an_identity_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("raft")).unwrap();
    expect!["DIR holds data (raft) but no identity: wipe it whole and let the node join anew"]
        .assert_eq(&open(directory.path(), CLUSTER, "us-east-1-a").unwrap_err());
}
