//! `trine tls`, `trine config`, `trine completion` and offline verification: what needs no cluster.

use std::path::Path;

use bytes::Bytes;
use clap::Parser as _;
use trine_cli::args::Format;
use trine_cli::exit::{Exit, Failure};
use trine_cli::output::Output;
use trine_cli::{Cli, execute};
use trine_crdt::{NamespaceId, RegionId, Timestamp, WriterId};
use trine_identity::{Bundle, Ca, Key};
use trine_ledger::{Body, Checkpoint, Frontier, ProofFile, Record, RecordHeader, origin, tree};

fn run(words: &[&str]) -> Result<Output, Failure> {
    let cli = Cli::try_parse_from([&["trine"], words].concat()).expect("well typed");
    execute(&cli.globals, &cli.command)
}

fn json(words: &[&str]) -> serde_json::Value {
    let output = run(words).unwrap_or_else(|failure| panic!("{words:?}: {failure}"));
    serde_json::from_slice(&output.rendered(Format::Json, false)).expect("JSON")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

#[test]
fn a_cluster_is_founded_by_hand() {
    let home = tempfile::tempdir().expect("a directory");
    let at = |name: &str| home.path().join(name);
    let (ca, node, client) = (at("ca"), at("node"), at("client"));
    let founded = json(&["tls", "ca", "--out", text(&ca)]);
    let issued =
        json(&["tls", "node", "us-east-1-a", "--region", "us-east-1", "--ca", text(&ca), "--out", text(&node)]);
    let log_key = json(&["tls", "log-key", "--out", text(&at("log.key"))]);
    assert_eq!(issued["peer"], Bundle::open(&node).expect("files").key.peer().to_string());

    let contents = serde_json::json!({ "regions": [{
        "id": "us-east-1",
        "log_key": log_key["log_key"],
        "nodes": [{
            "name": "us-east-1-a",
            "peer": issued["peer"],
            "addresses": ["/ip4/127.0.0.1/tcp/7421"],
            "raft": "127.0.0.1:7422",
        }],
    }]});
    std::fs::write(at("contents.json"), contents.to_string()).expect("written");
    let genesis = ca.join("genesis.json");
    let signed = json(&["tls", "genesis", text(&at("contents.json")), "--ca", text(&ca), "--out", text(&genesis)]);
    assert_eq!((&signed["cluster"], &signed["nodes"]), (&founded["cluster"], &1.into()));

    json(&["tls", "client", "ada", "--role", "reader", "--ca", text(&ca), "--out", text(&client)]);
    assert_eq!(std::fs::read(client.join("genesis.json")).ok(), std::fs::read(&genesis).ok());

    // A key that others may read is refused by whoever asks with it, too.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(client.join("tls.key"), open).expect("changed");
    let exposed = run(&["--endpoint", "127.0.0.1:1", "--identity", text(&client), "status"]).expect_err("exposed");
    assert_eq!(exposed.exit, Exit::Refused);
    assert!(exposed.what.contains("chmod 600"), "{exposed}");

    let again = run(&["tls", "ca", "--out", text(&ca)]).expect_err("there is one");
    assert_eq!(again.exit, Exit::Conflict);
    let nameless = run(&["tls", "client", "Ada!", "--ca", text(&ca), "--out", text(&at("x"))]).expect_err("no name");
    assert_eq!(nameless.exit, Exit::Usage);
}

/// A ledger of three records, the proof of the second, and the founding document it is verified with.
fn ledger(home: &Path) -> ProofFile {
    let region: RegionId = "us-east-1".parse().expect("a region");
    let ca = Ca::create(&home.join("ca")).expect("an authority");
    let log_key = Key::generate();
    let node = ca.issue_node(&region, "us-east-1-a").expect("a certificate");
    let genesis = trine_ledger::Genesis {
        cluster: ca.cluster().to_owned(),
        regions: vec![trine_ledger::GenesisRegion {
            id: region.clone(),
            log_key: log_key.public(),
            nodes: vec![trine_ledger::GenesisNode {
                name: "us-east-1-a".into(),
                peer: node.key.peer().to_string(),
                addresses: vec!["/ip4/127.0.0.1/tcp/7421".into()],
                raft: "127.0.0.1:7422".into(),
            }],
        }],
    };
    let document = ca.sign_genesis(&genesis).expect("signed");
    ca.issue_client(trine_protocol::Role::Reader, "ada")
        .expect("a certificate")
        .write(&home.join("id"))
        .expect("files");
    std::fs::write(home.join("id/genesis.json"), &document).expect("written");

    let records: Vec<Record> = (0..3u8).map(record).collect();
    let leaves: Vec<tree::Hash> = records.iter().map(Record::leaf).collect();
    let mut frontier = Frontier::default();
    let mut nodes = std::collections::BTreeMap::new();
    for leaf in &leaves {
        frontier.push(*leaf, |node| {
            nodes.insert((node.level, node.index), node.hash);
        });
    }
    let read = |level: u8, index: u64| nodes.get(&(level, index)).copied();
    let origin = origin(ca.cluster(), &region);
    let checkpoint = Checkpoint { origin, size: 3, root: frontier.root() }.sign(log_key.signing());
    let path = tree::inclusion_proof(1, 3, read).expect("a proof");
    ProofFile { index: 1, record: records[1].clone(), path, checkpoint }
}

fn record(n: u8) -> Record {
    let body = Body {
        salts: [[n; 32]; 3],
        key: format!("key-{n}"),
        metadata: std::collections::BTreeMap::new(),
        value: Bytes::from(vec![b'v', b'0' + n]),
    };
    let stamp = Timestamp { time: u64::from(n) << 32, writer: WriterId([1; 16]) };
    let header = RecordHeader::of(NamespaceId::default_ledger(), stamp, "text/plain".into(), Vec::new(), None, &body);
    let header = header.and_then(|header| header.to_bytes()).expect("within bounds");
    Record { header, body: Some(body) }
}

#[test]
fn a_proof_verifies_offline_and_only_as_it_is() {
    let home = tempfile::tempdir().expect("a directory");
    let mut file = ledger(home.path());
    let (path, identity) = (home.path().join("proof"), home.path().join("id"));
    let verify = |file: &ProofFile| {
        std::fs::write(&path, file.to_bytes().expect("within bounds")).expect("written");
        run(&["ledger", "verify", text(&path), "--identity", text(&identity)])
    };
    let shown = verify(&file).unwrap_or_else(|failure| panic!("{failure}")).rendered(Format::Json, false);
    let shown: serde_json::Value = serde_json::from_slice(&shown).expect("JSON");
    assert_eq!(shown["verified"], true);
    assert_eq!(
        (&shown["version"], &shown["key"], &shown["value"]),
        (&"us-east-1/1".into(), &"key-1".into(), &"v1".into())
    );

    let proof = file.clone();
    file.index = 2;
    assert_eq!(verify(&file).expect_err("another place").exit, Exit::Failed);
    file = proof.clone();
    if let Some(body) = &mut file.record.body {
        body.value = Bytes::from_static(b"v2");
    }
    assert_eq!(verify(&file).expect_err("another value").exit, Exit::Failed);
    file = ProofFile { record: record(2), ..proof };
    assert_eq!(verify(&file).expect_err("another record").exit, Exit::Failed);

    std::fs::write(&path, b"hello").expect("written");
    let failure = run(&["ledger", "verify", text(&path), "--identity", text(&identity)]).expect_err("no proof");
    assert!(failure.what.contains("proves nothing: not a proof file"), "{failure}");
}

#[test]
fn nobody_is_asked_when_nobody_is_named() {
    let home = tempfile::tempdir().expect("a directory");
    let failure = run(&["status", "--cluster", text(home.path())]).expect_err("no cluster there");
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.hint.is_some_and(|hint| hint.contains("trine up")));
}

#[test]
fn completion_knows_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = json(&["completion", shell])["script"].as_str().expect("a script").to_owned();
        assert!(script.contains("ledger") && script.contains("checkpoint"), "{shell}");
    }
}
