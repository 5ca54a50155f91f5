//! The edges of numbers: stamps that are equal, dots and counts where 64 bits end. What is decided there is decided in
//! the same way everywhere, whatever came first and however often.

use bytes::Bytes;
use trine_crdt::{Delta, Dot, EditError, Object, Operation, Timestamp, View};

use crate::history::{assert_same, writer};

const WRITERS: usize = 3;

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// What each writer did alone, as a delta that begins after `after`.
struct Alone {
    after: u64,
    delta: Delta,
}

/// Three writers who know nothing of each other, each with its own operation, stamp and dot.
fn alone(edits: [(Operation, Timestamp, u64); WRITERS]) -> Vec<Alone> {
    let edit = |(by, (operation, stamp, seq)): (usize, (Operation, Timestamp, u64))| {
        let delta = Object::default().edit(Dot::new(writer(by), seq), seq - 1, stamp, &operation).expect("allowed");
        Alone { after: seq - 1, delta }
    };
    edits.into_iter().enumerate().map(edit).collect()
}

/// Every order of up to five arrivals of three deltas, with losses and repetitions among them, and joins of what came of
/// those: whoever has heard all three has the same. Returns that.
fn converge(deltas: &[Alone]) -> Object {
    const ARRIVALS: u32 = 5;
    let mut complete: Option<Object> = None;
    let mut partial: Vec<Object> = Vec::new();
    for number in 0..WRITERS.pow(ARRIVALS) {
        let order: Vec<usize> = (0..ARRIVALS).map(|place| number / WRITERS.pow(place) % WRITERS).collect();
        let mut object = Object::default();
        for by in &order {
            object.apply(writer(*by), deltas[*by].after, &deltas[*by].delta);
            object = Object::from_bytes(&object.to_bytes()).expect("our own bytes");
        }
        if (0..WRITERS).all(|by| order.contains(&by)) {
            assert_same(complete.get_or_insert_with(|| object.clone()), &object, "another order");
        } else if !partial.contains(&object) {
            partial.push(object);
        }
    }
    let complete = complete.expect("some orders hold all");
    assert_eq!(partial.len(), 6, "one or two of three");
    for one in &partial {
        for other in &partial {
            let (mut ab, mut ba) = (one.clone(), other.clone());
            ab.join(other);
            ba.join(one);
            assert_same(&ab, &ba, "the other way round");
            ab.join(&complete);
            assert_same(&ab, &complete, "with all of it");
        }
    }
    complete
}

#[test]
fn stamps_at_both_ends_of_time_and_equal_ones_are_decided_alike() {
    let times = [0, 1, u64::MAX - 1, u64::MAX];
    let values = ["a", "b", "c"];
    for number in 0..times.len().pow(WRITERS as u32) {
        let time = |by: usize| times[number / times.len().pow(by as u32) % times.len()];
        let stamps: [Timestamp; WRITERS] = std::array::from_fn(|by| Timestamp { time: time(by), writer: writer(by) });
        let edits = std::array::from_fn(|by| (Operation::Set(bytes(values[by])), stamps[by], 1));
        let object = converge(&alone(edits));
        let latest = (0..WRITERS).max_by_key(|by| stamps[*by]).expect("three");
        assert_eq!(object.view(), vec![View::Register(bytes(values[latest]))]);
        assert_eq!(object.latest_stamp(), stamps[latest]);
    }
}

/// No clock of ours issues one stamp twice, but a disk that was copied may.
#[test]
fn one_stamp_under_three_values_is_decided_alike() {
    let stamp = Timestamp { time: 7, writer: writer(0) };
    let object = converge(&alone(["a", "b", "c"].map(|value| (Operation::Set(bytes(value)), stamp, 1))));
    let [View::Register(value)] = &object.view()[..] else { panic!("{:?}", object.view()) };
    assert!(["a", "b", "c"].contains(&std::str::from_utf8(value).expect("text")));
}

#[test]
fn dots_and_counts_where_64_bits_end_add_up() {
    let stamp = |by| Timestamp { time: u64::MAX, writer: writer(by) };
    for seq in [1, u64::MAX - 1, u64::MAX] {
        let counts = [i64::MAX, i64::MAX, i64::MIN];
        let object = converge(&alone(std::array::from_fn(|by| (Operation::Increment(counts[by]), stamp(by), seq))));
        assert_eq!(object.view(), vec![View::Counter(i64::MAX - 1)]);
        let object = converge(&alone(std::array::from_fn(|by| (Operation::Increment(i64::MIN), stamp(by), seq))));
        assert_eq!(object.view(), vec![View::Counter(i64::MIN)], "the nearest that there is");
        let object = converge(&alone(std::array::from_fn(|by| (Operation::Add(bytes("e")), stamp(by), seq))));
        assert_eq!(object.view(), vec![View::Set(vec![bytes("e")])]);
    }
}

#[test]
fn a_share_of_a_counter_fills_its_64_bits_and_then_refuses() {
    let mut object = Object::default();
    let stamp = Timestamp { time: 1, writer: writer(0) };
    let mut add = |seq: u64, by: i64| object.edit(Dot::new(writer(0), seq), seq - 1, stamp, &Operation::Increment(by));
    assert!(add(1, i64::MIN).is_ok());
    assert!(add(2, i64::MIN + 1).is_ok(), "2^64 - 1 downwards");
    assert_eq!(add(3, -1), Err(EditError::Overflow));
    assert!(add(3, i64::MAX).is_ok(), "upwards there is room, and the refused dot is free");
    assert_eq!(object.view(), vec![View::Counter(i64::MIN)]);
    assert_same(&Object::from_bytes(&object.to_bytes()).expect("our own bytes"), &object, "read again");
}

#[test]
fn an_interval_up_to_the_last_dot_there_is_coalesces() {
    let (mut object, mut told) = (Object::default(), Object::default());
    let stamp = Timestamp { time: 1, writer: writer(0) };
    let mut all: Option<Delta> = None;
    for seq in u64::MAX - 3..=u64::MAX {
        let operation = if seq % 2 == 0 { Operation::Add(bytes("e")) } else { Operation::Remove(bytes("e")) };
        let delta = object.edit(Dot::new(writer(0), seq), seq - 1, stamp, &operation).expect("allowed");
        match &mut all {
            Some(all) => all.then(delta),
            None => all = Some(delta),
        }
    }
    let all = all.expect("there were edits");
    let all = Delta::from_bytes(&all.to_bytes()).expect("our own bytes");
    told.apply(writer(0), u64::MAX - 4, &all);
    told.apply(writer(0), u64::MAX - 4, &all);
    assert_same(&told, &object, "told twice");
    assert!(object.is_empty());
}
