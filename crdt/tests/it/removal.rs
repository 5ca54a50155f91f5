//! Stories about removal: what goes, what stays, and what must not come back.

use std::collections::BTreeMap;

use bytes::Bytes;
use trine_crdt::{Delta, Dot, Object, Operation, Timestamp, View};

use crate::history::{assert_same, writer};

const A: usize = 0;
const B: usize = 1;

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn add(element: &'static str) -> Operation {
    Operation::Add(bytes(element))
}

fn remove(element: &'static str) -> Operation {
    Operation::Remove(bytes(element))
}

fn field(name: &str, operation: Operation) -> Operation {
    Operation::Field { name: name.to_owned(), operation: Box::new(operation) }
}

fn set(elements: &[&'static str]) -> Vec<View> {
    vec![View::Set(elements.iter().map(|element| bytes(element)).collect())]
}

fn edit(object: &mut Object, by: usize, seq: u64, operation: Operation) -> Delta {
    let stamp = Timestamp { time: seq, writer: writer(by) };
    object.edit(Dot::new(writer(by), seq), seq - 1, stamp, &operation).expect("allowed")
}

#[test]
fn an_add_wins_over_a_concurrent_remove() {
    let (mut a, mut b) = (Object::default(), Object::default());
    let first = edit(&mut a, A, 1, add("x"));
    b.apply(writer(A), 0, &first);
    let again = edit(&mut a, A, 2, add("x"));
    let removal = edit(&mut b, B, 1, remove("x"));
    a.apply(writer(B), 0, &removal);
    b.apply(writer(A), 1, &again);
    assert_same(&a, &b, "both heard both");
    assert_eq!(a.view(), set(&["x"]));
}

#[test]
fn a_removal_that_arrives_before_the_add_kills_it_on_arrival() {
    let (mut a, mut b, mut c) = (Object::default(), Object::default(), Object::default());
    let added = edit(&mut a, A, 1, add("x"));
    b.apply(writer(A), 0, &added);
    let removal = edit(&mut b, B, 1, remove("x"));
    c.apply(writer(B), 0, &removal);
    assert_eq!(c.context().ahead_len(), 1, "the removed dot waits for its edit");
    c.apply(writer(A), 0, &added);
    assert!(c.is_empty());
    assert_eq!(c.context().ahead_len(), 0, "and is forgotten once the edit has come");
    assert_same(&b, &c, "the one that heard them in order");
}

#[test]
fn a_removed_element_does_not_come_back_with_old_deltas_or_old_objects() {
    let mut a = Object::default();
    let added = edit(&mut a, A, 1, add("x"));
    let old = a.clone();
    let removal = edit(&mut a, A, 2, remove("x"));
    let emptied = a.clone();
    a.apply(writer(A), 0, &added);
    assert_same(&a, &emptied, "after the add came again");
    a.join(&old);
    assert_same(&a, &emptied, "after a restored backup came along");
    // The backup learns the same, also when it is told of the removal by an interval that begins before it.
    let mut backup = old;
    let mut both = added;
    both.then(removal);
    backup.apply(writer(A), 0, &both);
    assert_same(&backup, &emptied, "the backup, caught up");
}

#[test]
fn removing_a_field_removes_what_was_seen_below_it_and_an_update_at_the_same_time_survives() {
    let (mut a, mut b) = (Object::default(), Object::default());
    for (seq, operation) in [add("old"), add("other")].into_iter().enumerate() {
        let delta = edit(&mut a, A, seq as u64 + 1, field("cart", operation));
        b.apply(writer(A), seq as u64, &delta);
    }
    let update = edit(&mut a, A, 3, field("cart", add("new")));
    let removal = edit(&mut b, B, 1, Operation::RemoveField("cart".to_owned()));
    assert!(b.is_empty());
    a.apply(writer(B), 0, &removal);
    b.apply(writer(A), 2, &update);
    assert_same(&a, &b, "both heard both");
    assert_eq!(a.view(), vec![View::Map(BTreeMap::from([("cart".to_owned(), set(&["new"]))]))]);
}

#[test]
fn removing_a_field_leaves_its_neighbours_even_where_names_are_prefixes() {
    let mut a = Object::default();
    edit(&mut a, A, 1, field("a", add("x")));
    edit(&mut a, A, 2, field("ab", add("x")));
    edit(&mut a, A, 3, field("a", Operation::Delete));
    assert_eq!(a.view(), vec![View::Map(BTreeMap::from([("ab".to_owned(), set(&["x"]))]))]);
}

#[test]
fn a_counter_removed_while_a_writer_increments_keeps_that_writers_share_and_loses_the_others() {
    let (mut a, mut b) = (Object::default(), Object::default());
    let ours = edit(&mut a, A, 1, field("n", Operation::Increment(5)));
    b.apply(writer(A), 0, &ours);
    let theirs = edit(&mut b, B, 1, field("n", Operation::Increment(10)));
    a.apply(writer(B), 0, &theirs);
    let removal = edit(&mut b, B, 2, Operation::RemoveField("n".to_owned()));
    let more = edit(&mut a, A, 2, field("n", Operation::Increment(1)));
    a.apply(writer(B), 1, &removal);
    b.apply(writer(A), 1, &more);
    assert_same(&a, &b, "both heard both");
    let total = |object: &Object| match &object.view()[..] {
        [View::Map(fields)] => fields["n"].clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(total(&a), vec![View::Counter(6)]);
    // Having seen the removal, a writer starts from nothing.
    edit(&mut a, A, 3, Operation::RemoveField("n".to_owned()));
    edit(&mut a, A, 4, field("n", Operation::Increment(2)));
    assert_eq!(total(&a), vec![View::Counter(2)]);
}

#[test]
fn kinds_made_at_the_same_time_stand_side_by_side_until_somebody_deletes() {
    let (mut a, mut b) = (Object::default(), Object::default());
    let ours = edit(&mut a, A, 1, Operation::Set(bytes("v")));
    let theirs = edit(&mut b, B, 1, Operation::Increment(-3));
    a.apply(writer(B), 0, &theirs);
    b.apply(writer(A), 0, &ours);
    assert_same(&a, &b, "both heard both");
    assert_eq!(a.view(), vec![View::Counter(-3), View::Register(bytes("v"))]);
    edit(&mut a, A, 2, Operation::Delete);
    assert!(a.is_empty());
    edit(&mut a, A, 3, add("x"));
    assert_eq!(a.view(), set(&["x"]));
}

#[test]
fn a_delta_of_many_edits_names_only_what_lies_outside_its_interval() {
    let mut a = Object::default();
    let mut all = edit(&mut a, A, 1, Operation::Set(bytes("0")));
    for seq in 2..=1000 {
        all.then(edit(&mut a, A, seq, Operation::Set(bytes("v"))));
    }
    assert!(all.to_bytes().len() < 100, "a thousand writes coalesce into one of {} bytes", all.to_bytes().len());
    let mut b = Object::default();
    b.apply(writer(A), 0, &all);
    assert_same(&a, &b, "caught up at once");
}
