use std::collections::BTreeMap;

use trine_crdt::{NodeId, PartitionId, VersionVector};
use trine_protocol::Durability;
use trine_protocol::object::Edit;
use trine_protocol::request::Options;

use super::{Followed, Joining};
use crate::cluster::Cluster;
use crate::effect::Effect;
use crate::effect::Persistence::Synced;
use crate::fixture::{Bench, FAR, NEAR, WRITER, cluster, region};
use crate::message::{Holdings, PeerMessage};
use crate::not_ready::CatchingUp;
use crate::objects::Objects;
use crate::rows;

/// A node with a new disk.
struct Node {
    cluster: Cluster,
    bench: Bench,
    objects: Objects,
    joining: Joining,
}

impl Node {
    fn new(marked: Option<&'static [u8]>) -> Self {
        let (cluster, mut bench) = (cluster(), Bench::new(WRITER));
        let objects = Objects::open(cluster.config(), bench.store()).expect("an empty store");
        let marked = marked.map(bytes::Bytes::from_static);
        let (joining, _) = bench.turn(|turn| Joining::begin(turn, true, marked.as_ref()));
        Self { cluster, bench, objects, joining }
    }

    /// A tick after this many seconds, while this many records of `there` are held; what is sent at it.
    fn tick(&mut self, seconds: u64, held: u64) -> Vec<(NodeId, PeerMessage)> {
        self.bench.now.monotonic_ns += seconds * 1_000_000_000;
        let ledgers = BTreeMap::from([(region("there"), Followed { held, comes: true })]);
        let Self { cluster, bench, objects, joining } = self;
        let ((), effects) = bench.turn(|turn| joining.tick(turn, cluster, objects, &ledgers));
        let sent = |effect| match effect {
            Effect::Send { to, message } => (to, message),
            other => panic!("{other:?} is no message"),
        };
        effects.into_iter().map(sent).collect()
    }

    /// A peer says that it holds this, and all of it.
    fn told(&mut self, from: NodeId, partitions: Vec<(PartitionId, VersionVector)>, records: u64) {
        let ledgers = BTreeMap::from([(region("there"), records)]);
        let holdings = Holdings { after: None, partitions, more: false, ledgers, joining: false };
        let Self { bench, joining, .. } = self;
        bench.turn(|turn| joining.take_holdings(turn, from, holdings));
    }

    fn marked(&self) -> bool {
        self.bench.store().rows(Synced).contains_key(rows::JOINING)
    }
}

#[test]
fn it_serves_once_it_holds_what_its_peers_held_when_it_came() {
    let mut node = Node::new(None);
    assert!(node.marked() && node.joining.waits().is_some());
    let asked = |(_, message): &(NodeId, PeerMessage)| matches!(message, PeerMessage::AskHoldings { after: None });
    assert_eq!(node.tick(0, 0).iter().filter(|sent| asked(sent)).count(), 2);
    let (namespace, slots) = (trine_crdt::NamespaceId::default_objects(), 256);
    let partition = PartitionId::of_key(namespace, b"visits", slots);
    node.told(NEAR, vec![(partition, VersionVector { dots: [(WRITER, 1)].into() })], 0);
    node.told(FAR, Vec::new(), 3);
    node.tick(1, 3);
    assert!(
        node.joining.waits().is_some_and(|how_far| how_far == CatchingUp::Objects { held: 0, all: 1 }),
        "an object is missing"
    );
    let Node { cluster, bench, objects, .. } = &mut node;
    let options = Options { durability: Durability::Local, ..Options::default() };
    let (edited, _) =
        bench.turn(|turn| objects.edit(turn, cluster, ("objects", "visits", &Edit::Increment(1)), &options));
    assert!(edited.is_ok());
    node.tick(1, 2);
    assert!(
        node.joining.waits().is_some_and(|how_far| matches!(how_far, CatchingUp::Records { held: 2, all: 3, .. })),
        "a record is missing"
    );
    let sent = node.tick(1, 3);
    assert!(sent.contains(&(NEAR, PeerMessage::CatchingUp(false))) && node.joining.waits().is_none());
    assert!(!node.marked(), "a restart does not begin anew");
}

#[test]
fn who_hears_nobody_goes_on_and_who_lost_what_it_had_does_not() {
    for (marked, serves) in [(None, true), (Some(rows::JOINING_DAMAGED), false)] {
        let mut node = Node::new(marked);
        [NEAR, FAR].into_iter().for_each(|peer| node.cluster.unlink(peer, 0));
        node.tick(0, 0);
        node.tick(1, 0);
        assert!(node.joining.waits().is_some(), "somebody may come");
        node.tick(60, 0);
        assert_eq!(node.joining.waits().is_none(), serves);
    }
}

#[test]
fn a_peer_that_says_nothing_more_is_not_taken_for_one_that_catches_up() {
    let mut node = Node::new(None);
    let Node { bench, joining, .. } = &mut node;
    bench.turn(|turn| joining.take_catching_up(turn, NEAR, true));
    node.tick(1, 0);
    assert!(node.joining.of(NEAR) && !node.joining.of(FAR));
    node.tick(3, 0);
    assert!(!node.joining.of(NEAR));
}
