use bytes::Bytes;
use trine_crdt::{NodeId, PartitionId, VersionVector, WriterId};
use trine_protocol::object::{Edit, View};
use trine_protocol::request::Options;
use trine_protocol::{Durability, Reply};

use super::{Edited, Objects, Receipt};
use crate::cluster::Cluster;
use crate::effect::Effect;
use crate::fixture::{Bench, FAR, HERE, NEAR, OTHER, WRITER, cluster_of};
use crate::message::{Interval, PeerMessage};
use crate::news::News;

/// The objects of one node, with what they need.
struct Node {
    id: NodeId,
    cluster: Cluster,
    bench: Bench,
    objects: Objects,
}

impl Node {
    fn new(id: NodeId, writer: WriterId) -> Self {
        let (cluster, bench) = (cluster_of(id, writer), Bench::new(writer));
        let objects = Objects::open(cluster.config(), bench.store()).expect("an empty store");
        Self { id, cluster, bench, objects }
    }

    fn increment(&mut self, key: &str, durability: Durability) -> Edited {
        let options = Options { durability, ..Options::default() };
        let asked = ("objects", key, &Edit::Increment(1));
        let (done, _) = self.bench.turn(|turn| self.objects.edit(turn, &self.cluster, asked, &options));
        done.expect("nothing speaks against it")
    }

    /// What leaves once all that was written is on disk.
    fn pushed(&mut self) -> Vec<(NodeId, Vec<Interval>)> {
        self.objects.push_durable(&self.cluster, u64::MAX);
        let (done, effects) = self.bench.turn(|turn| self.objects.push(turn, &self.cluster));
        done.expect("the store reads");
        let intervals = |effect| match effect {
            Effect::Send { to, message: PeerMessage::Intervals { intervals, .. } } => (to, intervals),
            other => panic!("{other:?} is no push"),
        };
        effects.into_iter().map(intervals).collect()
    }

    /// Takes one interval in; the news of it, and what is said of it.
    fn take(&mut self, from: NodeId, interval: &Interval) -> (Option<News>, Vec<PeerMessage>) {
        let (news, effects) = self.bench.turn(|turn| {
            let mut receipt = Receipt::default();
            let news = self.objects.take_interval(turn, &self.cluster, from, interval.clone(), &mut receipt);
            self.objects.acknowledge(turn, &self.cluster, from, 1, receipt);
            news
        });
        let said = effects.into_iter().filter_map(|effect| match effect {
            Effect::Send { message, .. } => Some(message),
            _ => None,
        });
        (news.expect("the store reads"), said.collect())
    }

    fn counter(&mut self, partition: &PartitionId, key: &str) -> Option<i64> {
        let (found, _) = self.bench.turn(|turn| self.objects.get(turn, partition, key.as_bytes()));
        match &found.expect("the store reads")?.0.views[..] {
            [View::Counter(total)] => Some(*total),
            views => panic!("{views:?} is no counter"),
        }
    }
}

/// Three edits of one key at the neighbour, as they leave it one by one.
fn three(there: &mut Node) -> [Interval; 3] {
    [(); 3].map(|()| {
        there.increment("visits", Durability::Local);
        let (_, mut intervals) = there.pushed().into_iter().find(|(to, _)| *to == HERE).expect("it is linked");
        intervals.remove(0)
    })
}

#[test]
fn an_edit_goes_to_the_region_and_to_one_of_each_other_from_the_disk() {
    let mut here = Node::new(HERE, WRITER);
    here.increment("visits", Durability::Local);
    let (done, effects) = here.bench.turn(|turn| here.objects.push(turn, &here.cluster));
    assert!(done.is_ok() && effects.is_empty(), "nobody said yet that it is on disk");
    let to: Vec<NodeId> = here.pushed().into_iter().map(|(to, _)| to).collect();
    assert_eq!(to, [NEAR, FAR]);
    assert!(here.pushed().is_empty(), "it is under way");
}

#[test]
fn what_connects_is_news_once_and_what_does_not_is_asked_for() {
    let (mut here, mut there) = (Node::new(HERE, WRITER), Node::new(NEAR, OTHER));
    let [first, second, third] = three(&mut there);
    let (news, said) = here.take(there.id, &third);
    assert_eq!(news, None, "two are missing before it");
    assert!(matches!(&said[..], [PeerMessage::Have { upto, .. }, PeerMessage::Vector { .. }] if upto.is_empty()));
    for (interval, upto) in [(&first, 1), (&second, 2), (&third, 3)] {
        let partition = interval.partition.clone();
        let held = News::Held { partition: partition.clone(), writer: OTHER, upto };
        assert_eq!(here.take(there.id, interval).0, Some(held));
        assert_eq!(here.take(there.id, interval).0, None, "it was held already");
        assert_eq!(here.counter(&partition, "visits"), Some(upto as i64));
    }
    assert!(here.pushed().is_empty(), "its own region it reaches itself");
}

#[test]
fn an_edit_that_a_majority_is_to_have_says_so_and_hears_who_has_it() {
    let mut here = Node::new(HERE, WRITER);
    assert!(matches!(here.increment("visits", Durability::Local), Edited::Done(_)));
    let Edited::Here { partition, seq, answer } = here.increment("visits", Durability::Region) else {
        panic!("one of two is no majority")
    };
    assert!(matches!(answer.reply, Reply::Object(_)) && seq == 2);
    let news = here.objects.take_have(&here.cluster, NEAR, 1, vec![(partition.clone(), WRITER, 2)]);
    assert_eq!(news, [News::Copied { node: NEAR, partition: partition.clone(), upto: 2 }]);
    let strangers = here.objects.take_have(&here.cluster, NEAR, 2, vec![(partition, OTHER, 9)]);
    assert!(strangers.is_empty(), "nobody here waits for another's writes");
}

#[test]
fn a_peer_that_holds_more_of_this_node_s_writes_than_it_does_shows_an_old_disk() {
    let mut here = Node::new(HERE, WRITER);
    let Edited::Here { partition, .. } = here.increment("visits", Durability::Region) else { panic!("it waits") };
    let told = |seq| vec![(partition.clone(), VersionVector { dots: [(WRITER, seq)].into() })];
    let (news, behind) = here.objects.take_vectors(&here.cluster, NEAR, &told(1), true);
    assert!(matches!(news[..], [News::Copied { upto: 1, .. }]) && behind.is_empty());
    let (news, _) = here.objects.take_vectors(&here.cluster, NEAR, &told(2), true);
    assert!(matches!(news[..], [News::DiskIsOld { .. }]));
}

#[test]
fn a_page_counts_for_its_sender_s_vector_only_when_it_is_the_last() {
    let (mut here, mut there) = (Node::new(HERE, WRITER), Node::new(NEAR, OTHER));
    let [first, ..] = three(&mut there);
    let (partition, vector) = (&first.partition, VersionVector { dots: [(OTHER, 3)].into() });
    let (done, effects) = there.bench.turn(|turn| {
        there.objects.serve_page(turn, &there.cluster, HERE, partition, &Bytes::new(), Some(vector.clone()))
    });
    done.expect("the store reads");
    let [Effect::Send { message: PeerMessage::PartitionPage { objects, .. }, .. }] = &effects[..] else {
        panic!("{effects:?} is no page")
    };
    for next in [objects.last().map(|(key, _)| key), None] {
        let (news, _) = here
            .bench
            .turn(|turn| here.objects.take_page(turn, &here.cluster, NEAR, (partition, objects), &vector, next));
        let held = News::Held { partition: partition.clone(), writer: OTHER, upto: 3 };
        let told = if next.is_none() { vec![held] } else { Vec::new() };
        assert_eq!(news.expect("the store reads"), told);
        here.objects.peer_down(NEAR);
    }
    assert_eq!(here.counter(partition, "visits"), Some(3));
}
