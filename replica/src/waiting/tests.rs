use std::collections::BTreeSet;

use trine_crdt::{NamespaceId, PartitionId, Timestamp};
use trine_protocol::reply::{Answer, Reply};
use trine_protocol::request::{ObjectEdit, Options};
use trine_protocol::{Consistency, Edit, Request, Role, SessionToken};

use super::{Asked, Cause, Origin, Wait, Waiting};
use crate::fixture::{FAR, NEAR, WRITER, stamp};
use crate::sizes::Sizes;

fn asked(request: Request) -> Box<Asked> {
    let (origin, role, options) = (Origin::Client(7), Role::Writer, Options::default());
    Box::new(Asked { origin, role, options, request, hops: 0, tried: false, passed: BTreeSet::new(), why: None })
}

fn edit() -> Box<Asked> {
    let (namespace, key) = ("objects".to_owned(), "visits".to_owned());
    asked(Request::ObjectEdit(ObjectEdit { namespace, key, edit: Edit::Increment(1) }))
}

fn waiting(cause: Cause) -> (Waiting, u64) {
    let mut waiting = Waiting::new(WRITER);
    let number = waiting.add(Origin::Client(7), 100, cause);
    (waiting, number)
}

fn cause(waiting: &Waiting, number: u64) -> &Cause {
    &waiting.get(number).expect("it waits").cause
}

#[test]
fn a_majority_counts_each_node_once() {
    let partition = PartitionId { namespace: NamespaceId::default_objects(), slot: 3 };
    let answer = Answer { reply: Reply::Done, session: SessionToken::default(), timestamp: Timestamp::ZERO };
    let (have, at) = (BTreeSet::new(), partition.clone());
    let (mut waiting, _) = waiting(Cause::Majority { partition: at, seq: 5, have, answer: Box::new(answer) });
    assert!(waiting.wants(&partition));
    assert!(waiting.have(&partition, 4, NEAR, 1).is_empty(), "that is the write before");
    assert!(waiting.have(&partition, 5, NEAR, 2).is_empty() && waiting.have(&partition, 6, NEAR, 2).is_empty());
    assert_eq!(waiting.have(&partition, 5, FAR, 2).len(), 1);
    assert!(!waiting.wants(&partition) && waiting.deadline().is_none(), "nothing is left of it");
}

#[test]
fn what_would_be_done_twice_is_not_sent_again() {
    let (mut once, number) = waiting(Cause::Elsewhere { to: NEAR, asked: edit() });
    assert_eq!(once.take_unsent().len(), 1);
    once.send_again(NEAR);
    assert!(matches!(cause(&once, number), Cause::Elsewhere { .. }), "an edit may have been made");
    let (mut again, number) = waiting(Cause::Elsewhere { to: NEAR, asked: asked(Request::Status) });
    again.send_again(FAR);
    assert!(again.handed_to(number, NEAR).is_some() && again.handed_to(number, FAR).is_none());
    again.send_again(NEAR);
    assert_eq!(again.routes(), [number]);
    assert!(again.take_unsent().is_empty(), "it waits for another way");
}

#[test]
fn what_may_be_in_the_log_goes_on_waiting_and_what_surely_is_not_is_tried_again() {
    let stamp = stamp(WRITER);
    let committed = || Cause::Commit { stamp, with_proof: true, asked: Some(edit()) };
    let (mut unknown, number) = waiting(committed());
    unknown.not_committed(&stamp, false, true);
    assert!(matches!(cause(&unknown, number), Cause::Commit { asked: None, .. }));
    assert!(unknown.take_committed(&stamp).is_some(), "and is answered when it turns up");
    let (mut refused, number) = waiting(committed());
    refused.not_committed(&stamp, true, false);
    assert!(matches!(cause(&refused, number), Cause::Route(asked) if !asked.tried));
}

#[test]
fn a_barrier_that_failed_is_asked_for_again_and_one_that_stands_waits_for_its_index() {
    let read = || Cause::Barrier { ticket: 1, index: None, asked: asked(Request::Status) };
    let (mut failed, number) = waiting(read());
    failed.barrier(2, None);
    assert!(failed.routes().is_empty(), "that was another one");
    failed.barrier(1, None);
    assert!(
        matches!(cause(&failed, number), Cause::Route(asked) if asked.options.consistency == Consistency::Regional)
    );
    let (mut stands, number) = waiting(read());
    stands.barrier(1, Some(9));
    assert!(stands.reached(8).is_empty());
    assert_eq!(stands.reached(9), [number]);
}

#[test]
fn room_is_bounded_in_bytes_and_comes_back() {
    let value = bytes::Bytes::from(vec![0; 100]);
    let (namespace, key) = ("objects".to_owned(), "k".to_owned());
    let large = asked(Request::ObjectEdit(ObjectEdit { namespace, key, edit: Edit::Set(value) }));
    let (mut waiting, _) = waiting(Cause::Route(large));
    let sizes = Sizes { waiting_bytes: 150, ..Sizes::default() };
    assert!(waiting.room(0, &sizes).is_ok() && waiting.room(50, &sizes).is_err());
    assert!(waiting.expired(99).is_empty());
    assert!(matches!(waiting.expired(100)[..], [Wait { origin: Origin::Client(7), .. }]));
    assert!(waiting.room(50, &sizes).is_ok());
}
