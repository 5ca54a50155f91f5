//! Damage of a running node's disk is found before anybody reads it, and healed.

use std::path::Path;
use std::time::Instant;

use crate::bad_data::{files, flip};
use crate::bad_region::{PATIENCE, Region, try_http};

/// A region whose third node has records and objects in tables.
fn written(directory: &Path) -> Region {
    let region = Region::started(&directory.join("cluster"), &[("TRINE_STORAGE__MEMTABLE", "64KiB")]);
    for number in 0..40 {
        let value = format!("{number:08}").repeat(1024);
        let answer = region.http(0, "PUT", &format!("/api/v1/ledger/default/record-{number}"), &value);
        assert_eq!(answer.status, 201, "{}", answer.body);
        let edit = serde_json::json!({ "op": "set", "value": value }).to_string();
        let answer = region.http(2, "POST", &format!("/api/v1/objects/objects/object-{number}"), edit);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    region
}

#[test]
fn a_running_node_finds_damage_before_anybody_reads_it_and_heals() {
    let directory = tempfile::tempdir().unwrap();
    let region = written(directory.path());
    for (round, part) in [(1.0, "derived"), (1.0, "synced"), (2.0, "derived")] {
        let files = files(&region.data(2).join(part));
        let table = files.iter().find(|file| file.display().to_string().contains("/tables/"));
        let table = table.unwrap_or_else(|| panic!("{part} has tables"));
        let bytes = std::fs::read(table).unwrap();
        flip(table, &bytes, bytes.len() / 2);
        let label = format!("what=\"{part}\"");
        let deadline = Instant::now() + 2 * PATIENCE;
        let figure = |name: &str| match try_http(&region.node(2).http, "GET", "/metrics", &[], b"") {
            Some(answer) => {
                let line = answer.body.lines().find(|line| line.starts_with(name) && line.contains(&label));
                line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or_default()
            }
            None => 0.0,
        };
        while figure("trine_damage_healed_total") < round {
            assert!(Instant::now() < deadline, "{part} is not healed:\n{}", region.log(2));
        }
        assert!(figure("trine_damage_found_total") >= round);
        for number in 0..40 {
            let value = format!("{number:08}").repeat(1024);
            let read = region.http(2, "GET", &format!("/api/v1/objects/objects/object-{number}"), "");
            assert!(read.body.contains(&value), "{}", read.body);
            assert_eq!(region.http(2, "GET", &format!("/api/v1/ledger/default/record-{number}"), "").body, value);
        }
    }
    region.is_well("healed");
}
