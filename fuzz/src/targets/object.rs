//! Whole objects, from peers and from disk.

use bytes::Bytes;
use trine_crdt::{Dot, Object, Operation};

use crate::fixture::{at, writer};
use crate::target::{Memory, Sample, Target, Verdict};

/// `Object::from_bytes`: canonical; joined, read and edited.
pub const TARGET: Target = Target { name: "object", run, samples, memory: Memory::OURS };

fn run(bytes: &[u8]) -> Verdict {
    let Ok(object) = Object::from_bytes(bytes) else { return Verdict::Refused };
    assert_eq!(object.to_bytes(), bytes, "an object has a second encoding");
    assert!(bytes.len() <= object.weight(), "an object weighs less than its encoding");
    let mut joined = object.clone();
    joined.join(&object);
    assert_eq!(joined, object, "a join with itself changed an object");
    for (_, other) in objects() {
        let mut joined = object.clone();
        joined.join(&other);
        sound(&joined);
        let once = joined.clone();
        joined.join(&other);
        assert_eq!(joined, once, "joining the same again changed an object");
    }
    let mut edited = object.clone();
    for (seq, operation) in (1..).zip([Operation::Increment(i64::MAX), Operation::Delete, Operation::Increment(-1)]) {
        let dot = Dot::new(writer(200), seq);
        if let Ok(delta) = edited.edit(dot, seq - 1, at(seq), &operation) {
            let mut told = object.clone();
            told.apply(dot.actor, seq - 1, &delta);
            sound(&told);
        }
        sound(&edited);
    }
    Verdict::Accepted
}

fn sound(object: &Object) {
    let bytes = object.to_bytes();
    assert_eq!(Object::from_bytes(&bytes).as_ref(), Ok(object), "an object that was made here cannot be read");
    assert!(bytes.len() <= object.weight());
    let _ = object.view();
}

/// Objects of every kind, with removals seen and not seen.
pub fn objects() -> Vec<(&'static str, Object)> {
    let field = |name: &str, operation| Operation::Field { name: name.to_owned(), operation: Box::new(operation) };
    let bytes = Bytes::from_static;
    let edited = |operations: &[Operation]| {
        let mut object = Object::default();
        for (seq, operation) in (1..).zip(operations) {
            object.edit(Dot::new(writer(1 + seq as u8 % 2), seq), seq - 1, at(seq), operation).expect("allowed");
        }
        object
    };
    let deep = (0..8).fold(Operation::Increment(i64::MIN), |below, level| field(&format!("level-{level}"), below));
    // A removal whose edit has not come: only the deltas of one of two writers are applied.
    let (mut one, mut two, mut ahead) = (Object::default(), Object::default(), Object::default());
    let added = one.edit(Dot::new(writer(1), 1), 0, at(1), &Operation::Add(bytes(b"x"))).expect("allowed");
    two.apply(writer(1), 0, &added);
    let removed = two.edit(Dot::new(writer(2), 1), 0, at(2), &Operation::Remove(bytes(b"x"))).expect("allowed");
    ahead.apply(writer(2), 0, &removed);
    vec![
        ("empty", Object::default()),
        ("counter", edited(&[Operation::Increment(5), Operation::Increment(-7)])),
        ("register", edited(&[Operation::Set(bytes(b"old")), Operation::Set(bytes(b"new"))])),
        ("multi-value", edited(&[Operation::Put(bytes(b"one")), Operation::Put(bytes(b""))])),
        ("set", edited(&[Operation::Add(bytes(b"a")), Operation::Add(bytes(b"b")), Operation::Remove(bytes(b"a"))])),
        (
            "map",
            edited(&[
                field("n", Operation::Increment(1)),
                field("s", Operation::Add(bytes(b"e"))),
                field("s", Operation::Add(bytes(b"f"))),
                field("sub", field("r", Operation::Set(bytes(b"v")))),
            ]),
        ),
        ("deep", edited(&[deep])),
        ("ahead", ahead),
        ("removed", edited(&[Operation::Add(bytes(b"a")), Operation::Delete])),
    ]
}

fn samples() -> Vec<Sample> {
    let mut samples: Vec<Sample> =
        objects().iter().map(|(name, object)| Sample::valid(name, object.to_bytes())).collect();
    let map = objects()[5].1.to_bytes();
    samples.extend(Sample::broken("map", &map));
    samples.extend(hostile(b'o'));
    samples
}

/// What harms a decoder of objects and deltas: counts and lengths that lie, numbers written long, orders reversed.
pub fn hostile(kind: u8) -> Vec<Sample> {
    const MAX: [u8; 10] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let head = [1, kind];
    let one_writer = [&head[..], &[1], &[7; 16], &[0; 8], &[0]].concat();
    vec![
        Sample::hostile("another-level", [2, kind]),
        Sample::hostile("another-kind", [1, b'x', 0]),
        Sample::hostile("writers-of-2-64", [&head[..], &MAX].concat()),
        Sample::hostile("writers-written-long", [&head[..], &[0x81, 0x00], &[7; 16], &[0; 8], &[0, 0]].concat()),
        Sample::hostile("writers-beyond-64-bits", [&head[..], &[0xff; 9], &[0x02]].concat()),
        Sample::hostile("a-number-that-never-ends", [&head[..], &[0x80; 64]].concat()),
        Sample::hostile("writers-twice", [&head[..], &[2], &[7; 32], &[0; 8], &[0, 0]].concat()),
        Sample::hostile("a-writer-that-is-not-listed", [&head[..], &[1], &[7; 16], &[0; 8], &[9]].concat()),
        Sample::hostile("paths-of-2-64", [&one_writer[..], &MAX].concat()),
        Sample::hostile("a-path-2-64-deep", [&one_writer[..], &[1, 0], &MAX].concat()),
        Sample::hostile("a-path-that-shares-2-64", [&one_writer[..], &[1], &MAX, &MAX].concat()),
        Sample::hostile("a-name-of-2-64", [&one_writer[..], &[1, 0, 1], &MAX].concat()),
        Sample::hostile("a-name-that-is-no-text", [&one_writer[..], &[1, 0, 1, 1, 0xff]].concat()),
        Sample::hostile("dots-of-2-64", [&one_writer[..], &[0, 1], &MAX, &MAX].concat()),
        Sample::hostile("dots-that-wrap", [&one_writer[..], &[0], &MAX, &[2], &MAX, &MAX].concat()),
        Sample::hostile("nothing-but-ones", [&head[..], &[1; 200]].concat()),
    ]
}
