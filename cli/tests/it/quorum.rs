//! What a node says of its region's majority, on real processes: who leads, and what is taken.

use std::time::Instant;

use super::bad_region::{Answer, PATIENCE, Region, try_http};

/// Asks until the answer is as wanted.
fn until(region: &Region, at: usize, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = try_http(&region.node(at).http, "GET", path, &[], b"");
        match answer {
            Some(answer) if wanted(&answer) => return answer,
            answer => assert!(Instant::now() < deadline, "{path} at {at}: {answer:?}\n{}", region.log(at)),
        }
    }
}

fn status(answer: &Answer) -> serde_json::Value {
    serde_json::from_str(&answer.body).unwrap_or_default()
}

#[test]
fn a_node_whose_peers_are_dead_serves_reads_and_says_of_each_kind_of_write_that_it_is_not_taken() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::started(&directory.path().join("cluster"), &[]);
    region.is_well("before");
    let written = |answer: &Answer| answer.status == 200 && answer.body == "ready\n";
    until(&region, 0, "/readyz?write", written);
    assert!(status(&region.http(0, "GET", "/api/v1/status", ""))["leader"].is_string());

    region.kill(1);
    region.kill(2);
    let refused = until(&region, 0, "/readyz?write", |answer| {
        let detail = answer.detail();
        answer.status == 503
            && detail.contains("edits: taken at durability local only: 0 other nodes")
            && detail.contains("appends: the region has no")
    });
    assert_eq!(refused.code(), "not_ready");
    let reads = region.http(0, "GET", "/readyz", "");
    assert_eq!(reads.status, 200, "{reads:?}");
    assert!(reads.body.starts_with("ready to read; edits: "), "{reads:?}");
    let told = status(&region.http(0, "GET", "/api/v1/status", ""));
    assert!(told["leader"].is_null(), "a dead leader is named: {told}");
    assert_ne!(told["node"]["raft"], "leader", "{told}");
    assert!(told["edits"].is_string() && told["appends"].is_string() && told["ready"] == true, "{told}");

    // Whoever waits for a leader in vain is told of it, and not that it may have been done.
    for words in [&["ledger", "append", "key", "value"][..], &["object", "incr", "counter"]] {
        let output = region.trine(&[&["--timeout", "3s"], words].concat());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let of_append = words[0] == "ledger";
        assert_eq!(output.status.code(), Some(if of_append { 4 } else { 124 }), "{words:?}: {text}");
        assert_eq!(text.contains("the region has no leader that a majority knows"), of_append, "{words:?}: {text}");
    }
    let output = region.trine(&["object", "incr", "counter", "--durability", "local"]);
    assert!(output.status.success(), "{output:?}");
    let output = region.trine(&["status"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("takes no records") && !text.contains("may have been done"), "{text}");

    region.start(1);
    region.ready(1);
    until(&region, 0, "/readyz?write", written);
    let told = status(&until(&region, 0, "/api/v1/status", |answer| status(answer)["leader"].is_string()));
    assert!(told["edits"].is_null() && told["appends"].is_null(), "{told}");
}

#[test]
fn a_node_knows_itself_before_its_region_is_founded() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::prepared(&directory.path().join("cluster"), &[]);
    region.start(0);
    let listed = until(&region, 0, "/api/v1/nodes", |answer| answer.status == 200);
    assert_eq!(status(&listed)["nodes"][0]["name"], "us-east-1-a", "{listed:?}");
    until(&region, 0, "/readyz", |answer| answer.status == 503 && answer.detail().contains("not yet registered"));
}
