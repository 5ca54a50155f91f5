//! Each figure says what it means, and is cut where its values are.

use std::collections::BTreeSet;
use std::path::Path;

use trine_node::daemon::figures::{COUNTERS, GAUGES, HISTOGRAMS};

use crate::bad_region::Region;

/// The names of figures in a folder's sources.
fn named(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            named(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("figures.rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let names = text.split('"').skip(1).step_by(2).filter(|text| text.starts_with("trine_"));
            let whole = |name: &&str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            let crates = ["trine_", "trine_node", "trine_replica"];
            found.extend(names.filter(whole).filter(|name| !crates.contains(name)).map(ToOwned::to_owned));
        }
    }
}

#[test]
fn each_figure_in_the_sources_is_described() {
    let described: BTreeSet<&str> = [COUNTERS, GAUGES, HISTOGRAMS].concat().iter().map(|(name, _)| *name).collect();
    let mut found = BTreeSet::new();
    for of in ["node/src", "raft/src", "doors/src", "journal/src", "client/src"] {
        named(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(of), &mut found);
    }
    let missing: Vec<&String> = found.iter().filter(|name| !described.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "say what these mean in node/src/daemon/figures.rs: {missing:?}");
    let unused: Vec<&&str> = described.iter().filter(|name| !found.contains(**name)).collect();
    assert!(unused.is_empty(), "no source counts these: {unused:?}");
}

#[test]
fn figures_of_a_node_have_help_and_bounds_that_fit() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::started(&directory.path().join("cluster"), &[]);
    region.is_well("figures");
    let figures = region.http(0, "GET", "/metrics", "").body;
    let families: Vec<&str> =
        figures.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(families.len() > 10, "{figures}");
    // An alarm on a counter's rate needs it before anything has happened.
    for begins in [
        "trine_admission_refused_total{reason=\"cluster\"}",
        "trine_link_dropped_total{class=\"data\"}",
        "trine_raft_peer_failures_total{peer=\"us-east-1-b\"}",
        "trine_writes_refused_total{reason=\"overloaded\"}",
        "trine_log_lines_dropped_total",
    ] {
        assert!(figures.lines().any(|line| line.starts_with(&format!("{begins} "))), "{begins}: {figures}");
    }
    for family in families {
        assert!(figures.lines().any(|line| line.starts_with(&format!("# HELP {family} "))), "{family}");
    }
    let bounds = |name: &str| {
        let bucket = format!("{name}_bucket");
        let lines = figures.lines().filter(move |line| line.starts_with(&bucket));
        lines
            .filter_map(|line| line.split("le=\"").nth(1)?.split('"').next())
            .map(ToOwned::to_owned)
            .collect::<BTreeSet<_>>()
    };
    assert!(bounds("trine_commit_batches").contains("64") && !bounds("trine_commit_batches").contains("0.001"));
    assert!(bounds("trine_fsync_seconds").contains("0.001"));
}
