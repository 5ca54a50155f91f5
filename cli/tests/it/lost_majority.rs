//! A region whose majority is lost for ever: it goes on from the disk that holds most, and says so for ever.

use super::bad_region::{Region, try_http};
use super::membership::{append, id, members, until, wipe};

#[test]
fn a_region_goes_on_from_the_best_disk_that_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::started(&directory.path().join("cluster"), &[]);
    for number in 0..30 {
        append(&region, 0, &format!("before-{number}"), "kept");
    }
    let increment = r#"{"op":"increment","by":3}"#;
    assert_eq!(region.http(1, "POST", "/api/v1/objects/objects/visits", increment).status, 200);
    // The first is behind: it was down for the last of them.
    region.stop(0);
    append(&region, 1, "last", "kept");
    let before = id(&region, 1, "us-east-1-b").unwrap();
    // The third is lost with its disk.
    region.kill(1);
    region.kill(2);
    let data = [0, 1].map(|at| region.data(at).to_str().unwrap().to_owned());
    let unsaid = region.trine(&["recover", "region", "--data", &data[0], "--data", &data[1]]);
    assert_eq!(unsaid.status.code(), Some(5), "{unsaid:?}");
    let arguments = ["recover", "region", "--data", &data[0], "--data", &data[1], "--the-others-are-lost-for-ever"];
    let done = region.trine(&[&arguments[..], &["-o", "json"]].concat());
    assert!(done.status.success(), "{done:?}");
    let done: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((done["name"].as_str(), done["survivor"].as_str()), (Some("us-east-1-b"), Some(before.as_str())));

    region.start(1);
    region.ready(1);
    for number in 0..30 {
        let read = region.http(1, "GET", &format!("/api/v1/ledger/default/before-{number}"), "");
        assert_eq!(read.body, "kept", "{number}");
    }
    assert_eq!(region.http(1, "GET", "/api/v1/ledger/default/last", "").body, "kept");
    assert!(region.http(1, "GET", "/api/v1/objects/objects/visits", "").body.contains(r#""total":3"#));
    append(&region, 1, "after", "alone");
    assert_eq!(id(&region, 1, "us-east-1-b").as_deref(), done["node"].as_str());
    let listed: serde_json::Value = serde_json::from_str(&region.http(1, "GET", "/api/v1/regions", "").body).unwrap();
    let recovery = &listed["regions"][0]["recoveries"][0];
    assert_eq!((recovery["survivor"].as_str(), recovery["records"].as_u64()), (Some(before.as_str()), Some(31)));

    // One that was given up and is started with its old disk finds that it was, and stops.
    assert_eq!(region.tried(0), Some(5), "{}", region.log(0));
    for at in [0, 2] {
        wipe(&region, at);
        region.start(at);
        region.ready(at);
    }
    members(&region, 1, 3, 0);
    region.is_well("recovered");
    until(&region, "its record everywhere", || {
        try_http(&region.node(2).http, "GET", "/api/v1/regions", &[], b"")
            .is_some_and(|answer| answer.body.contains(&before))
    });
    assert_eq!(region.http(0, "GET", "/api/v1/ledger/default/last", "").body, "kept");
}

#[test]
fn disks_of_two_regions_or_of_a_running_node_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::of(1, &directory.path().join("one"), &[]).all_ready();
    let data = region.data(0).to_str().unwrap().to_owned();
    let recover = |region: &Region, more: &[&str]| {
        let arguments = ["recover", "region", "--the-others-are-lost-for-ever", "--data", &data];
        let refused = region.trine(&[&arguments[..], more].concat());
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        String::from_utf8_lossy(&refused.stderr).into_owned()
    };
    assert!(recover(&region, &[]).contains("in use by another process"));
    region.stop(0);
    let mut other = Region::of(1, &directory.path().join("other"), &[]).all_ready();
    other.stop(0);
    let theirs = other.data(0).to_str().unwrap().to_owned();
    assert!(recover(&region, &["--data", &theirs]).contains("are of two clusters"));
    let nothing = directory.path().join("nothing");
    assert!(!recover(&region, &["--data", nothing.to_str().unwrap()]).is_empty());
    assert!(!nothing.exists(), "looking makes no directory");
    // Nothing was done: the node starts as it was.
    region.start(0);
    region.ready(0);
    append(&region, 0, "after", "as before");
}
