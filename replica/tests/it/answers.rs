//! Who answers a request, how often, and with what.

use std::time::Duration;

use trine_crdt::{NodeId, WriterId};
use trine_protocol::request::{
    LedgerGet, LedgerRecord, NamespaceCreate, NamespaceKind, NodeReadmit, NodeRemove, ObjectGet, Options,
};
use trine_protocol::session::Position;
use trine_protocol::{Conflict, Durability, Missing, Reply, Request, RequestError, Role, SessionToken};
use trine_replica::input::{GroupId, ProposeOutcome};
use trine_replica::limits::REQUESTS_WAITING_MAX;
use trine_replica::{Input, PeerMessage};

use crate::world::{World, append, appended, partition, region, session};

#[test]
fn a_follower_hands_an_append_on_and_answers_its_own_client() {
    let mut world = World::new(&[3]);
    let id = world.ask(1, Options::default(), append("key", "value", None));
    assert!(world.answer(1, id).is_none());
    world.run();
    assert_eq!(appended(world.answered(1, id)), (0, false));
}

#[test]
fn a_retry_with_its_key_gets_the_first_answer_and_another_append_is_refused() {
    let mut world = World::new(&[3]);
    let first = world.ask(0, Options::default(), append("key", "value", Some("once")));
    world.run();
    let again = world.ask(2, Options::default(), append("key", "value", Some("once")));
    world.run();
    assert_eq!(appended(world.answered(0, first)), (0, false));
    assert_eq!(appended(world.answered(2, again)), (0, true));
    let other = world.ask(1, Options::default(), append("key", "another value", Some("once")));
    world.run();
    let conflict = Conflict::IdempotencyKey { region: region(0), index: 0 };
    assert_eq!(*world.answered(1, other), Err(conflict.into()));
}

#[test]
fn what_a_leader_had_queued_goes_to_its_successor() {
    let mut world = World::new(&[3]);
    world.commits = false;
    let asked: Vec<u64> =
        (0..10).map(|number| world.ask(0, Options::default(), append(&format!("{number}"), "v", None))).collect();
    // Four entries were proposed and are now refused; six requests were still queued.
    world.lead(1);
    let tickets: Vec<u64> = world.nodes[0].proposed.drain(..).map(|(ticket, _)| ticket).collect();
    for ticket in tickets {
        world.input(0, Input::Proposed { group: GroupId::Region, ticket, outcome: ProposeOutcome::Refused });
    }
    world.commits = true;
    world.pass(500);
    let mut indexes: Vec<u64> = asked.iter().map(|id| appended(world.answered(0, *id)).0).collect();
    indexes.sort_unstable();
    assert_eq!(indexes, (0..10).collect::<Vec<_>>(), "each once");
}

#[test]
fn an_append_whose_leader_is_gone_is_sent_again_and_stands_once() {
    let mut world = World::new(&[3]);
    let id = world.ask(1, Options::default(), append("key", "value", None));
    // The old leader commits it, but its answer is lost.
    world.loses = |_, from, _, message| from == 0 && matches!(message, PeerMessage::Forwarded { .. });
    world.run();
    assert!(world.answer(1, id).is_none());
    world.loses = |_, _, _, _| false;
    world.lead(2);
    world.pass(500);
    assert_eq!(appended(world.answered(1, id)), (0, true), "the key that the node gave it made that harmless");
}

#[test]
fn nothing_done_is_unavailable_and_perhaps_done_is_unknown() {
    let mut world = World::new(&[3]);
    let short = Options { timeout: Some(Duration::from_millis(500)), ..Options::default() };
    // No leader was ever known: it went nowhere.
    world.unseat(1);
    let nowhere = world.ask(1, short.clone(), append("a", "v", None));
    world.pass(600);
    assert!(matches!(world.answered(1, nowhere), Err(RequestError::Unavailable { .. })));
    // It went to a leader that may have proposed it before it was lost.
    world.tell_leader(1, 0);
    world.loses = |_, _, _, message| matches!(message, PeerMessage::Forward { .. });
    let lost = world.ask(1, short.clone(), append("b", "v", None));
    world.run();
    world.unseat(1);
    world.pass(600);
    assert_eq!(world.answered(1, lost), &Err(RequestError::Unknown));
    // It was proposed, and then nothing more was heard.
    world.commits = false;
    let proposed = world.ask(0, short.clone(), append("c", "v", None));
    world.pass(600);
    assert_eq!(world.answered(0, proposed), &Err(RequestError::Unknown));
}

#[test]
fn a_request_that_is_not_harmless_twice_is_sent_once() {
    let mut world = World::new(&[2]);
    world.loses = |_, _, _, message| matches!(message, PeerMessage::Forward { .. });
    let create =
        Request::NamespaceCreate(NamespaceCreate { name: "carts".into(), kind: NamespaceKind::Objects, slots: None });
    let id = world.ask(1, Options::default(), create);
    let sent = |world: &World| {
        world.nodes[1].sent.iter().filter(|(_, message)| matches!(message, PeerMessage::Forward { .. })).count()
    };
    assert_eq!(sent(&world), 1);
    world.run();
    let leader = world.nodes[0].id;
    world.input(1, Input::PeerDown(leader));
    assert_eq!(sent(&world), 0);
    world.pass(11_000);
    assert_eq!(world.answered(1, id), &Err(RequestError::Unknown));
}

#[test]
fn a_session_reads_its_write_at_another_node() {
    let mut world = World::new(&[2]);
    world.loses = |_, _, _, message| matches!(message, PeerMessage::Intervals { .. });
    let wrote = world.increment(0, "visits", Durability::Local);
    let token = world.answered(0, wrote).as_ref().expect("written").session.clone();
    let get = Request::ObjectGet(ObjectGet { namespace: "objects".into(), key: "visits".into() });
    let read = world.ask(1, session(token), get);
    world.run();
    assert!(world.answer(1, read).is_none(), "it has not come yet");
    world.loses = |_, _, _, _| false;
    world.pass(6_000);
    let Ok(answer) = world.answered(1, read) else { panic!("read") };
    assert!(matches!(answer.reply, Reply::Object(_)));
}

#[test]
fn a_session_of_what_cannot_exist_is_refused_at_once() {
    let mut world = World::new(&[1]);
    let get = || Request::LedgerGet(LedgerGet { namespace: "default".into(), key: "key".into(), with_proof: false });
    let mut token = SessionToken::default();
    token.see_ledger(&"atlantis-1".parse().expect("a name"), 7);
    let id = world.ask(0, session(token), get());
    assert!(matches!(world.answered(0, id), Err(RequestError::Invalid { .. })));
    let mut at = partition("key");
    at.slot = 100_000;
    let mut token = SessionToken::default();
    token.see_position(Position { partition: at, writer: WriterId([9; 16]), seq: 3 });
    let id = world.ask(0, session(token), get());
    assert!(matches!(world.answered(0, id), Err(RequestError::Invalid { .. })));
}

#[test]
fn a_session_of_another_region_does_not_hold_up_a_read_of_the_own_ledger() {
    let mut world = World::new(&[3, 1]);
    let id = world.ask(0, Options::default(), append("key", "value", None));
    world.settle();
    appended(world.answered(0, id));
    // One of the three mirrors no other region.
    let bare = (0..3).find(|node| !mirrors(&mut world, *node)).expect("two mirror");
    let mut token = SessionToken::default();
    token.see_ledger(&region(1), 1);
    let record = Request::LedgerRecord(LedgerRecord { region: region(0), index: 0, with_proof: false });
    let read = world.ask(bare, session(token), record);
    assert!(world.answered(bare, read).is_ok());
}

fn mirrors(world: &mut World, node: usize) -> bool {
    if world.logs[&region(1)].borrow().len() < 4 {
        let id = world.ask(3, Options::default(), append("there", "value", None));
        world.settle();
        appended(world.answered(3, id));
    }
    let status = world.ask(node, Options::default(), Request::Status);
    match &world.answered(node, status).as_ref().expect("its status").reply {
        Reply::Status(status) => status.ledgers[&region(1)].size > 0,
        other => panic!("a status, not {other:?}"),
    }
}

#[test]
fn what_waits_is_bounded() {
    let mut world = World::new(&[3]);
    world.unseat(0);
    for number in 0..REQUESTS_WAITING_MAX {
        let id = world.ask(0, Options::default(), append(&format!("{number}"), "v", None));
        assert!(world.answer(0, id).is_none());
    }
    let id = world.ask(0, Options::default(), append("one more", "v", None));
    assert!(matches!(world.answered(0, id), Err(RequestError::Overloaded { .. })));
    world.pass(10_100);
    let id = world.ask(0, Options::default(), append("later", "v", None));
    assert!(world.answer(0, id).is_none(), "there is room again");
}

#[test]
fn large_values_that_wait_are_bounded_in_bytes_also_when_their_requests_are_over() {
    let mut world = World::new(&[1]);
    world.commits = false;
    let value = "v".repeat(8 * 1024 * 1024);
    let short = Options { timeout: Some(Duration::from_millis(100)), ..Options::default() };
    let mut refused = 0;
    for round in 0..3 {
        for number in 0..20 {
            let id = world.ask(0, short.clone(), append(&format!("{round} {number}"), &value, None));
            refused += usize::from(matches!(world.answer(0, id), Some(Err(RequestError::Overloaded { .. }))));
        }
        world.pass(200);
    }
    assert!((9..=40).contains(&refused), "{refused} of 60 were refused");
}

#[test]
fn a_request_is_not_handed_round_for_ever() {
    let mut world = World::new(&[3]);
    // Each of two takes the other for the leader.
    world.tell_leader(0, 1);
    world.tell_leader(1, 0);
    let before = world.delivered;
    let short = Options { timeout: Some(Duration::from_secs(2)), ..Options::default() };
    let id = world.ask(0, short, append("key", "value", None));
    world.pass(2_500);
    assert!(matches!(world.answered(0, id), Err(RequestError::Unavailable { .. } | RequestError::Unknown)));
    assert!(world.delivered - before < 2_000, "{} messages", world.delivered - before);
}

/// The numbers of the requests that a node is about to hand on.
fn forwarded(world: &World, node: usize) -> Vec<u64> {
    let number = |(_, message): &(_, PeerMessage)| match message {
        PeerMessage::Forward { number, .. } => Some(*number),
        _ => None,
    };
    world.nodes[node].sent.iter().filter_map(number).collect()
}

#[test]
fn an_answer_to_what_was_asked_before_a_restart_is_taken_for_no_other() {
    let mut world = World::new(&[3]);
    let ask = |world: &mut World| {
        for key in 0..20 {
            world.ask(1, Options::default(), append(&format!("{key}"), "value", None));
        }
        forwarded(world, 1)
    };
    let before = ask(&mut world);
    world.restart(1, None);
    world.settle();
    let after = ask(&mut world);
    assert!(before.len() == 20 && !after.is_empty(), "{} and {}", before.len(), after.len());
    assert!(after.iter().all(|number| !before.contains(number)), "{before:?} {after:?}");
}

#[test]
fn an_answer_to_an_earlier_attempt_is_none_to_a_later_one() {
    let mut world = World::new(&[3]);
    let short = Options { timeout: Some(Duration::from_secs(2)), ..Options::default() };
    world.loses = |_, _, _, message| matches!(message, PeerMessage::Forward { .. });
    let id = world.ask(1, short, append("key", "value", Some("once")));
    let earlier = forwarded(&world, 1)[0];
    world.run();
    let refused = || Err(RequestError::Unavailable { what: "not now".to_owned() });
    world.forge(0, 1, PeerMessage::Forwarded { number: earlier, answer: refused() });
    // It is handed on again, and comes late; the first refusal comes twice meanwhile.
    world.pass(1_900);
    world.forge(0, 1, PeerMessage::Forwarded { number: earlier, answer: refused() });
    assert!(world.answer(1, id).is_none(), "{:?}", world.answer(1, id));
    world.pass(200);
    assert_eq!(world.answered(1, id), &Err(RequestError::Unknown));
}

#[test]
fn a_request_that_comes_twice_from_another_node_is_served_once() {
    let mut world = World::new(&[3]);
    let (role, options, request) = (Role::Admin, Options::default(), append("key", "value", None));
    for _ in 0..2 {
        let (options, request) = (options.clone(), request.clone());
        world.forge(1, 0, PeerMessage::Forward { number: 7, role, options, request, hops: 1 });
    }
    world.run();
    let next = world.ask(0, Options::default(), append("key", "another", None));
    world.run();
    assert_eq!(appended(world.answered(0, next)), (1, false));
}

#[test]
fn an_answer_from_who_was_not_asked_is_no_answer() {
    let mut world = World::new(&[3]);
    let id = world.ask(1, Options::default(), append("key", "value", None));
    let asked = forwarded(&world, 1);
    assert!(!asked.is_empty(), "it was handed on");
    for number in asked {
        world.forge(2, 1, PeerMessage::Forwarded { number, answer: Err(RequestError::Unknown) });
    }
    assert!(world.answer(1, id).is_none());
    world.run();
    assert_eq!(appended(world.answered(1, id)), (0, false));
}

#[test]
fn a_node_that_says_too_much_of_itself_is_not_registered() {
    let mut world = World::new(&[2]);
    let registration = trine_replica::message::Registration {
        node: world.nodes[1].id,
        name: world.nodes[1].name.clone(),
        peer: "p".repeat(100_000),
        addresses: vec!["a".repeat(100_000); 100],
        raft: String::new(),
        http: None,
        writer: WriterId([77; 16]),
        levels: trine_crdt::FORMAT_LEVELS,
    };
    world.forge(1, 0, PeerMessage::Register(registration));
    world.settle();
    assert_eq!(world.nodes[0].halted, None);
    assert!(world.nodes[0].core.counters().messages_refused > 0);
}

#[test]
fn a_reader_writes_nothing_and_nobody_removes_a_node_that_is_not_there() {
    let mut world = World::new(&[1]);
    world.input(
        0,
        Input::Request {
            id: 900,
            role: Role::Reader,
            options: Options::default(),
            request: append("key", "value", None),
        },
    );
    assert!(matches!(world.answered(0, 900), Err(RequestError::Forbidden { .. })));
    let id = world.ask(0, Options::default(), Request::NodeRemove(NodeRemove { node: NodeId(5), force: false }));
    assert!(matches!(world.answered(0, id), Err(RequestError::NotFound { .. })));
}

#[test]
fn what_is_missing_is_told_as_data() {
    let mut world = World::new(&[3]);
    let (key, with_proof) = ("k".to_owned(), false);
    let get = |namespace: &str| {
        Request::LedgerGet(LedgerGet { namespace: namespace.to_owned(), key: key.clone(), with_proof })
    };
    let object = |namespace: &str| Request::ObjectGet(ObjectGet { namespace: namespace.to_owned(), key: key.clone() });
    for (request, missing) in [
        (get("default"), Missing::Key { key: key.clone() }),
        (get("nowhere"), Missing::namespace("nowhere")),
        (object("objects"), Missing::Object { key: key.clone() }),
        (object("us-east-1/17"), Missing::namespace("us-east-1/17")),
        (
            Request::LedgerRecord(LedgerRecord { region: region(0), index: 7, with_proof }),
            Missing::Record { region: region(0), index: 7 },
        ),
        (
            Request::NodeRemove(NodeRemove { node: NodeId(500), force: false }),
            Missing::Node { node: NodeId(500), region: region(0), left: false },
        ),
        (
            Request::NodeReadmit(NodeReadmit { name: "nobody".to_owned() }),
            Missing::ClosedName { name: "nobody".to_owned(), region: region(0) },
        ),
    ] {
        let id = world.ask(0, Options::default(), request);
        let Err(RequestError::NotFound { what }) = world.answered(0, id) else { panic!("{missing} is there") };
        assert_eq!(*what, missing);
    }
}

#[test]
fn a_read_at_a_node_without_room_is_answered_by_one_that_has_what_it_needs() {
    let mut world = World::new(&[3]);
    for full in [0, 1] {
        world.input(full, Input::Disk { writable: false });
        assert_eq!(world.nodes[full].core.ready(), Ok(()), "reads go on");
        assert!(world.nodes[full].core.writes().is_err());
    }
    let written = world.increment(2, "visits", Durability::Local);
    let token = world.answered(2, written).as_ref().expect("a write").session.clone();
    world.run();
    assert_eq!(world.counter(1, "visits"), None, "it takes nothing in");
    let get = || Request::ObjectGet(ObjectGet { namespace: "objects".into(), key: "visits".into() });
    let reads = [0, 1].map(|full| world.ask(full, session(token.clone()), get()));
    world.pass(1_000);
    for (full, read) in [0, 1].into_iter().zip(reads) {
        assert!(world.answered(full, read).is_ok(), "node {full} asks on, past the other that is full as well");
    }
    // Nobody has it who can be reached: the read waits, and is answered when somebody can be.
    let writer = world.nodes[2].id;
    [0, 1].into_iter().for_each(|full| world.input(full, Input::PeerDown(writer)));
    let read = world.ask(1, session(token), get());
    world.pass(1_000);
    assert!(world.answer(1, read).is_none());
    world.connect(2);
    world.pass(1_000);
    assert!(world.answered(1, read).is_ok());
}
