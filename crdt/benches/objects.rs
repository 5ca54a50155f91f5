//! What merging and encoding cost, for objects of many entries.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion};
use trine_crdt::{Delta, Dot, Object, Operation, Timestamp, WriterId};

const ELEMENTS: u64 = 10_000;

fn writer(number: u8) -> WriterId {
    WriterId([number; 16])
}

fn add(object: &mut Object, by: u8, seq: u64, element: String) -> Delta {
    let stamp = Timestamp { time: seq, writer: writer(by) };
    object
        .edit(Dot::new(writer(by), seq), seq - 1, stamp, &Operation::Add(Bytes::from(element)))
        .expect("a set takes it")
}

/// A set of `ELEMENTS` elements, and the deltas that made it, coalesced into one.
fn set(by: u8) -> (Object, Delta) {
    let mut object = Object::default();
    let mut all: Option<Delta> = None;
    // Elements are added to empty objects, which cost nothing to search, and joined.
    for seq in 1..=ELEMENTS {
        let delta = add(&mut Object::default(), by, seq, format!("element {by} {seq}"));
        object.apply(writer(by), seq - 1, &delta);
        match &mut all {
            Some(all) => all.then(delta),
            None => all = Some(delta),
        }
    }
    (object, all.expect("there are elements"))
}

fn objects(criterion: &mut Criterion) {
    let (one, _) = set(1);
    let (two, all) = set(2);
    let delta = add(&mut one.clone(), 2, ELEMENTS + 1, "element 1 7".to_owned());
    let bytes = one.to_bytes();

    criterion.bench_function("edit: add to a set of 10k", |bench| {
        bench.iter_batched(
            || one.clone(),
            |mut object| {
                add(&mut object, 1, ELEMENTS + 1, "one more".to_owned());
                object
            },
            BatchSize::LargeInput,
        );
    });
    criterion.bench_function("apply: one edit to a set of 10k", |bench| {
        bench.iter_batched(
            || one.clone(),
            |mut object| {
                object.apply(writer(2), ELEMENTS, &delta);
                object
            },
            BatchSize::LargeInput,
        );
    });
    criterion.bench_function("apply: 10k coalesced edits to a set of 10k", |bench| {
        bench.iter_batched(
            || one.clone(),
            |mut object| {
                object.apply(writer(2), 0, &all);
                object
            },
            BatchSize::LargeInput,
        );
    });
    criterion.bench_function("join: two sets of 10k", |bench| {
        bench.iter_batched(
            || one.clone(),
            |mut object| {
                object.join(&two);
                object
            },
            BatchSize::LargeInput,
        );
    });
    criterion.bench_function("encode: a set of 10k", |bench| bench.iter(|| black_box(&one).to_bytes()));
    criterion.bench_function("decode: a set of 10k", |bench| bench.iter(|| Object::from_bytes(black_box(&bytes))));
    criterion.bench_function("digest: a set of 10k", |bench| bench.iter(|| black_box(&one).digest()));
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    objects(&mut criterion);
    criterion.final_summary();
}
