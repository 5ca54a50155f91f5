use std::collections::BTreeSet;

use bytes::Bytes;
use trine_gossip::entry::Entry;
use trine_ledger::checkpoint::{Checkpoint, origin};
use trine_ledger::segment::SegmentInfo;

use super::{Metadata, head_key};
use crate::cluster::Cluster;
use crate::fixture::{Bench, NEAR, OTHER, cluster, cluster_of, here_key, region, there_key};
use crate::mirrors::OpenedNotes;
use crate::news::News;

/// The metadata of one node, with what they need.
struct Node {
    cluster: Cluster,
    bench: Bench,
    notes: OpenedNotes,
    metadata: Metadata,
}

impl Node {
    fn new(cluster: Cluster) -> Self {
        let bench = Bench::new(cluster.config().writer);
        let (metadata, _) = Metadata::open(cluster.config(), bench.store()).expect("an empty store");
        Self { cluster, bench, notes: OpenedNotes::new(4), metadata }
    }

    /// Hears a rumor, none of it of these keys.
    fn hear(&mut self, entries: Vec<Entry>, barred: &BTreeSet<Bytes>) -> Vec<News> {
        let Self { cluster, bench, notes, metadata } = self;
        bench.turn(|turn| metadata.take_rumor(turn, cluster, (notes, barred), entries)).0
    }

    fn held(&self, key: &Bytes) -> Entry {
        let held = self.metadata.state.get(key).expect("it was put");
        Entry { key: key.clone(), version: held.version, value: held.bytes.clone() }
    }
}

fn segment() -> SegmentInfo {
    SegmentInfo { number: 3, first: 10, count: 5, bytes: 100, identity: [1; 32], root: [2; 32] }
}

#[test]
fn what_a_ledger_said_before_it_could_be_signed_is_signed_later_and_believed_by_others() {
    let mut here = Node::new(cluster());
    let Node { cluster, bench, metadata, .. } = &mut here;
    bench.turn(|turn| metadata.publish_segment(turn, cluster, false, &segment()));
    assert!(metadata.segments().is_empty(), "nothing may be signed yet");
    bench.turn(|turn| metadata.publish_unsaid(turn, cluster, true)).0.expect("the store reads");
    assert_eq!(metadata.segments(), [(region("here"), segment())]);
    let said = here.held(&Bytes::from_static(b"segment/here/0000000000000003"));
    let mut there = Node::new(cluster_of(NEAR, OTHER));
    let forged = Entry { value: [&said.value[..64], &[0; 96]].concat().into(), ..said.clone() };
    there.hear(vec![forged], &BTreeSet::new());
    assert!(there.metadata.segments().is_empty(), "its signature is of something else");
    there.hear(vec![said], &BTreeSet::new());
    assert_eq!(there.metadata.segments(), [(region("here"), segment())]);
}

#[test]
fn a_head_of_the_own_ledger_is_news_and_a_barred_one_is_not_taken_in() {
    let mut node = Node::new(cluster());
    let note = |of: &str, key| Checkpoint { origin: origin("c", &region(of)), size: 7, root: [3; 32] }.sign(key);
    let (here, there) = (region("here"), region("there"));
    let (own, other) = (note("here", &here_key()), note("there", &there_key()));
    let mut teller = Node::new(cluster_of(NEAR, OTHER));
    let Node { cluster, bench, metadata, .. } = &mut teller;
    bench.turn(|turn| metadata.put_head(turn, cluster, (&here, 7), own.clone()));
    bench.turn(|turn| metadata.put_head(turn, cluster, (&there, 7), other));
    let entries = vec![teller.held(&head_key(&here)), teller.held(&head_key(&there))];
    let news = node.hear(entries, &BTreeSet::from([head_key(&there)]));
    assert_eq!(news, [News::Signed { size: 7 }]);
    assert!(node.cluster.head(&here).is_some_and(|(note, head)| *note == own && head.size == 7));
    assert!(node.cluster.head(&there).is_none());
}

#[test]
fn what_is_on_disk_is_known_after_a_restart() {
    let mut node = Node::new(cluster());
    let note = Checkpoint { origin: origin("c", &region("here")), size: 7, root: [3; 32] }.sign(&here_key());
    let Node { cluster, bench, metadata, .. } = &mut node;
    bench.turn(|turn| metadata.put_head(turn, cluster, (&region("here"), 7), note.clone()));
    bench.turn(|turn| metadata.publish_segment(turn, cluster, true, &segment()));
    let (again, _) = Metadata::open(cluster.config(), bench.store()).expect("its own rows");
    assert_eq!(again.heads(), [(region("here"), note)]);
    assert_eq!(again.segments(), metadata.segments());
}
