//! A record that is answered with its proof, and everything that a lying server might change about it.

use std::collections::BTreeMap;

use bytes::Bytes;
use trine_crdt::{NamespaceId, RegionId, Timestamp, WriterId};
use trine_examples::registry::trust::{Doubt, Trust, hex};
use trine_examples::registry::verify::{RecordClaim, Verdict};
use trine_ledger::record::{Body, RecordHeader};
use trine_ledger::tree::{inclusion_proof, leaf_hash, root_at};
use trine_ledger::{Checkpoint, Frontier, Genesis, GenesisNode, GenesisRegion, SigningKey, origin};
use trine_protocol::reply::{InclusionView, RecordView};

const CLUSTER: &str = "00112233445566778899aabbccddeeff";
const SHA256: &str = "5b72d419dc0fdaaf3765268e9b5edba6f545cd63f926d3c4d807fc3e33b86cdd";

fn region() -> RegionId {
    "eu-west-1".parse().expect("a name")
}

fn log_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn trust() -> Trust {
    let node = GenesisNode {
        name: "eu-west-1-a".to_owned(),
        peer: "peer".to_owned(),
        addresses: Vec::new(),
        raft: "127.0.0.1:7422".to_owned(),
    };
    let region = GenesisRegion { id: region(), log_key: log_key().verifying_key().to_bytes(), nodes: vec![node] };
    Trust::new(Genesis { cluster: CLUSTER.to_owned(), regions: vec![region] })
}

/// A ledger of five records, and what a node would answer about the fourth.
fn answer() -> RecordView {
    let bodies: Vec<Body> = (0..5u8)
        .map(|n| Body {
            salts: [[n; 32]; 3],
            key: format!("hello/{n}"),
            metadata: BTreeMap::from([("sha256".to_owned(), SHA256.to_owned())]),
            value: Bytes::from(format!("Package: hello\nVersion: {n}\n")),
        })
        .collect();
    let stamp = |n: u64| Timestamp { time: n, writer: WriterId([1; 16]) };
    let headers: Vec<Bytes> = bodies
        .iter()
        .zip(1..)
        .map(|(body, n)| {
            let namespace = NamespaceId::default_ledger();
            let header = RecordHeader::of(namespace, stamp(n), "text/plain".to_owned(), Vec::new(), None, body);
            header.expect("within bounds").to_bytes().expect("within bounds")
        })
        .collect();
    let (mut tree, mut nodes) = (Frontier::default(), BTreeMap::new());
    for header in &headers {
        tree.push(leaf_hash(header), |node| {
            nodes.insert((node.level, node.index), node.hash);
        });
    }
    let node = |level, index| nodes.get(&(level, index)).copied();
    let size = headers.len() as u64;
    let checkpoint = Checkpoint {
        origin: origin(CLUSTER, &region()),
        size,
        root: root_at(size, node).expect("all nodes are there"),
    };
    let path = inclusion_proof(3, size, node).expect("all nodes are there");
    let body = bodies[3].clone();
    RecordView {
        region: region(),
        index: 3,
        namespace: NamespaceId::default_ledger(),
        key: body.key,
        timestamp: stamp(4),
        value: body.value,
        content_type: "text/plain".to_owned(),
        metadata: body.metadata,
        header: headers[3].clone(),
        salts: Bytes::from(body.salts.concat()),
        proof: Some(InclusionView {
            checkpoint: checkpoint.sign(&log_key()),
            path: path.iter().map(|hash| Bytes::copy_from_slice(hash)).collect(),
        }),
    }
}

#[test]
fn an_honest_answer_is_believed() {
    let verified = trust().check(&answer()).expect("it is honest");
    assert_eq!((verified.index, verified.checkpoint.size), (3, 5));
}

#[test]
fn whatever_a_server_changes_is_noticed() {
    type Lie = fn(&mut RecordView);
    let lies: [(&str, Lie); 14] = [
        ("another key", |view| view.key = "hello/9".to_owned()),
        ("another value", |view| view.value = Bytes::from_static(b"Package: trojan\n")),
        ("other metadata", |view| drop(view.metadata.insert("sha256".to_owned(), "0".repeat(64)))),
        ("another index", |view| view.index = 2),
        ("another region", |view| view.region = "us-east-1".parse().expect("a name")),
        ("another namespace", |view| view.namespace = NamespaceId { region: region(), index: 4 }),
        ("another time", |view| view.timestamp.time += 1),
        ("another content type", |view| view.content_type = "text/html".to_owned()),
        ("other salts", |view| view.salts = Bytes::from(vec![9; 96])),
        ("short salts", |view| view.salts = Bytes::from(vec![3; 95])),
        ("another header", |view| view.header = Bytes::from([&view.header[..], b"x"].concat())),
        ("a shorter path", |view| drop(view.proof.as_mut().expect("there").path.pop())),
        ("a path of no hashes", |view| view.proof.as_mut().expect("there").path[0] = Bytes::from_static(b"x")),
        ("a checkpoint that another key signed", |view| {
            let proof = view.proof.as_mut().expect("there");
            let checkpoint = Checkpoint::peek(&proof.checkpoint).expect("a checkpoint");
            proof.checkpoint = checkpoint.sign(&SigningKey::from_bytes(&[8; 32]));
        }),
    ];
    for (what, lie) in lies {
        let mut view = answer();
        lie(&mut view);
        assert!(trust().check(&view).is_err(), "{what} was believed");
    }
    let mut bare = answer();
    bare.proof = None;
    assert_eq!(trust().check(&bare), Err(Doubt::NoProof));
}

#[test]
fn a_proven_record_must_also_be_the_one_acknowledged() {
    let view = answer();
    let claim = RecordClaim {
        key: "hello/3".to_owned(),
        region: region(),
        index: 3,
        leaf: hex(&leaf_hash(&view.header)),
        sha256: SHA256.to_owned(),
    };
    assert_eq!(claim.judge(&trust(), &view), Verdict::Kept);
    let others = [
        RecordClaim { key: "hello/4".to_owned(), ..claim.clone() },
        RecordClaim { index: 4, ..claim.clone() },
        RecordClaim { leaf: "0".repeat(64), ..claim.clone() },
        RecordClaim { sha256: "0".repeat(64), ..claim },
    ];
    for other in others {
        assert!(matches!(other.judge(&trust(), &view), Verdict::Unproven(_)), "{other:?} was taken for it");
    }
}
