//! A region whose disk went back in time: it signs no index twice, and says why it takes no appends.

use trine_gossip::entry::Entry;
use trine_gossip::repair::RepairMessage;
use trine_ledger::checkpoint::Checkpoint;
use trine_protocol::reply::{LedgerHead, Recovered, StatusView};
use trine_protocol::request::{LedgerGet, LedgerRecord, ManifestShow, NamespaceCreate, Options, RegionRecover};
use trine_protocol::{Consistency, Reply, Request, RequestError};
use trine_replica::PeerMessage;
use trine_replica::Withheld;

use crate::world::{Disk, World, append, appended, region};

/// Appends this many records at a node.
pub fn appends(world: &mut World, node: usize, count: usize) {
    for number in 0..count {
        let id = world.ask(node, Options::default(), append(&format!("key {number}"), "value", None));
        world.run();
        appended(world.answered(node, id));
    }
    world.settle();
}

pub fn status(world: &mut World, node: usize) -> StatusView {
    let id = world.ask(node, Options::default(), Request::Status);
    match &world.answered(node, id).as_ref().expect("its status").reply {
        Reply::Status(status) => (**status).clone(),
        other => panic!("a status, not {other:?}"),
    }
}

/// How a node holds the first region's ledger.
pub fn held(world: &mut World, node: usize) -> LedgerHead {
    status(world, node).ledgers.remove(&region(0)).expect("every region's")
}

fn behind(theirs: u64, here: u64) -> Option<Withheld> {
    Some(Withheld::Behind { theirs, here, region: region(0), leads: true })
}

/// Tries to append at the first node; what it answers in the end.
fn try_to_append(world: &mut World) -> Result<u64, RequestError> {
    let id = world.ask(0, Options::default(), append("late", "value", None));
    world.pass(12_000);
    world.answered(0, id).clone().map(|answer| match answer.reply {
        Reply::Appended(appended) => appended.index,
        other => panic!("an append, not {other:?}"),
    })
}

/// The note of the first region that a message bears, and how many records it signs.
fn signed(message: &PeerMessage) -> Option<u64> {
    let note = match message {
        PeerMessage::HeadTold(told) if told.ledger == region(0) => told.note.clone()?,
        PeerMessage::Tail { ledger, checkpoint, .. } if *ledger == region(0) => checkpoint.clone(),
        PeerMessage::Metadata(bytes) => match RepairMessage::from_bytes(bytes).ok()? {
            RepairMessage::Entries(entries) => {
                let head = |entry: &&Entry| entry.key.as_ref() == b"head/us-east-1";
                entries.iter().find(head)?.value.clone()
            }
            _ => return None,
        },
        _ => return None,
    };
    Some(Checkpoint::peek(&note).expect("a checkpoint").size)
}

#[test]
fn a_region_whose_disk_went_back_signs_nothing_and_says_why() {
    let mut world = World::new(&[1, 1, 1]);
    appends(&mut world, 0, 20);
    let old = world.nodes[0].disk.copy();
    appends(&mut world, 0, 50);
    let whole = held(&mut world, 1);
    assert_eq!(whole.size, 70);
    // Nothing that the node says of its own ledger from here on may bear a signature.
    world.loses = |world, from, _, message| {
        let size = (from == 0).then(|| signed(message)).flatten();
        assert!(size.is_none_or(|size| size == 70), "signed {size:?} again: {message:?}");
        let _ = world;
        false
    };
    world.go_back(0, old);
    assert_eq!(world.nodes[0].core.withheld(), behind(70, 20));
    let error = try_to_append(&mut world).expect_err("no index is given twice");
    let words = "others hold 70 records signed by this region's key, here are 20";
    assert!(error.to_string().contains(words), "{error}");
    assert!(error.to_string().contains("trine region recover us-east-1"), "{error}");
    let get =
        Request::LedgerGet(LedgerGet { namespace: "default".to_owned(), key: "key 1".to_owned(), with_proof: false });
    let regional = Options { consistency: Consistency::Regional, ..Options::default() };
    let id = world.ask(0, regional, get);
    world.run();
    let error = world.answered(0, id).as_ref().expect_err("what was acknowledged may be elsewhere").to_string();
    assert!(error.contains(words), "{error}");
    let status = status(&mut world, 0);
    assert!(status.reason.is_some_and(|reason| reason.contains(words)));
    assert_eq!(status.problems.iter().filter(|problem| problem.code == "records_missing").count(), 1);
    assert_eq!(world.nodes[0].core.ready(), Ok(()), "other reads and objects go on");
    assert_eq!(world.nodes[0].core.counters().records_missing, 50);
    assert_eq!((held(&mut world, 0).size, held(&mut world, 1)), (20, whole));
}

#[test]
fn an_emptied_region_of_one_node_is_the_same_case() {
    let mut world = World::new(&[1, 1]);
    appends(&mut world, 0, 5);
    let empty = (Disk::new(world.logs[&region(0)].clone()), Vec::new());
    world.go_back(0, empty);
    assert_eq!(world.nodes[0].core.withheld(), behind(5, 0));
    try_to_append(&mut world).expect_err("it may not found its ledger anew");
    assert_eq!(held(&mut world, 1).size, 5);
}

#[test]
fn a_leader_is_told_of_more_than_it_has_also_later() {
    let mut world = World::new(&[1, 1, 1]);
    appends(&mut world, 0, 3);
    let old = world.nodes[0].disk.copy();
    appends(&mut world, 0, 4);
    // One region answers at once that it has nothing; the one that has more is heard of only afterwards.
    world.loses = |_, from, to, _| (from, to) == (2, 0) || (from, to) == (1, 0);
    world.go_back(0, old);
    assert!(matches!(world.nodes[0].core.withheld(), Some(Withheld::Unanswered)));
    let told = PeerMessage::HeadTold(trine_replica::message::HeadTold {
        ledger: region(0),
        note: None,
        size: 0,
        root: bytes::Bytes::copy_from_slice(&trine_ledger::tree::empty_root()),
        mirrors: true,
        asked: false,
        joined: None,
    });
    world.forge(2, 0, told);
    world.pass(500);
    assert_eq!(world.nodes[0].core.withheld(), None);
    world.loses = |_, _, _, _| false;
    world.settle();
    assert_eq!(world.nodes[0].core.withheld(), behind(7, 3));
}

#[test]
fn with_nobody_to_ask_a_region_waits_or_goes_on_as_it_is_told() {
    let mut world = World::new(&[1, 1]);
    appends(&mut world, 0, 3);
    world.loses = |_, _, _, _| true;
    world.restart(0, None);
    world.lead(0);
    world.settle();
    assert_eq!(world.nodes[0].core.withheld(), Some(Withheld::Unanswered));
    let error = try_to_append(&mut world).expect_err("nobody was asked");
    assert!(error.to_string().contains("cluster.unasked"), "{error}");
    let words = status(&mut world, 0).standing;
    assert!(words.contains("no other region can be asked"), "{words}");
    // It is heard again: it goes on by itself.
    world.loses = |_, _, _, _| false;
    world.pass(1_000);
    assert_eq!(try_to_append(&mut world), Ok(3));

    world.loses = |_, _, _, _| true;
    world.nodes[0].config.unasked_goes_on = true;
    world.restart(0, None);
    world.lead(0);
    world.settle();
    assert_eq!(try_to_append(&mut world), Ok(4));
    let words = status(&mut world, 0).standing;
    assert!(words.contains("no other region could be asked"), "{words}");
}

#[test]
fn a_neighbour_that_has_asked_spares_the_wait_and_a_cluster_of_one_region_asks_nobody() {
    let mut world = World::new(&[3, 1]);
    appends(&mut world, 0, 3);
    world.loses = |world, from, to, _| world.nodes[from].region != world.nodes[to].region;
    world.restart(1, None);
    world.lead(1);
    world.pass(1_000);
    assert_eq!(world.nodes[1].core.withheld(), None);
    let words = status(&mut world, 1).standing;
    assert!(words.contains("of this region has asked"), "{words}");

    let mut alone = World::new(&[1]);
    appends(&mut alone, 0, 1);
    assert_eq!(status(&mut alone, 0).standing, "there is no other region to ask");
}

#[test]
fn what_is_sealed_while_nothing_may_be_signed_is_listed_afterwards() {
    let mut world = World::new(&[2, 1]);
    world.nodes[0].config.segment_bytes = 1;
    world.restart(0, None);
    world.lead(0);
    world.settle();
    // The other node of the region hears nobody but the log, and applies the seal.
    world.loses = |_, from, to, _| from == 1 || to == 1;
    world.restart(1, None);
    let leader = world.leaders[&region(0)];
    world.tell_leader(1, leader);
    appends(&mut world, 0, 1);
    assert!(world.nodes[1].core.withheld().is_some());
    // It alone is left to say so.
    world.loses = |_, from, to, _| from == 0 || to == 0;
    world.pass(6_000);
    let id = world.ask(2, Options::default(), Request::ManifestShow(ManifestShow { region: Some(region(0)) }));
    match &world.answered(2, id).as_ref().expect("the manifest").reply {
        Reply::Segments(segments) => assert_eq!(segments.len(), 1),
        other => panic!("segments, not {other:?}"),
    }
}

/// Asks the first node to bring back what its region lost; how many records it has then, and how many came back.
fn recover(world: &mut World) -> Result<(u64, u64), RequestError> {
    let id = world.ask(0, Options::default(), Request::RegionRecover(RegionRecover { region: region(0) }));
    world.pass(12_000);
    world.answered(0, id).clone().map(|answer| match answer.reply {
        Reply::Recovered(Recovered { size, restored }) => (size, restored),
        other => panic!("what was recovered, not {other:?}"),
    })
}

/// Everything of the first region's ledger, as a node reads it, with proofs.
fn records(world: &mut World, node: usize, count: u64) -> Vec<trine_protocol::reply::RecordView> {
    let read = |world: &mut World, index| {
        let request = Request::LedgerRecord(LedgerRecord { region: region(0), index, with_proof: true });
        let id = world.ask(node, Options::default(), request);
        match &world.answered(node, id).as_ref().expect("a record").reply {
            Reply::Record(record) => record.clone(),
            other => panic!("a record, not {other:?}"),
        }
    };
    (0..count).map(|index| read(world, index)).collect()
}

#[test]
fn lost_records_come_back_from_mirrors_as_they_were() {
    let mut world = World::new(&[1, 1, 1]);
    let name = "accounts".to_owned();
    let kind = trine_protocol::request::NamespaceKind::Ledger;
    appends(&mut world, 0, 20);
    let old = world.nodes[0].disk.copy();
    appends(&mut world, 0, 25);
    let create = Request::NamespaceCreate(NamespaceCreate { name, kind, slots: None });
    world.ask(0, Options::default(), create);
    world.settle();
    appends(&mut world, 0, 25);
    let (whole, before) = (held(&mut world, 1), records(&mut world, 1, 70));
    world.go_back(0, old);
    assert_eq!(recover(&mut world), Ok((70, 50)));
    assert_eq!(held(&mut world, 0), whole);
    let view = |record: &trine_protocol::reply::RecordView| {
        (record.index, record.header.clone(), record.salts.clone(), record.key.clone(), record.value.clone())
    };
    let after = records(&mut world, 0, 70);
    assert_eq!(after.iter().map(view).collect::<Vec<_>>(), before.iter().map(view).collect::<Vec<_>>());
    assert_eq!(recover(&mut world), Ok((70, 50)), "asked again it changes nothing");

    // It goes on where it was, and all follow it.
    assert_eq!(world.nodes[0].core.withheld(), None);
    assert_eq!(try_to_append(&mut world), Ok(70));
    world.settle();
    assert_eq!((held(&mut world, 1), held(&mut world, 2)), (held(&mut world, 0), held(&mut world, 0)));
    assert!((0..3).all(|node| status(&mut world, node).forked.is_empty()));
    // What it had signed of its registry is back as well, and what it signs of it now is heard.
    let listed = |world: &mut World, node| {
        let id = world.ask(node, Options::default(), Request::NamespaceList);
        match &world.answered(node, id).as_ref().expect("a list").reply {
            Reply::Namespaces(known) => known.iter().map(|known| known.name.clone()).collect::<Vec<_>>(),
            other => panic!("namespaces, not {other:?}"),
        }
    };
    assert!(listed(&mut world, 0).contains(&"accounts".to_owned()));
    let create = Request::NamespaceCreate(NamespaceCreate { name: "later".to_owned(), kind, slots: None });
    world.ask(0, Options::default(), create);
    world.settle();
    assert!(listed(&mut world, 2).contains(&"later".to_owned()));
    // Also after a restart, which reads the rows that were made of what came back.
    world.restart(0, None);
    world.lead(0);
    world.settle();
    assert_eq!(records(&mut world, 0, 71).len(), 71);
}

#[test]
fn an_emptied_region_gets_its_ledger_and_its_registry_back() {
    let mut world = World::new(&[1, 1]);
    let kind = trine_protocol::request::NamespaceKind::Objects;
    world.ask(
        0,
        Options::default(),
        Request::NamespaceCreate(NamespaceCreate { name: "carts".to_owned(), kind, slots: None }),
    );
    world.settle();
    appends(&mut world, 0, 30);
    let whole = held(&mut world, 1);
    // A new disk is a new node, under the name of the old one.
    let old = world.nodes[0].id;
    let empty = (Disk::new(world.logs[&region(0)].clone()), Vec::new());
    world.input(1, trine_replica::Input::PeerDown(old));
    world.nodes[0].id = trine_crdt::NodeId(77);
    world.nodes[0].config.node = trine_crdt::NodeId(77);
    world.go_back(0, empty);
    assert_eq!(world.nodes[0].core.withheld(), behind(30, 0));
    assert_eq!(recover(&mut world), Ok((30, 30)));
    assert_eq!(held(&mut world, 0), whole);
    assert_eq!(try_to_append(&mut world), Ok(30));
    world.settle();
    assert_eq!(held(&mut world, 1), held(&mut world, 0));
    let id = world.ask(1, Options::default(), Request::NodeList);
    let Reply::Nodes(nodes) = world.answered(1, id).as_ref().expect("a list").reply.clone() else { panic!("nodes") };
    let here: Vec<_> = nodes.iter().filter(|node| node.region == region(0)).map(|node| node.id).collect();
    assert_eq!(here, [trine_crdt::NodeId(77)], "in the place of {old}");
}

#[test]
fn a_second_history_is_evidence_whether_it_is_shorter_or_longer() {
    for more in [6, 80] {
        let mut world = World::new(&[1, 1, 1]);
        appends(&mut world, 0, 20);
        let old = world.nodes[0].disk.copy();
        appends(&mut world, 0, 50);
        // It goes on unasked, hears nobody, and signs indexes again.
        world.nodes[0].config.unasked_goes_on = true;
        world.loses = |_, from, to, _| from == 0 || to == 0;
        world.go_back(0, old);
        appends(&mut world, 0, more);
        let before = world.nodes[1].core.counters().messages_refused;
        world.loses = |_, _, _, _| false;
        world.settle();
        world.pass(20_000);
        for node in 0..3 {
            assert_eq!(status(&mut world, node).forked, [region(0)], "with {more} more, at node {node}");
        }
        assert_eq!(held(&mut world, 1).size, 70, "nothing of it is taken in");
        assert!(world.nodes[0].core.withheld().is_some());
        let refused = world.nodes[1].core.counters().messages_refused - before;
        assert!(refused < 10, "{refused} messages were refused");
        // Evidence is not something to be brought back over.
        recover(&mut world).expect_err("an operator decides");
    }
}
