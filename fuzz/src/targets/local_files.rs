//! Files that programs and people on one machine leave for each other: where a cluster lies and whose a disk is, what a
//! cluster is to be founded with, what the registry was promised, and what the chaos tools are told and have seen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;
use trine_chaos::arena::cluster::layout::Layout;
use trine_chaos::check::Evidence;
use trine_chaos::history::{Action, Call, History, Known, Outcome};
use trine_chaos::plan::{ArenaKind, Plan};
use trine_chaos::report::runs;
use trine_chaos::sim::case::Case;
use trine_cli::up::cluster::{CLUSTER_FILE, Cluster, ClusterNode};
use trine_examples::registry::log::{self, Entry, Position, Step};
use trine_examples::registry::place::{Place, PlaceArgs};
use trine_identity::bundle::CA_FILE;
use trine_identity::key::pem;
use trine_journal::textfile;
use trine_ledger::{CertificateRole, Genesis};
use trine_node::store::directory::DataDir;
use trine_node::store::directory::FORMAT;

use super::certificate::{issue, name, params};
use crate::fixture::{CA, CLUSTER, genesis, key, region};
use crate::target::{Memory, Sample, Target, Verdict};

/// Behind a selector: one of the files. What is read is written, and written it is read again; where two programs read one
/// file, they read the same.
pub const TARGET: Target = Target { name: "local_files", run, samples, memory: Memory::SERDE };

fn run(bytes: &[u8]) -> Verdict {
    let Some((selector, rest)) = bytes.split_first() else { return Verdict::Refused };
    Verdict::of(match selector {
        0 => cluster(rest),
        1 => contents(rest),
        2 => identity(rest),
        3 => promises(rest),
        4 => plan(rest),
        5 => case(rest),
        6 => history(rest),
        7 => evidence(rest),
        8 => lines(rest),
        _ => None,
    })
}

/// A directory with one file.
fn holding(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join(name);
    std::fs::write(&path, bytes).expect("a file can be written");
    (directory, path)
}

/// `cluster.json`, as `trine`, the arena and the registry read it: `trine` is the strictest.
fn cluster(bytes: &[u8]) -> Option<()> {
    let (directory, _) = holding(CLUSTER_FILE, bytes);
    let args = PlaceArgs {
        cluster: Some(directory.path().to_owned()),
        identity: Some(trusted().to_owned()),
        ..PlaceArgs::default()
    };
    let (layout, place) = (Layout::read(directory.path()), Place::find(&args));
    let cluster = Cluster::read(directory.path()).ok()?;
    let layout = layout.expect("the arena reads what `trine` reads");
    assert_eq!(layout.client, cluster.client);
    let as_laid_out = layout.nodes.iter().map(|node| {
        (
            node.name.as_str(),
            node.region.as_str(),
            &node.directory,
            &node.config,
            node.http.as_str(),
            node.libp2p.as_str(),
        )
    });
    let as_read = cluster.nodes.iter().map(|node| {
        (
            node.name.as_str(),
            node.region.as_str(),
            &node.directory,
            &node.config,
            node.http.as_str(),
            node.libp2p.as_str(),
        )
    });
    assert!(as_laid_out.eq(as_read), "the arena reads a cluster in another way");
    // A region that the founding document does not know is refused there.
    let mut regions: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for node in &cluster.nodes {
        regions.entry(node.region.clone()).or_default().push(node.libp2p.clone());
    }
    let known = !regions.is_empty() && regions.keys().all(|id| genesis().region(id).is_some());
    assert_eq!(place.ok().map(|place| place.regions), known.then_some(regions), "the registry reads it in another way");
    cluster.write(directory.path()).expect("it can be written");
    assert_eq!(Cluster::read(directory.path()).expect("our own file"), cluster);
    Some(())
}

/// An identity's directory: the authority's certificate and the founding document.
fn trusted() -> &'static Path {
    static TRUSTED: OnceLock<TempDir> = OnceLock::new();
    let made = TRUSTED.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let der = issue(&params(&[&name(CertificateRole::Admin, CA)]), CA, CA);
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(directory.path().join(name), bytes).expect("a file can be written");
        };
        write(CA_FILE, pem("CERTIFICATE", &der).as_bytes());
        write("genesis.json", &genesis().sign(&key(CA)).expect("it founds a cluster"));
        directory
    });
    made.path()
}

/// What `trine tls genesis` signs.
fn contents(bytes: &[u8]) -> Option<()> {
    let genesis: Genesis = serde_json::from_slice(bytes).ok()?;
    let document = genesis.sign(&key(CA)).ok()?;
    let opened = Genesis::open(&document, &key(CA).verifying_key());
    assert_eq!(opened.as_ref(), Ok(&genesis), "what was signed founds nothing, or another cluster");
    Some(())
}

/// Whose a data directory is: lines of `name=value`, which get their checksum here.
fn identity(bytes: &[u8]) -> Option<()> {
    let text = std::str::from_utf8(bytes).ok()?;
    let lines: Vec<(&str, &str)> = text.lines().map(|line| line.split_once('=')).collect::<Option<_>>()?;
    let directory = tempfile::tempdir().expect("a temporary directory");
    textfile::replace(&directory.path().join("node"), &lines).ok()?;
    let opened = DataDir::open(directory.path(), CLUSTER, "us-east-1-a").ok()?;
    let (node, fresh) = (opened.node(), opened.fresh());
    assert!(!fresh, "a directory with an identity got another");
    drop(opened);
    assert_eq!(DataDir::open(directory.path(), CLUSTER, "us-east-1-a").expect("as before").node(), node);
    Some(())
}

/// The registry's log of acknowledgements.
fn promises(bytes: &[u8]) -> Option<()> {
    let (directory, path) = holding("log", bytes);
    let entries = log::read(&path).ok()?;
    let again = directory.path().join("again");
    let mut writer = log::Writer::create(&again).expect("a new file");
    entries.iter().for_each(|entry| writer.write(entry).expect("it can be written"));
    writer.finish().expect("it can be written");
    assert_eq!(log::read(&again).expect("our own file"), entries);
    (!entries.is_empty()).then_some(())
}

fn plan(bytes: &[u8]) -> Option<()> {
    let plan = Plan::parse(std::str::from_utf8(bytes).ok()?).ok()?;
    assert_eq!(Plan::parse(&plan.to_toml()).expect("our own plan"), plan);
    Some(())
}

fn case(bytes: &[u8]) -> Option<()> {
    let (_directory, path) = holding("case.toml", bytes);
    let case = Case::read(&path).ok()?;
    std::fs::write(&path, case.to_toml()).expect("a file can be written");
    assert_eq!(Case::read(&path).expect("our own case"), case);
    Some(())
}

fn history(bytes: &[u8]) -> Option<()> {
    let history = History::read_json(bytes).ok()?;
    let mut written = Vec::new();
    history.write_json(&mut written).expect("memory takes all");
    assert_eq!(History::read_json(&written[..]).expect("our own history"), history);
    (!history.calls().is_empty()).then_some(())
}

fn evidence(bytes: &[u8]) -> Option<()> {
    let evidence: Evidence = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_vec(&evidence).expect("JSON");
    let again: Evidence = serde_json::from_slice(&written).expect("our own evidence");
    assert_eq!(serde_json::to_vec(&again).expect("JSON"), written);
    Some(())
}

fn lines(bytes: &[u8]) -> Option<()> {
    let (directory, path) = holding("runs.jsonl", bytes);
    let lines = runs::read(directory.path()).ok()?;
    assert!(!runs::table(&lines).is_empty(), "a table without even a head");
    std::fs::remove_file(path).expect("it was just read");
    lines.iter().for_each(|line| line.append(directory.path()).expect("it can be written"));
    assert_eq!(runs::read(directory.path()).expect("our own lines"), lines);
    (!lines.is_empty()).then_some(())
}

fn samples() -> Vec<Sample> {
    let mut samples = of_a_cluster();
    samples.extend(of_a_test());
    samples
}

fn of_a_cluster() -> Vec<Sample> {
    let node = |name: &str| ClusterNode {
        name: name.to_owned(),
        region: region(),
        directory: name.into(),
        config: format!("{name}/trine.toml").into(),
        http: "127.0.0.1:7420".to_owned(),
        libp2p: "/ip4/127.0.0.1/tcp/7421".to_owned(),
        raft: "127.0.0.1:7422".to_owned(),
    };
    let nodes = vec![node("us-east-1-a"), node("us-east-1-b")];
    let cluster = Cluster { cluster: CLUSTER.to_owned(), client: "client".into(), nodes };
    let directory = tempfile::tempdir().expect("a temporary directory");
    cluster.write(directory.path()).expect("a file can be written");
    let file = std::fs::read_to_string(directory.path().join(CLUSTER_FILE)).expect("a file can be read");
    let founding = serde_json::to_string_pretty(&genesis()).expect("JSON");
    let format = format!("format={FORMAT}");
    let whose = format!("{format}\nnode={}\ncluster={CLUSTER}\nname=us-east-1-a", trine_crdt::NodeId(7));
    let kind = |selector: u8, kind: &str, valid: &str, hostile: &[(&str, String)]| {
        let hostile =
            hostile.iter().map(|(name, text)| Sample::hostile(&format!("{kind}-{name}"), text).behind(selector));
        let mut samples: Vec<Sample> = hostile.collect();
        samples.push(Sample::valid(kind, valid).behind(selector));
        samples
    };
    [
        kind(
            0,
            "cluster",
            &file,
            &[
                ("cut", file[..file.len() / 2].to_owned()),
                ("followed", format!("{file}0")),
                ("with-a-field-more", file.replacen('{', "{\"more\": 1,", 1)),
                ("with-a-field-twice", file.replacen('{', "{\"client\": \"\",", 1)),
                ("of-a-region-that-is-none", file.replace("\"us-east-1\"", "\"../us-east-1\"")),
                ("of-lists-in-lists", "[".repeat(4096)),
            ],
        ),
        kind(
            1,
            "contents",
            &founding,
            &[
                ("of-no-region", founding[..founding.find('[').expect("a list")].to_owned() + "[]}"),
                ("of-another-length", founding.replacen(CLUSTER, &CLUSTER[1..], 1)),
                ("of-one-name-twice", founding.replace("eu-west-1-a", "us-east-1-a")),
                ("of-the-genesis-region", founding.replace("\"eu-west-1\"", "\"_\"")),
                ("with-a-field-more", founding.replacen('{', "{\"more\": 1,", 1)),
            ],
        ),
        kind(
            2,
            "identity",
            &whose,
            &[
                ("of-nothing", String::new()),
                ("of-another-format", whose.replace(&format, "format=1")),
                ("of-another-cluster", whose.replace(CLUSTER, "c")),
                ("of-another-name", whose.replace("us-east-1-a", "us-east-1-b")),
                ("of-no-node", whose.replace("node=0", "node=")),
            ],
        ),
    ]
    .concat()
}

/// A plan, as people write them.
const PLAN: &str = r#"
name = "rough"
shows = "Nothing much."
duration = "60s"
checks = ["sets"]

[workload]
rate_per_s = 60

[[faults]]
at = "0s"
kind = "link"
from = "all"
to = "all"
loss = 0.02
late = "500ms"

[[faults]]
at = "10s"
for = "20s"
kind = "split"
target = "any-region"
"#;

fn of_a_test() -> Vec<Sample> {
    let plan = Plan::parse(PLAN).expect("a plan");
    let case = Case { found: "sets: an element is lost".to_owned(), mutant: None, seed: 7, plan: plan.clone() };
    let call = Call {
        id: 1,
        client: 0,
        session: 0,
        region: "us-east-1".to_owned(),
        node: None,
        key: "k".to_owned(),
        action: Action::Latest,
        consistency: Some(trine_protocol::Consistency::Session),
        durability: None,
        request_id: None,
        knew: Known::default(),
        invoked_ns: 1,
        returned_ns: Some(u64::MAX),
        outcome: Outcome::Unknown("time".to_owned()),
    };
    let mut calls = Vec::new();
    History::new(vec![call.clone(), Call { id: 2, invoked_ns: 2, ..call }]).write_json(&mut calls).expect("memory");
    let calls = String::from_utf8(calls).expect("JSON");
    let held = serde_json::to_string(&Evidence::default()).expect("JSON");
    let line = runs::Line::could_not_run("mixed", u64::MAX, ArenaKind::Real, "no namespaces".to_owned());
    let line = serde_json::to_string(&line).expect("JSON") + "\n";
    let position = Position {
        region: "us-east-1".to_owned(),
        index: 3,
        timestamp: crate::fixture::at(3).to_string(),
        leaf: "07".repeat(32),
        duplicate: false,
    };
    let promise = Entry {
        package: "7zip".to_owned(),
        version: "1".to_owned(),
        sha256: "5f".repeat(32),
        asked: "us-east-1".to_owned(),
        begun_unix_ms: 0,
        ended_unix_ms: u64::MAX,
        record: Step::Acknowledged,
        position: Some(position),
        versions: Step::Unknown { why: "time".to_owned() },
        latest: Step::Refused { why: "role".to_owned() },
        downloads: Step::NotTried,
    };
    let promise = serde_json::to_string(&promise).expect("JSON") + "\n";
    let (plan, case) = (plan.to_toml(), case.to_toml());
    let valid = |selector: u8, name: &str, text: &str| Sample::valid(name, text).behind(selector);
    let hostile = |selector: u8, name: &str, text: &str| Sample::hostile(name, text).behind(selector);
    vec![
        valid(3, "promises", &promise.repeat(2)),
        hostile(3, "promises-cut", &promise[..promise.len() / 2]),
        hostile(3, "promises-of-another-kind", &promise.replace("not_tried", "tried")),
        valid(4, "plan", &plan),
        hostile(4, "plan-cut", &plan[..plan.len() / 2]),
        hostile(4, "plan-with-a-word-more", &format!("more = 1\n{plan}")),
        hostile(4, "plan-of-another-name", &plan.replacen("rough", "../rough", 1)),
        hostile(4, "plan-without-time", "name = \"a\"\nshows = \"b\"\nduration = \"99999999999999999999h\"\n"),
        hostile(4, "plan-nested", &format!("name = {}1{}", "[".repeat(2000), "]".repeat(2000))),
        valid(5, "case", &case),
        hostile(5, "case-beyond-64-bits", &case.replacen("seed = 7", "seed = 18446744073709551616", 1)),
        hostile(5, "case-cut", &case[..case.len() / 2]),
        valid(6, "history", &calls),
        hostile(6, "history-cut", &calls[..calls.len() - 3]),
        hostile(6, "history-of-nothing", "\n\n"),
        hostile(6, "history-that-is-nested", &"{\"action\":".repeat(400)),
        valid(7, "held", &held),
        hostile(7, "held-with-a-field-more", &held.replacen('{', "{\"more\":1,", 1)),
        hostile(7, "held-with-half-a-digest", r#"{"held":[{"objects":{"k":{"digest":"07","views":[]}}}]}"#),
        valid(8, "runs", &line.repeat(2)),
        hostile(8, "runs-cut", &line[..line.len() / 2]),
    ]
}
