use std::collections::BTreeMap;

use bytes::Bytes;
use trine_crdt::{NodeId, Timestamp};
use trine_ledger::checkpoint::{Checkpoint, origin};
use trine_ledger::record::{Body, Record, RecordHeader};
use trine_ledger::tree::Frontier;

use super::{Beside, Mirrors};
use crate::cluster::Cluster;
use crate::effect::Effect;
use crate::fixture::{Bench, FAR, NEAR, OTHER, WRITER, cluster, region, stamp, there_key};
use crate::ledger::OwnLedger;
use crate::message::PeerMessage;
use crate::news::News;
use crate::records::Records;
use crate::turn::Turn;

/// A mirror of the region `there`, with what stands beside it.
struct Node {
    cluster: Cluster,
    bench: Bench,
    own: OwnLedger,
    records: Records,
    mirrors: Mirrors,
}

impl Node {
    fn new() -> Self {
        let (cluster, bench) = (cluster(), Bench::new(WRITER));
        let own = OwnLedger::open(cluster.config(), bench.store()).expect("an empty store");
        let mirrors = Mirrors::open(cluster.config(), bench.store()).expect("an empty store");
        let records = Records::new(cluster.config());
        Self { cluster, bench, own, records, mirrors }
    }

    /// One turn, and the messages that left.
    fn turn<T>(&mut self, call: impl FnOnce(&mut Mirrors, &mut Turn<'_>, &mut Beside<'_>) -> T) -> (T, Sent) {
        let Self { cluster, bench, own, records, mirrors } = self;
        let mut beside = Beside { cluster, own, records };
        let (value, effects) = bench.turn(|turn| call(mirrors, turn, &mut beside));
        let sent = effects.into_iter().filter_map(|effect| match effect {
            Effect::Send { to, message } => Some((to, message)),
            _ => None,
        });
        (value, sent.collect())
    }

    fn take(&mut self, tail: (u64, Vec<Bytes>, Bytes)) -> (Option<News>, Sent) {
        let there = region("there");
        let (news, sent) = self.turn(|mirrors, turn, beside| mirrors.take_tail(turn, beside, FAR, &there, tail));
        (news.expect("the store reads"), sent)
    }
}

type Sent = Vec<(NodeId, PeerMessage)>;

/// The history of the region `there` in which records have these values.
fn history(values: &[&'static str]) -> (Vec<Bytes>, Bytes) {
    let (mut records, mut frontier) = (Vec::new(), Frontier::default());
    for (number, value) in values.iter().enumerate() {
        let stamp = Timestamp { time: stamp(OTHER).time + number as u64, writer: OTHER };
        let (key, value) = (format!("key-{number}"), Bytes::from_static(value.as_bytes()));
        let body = Body { salts: [[0; 32]; 3], key, metadata: BTreeMap::new(), value };
        let namespace = trine_crdt::NamespaceId::default_ledger();
        let header = RecordHeader::of(namespace, stamp, String::new(), Vec::new(), None, &body);
        let header = header.and_then(|header| header.to_bytes()).expect("within its bounds");
        let record = Record { header, body: Some(body) };
        frontier.push(record.leaf(), |_| {});
        records.push(record.to_bytes().expect("within its bounds"));
    }
    let origin = origin("c", &region("there"));
    let note = Checkpoint { origin, size: frontier.size(), root: frontier.root() }.sign(&there_key());
    (records, note)
}

#[test]
fn a_tail_counts_when_it_leads_to_what_its_region_signed_and_not_before() {
    let mut node = Node::new();
    let (_, sent) = node.turn(|mirrors, turn, beside| mirrors.tick(turn, beside));
    assert!(matches!(&sent[..], [(to, PeerMessage::Follow { from: 0, .. })] if [NEAR, FAR].contains(to)), "{sent:?}");
    let (records, note) = history(&["a", "b", "c"]);
    assert_eq!(node.take((0, records[..2].to_vec(), note.clone())).0, None, "the note is of three");
    let (gap, _) = node.take((1, records[1..].to_vec(), note.clone()));
    assert!(gap.is_none() && node.mirrors.size(&region("there")) == 0, "the first is missing");
    let (news, sent) = node.take((0, records.clone(), note.clone()));
    assert_eq!(news, Some(News::Grew { region: region("there"), size: 3 }));
    assert!(matches!(sent[..], [(FAR, PeerMessage::Followed { from: 3, .. })]));
    let (news, _) = node.take((0, records, note));
    assert_eq!(news, None, "it was held already");
}

#[test]
fn another_history_that_its_region_signed_is_kept_as_evidence_and_ends_the_following() {
    let mut node = Node::new();
    let there = region("there");
    let (records, note) = history(&["a", "b"]);
    node.take((0, records, note.clone()));
    let (_, forged) = history(&["a", "another"]);
    let told = Checkpoint::peek(&forged).expect("a checkpoint");
    let (agrees, _) = node.turn(|mirrors, turn, beside| mirrors.compare(turn, beside, &there, &forged, &told));
    assert_eq!(agrees, Ok(false));
    let evidence = node.mirrors.evidence(&there).expect("both are kept");
    assert_eq!((&evidence.first, &evidence.second), (&note, &forged));
    let (records, note) = history(&["a", "b", "c"]);
    assert_eq!(node.take((2, records[2..].to_vec(), note)).0, None, "nothing more of it is taken in");
    let again = Mirrors::open(node.cluster.config(), node.bench.store()).expect("its own rows");
    assert!(again.evidence(&there).is_some() && again.quarantined(&node.cluster, &there));
}

#[test]
fn a_follower_is_fed_what_is_held_and_no_more_than_its_window() {
    let mut node = Node::new();
    let there = region("there");
    let (records, note) = history(&["a", "b"]);
    node.take((0, records.clone(), note.clone()));
    node.turn(|mirrors, _, beside| mirrors.take_follow(beside.cluster, NEAR, there.clone(), 0, 1));
    let (done, sent) = node.turn(|mirrors, turn, beside| mirrors.feed(turn, beside));
    let tail = PeerMessage::Tail { ledger: there.clone(), from: 0, records, checkpoint: note };
    assert_eq!((done, sent), (Ok(()), vec![(NEAR, tail)]));
    let (records, note) = history(&["a", "b", "c"]);
    node.take((2, records[2..].to_vec(), note));
    let (_, sent) = node.turn(|mirrors, turn, beside| mirrors.feed(turn, beside));
    assert!(sent.is_empty(), "its window is full");
    node.mirrors.take_followed(NEAR, there, 2);
    let (_, sent) = node.turn(|mirrors, turn, beside| mirrors.feed(turn, beside));
    assert!(matches!(sent[..], [(NEAR, PeerMessage::Tail { from: 2, .. })]));
}

#[test]
fn a_record_is_found_by_its_key_and_is_what_its_leaf_commits_to() {
    let mut node = Node::new();
    let (there, namespace) = (region("there"), trine_crdt::NamespaceId::default_ledger());
    let (records, note) = history(&["a", "b"]);
    node.take((0, records, note));
    let (found, _) = node.turn(|_, turn, beside| beside.records.latest(turn, &namespace, "key-1"));
    let version = found.expect("the store reads").expect("it was taken in");
    assert_eq!((&version.region, version.index), (&there, 1));
    let place = (there.clone(), version.index);
    let (view, _) = node.turn(|_, turn, beside| beside.records.view(turn, &place));
    assert_eq!(view.map(|view| view.value), Ok(Bytes::from_static(b"b")));
    node.turn(|_, turn, _| {
        let row = turn.get(crate::Persistence::Derived, &crate::rows::mirrored(&there, 0));
        turn.put(crate::Persistence::Derived, crate::rows::mirrored(&there, 1), row.expect("the store reads"));
    });
    let (view, _) = node.turn(|_, turn, beside| beside.records.view(turn, &place));
    assert!(matches!(view, Err(crate::StoreError::Damaged(_))), "another record in its place");
}
