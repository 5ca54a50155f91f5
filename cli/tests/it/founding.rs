//! Who founds a region's Raft group, and who it is that answers under a name: emptied founders whose region went on with
//! nodes that joined later, and a second process under a node's own key.

use std::path::Path;
use std::time::{Duration, Instant};

use trine_cli::up::cluster::ClusterNode;
use trine_node::net::limits::BEGAN_APART_MIN;

use super::bad_region::{PATIENCE, Region, free_ports, try_http};
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

/// Copies a folder's files, and with `deep` its folders, too. A file that its owner removes meanwhile is not copied.
fn copy_files(from: &Path, to: &Path, deep: bool) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(file.file_name());
        if file.path().is_file() {
            let copied = std::fs::copy(file.path(), to);
            assert!(copied.is_ok() || !file.path().exists(), "{copied:?}");
        } else if deep && file.path().is_dir() {
            copy_files(&file.path(), &to, deep);
        }
    }
}

/// A copy of a node's files, on other ports: without its data, unless it is `deep`.
fn copied(region: &mut Region, at: usize, deep: bool) -> usize {
    let (old, ports) = (region.node(at).clone(), free_ports(3));
    let name = format!("{}-copy", old.name);
    let home = region.directory.join("nodes").join(&name);
    copy_files(&old.directory, &home, deep);
    let [http, libp2p, raft] = [0, 1, 2].map(|port| format!("127.0.0.1:{}", ports + port));
    let config = home.join("node.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let moved = text.lines().map(|line| match line.split(" = ").next() {
        Some("http") => format!("http = \"{http}\""),
        Some("libp2p") => format!("libp2p = \"{libp2p}\""),
        Some("raft") => format!("raft = \"{raft}\""),
        _ => line.to_owned(),
    });
    std::fs::write(&config, moved.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    let libp2p = format!("/ip4/127.0.0.1/tcp/{}", ports + 1);
    region.adopt(ClusterNode { name, directory: home, config, http, libp2p, raft, ..old })
}

#[test]
fn a_second_process_under_a_nodes_key_ends_and_takes_nothing_from_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::of(3, &directory.path().join("cluster"), &[]).all_ready();
    until(&region, "writers everywhere", || (0..3).all(|at| region.http(at, "GET", "/readyz?write", "").status == 200));
    let before: Vec<usize> = (0..3).map(|at| region.log(at).matches("takes no writes").count()).collect();
    let copy = copied(&mut region, 1, false);
    region.start(copy);
    let deadline = Instant::now() + 2 * PATIENCE;
    while region.lives(copy) {
        assert!(Instant::now() < deadline, "it goes on:\n{}", region.log(copy));
        for at in 0..3 {
            let answer = region.http(at, "GET", "/readyz?write", "");
            assert_eq!(answer.status, 200, "node {at}: {answer:?}");
        }
    }
    assert_eq!(region.ended(copy), Some(1), "{}", region.log(copy));
    let said = region.log(copy);
    assert!(said.contains("which answers and has been registered since"), "it says why:\n{said}");
    for (at, before) in before.into_iter().enumerate() {
        append(&region, at, &format!("after-{at}"), "kept");
        assert_eq!(region.log(at).matches("takes no writes").count(), before, "node {at}:\n{}", region.log(at));
    }
}

#[test]
fn a_copy_of_a_running_nodes_files_ends_and_takes_nothing_from_the_node() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::of(3, &directory.path().join("cluster"), &[]).all_ready();
    append(&region, 1, "before", "kept");
    // A copy of the files as they lie would be one of a disk in the middle of a write; a stopped node's are whole.
    region.stop(1);
    let copy = copied(&mut region, 1, true);
    region.start(1);
    region.ready(1);
    until(&region, "writers everywhere", || (0..3).all(|at| region.http(at, "GET", "/readyz?write", "").status == 200));
    let mut written = 0;
    let mut write = |region: &Region| {
        append(region, written % 3, &format!("beside-{written}"), "kept");
        written += 1;
    };
    // Of two that begin together either may be the node.
    let began = Instant::now();
    while began.elapsed() < BEGAN_APART_MIN {
        write(&region);
    }
    region.start(copy);
    let deadline = Instant::now() + 2 * PATIENCE;
    while region.lives(copy) {
        assert!(Instant::now() < deadline, "it goes on:\n{}", region.log(copy));
        write(&region);
    }
    assert_eq!(region.ended(copy), Some(5), "{}", region.log(copy));
    let said = region.log(copy);
    assert!(said.contains("two processes run on copies of one data directory"), "it says why:\n{said}");
    let records = u64::try_from(written).unwrap() + 1;
    until(&region, "all records everywhere", || (0..3).all(|at| size(&region, at) == records));
}
