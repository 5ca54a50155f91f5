//! What nodes say to each other, decoded and taken in by a node.

use bytes::Bytes;
use trine_crdt::VersionVector;
use trine_gossip::RepairMessage;
use trine_protocol::Role;
use trine_replica::PeerMessage;
use trine_replica::effect::{Effect, Halt};
use trine_replica::message::{HeadTold, Holdings, Interval, NotAdmitted, Registration};

use super::client_frames::{alterations, answers, options, requests};
use super::object::objects;
use super::rumor::told;
use crate::cbor;
use crate::fixture::{ledger, partition, region, writer};
use crate::node::{Node, PEER};
use crate::target::{Memory, Sample, Target, Verdict};

/// `PeerMessage`: whatever an admitted peer says, the node goes on, and so does one that is started on its disk.
pub const TARGET: Target =
    Target { name: "peer_message", run, samples, memory: Memory { fixed: 24 << 20, per_byte: 256 } };

fn run(bytes: &[u8]) -> Verdict {
    let Some(message) = cbor::again::<PeerMessage>(bytes) else { return Verdict::Refused };
    let mut node = Node::awake();
    node.hear(message.clone());
    node.hear(message);
    node.pass_a_second();
    if let Some(end) = node.halted() {
        // The only thing that a peer may stop a node with is more of the node's own writes than the node has.
        let old = matches!(end, Effect::Halt(Halt::OldDisk { .. }));
        assert!(old, "a peer's message stopped a node: {end:?}");
        return Verdict::Accepted;
    }
    node.ask_everything();
    node.restart().expect("what a peer said made a disk unreadable").ask_everything();
    Verdict::Accepted
}

fn samples() -> Vec<Sample> {
    let key = Bytes::from_static(b"key");
    let mut object = trine_crdt::Object::default();
    let by = writer(50);
    let edit = trine_crdt::Operation::Add(Bytes::from_static(b"e"));
    let stamp = crate::node::stamp(by);
    let delta = object.edit(trine_crdt::Dot::new(by, 1), 0, stamp, &edit).expect("allowed");
    let delta = Bytes::from(delta.to_bytes());
    let slot = trine_crdt::PartitionId::of_key(partition().namespace, &key, 256);
    let interval = |after, upto| Interval {
        partition: slot.clone(),
        writer: by,
        after,
        upto,
        deltas: vec![(key.clone(), delta.clone())],
    };
    let vector = VersionVector { dots: [(by, u64::MAX), (writer(1), 1)].into() };
    let objects = objects().iter().map(|(name, object)| (Bytes::from(*name), object.to_bytes().into())).collect();
    let records =
        |from: usize| ledger().records[from..].iter().map(|record| record.to_bytes().expect("within bounds")).collect();
    let eu = || "eu-west-1".parse().expect("a region's name");
    let holdings = Holdings {
        after: None,
        partitions: vec![(slot.clone(), vector.clone())],
        more: true,
        ledgers: [(region(), u64::MAX)].into(),
        joining: false,
    };
    let head_told = |size, note| HeadTold {
        ledger: region(),
        note,
        size,
        root: Bytes::copy_from_slice(&[7; 32]),
        mirrors: true,
        asked: true,
        joined: Some("us-east-1-d".to_owned()),
    };
    let registration = Registration {
        node: PEER,
        name: "us-east-1-b".to_owned(),
        peer: "peer".to_owned(),
        addresses: vec!["/ip4/127.0.0.1/tcp/1".to_owned()],
        raft: "127.0.0.1:1".to_owned(),
        http: None,
        writer: by,
        levels: trine_crdt::FORMAT_LEVELS,
    };
    let mut messages = vec![
        ("metadata", PeerMessage::Metadata(RepairMessage::Entries(told()).to_bytes())),
        ("intervals", PeerMessage::Intervals { batch: 1, intervals: vec![interval(0, 1)] }),
        ("intervals-that-leave-a-gap", PeerMessage::Intervals { batch: 1, intervals: vec![interval(5, 9)] }),
        ("intervals-backwards", PeerMessage::Intervals { batch: 1, intervals: vec![interval(9, 1)] }),
        ("intervals-to-the-end", PeerMessage::Intervals { batch: u64::MAX, intervals: vec![interval(0, u64::MAX)] }),
        ("have", PeerMessage::Have { batch: 1, upto: vec![(slot.clone(), by, u64::MAX)] }),
        ("vectors", PeerMessage::Vectors(vec![(slot.clone(), 7), (partition(), u64::MAX)])),
        ("vector", PeerMessage::Vector { vectors: vec![(slot.clone(), vector.clone())], reply: true }),
        (
            "pull",
            PeerMessage::PullPartition { partition: slot.clone(), after: Bytes::new(), vector: Some(vector.clone()) },
        ),
        ("page", PeerMessage::PartitionPage { partition: slot, objects, vector, next: Some(key) }),
        ("follow", PeerMessage::Follow { ledger: region(), from: 0, window_bytes: u64::MAX }),
        ("follow-from-the-end", PeerMessage::Follow { ledger: region(), from: u64::MAX, window_bytes: u64::MAX }),
        ("tail", PeerMessage::Tail { ledger: eu(), from: 0, records: records(0), checkpoint: ledger().note(13) }),
        (
            "tail-from-the-end",
            PeerMessage::Tail { ledger: eu(), from: u64::MAX, records: records(11), checkpoint: ledger().note(13) },
        ),
        ("ask-holdings", PeerMessage::AskHoldings { after: Some(partition()) }),
        ("holdings", PeerMessage::Holdings(holdings)),
        ("catching-up", PeerMessage::CatchingUp(true)),
        ("followed", PeerMessage::Followed { ledger: region(), from: u64::MAX }),
        ("register", PeerMessage::Register(registration)),
        ("let-go", PeerMessage::LetGo),
        ("name-closed", not_admitted(NotAdmitted::NameClosed { node: trine_crdt::NodeId(7) })),
        ("name-held", {
            let since = trine_crdt::Timestamp { time: 7 << 32, ..trine_crdt::Timestamp::ZERO };
            not_admitted(NotAdmitted::NameHeld { node: trine_crdt::NodeId(7), since })
        }),
        ("head-asked", PeerMessage::HeadAsked),
        ("head-told", PeerMessage::HeadTold(head_told(13, Some(ledger().note(13))))),
        ("extension-asked", PeerMessage::ExtensionAsked { ledger: region(), from: 1 }),
        (
            "extension-told",
            PeerMessage::ExtensionTold {
                ledger: eu(),
                from: 7,
                root: Bytes::copy_from_slice(&[7; 32]),
                note: ledger().note(13),
                path: vec![Bytes::copy_from_slice(&[7; 32]); 3],
            },
        ),
        ("head-told-unsigned", PeerMessage::HeadTold(head_told(u64::MAX, None))),
    ];
    let forward = |request| {
        let (role, options) = (Role::Admin, options());
        PeerMessage::Forward { number: u64::MAX, role, options, request, hops: 1 }
    };
    messages.extend(requests().into_iter().map(|(name, request)| (name, forward(request))));
    for (name, answer) in answers() {
        messages.push((name, PeerMessage::Forwarded { number: 1, answer: answer.map(Box::new) }));
    }
    messages.extend(alterations().into_iter().map(|(name, request)| (name, forward(request))));
    let numbered: Vec<(String, PeerMessage)> = messages
        .into_iter()
        .enumerate()
        .map(|(number, (name, message))| (format!("{number}-{name}"), message))
        .collect();
    let own = PeerMessage::Vector {
        vectors: vec![(partition(), VersionVector { dots: [(crate::node::WRITER, u64::MAX)].into() })],
        reply: false,
    };
    let mut samples = vec![Sample::valid("more-of-our-own", trine_crdt::codec::encode(&own))];
    samples.extend(numbered.iter().map(|(name, message)| Sample::valid(name, trine_crdt::codec::encode(message))));
    samples.extend(Sample::broken("intervals", &trine_crdt::codec::encode(&numbered[1].1)));
    samples.extend(cbor::hostile());
    samples
}

fn not_admitted(reason: NotAdmitted) -> PeerMessage {
    PeerMessage::NotAdmitted { node: trine_crdt::NodeId(8), reason }
}
