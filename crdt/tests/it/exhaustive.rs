//! Every history of a small universe: two writers, five steps, each an edit from a small alphabet or a sync, and in
//! it every knowledge, every interval, every join.

use bytes::Bytes;
use trine_crdt::Operation;

use crate::history::{History, Knowledge, Step, assert_same, union, writer};

const STEPS: u32 = 5;

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn field(name: &str, operation: Operation) -> Operation {
    Operation::Field { name: name.to_owned(), operation: Box::new(operation) }
}

#[test]
fn sets() {
    every_history(&[Operation::Add(bytes("a")), Operation::Remove(bytes("a")), Operation::Delete]);
}

#[test]
fn counters_below_maps() {
    let name = "n".to_owned();
    every_history(&[
        field("n", Operation::Increment(2)),
        field("m", Operation::Increment(-1)),
        Operation::RemoveField(name),
    ]);
}

#[test]
fn registers_and_multi_values_and_kinds_that_meet() {
    every_history(&[Operation::Set(bytes("x")), Operation::Put(bytes("y")), Operation::Delete]);
}

#[test]
fn sets_in_maps_in_maps() {
    every_history(&[
        field("a", field("b", Operation::Add(bytes("e")))),
        field("a", field("b", Operation::Remove(bytes("e")))),
        field("a", Operation::RemoveField("b".to_owned())),
    ]);
}

fn every_history(alphabet: &[Operation]) {
    let mut choices: Vec<Step> = vec![Step::Sync { from: 0, to: 1 }, Step::Sync { from: 1, to: 0 }];
    for by in 0..2 {
        choices.extend(alphabet.iter().map(|operation| Step::Edit {
            by,
            skip: by as u64,
            operation: operation.clone(),
        }));
    }
    let (mut histories, mut checks) = (0u64, 0u64);
    for number in 0..choices.len().pow(STEPS) {
        let steps: Vec<Step> =
            (0..STEPS).map(|place| choices[number / choices.len().pow(place) % choices.len()].clone()).collect();
        checks += every_way(&History::run(2, &steps));
        histories += 1;
    }
    // Refusals and syncs of nothing shorten many histories; the universe must not have become empty by them.
    assert_eq!(histories, 8u64.pow(STEPS));
    assert!(checks > 2_500_000, "{checks} checks");
}

/// All knowledge there is, and every step from each: any interval that begins at or before what is known,
/// and a join with any other knowledge. As every single step leads to the one state of the larger knowledge, so
/// does every sequence of steps.
fn every_way(history: &History) -> u64 {
    let all = history.all();
    let points: Vec<Knowledge> = (0..=all[0]).flat_map(|a| (0..=all[1]).map(move |b| vec![a, b])).collect();
    let states: Vec<_> = points.iter().map(|point| history.state(point)).collect();
    let state = |point: &Knowledge| &states[point[0] * (all[1] + 1) + point[1]];
    let mut checks = 0;
    for point in &points {
        history.model.check(state(point), point);
        for by in 0..2 {
            for from in 0..=point[by] {
                for to in from + 1..=all[by] {
                    let mut object = state(point).clone();
                    object.apply(writer(by), history.seq(by, from), &history.interval(by, from, to));
                    let mut reached = point.clone();
                    reached[by] = reached[by].max(to);
                    assert_eq!(&object, state(&reached), "edits {from} to {to} of {by} on {point:?}");
                    checks += 1;
                }
            }
        }
        for other in &points {
            let mut object = state(point).clone();
            object.join(state(other));
            assert_eq!(&object, state(&union(point, other)), "{point:?} joined with {other:?}");
            checks += 1;
        }
    }
    assert_same(state(&all), &history.state(&all), "all of it");
    checks
}
