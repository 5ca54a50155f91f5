//! What clients and nodes say to each other: hellos, requests and answers.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use trine_crdt::{NamespaceId, NodeId};
use trine_protocol::object::View;
use trine_protocol::reply::{Answer, InclusionView, Page, RecordView};
use trine_protocol::request::{
    Append, CheckpointGet, ConsistencyGet, LedgerGet, LedgerHistory, LedgerRange, LedgerRecord, NamespaceDelete,
    NamespaceRename, NodeRemove, ObjectEdit, ObjectGet, ObjectList, Options, Precondition,
};
use trine_protocol::session::Position;
use trine_protocol::{
    ClientFrame, ClientHello, Consistency, Durability, Edit, NodeFrame, NodeHello, ObjectEntry, ObjectKind, ObjectPage,
    ObjectView, Reply, Request, RequestError, SessionToken,
};

use crate::cbor;
use crate::fixture::{at, ledger, partition, region, writer};
use crate::target::{Memory, Sample, Target, Verdict};

/// Every frame of `/trine/client/1`, in both directions.
pub const TARGET: Target = Target { name: "client_frames", run, samples, memory: Memory::SERDE };

fn run(bytes: &[u8]) -> Verdict {
    let Some((selector, rest)) = bytes.split_first() else { return Verdict::Refused };
    match selector {
        0 => Verdict::of(cbor::again::<ClientHello>(rest)),
        1 => {
            let Some(frame) = cbor::again::<ClientFrame>(rest) else { return Verdict::Refused };
            let _ = (frame.request.role(), frame.request.writes());
            let mut session = frame.options.session.clone();
            session.merge(&frame.options.session);
            Verdict::Accepted
        }
        2 => Verdict::of(cbor::again::<NodeHello>(rest)),
        3 => Verdict::of(cbor::again::<NodeFrame>(rest)),
        _ => Verdict::Refused,
    }
}

/// Requests of many kinds.
pub fn requests() -> Vec<(&'static str, Request)> {
    let edit = (0..8).fold(Edit::Add(Bytes::from_static(b"e")), |edit, level| Edit::Field {
        name: format!("level-{level}"),
        edit: Box::new(edit),
    });
    let (namespace, key) = ("default".to_owned(), "order-1".to_owned());
    let objects = "objects".to_owned();
    vec![
        (
            "append",
            Request::Append(Append {
                namespace: namespace.clone(),
                key: key.clone(),
                value: Bytes::from_static(b"\0\xff"),
                content_type: "text/plain".to_owned(),
                metadata: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
                idempotency_key: Some("once".to_owned()),
                if_match: Some(Precondition::Index(u64::MAX)),
                with_proof: true,
            }),
        ),
        ("get", Request::LedgerGet(LedgerGet { namespace: namespace.clone(), key: key.clone(), with_proof: true })),
        ("record", Request::LedgerRecord(LedgerRecord { region: region(), index: u64::MAX, with_proof: true })),
        (
            "history",
            Request::LedgerHistory(LedgerHistory {
                namespace: namespace.clone(),
                key: key.clone(),
                after: None,
                limit: u32::MAX,
            }),
        ),
        (
            "range",
            Request::LedgerRange(LedgerRange {
                namespace,
                prefix: String::new(),
                after: Some("../a\0".to_owned()),
                limit: 0,
            }),
        ),
        ("checkpoint", Request::Checkpoint(CheckpointGet { region: region() })),
        ("consistency", Request::Consistency(ConsistencyGet { region: region(), from: u64::MAX, to: 0 })),
        ("object-get", Request::ObjectGet(ObjectGet { namespace: objects.clone(), key: key.clone() })),
        (
            "object-list",
            Request::ObjectList(ObjectList {
                namespace: objects.clone(),
                prefix: "p".to_owned(),
                kind: Some(ObjectKind::MultiValue),
                after: Some(String::new()),
                limit: u32::MAX,
            }),
        ),
        ("object-edit", Request::ObjectEdit(ObjectEdit { namespace: objects, key, edit })),
        ("genesis", Request::Genesis),
        ("status", Request::Status),
        ("remove", Request::NodeRemove(NodeRemove { node: NodeId(7), force: false })),
    ]
}

/// Requests that alter namespaces; they have come later, and stand behind all else where inputs are numbered.
pub fn alterations() -> Vec<(&'static str, Request)> {
    vec![
        (
            "rename",
            Request::NamespaceRename(NamespaceRename {
                namespace: "us-east-1/17".to_owned(),
                name: "carts".to_owned(),
            }),
        ),
        (
            "delete",
            Request::NamespaceDelete(NamespaceDelete { namespace: "carts".to_owned(), force: true, vetted: false }),
        ),
    ]
}

/// How a request wants to be served, in the rarest way.
pub fn options() -> Options {
    let mut session = SessionToken::default();
    session.see_ledger(&region(), u64::MAX);
    session.see_position(Position { partition: partition(), writer: writer(1), seq: 3 });
    Options {
        consistency: Consistency::Bounded(Duration::from_millis(500)),
        durability: Durability::Regions(2),
        session,
        timeout: Some(Duration::MAX),
        ..Options::default()
    }
}

/// A record of the ledger here, with its proof in the tree of a size.
pub fn answered(index: u64, size: u64) -> RecordView {
    let record = ledger().records[usize::try_from(index).expect("small")].clone();
    let (header, body) = (record.header, record.body.expect("it has one"));
    let path = ledger().path(index, size).iter().map(|hash| Bytes::copy_from_slice(hash)).collect();
    RecordView {
        region: region(),
        index,
        namespace: NamespaceId::default_ledger(),
        key: body.key,
        timestamp: at(index),
        value: body.value,
        content_type: "text/plain".to_owned(),
        metadata: body.metadata,
        header,
        salts: body.salts.concat().into(),
        proof: Some(InclusionView { checkpoint: ledger().note(size), path }),
    }
}

/// An answer to most questions.
pub fn answers() -> Vec<(&'static str, Result<Answer, RequestError>)> {
    let view = (0..6).fold(View::Counter(-1), |view, _| View::Map(BTreeMap::from([("n".to_owned(), vec![view])])));
    let record = answered(3, 13);
    let answer = |reply| Ok(Answer { reply, session: options().session, timestamp: at(9) });
    let object = ObjectView { views: vec![view], timestamp: at(1), digest: [7; 32] };
    vec![
        ("record", answer(Reply::Record(record.clone()))),
        ("page", answer(Reply::Page(Page { records: vec![record], next: Some(String::new()) }))),
        ("object", answer(Reply::Object(object.clone()))),
        (
            "objects",
            answer(Reply::Objects(ObjectPage {
                objects: vec![ObjectEntry { key: "k".to_owned(), object }],
                next: None,
            })),
        ),
        ("done", answer(Reply::Done)),
        ("overloaded", Err(RequestError::Overloaded { retry_after: Duration::MAX })),
        ("unknown", Err(RequestError::Unknown)),
        ("not-empty", Err(RequestError::NotEmpty { what: "it".to_owned() })),
    ]
}

fn samples() -> Vec<Sample> {
    let certificate = Bytes::from_static(b"certificate");
    let hello = ClientHello { versions: (1, u16::MAX), certificate: certificate.clone() };
    let others = vec![(region(), "/ip4/127.0.0.1/tcp/1".to_owned())];
    let welcome = NodeHello { version: 1, certificate, node: NodeId(u64::MAX), region: region(), others };
    let requests: Vec<(&str, ClientFrame)> = requests()
        .into_iter()
        .chain(alterations())
        .map(|(name, request)| (name, ClientFrame { number: u64::MAX, options: options(), request }))
        .collect();
    let answers: Vec<(&str, NodeFrame)> =
        answers().into_iter().map(|(name, answer)| (name, NodeFrame { number: 1, answer })).collect();
    let mut samples: Vec<Sample> = Sample::family(0, "hello", cbor::samples(&[("whole", hello)])).collect();
    samples.extend(Sample::family(1, "request", cbor::samples(&requests)));
    samples.extend(Sample::family(2, "welcome", cbor::samples(&[("whole", welcome)])));
    samples.extend(Sample::family(3, "answer", cbor::samples(&answers)));
    let nested = |part: &[u8], levels: usize| [&[3][..], &part.repeat(levels)].concat();
    samples.push(Sample::hostile("views-in-views", nested(b"\xa1\x63map\xa1\x61n\x81", 500)));
    samples.push(Sample::hostile(
        "views-that-claim-much",
        nested(b"\xa1\x63map\xa1\x61n\x9b\0\0\0\0\x7f\xff\xff\xff", 40),
    ));
    samples
}
