//! Who founds a region's Raft group: emptied founders whose region went on with nodes that joined later.

use std::time::{Duration, Instant};

use super::bad_region::{Region, try_http};
use super::membership::{append, members, newcomer, until, wipe};

const FOUNDED: &str = "founding the region's Raft group";
const WAITS: &str = "this node founds nothing, and waits until the region's leader adds it";

/// How many records of the first region's ledger a node holds.
fn size(region: &Region, at: usize) -> u64 {
    let status = try_http(&region.node(at).http, "GET", "/api/v1/status", &[], b"").map(|answer| answer.body);
    let status: serde_json::Value = serde_json::from_str(&status.unwrap_or_default()).unwrap_or_default();
    status["ledgers"]["us-east-1"]["size"].as_u64().unwrap_or(0)
}

fn words(region: &Region, at: usize) -> String {
    try_http(&region.node(at).http, "GET", "/readyz", &[], b"").map_or_else(String::new, |answer| answer.body)
}

fn hold(region: &Region, nodes: &[usize], records: u64) {
    for at in nodes {
        until(region, "all records", || size(region, *at) == records);
        for number in 0..records {
            let path = format!("/api/v1/records/us-east-1/{number}");
            until(region, "a record", || {
                let answer = try_http(&region.node(*at).http, "GET", &path, &[], b"");
                answer.is_some_and(|answer| answer.body.contains(&format!("value-{number}")))
            });
        }
    }
}

fn record(region: &Region, at: usize, number: u64) {
    append(region, at, &format!("key-{number}"), &format!("value-{number}"));
}

#[test]
fn an_only_founder_whose_disk_is_lost_is_added_by_those_who_joined_it() {
    for regions in [3, 1] {
        let directory = tempfile::tempdir().unwrap();
        let mut region = Region::prepared_as(&directory.path().join("cluster"), (regions, 1), &[]).all_ready();
        let joined = ["us-east-1-b", "us-east-1-c"].map(|name| newcomer(&mut region, name, ""));
        for at in joined {
            region.start(at);
            region.ready(at);
        }
        members(&region, 0, 3, 0);
        (0..5).for_each(|number| record(&region, 0, number));
        region.kill(0);
        record(&region, joined[0], 5);
        wipe(&region, 0);
        region.start(0);
        region.ready(0);
        assert_eq!(region.log(0).matches(FOUNDED).count(), 1, "it founds once:\n{}", region.log(0));
        let mine = [0, joined[0], joined[1]];
        hold(&region, &mine, 6);
        members(&region, joined[0], 3, 0);
        record(&region, 0, 6);
        mine.iter().for_each(|at| region.stop(*at));
        mine.iter().for_each(|at| region.start(*at));
        mine.iter().for_each(|at| region.ready(*at));
        record(&region, 0, 7);
        hold(&region, &mine, 8);
    }
}

#[test]
fn founders_that_are_all_empty_found_nothing_beside_one_who_joined_and_holds_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::prepared_as(&directory.path().join("cluster"), (1, 2), &[]).all_ready();
    let joined = newcomer(&mut region, "us-east-1-c", "");
    region.start(joined);
    region.ready(joined);
    members(&region, 0, 3, 0);
    (0..3).for_each(|number| record(&region, 0, number));
    until(&region, "the log", || size(&region, joined) == 3);
    for at in [0, 1] {
        region.kill(at);
        wipe(&region, at);
    }
    for at in [0, 1] {
        region.start(at);
    }
    until(&region, "the words", || words(&region, 0).contains(WAITS));
    assert!(words(&region, 0).contains("us-east-1-c"), "{}", words(&region, 0));
    let patience = Instant::now() + Duration::from_secs(5);
    until(&region, "what may not come", || Instant::now() > patience);
    assert_eq!(region.log(0).matches(FOUNDED).count(), 1, "{}", region.log(0));

    // Most of the region is lost for ever, and one disk survives.
    [0, 1, joined].iter().for_each(|at| region.stop(*at));
    let data = region.data(joined);
    let data = data.to_str().unwrap();
    let recovered = region.trine(&["recover", "region", "--data", data, "--the-others-are-lost-for-ever"]);
    assert!(recovered.status.success(), "{recovered:?}");
    region.start(joined);
    region.ready(joined);
    for at in [0, 1] {
        region.start(at);
        region.ready(at);
    }
    record(&region, 0, 3);
    hold(&region, &[0, 1, joined], 4);
}
