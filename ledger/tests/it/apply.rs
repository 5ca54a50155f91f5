//! What becomes of commands.

use trine_crdt::{NodeId, Timestamp};
use trine_ledger::limits::{IDEMPOTENCY_ROWS_MAX, IDEMPOTENCY_WINDOW_S};
use trine_ledger::registry::{Recovery, Registry};
use trine_ledger::{
    AppendCommand, Applied, ApplyError, Change, Command, Condition, Entry, LedgerState, NamespaceKind, OpenSegment,
    Outcome, Refusal,
};

use crate::fixture::{Ledger, append, at, body, header, node, put, put_if, put_once, restore, tick};

fn only(outcome: Outcome) -> Applied {
    let [applied] = <[Applied; 1]>::try_from(outcome.applied).expect("one command");
    applied
}

fn record_index(applied: &Applied) -> u64 {
    match applied {
        Applied::Record(record) => record.index,
        other => panic!("no record: {other:?}"),
    }
}

#[test]
fn records_are_counted_and_log_entries_are_not() {
    let mut ledger = Ledger::new();
    assert_eq!(ledger.state.pass::<()>(ledger.position()), Ok(()));
    ledger.index += 1;
    let outcome = ledger.apply(vec![put(at(1), "a", "1"), put(at(2), "b", "2")]);
    let Applied::Record(second) = &outcome.applied[1] else { panic!("no record") };
    assert_eq!((second.index, second.command, second.key.as_str()), (1, 1, "b"));
    assert_eq!(second.header.stamp, at(2));
    ledger.state.pass::<()>(ledger.position()).expect("the next entry");
    ledger.index += 1;
    assert_eq!(record_index(&only(ledger.apply(vec![put(at(3), "a", "3")]))), 2);
    assert_eq!(ledger.state.size(), 3);
}

#[test]
fn an_entry_is_applied_once_and_none_is_missed() {
    let mut ledger = Ledger::new();
    ledger.apply(vec![put(at(1), "a", "1")]);
    let before = ledger.state.clone();
    for (found, what) in [(0, "a repeated entry"), (2, "a gap")] {
        let mut position = ledger.position();
        position.index = found;
        let entry = Entry { commands: vec![put(at(2), "a", "2")] };
        let refused = ledger.state.apply(position, &entry, &mut ledger.rows);
        assert_eq!(refused, Err(ApplyError::OutOfOrder { expected: 1, found }), "{what}");
        assert_eq!(ledger.state, before);
    }
}

#[test]
fn a_row_that_cannot_be_read_leaves_everything_as_it_was() {
    struct Broken;
    impl trine_ledger::Lookup for Broken {
        type Error = &'static str;
        fn latest(&mut self, _: &trine_crdt::NamespaceId, _: &str) -> Result<Option<u64>, Self::Error> {
            Err("the disk failed")
        }
        fn remembered(&mut self, _: &[u8; 32]) -> Result<Option<trine_ledger::Remembered>, Self::Error> {
            Ok(None)
        }
        fn remembered_at(&mut self, _: u64) -> Result<([u8; 32], Timestamp), Self::Error> {
            Err("the disk failed")
        }
    }
    let mut ledger = Ledger::new();
    let commands = vec![put(at(1), "a", "1"), put_if(at(2), "a", "2", Condition::Index(0))];
    let (before, position) = (ledger.state.clone(), ledger.position());
    let refused = ledger.state.apply(position, &Entry { commands }, &mut Broken);
    assert_eq!(refused, Err(ApplyError::Lookup("the disk failed")));
    assert_eq!(ledger.state, before, "the first command has not taken effect either");
}

#[test]
fn a_stamp_below_the_last_one_changes_nothing() {
    let mut ledger = Ledger::new();
    ledger.apply(vec![put(at(5), "a", "1")]);
    for stamp in [at(5), at(4)] {
        let refused = Applied::Refused(Refusal::StampNotAbove { last: at(5), found: stamp });
        assert_eq!(only(ledger.apply(vec![put(stamp, "a", "2")])), refused);
    }
    assert_eq!((ledger.state.size(), ledger.state.stamp()), (1, at(5)));
}

#[test]
fn a_forged_body_is_no_record() {
    let mut ledger = Ledger::new();
    let forged = AppendCommand { body: body("a", "owed"), ..append(at(1), "a", "paid") };
    let applied = only(ledger.apply(vec![Command::Append(Box::new(forged))]));
    assert!(matches!(applied, Applied::Refused(Refusal::Record(_))));
    let garbled = AppendCommand { header: "no header".into(), ..append(at(2), "a", "paid") };
    let applied = only(ledger.apply(vec![Command::Append(Box::new(garbled))]));
    assert!(matches!(applied, Applied::Refused(Refusal::Record(_))));
    assert_eq!(ledger.state.size(), 0);
}

#[test]
fn conditions_see_what_came_before_them_in_their_own_entry() {
    let mut ledger = Ledger::new();
    let outcome = ledger.apply(vec![
        put_if(at(1), "a", "1", Condition::Absent),
        put_if(at(2), "a", "2", Condition::Absent),
        put_if(at(3), "a", "3", Condition::Index(0)),
        put_if(at(4), "a", "4", Condition::Index(0)),
        put_if(at(5), "b", "5", Condition::Index(0)),
    ]);
    assert_eq!(record_index(&outcome.applied[0]), 0);
    assert_eq!(outcome.applied[1], Applied::ConditionFailed { actual: Some(0) });
    assert_eq!(record_index(&outcome.applied[2]), 1);
    assert_eq!(outcome.applied[3], Applied::ConditionFailed { actual: Some(1) });
    assert_eq!(outcome.applied[4], Applied::ConditionFailed { actual: None });
    let later = only(ledger.apply(vec![put_if(at(6), "a", "6", Condition::Index(1))]));
    assert_eq!(record_index(&later), 2);
}

#[test]
fn a_repeated_append_gets_the_first_ones_answer() {
    let mut ledger = Ledger::new();
    let outcome = ledger.apply(vec![put_once(at(1), "a", "1", 1), put_once(at(2), "a", "1", 1)]);
    let Applied::Record(first) = &outcome.applied[0] else { panic!("no record") };
    let duplicate = Applied::Duplicate { index: 0, stamp: at(1), leaf: first.leaf };
    assert_eq!(outcome.applied[1], duplicate);
    ledger.restart();
    assert_eq!(only(ledger.apply(vec![put_once(at(3), "a", "1", 1)])), duplicate);
    // The first append succeeded: repeating it must not trip over its own condition.
    let conditional = |stamp| {
        let Command::Append(append) = put_if(stamp, "c", "1", Condition::Absent) else { unreachable!() };
        Command::Append(Box::new(AppendCommand { idempotency: Some([3; 32]), ..*append }))
    };
    let outcome = ledger.apply(vec![conditional(at(4)), conditional(at(5))]);
    assert!(matches!(outcome.applied[1], Applied::Duplicate { index: 1, .. }));
}

#[test]
fn a_key_is_remembered_for_ten_minutes_of_hybrid_time() {
    let mut ledger = Ledger::new();
    ledger.apply(vec![put_once(at(0), "a", "1", 1)]);
    let last = at(IDEMPOTENCY_WINDOW_S);
    assert!(matches!(only(ledger.apply(vec![put_once(last, "a", "1", 1)])), Applied::Duplicate { index: 0, .. }));
    let outcome = ledger.apply(vec![put_once(tick(last, 1), "a", "1", 1)]);
    assert_eq!(outcome.changes[0], Change::Forget { number: 0, key: [1; 32] });
    assert!(matches!(outcome.changes[1], Change::Remember { key, row } if key == [1; 32] && row.number == 1));
    assert_eq!(record_index(&only(outcome)), 1);
    assert_eq!((ledger.rows.by_key.len(), ledger.rows.by_number.len()), (1, 1));
}

#[test]
fn old_keys_are_forgotten_a_few_at_a_time_and_all_in_the_end() {
    let mut ledger = Ledger::new();
    ledger.apply((0..100).map(|n| put_once(tick(at(0), u64::from(n)), "a", "1", n)).collect());
    let mut stamp = at(IDEMPOTENCY_WINDOW_S + 1);
    let mut rows = vec![ledger.rows.by_number.len()];
    while ledger.rows.by_number.len() > 1 {
        stamp = tick(stamp, 1);
        // Forgotten or not, an old key no longer stands for anything.
        let applied = only(ledger.apply(vec![put_once(stamp, "a", "1", 99)]));
        assert!(matches!((rows.len(), applied), (1, Applied::Record(_)) | (_, Applied::Duplicate { .. })));
        rows.push(ledger.rows.by_number.len());
        assert!(rows.len() < 40, "{rows:?}");
    }
    assert_eq!(ledger.rows.by_key.len(), 1);
}

#[test]
fn a_full_table_refuses_keyed_appends_and_forgets_none_early() {
    let mut ledger = Ledger::new();
    ledger.apply(vec![put_once(at(0), "a", "1", 1)]);
    let mut head = ledger.state.head_to_bytes().to_vec();
    let next = head.len() - 8;
    head[next..].copy_from_slice(&IDEMPOTENCY_ROWS_MAX.to_be_bytes());
    let registry = ledger.state.registry().to_bytes().expect("within bounds");
    ledger.state = LedgerState::from_bytes(&head.into(), &registry).expect("our own form");
    ledger.rows.by_number.extend((1..20).map(|number| (number, ([9; 32], at(0)))));
    let keyed = only(ledger.apply(vec![put_once(at(1), "a", "2", 2)]));
    assert_eq!(keyed, Applied::Refused(Refusal::IdempotencyFull));
    assert!(matches!(only(ledger.apply(vec![put_once(at(2), "a", "1", 1)])), Applied::Duplicate { index: 0, .. }));
    assert_eq!(record_index(&only(ledger.apply(vec![put(at(3), "a", "2")]))), 1, "others go on");
    let later = at(IDEMPOTENCY_WINDOW_S + 1);
    assert_eq!(record_index(&only(ledger.apply(vec![put_once(later, "a", "2", 2)]))), 2, "time makes room");
}

#[test]
fn a_wiped_node_comes_back_as_another_and_the_old_one_never() {
    let mut ledger = Ledger::new();
    let register = |stamp, id, name, writer| Command::Register(node(stamp, id, name, writer));
    let a = "us-east-1-a";
    let first = only(ledger.apply(vec![register(at(1), 1, a, 1)]));
    assert_eq!(first, Applied::Registered { node: NodeId(1), displaced: None, epoch: 0 });
    let again = ledger.apply(vec![register(at(2), 1, a, 1)]);
    assert!(!again.registry_changed, "a repeated registration is none");
    assert_eq!(only(again), Applied::Registered { node: NodeId(1), displaced: None, epoch: 0 });
    let restarted = only(ledger.apply(vec![register(at(3), 1, a, 2)]));
    assert_eq!(restarted, Applied::Registered { node: NodeId(1), displaced: None, epoch: 2 });
    let wiped = only(ledger.apply(vec![register(at(4), 2, a, 3)]));
    assert_eq!(wiped, Applied::Registered { node: NodeId(2), displaced: Some(NodeId(1)), epoch: 3 });
    let old = Applied::Refused(Refusal::NodeRetired { node: NodeId(1) });
    assert_eq!(only(ledger.apply(vec![register(at(5), 1, a, 4)])), old);
    assert_eq!(only(ledger.apply(vec![register(at(6), 1, "us-east-1-b", 4)])), old);
    let renamed = Applied::Refused(Refusal::OtherName { name: a.into() });
    assert_eq!(only(ledger.apply(vec![register(at(7), 2, "us-east-1-b", 4)])), renamed);
    let stolen = Applied::Refused(Refusal::WriterTaken);
    assert_eq!(only(ledger.apply(vec![register(at(8), 3, "us-east-1-b", 3)])), stolen);
    ledger.restart();
    let roster: Vec<_> = ledger.state.registry().roster.keys().collect();
    assert_eq!((roster, ledger.state.registry().epoch), (vec![&NodeId(2)], 3));
}

#[test]
fn a_removed_node_stays_out_until_it_is_replaced() {
    let mut ledger = Ledger::new();
    let a = "us-east-1-a";
    ledger.apply(vec![Command::Register(node(at(1), 1, a, 1))]);
    let removed = only(ledger.apply(vec![Command::Retire { stamp: at(2), node: NodeId(1) }]));
    assert_eq!(removed, Applied::Removed { node: NodeId(1), replaceable: false, epoch: 1 });
    ledger.restart();
    let sneaked = only(ledger.apply(vec![Command::Register(node(at(3), 2, a, 2))]));
    assert_eq!(sneaked, Applied::Refused(Refusal::NameClosed { node: NodeId(1) }));
    let twice = only(ledger.apply(vec![Command::Retire { stamp: at(4), node: NodeId(1) }]));
    assert_eq!(twice, Applied::Refused(Refusal::UnknownNode { node: NodeId(1) }));
    let opened = only(ledger.apply(vec![Command::Replace { stamp: at(5), node: NodeId(1) }]));
    assert_eq!(opened, Applied::Removed { node: NodeId(1), replaceable: true, epoch: 4 });
    let joined = only(ledger.apply(vec![Command::Register(node(at(6), 2, a, 2))]));
    assert_eq!(joined, Applied::Registered { node: NodeId(2), displaced: None, epoch: 5 });
    let replaced = only(ledger.apply(vec![Command::Replace { stamp: at(7), node: NodeId(2) }]));
    assert_eq!(replaced, Applied::Removed { node: NodeId(2), replaceable: true, epoch: 6 });
    assert_eq!(ledger.state.registry().retired.len(), 2);
}

#[test]
fn a_majority_that_is_written_off_never_returns_and_the_ledger_says_so() {
    let mut ledger = Ledger::new();
    for (number, name) in [(1, "us-east-1-a"), (2, "us-east-1-b"), (3, "us-east-1-c")] {
        ledger.apply(vec![Command::Register(node(at(number), number, name, number as u8))]);
    }
    ledger.apply(vec![put(at(4), "orders/7", "paid")]);
    let recover = |stamp, node| Command::Recover { stamp, node: NodeId(node), survivor: NodeId(2) };
    let done = Recovery { index: 4, stamp: at(5), node: NodeId(9), survivor: NodeId(2), records: 1 };
    assert_eq!(only(ledger.apply(vec![recover(at(5), 9)])), Applied::Recovered(done.clone()));
    ledger.restart();
    assert_eq!((ledger.state.registry().roster.len(), ledger.state.registry().epoch), (0, 4));
    assert_eq!(ledger.state.registry().recoveries, [done]);
    for number in 1..=3 {
        let back = only(ledger.apply(vec![Command::Register(node(at(5 + number), number, "us-east-1-x", 7))]));
        assert_eq!(back, Applied::Refused(Refusal::NodeRetired { node: NodeId(number) }));
    }
    // The names are free.
    let joined = only(ledger.apply(vec![Command::Register(node(at(9), 9, "us-east-1-b", 8))]));
    assert!(matches!(joined, Applied::Registered { displaced: None, .. }), "{joined:?}");
    // An id that was retired, or that is written off with the others, goes on nowhere.
    for node in [1, 2, 9] {
        let refused = only(ledger.apply(vec![recover(at(20 + node), node)]));
        assert_eq!(refused, Applied::Refused(Refusal::NodeRetired { node: NodeId(node) }));
    }
}

#[test]
fn a_namespace_is_named_by_where_it_was_created() {
    let mut ledger = Ledger::new();
    let create = |stamp, name: &str, kind| Command::CreateNamespace { stamp, name: name.into(), kind, slots: 256 };
    ledger.apply(vec![put(at(1), "a", "1")]);
    let outcome = ledger
        .apply(vec![create(at(2), "carts", NamespaceKind::Objects), create(at(3), "audit", NamespaceKind::Ledger)]);
    let Applied::Namespace(carts) = &outcome.applied[0] else { panic!("no namespace") };
    assert_eq!(carts.id.to_string(), "us-east-1/1");
    assert_eq!(outcome.applied[1], Applied::Refused(Refusal::SecondNamespace));
    for (stamp, name, id) in [(at(4), "carts", "us-east-1/1"), (at(5), "default", "_/0"), (at(6), "objects", "_/1")] {
        let refused = Refusal::NamespaceExists { id: id.parse().expect("an id") };
        let applied = only(ledger.apply(vec![create(stamp, name, NamespaceKind::Ledger)]));
        assert_eq!(applied, Applied::Refused(refused));
    }
    ledger.restart();
    let body = body("a", "1");
    let header = trine_ledger::RecordHeader { namespace: carts.id.clone(), ..header(at(7), &body) };
    let header = header.to_bytes().expect("within bounds");
    let misplaced = AppendCommand { header, body, idempotency: None, condition: None };
    let refused = Applied::Refused(Refusal::NotLedger { id: carts.id.clone() });
    assert_eq!(only(ledger.apply(vec![Command::Append(Box::new(misplaced))])), refused);
}

#[test]
fn a_segment_is_its_records_and_not_their_framing() {
    let seal = |stamp| Command::Seal { stamp };
    let puts: Vec<_> = (1..=5).map(|n| put(at(n), "a", &n.to_string())).collect();
    let mut together = Ledger::new();
    together.apply(puts.clone());
    let Applied::Sealed(one) = only(together.apply(vec![seal(at(6))])) else { panic!("not sealed") };
    let mut apart = Ledger::new();
    for command in puts {
        apart.apply(vec![command]);
        apart.restart();
    }
    let Applied::Sealed(other) = only(apart.apply(vec![seal(at(7))])) else { panic!("not sealed") };
    assert_eq!(one, other);
    assert_eq!((one.number, one.first, one.count, one.root), (0, 0, 5, together.state.root()));
    // Whoever holds the records alone comes to the same segment.
    let mut copied = OpenSegment::default();
    for n in 1..=5 {
        copied.push(&append(at(n), "a", &n.to_string()).record().to_bytes().expect("within bounds"));
    }
    assert_eq!(copied.seal(one.root).0, one);
    let empty = Applied::Refused(Refusal::NothingToSeal);
    assert_eq!(only(apart.apply(vec![seal(at(8))])), empty);
    apart.apply(vec![put(at(9), "b", "1")]);
    let Applied::Sealed(next) = only(apart.apply(vec![seal(at(10))])) else { panic!("not sealed") };
    assert_eq!((next.number, next.first, next.count), (1, 5, 1));
}

#[test]
fn what_was_lost_is_put_back_at_its_index_or_not_at_all() {
    let mut whole = Ledger::new();
    whole.apply((1..=4).map(|n| put(at(n), "a", &n.to_string())).collect());
    let mut rest = Ledger::new();
    rest.apply(vec![put(at(1), "a", "1")]);
    // The log has gone on meanwhile, with what is no record.
    rest.apply(vec![Command::Register(node(at(50), 1, "us-east-1-a", 1))]);
    let back = |index: u64| restore(index, at(index + 1), "a", &(index + 1).to_string());
    let refused = Applied::Refused(Refusal::OtherIndex { size: 1, found: 2 });
    assert_eq!(only(rest.apply(vec![back(2)])), refused, "not the next one");
    let outcome = rest.apply(vec![back(1), back(2), back(3)]);
    assert_eq!(outcome.applied.iter().map(record_index).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((rest.state.size(), rest.state.root()), (4, whole.state.root()));
    let again = Applied::Refused(Refusal::OtherIndex { size: 4, found: 1 });
    assert_eq!(only(rest.apply(vec![back(1)])), again, "proposed twice, it is there once");
    // Stamps go on above all that the log has seen.
    let stale = only(rest.apply(vec![put(at(9), "a", "9")]));
    assert!(matches!(stale, Applied::Refused(Refusal::StampNotAbove { .. })));
    assert_eq!(record_index(&only(rest.apply(vec![put(at(51), "a", "5")]))), 4);
}

#[test]
fn a_registry_that_went_back_counts_on_above_what_was_told() {
    let mut ledger = Ledger::new();
    ledger.apply(vec![Command::Register(node(at(1), 2, "us-east-1-a", 2))]);
    let told = Registry {
        roster: [(NodeId(1), node(at(0), 1, "us-east-1-a", 1)), (NodeId(3), node(at(0), 3, "us-east-1-b", 3))].into(),
        retired: [NodeId(9)].into(),
        ..Registry::default()
    };
    let resume = |stamp| Command::Resume { stamp, version: 40, registry: Box::new(told.clone()) };
    assert_eq!(only(ledger.apply(vec![resume(at(2))])), Applied::Resumed);
    ledger.restart();
    let registry = ledger.state.registry();
    assert_eq!(registry.roster.keys().copied().collect::<Vec<_>>(), [NodeId(2), NodeId(3)], "a name has one node");
    assert_eq!(registry.retired, [NodeId(1), NodeId(9)].into());
    let create =
        Command::CreateNamespace { stamp: at(3), name: "carts".into(), kind: NamespaceKind::Objects, slots: 256 };
    let Applied::Namespace(carts) = only(ledger.apply(vec![create])) else { panic!("no namespace") };
    assert_eq!(carts.id.to_string(), "us-east-1/41", "an index that no former namespace had");
}
