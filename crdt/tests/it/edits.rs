//! What is refused, and that a refusal leaves no trace.

use bytes::Bytes;
use trine_crdt::limits::{ELEMENT_BYTES_MAX, MAP_DEPTH_MAX, OBJECT_BYTES_MAX};
use trine_crdt::{Delta, Dot, EditError, Kind, Object, Operation, Timestamp, View};

use crate::history::writer;

fn edit(object: &mut Object, seq: u64, operation: &Operation) -> Result<Delta, EditError> {
    let stamp = Timestamp { time: seq, writer: writer(0) };
    object.edit(Dot::new(writer(0), seq), seq - 1, stamp, operation)
}

fn field(name: &str, operation: Operation) -> Operation {
    Operation::Field { name: name.to_owned(), operation: Box::new(operation) }
}

fn deep(levels: usize) -> Operation {
    (0..levels).fold(Operation::Increment(1), |below, _| field("d", below))
}

#[test]
fn each_kind_refuses_the_operations_of_the_others() {
    let value = || Bytes::from_static(b"v");
    let makers = [
        (Kind::Counter, Operation::Increment(1)),
        (Kind::Register, Operation::Set(value())),
        (Kind::MultiValue, Operation::Put(value())),
        (Kind::Set, Operation::Add(value())),
        (Kind::Map, field("f", Operation::Increment(1))),
    ];
    let more = [(Kind::Set, Operation::Remove(value())), (Kind::Map, Operation::RemoveField("f".to_owned()))];
    for (actual, maker) in &makers {
        let mut object = Object::default();
        edit(&mut object, 1, maker).expect("an empty object takes any kind");
        assert_eq!(object.kinds().into_iter().collect::<Vec<_>>(), [*actual]);
        for (asked, operation) in makers.iter().chain(&more) {
            let before = object.clone();
            let mut tried = object.clone();
            let result = edit(&mut tried, 2, operation);
            if asked == actual {
                assert!(result.is_ok(), "{operation:?} on a {actual}");
            } else {
                assert_eq!(result.unwrap_err(), EditError::WrongKind { actual: *actual, asked: *asked });
                assert_eq!(tried, before, "a refusal leaves no trace");
            }
            // The same a level below.
            let mut outer = Object::default();
            edit(&mut outer, 1, &field("g", maker.clone())).expect("empty");
            assert_eq!(edit(&mut outer, 2, &field("g", operation.clone())).is_ok(), asked == actual);
        }
    }
}

#[test]
fn removing_what_is_not_there_uses_its_dot_and_does_nothing_else() {
    for operation in [
        Operation::Remove(Bytes::from_static(b"x")),
        Operation::RemoveField("x".to_owned()),
        Operation::Delete,
        field("x", Operation::Remove(Bytes::from_static(b"x"))),
    ] {
        let mut object = Object::default();
        let delta = edit(&mut object, 7, &operation).expect("harmless");
        assert_eq!(delta.last, 7);
        assert_eq!(object.context().last(&writer(0)), 7);
        assert!(object.is_empty());
        let mut other = Object::default();
        other.apply(writer(0), 6, &delta);
        assert_eq!(other, object);
    }
}

#[test]
fn depth_and_sizes_are_bounded() {
    let mut object = Object::default();
    edit(&mut object, 1, &deep(MAP_DEPTH_MAX)).expect("as deep as may be");
    assert_eq!(Object::from_bytes(&object.to_bytes()).as_ref(), Ok(&object));
    for levels in [MAP_DEPTH_MAX + 1, 1000] {
        assert_eq!(edit(&mut Object::default(), 1, &deep(levels)), Err(EditError::TooDeep));
    }

    let long = "n".repeat(ELEMENT_BYTES_MAX + 1);
    let too_large = EditError::TooLarge { bytes: ELEMENT_BYTES_MAX + 1, bytes_max: ELEMENT_BYTES_MAX };
    let mut object = Object::default();
    assert_eq!(edit(&mut object, 1, &field(&long, Operation::Increment(1))), Err(too_large.clone()));
    assert_eq!(edit(&mut object, 1, &Operation::Add(Bytes::from(long))), Err(too_large));
}

#[test]
fn a_full_object_takes_what_makes_it_lighter() {
    let mut object = Object::default();
    let half = Bytes::from(vec![7; OBJECT_BYTES_MAX / 2]);
    let name = |name: &str| field(name, Operation::Set(half.clone()));
    edit(&mut object, 1, &name("a")).expect("half full");
    let refused = edit(&mut object, 2, &name("b"));
    assert!(matches!(refused, Err(EditError::TooLarge { bytes_max: OBJECT_BYTES_MAX, .. })), "{refused:?}");
    edit(&mut object, 2, &name("a")).expect("replacing it by its like");
    edit(&mut object, 3, &Operation::RemoveField("a".to_owned())).expect("removing it");
    edit(&mut object, 4, &name("b")).expect("room again");
}

#[test]
fn a_writers_share_of_a_counter_ends_at_64_bits_and_the_total_at_its_own() {
    let mut object = Object::default();
    edit(&mut object, 1, &Operation::Increment(i64::MAX)).expect("fits");
    assert_eq!(object.view(), [View::Counter(i64::MAX)]);
    edit(&mut object, 2, &Operation::Increment(i64::MAX)).expect("fits");
    assert_eq!(object.view(), [View::Counter(i64::MAX)], "the nearest there is");
    edit(&mut object, 3, &Operation::Increment(i64::MIN)).expect("fits");
    assert_eq!(object.view(), [View::Counter(i64::MAX - 1)], "nothing was lost");
    edit(&mut object, 4, &Operation::Increment(1)).expect("the last that fits");
    let before = object.clone();
    assert_eq!(edit(&mut object, 5, &Operation::Increment(1)), Err(EditError::Overflow));
    assert_eq!(object, before);
    edit(&mut object, 5, &Operation::Increment(i64::MIN + 1)).expect("the other side has room");
    assert_eq!(edit(&mut object, 6, &Operation::Increment(i64::MIN)), Err(EditError::Overflow));
    assert_eq!(object.view(), [View::Counter(0)]);
}

#[test]
fn equal_stamps_are_decided_by_the_value_alike_on_both_sides() {
    let stamp = Timestamp { time: 9, writer: writer(3) };
    let set = |by: usize, value: &'static [u8]| {
        let mut object = Object::default();
        object.edit(Dot::new(writer(by), 1), 0, stamp, &Operation::Set(Bytes::from_static(value))).expect("empty");
        object
    };
    for (left, right) in [(&b"one"[..], &b"two"[..]), (b"two", b"one")] {
        let (mut a, mut b) = (set(0, left), set(1, right));
        let (before_a, before_b) = (a.clone(), b.clone());
        a.join(&before_b);
        b.join(&before_a);
        assert_eq!(a.view(), b.view());
        let first = if blake3::hash(b"one").as_bytes() > blake3::hash(b"two").as_bytes() { "one" } else { "two" };
        assert_eq!(a.view(), [View::Register(Bytes::from_static(first.as_bytes()))]);
    }
}

#[test]
fn a_dot_is_never_used_twice() {
    let mut object = Object::default();
    edit(&mut object, 3, &Operation::Increment(1)).expect("empty");
    for seq in [1, 3] {
        assert_eq!(edit(&mut object, seq, &Operation::Increment(1)), Err(EditError::Used { seq, last: 3 }));
    }
    // Nor one of which somebody has made up the removal: its entry would be dead at once, and the write lost.
    let mut liar = Object::default();
    let stamp = Timestamp { time: 1, writer: writer(0) };
    liar.edit(Dot::new(writer(0), 9), 8, stamp, &Operation::Increment(1)).expect("empty");
    let lie = liar.edit(Dot::new(writer(1), 1), 0, stamp, &Operation::Delete).expect("anything may be deleted");
    object.apply(writer(1), 0, &lie);
    assert!(edit(&mut object, 8, &Operation::Increment(1)).is_ok());
    assert_eq!(edit(&mut object, 9, &Operation::Increment(1)), Err(EditError::Used { seq: 9, last: 8 }));
}
