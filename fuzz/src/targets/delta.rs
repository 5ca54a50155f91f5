//! Deltas, from peers and from the delta log.

use trine_crdt::{Delta, Object};

use super::object::{hostile, objects};
use crate::fixture::{at, writer};
use crate::target::{Memory, Sample, Target, Verdict};

/// `Delta::from_bytes`: canonical; applied from every beginning, twice, and coalesced with itself.
pub const TARGET: Target = Target { name: "delta", run, samples, memory: Memory::OURS };

fn run(bytes: &[u8]) -> Verdict {
    let Ok(delta) = Delta::from_bytes(bytes) else { return Verdict::Refused };
    assert_eq!(delta.to_bytes(), bytes, "a delta has a second encoding");
    assert!(bytes.len() <= delta.weight(), "a delta weighs less than its encoding");
    for after in [0, delta.last / 2, delta.last - 1] {
        for (_, mut object) in objects() {
            object.apply(writer(1), after, &delta);
            let once = object.clone();
            object.apply(writer(1), after, &delta);
            assert_eq!(object, once, "the same delta twice is more than once");
            let bytes = object.to_bytes();
            assert_eq!(Object::from_bytes(&bytes).as_ref(), Ok(&object), "a delta made an object unreadable");
            let _ = object.view();
        }
        let mut coalesced = delta.clone();
        coalesced.then_overlapping(after, delta.clone());
        assert_eq!(coalesced.last, delta.last);
        assert!(coalesced.to_bytes().len() <= coalesced.weight());
    }
    Verdict::Accepted
}

fn samples() -> Vec<Sample> {
    use bytes::Bytes;
    use trine_crdt::{Dot, Operation};
    let mut samples = Vec::new();
    let mut object = Object::default();
    let field = |operation| Operation::Field { name: "f".to_owned(), operation: Box::new(operation) };
    let operations = [
        ("set", field(Operation::Set(Bytes::from_static(b"v")))),
        ("set-again", field(Operation::Set(Bytes::from_static(b"w")))),
        ("add", Operation::Field { name: "g".to_owned(), operation: Box::new(Operation::Add(Bytes::new())) }),
        ("increment", Operation::Field { name: "h".to_owned(), operation: Box::new(Operation::Increment(-3)) }),
        ("delete", Operation::Delete),
    ];
    let mut all: Option<Delta> = None;
    for (seq, (name, operation)) in (1..).zip(operations) {
        let by = writer(1 + u8::from(seq == 5));
        let delta = object.edit(Dot::new(by, seq), seq - 1, at(seq), &operation).expect("allowed");
        samples.push(Sample::valid(name, delta.to_bytes()));
        if seq < 5 {
            match &mut all {
                Some(all) => all.then(delta),
                None => all = Some(delta),
            }
        }
    }
    let all = all.expect("there were edits").to_bytes();
    samples.extend(Sample::broken("coalesced", &all));
    samples.push(Sample::valid("coalesced", all));
    samples.extend(hostile(b'd'));
    samples
}
