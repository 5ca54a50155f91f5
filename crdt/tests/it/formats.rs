//! The bytes: fixed for good, one form only, and safe to read from anybody.

use bytes::Bytes;
use expect_test::expect_file;
use proptest::collection::vec;
use proptest::prelude::*;
use trine_crdt::{Delta, Dot, FormatError, Object, Operation, Timestamp};

use crate::cases::cases;
use crate::history::writer;

fn field(name: &str, operation: Operation) -> Operation {
    Operation::Field { name: name.to_owned(), operation: Box::new(operation) }
}

/// Every kind, nesting, several writers, and a removal that waits for its edit; and the deltas of one writer.
fn sample() -> (Object, Delta) {
    let value = Bytes::from_static;
    let stamp = |by: usize, seq: u64| Timestamp { time: 0x6500_0000_0000_0000 + seq * 16, writer: writer(by) };
    let (mut a, mut b, mut c) = (Object::default(), Object::default(), Object::default());
    let edit = |object: &mut Object, by: usize, seq: u64, operation: Operation| {
        object.edit(Dot::new(writer(by), seq), seq - 1, stamp(by, seq), &operation).expect("allowed")
    };
    edit(&mut c, 2, 300, field("tags", Operation::Add(value(b"unseen"))));
    let first = edit(&mut b, 1, 5, field("tags", Operation::Add(value(b"red"))));
    a.apply(writer(1), 0, &first);
    let mut ours = edit(&mut a, 0, 1, field("count", Operation::Increment(1000)));
    for (seq, operation) in [
        (2, field("count", Operation::Increment(-3))),
        (4, field("name", Operation::Set(value(b"trine")))),
        (7, field("color", Operation::Put(value(b"blue")))),
        (200, field("tags", Operation::Remove(value(b"red")))),
        (201, field("tags", Operation::Add(value(b"green")))),
        (202, field("deep", field("deeper", Operation::Set(value(b""))))),
        (203, field("deep", field("even", Operation::Add(value(b"\0"))))),
    ] {
        ours.then(edit(&mut a, 0, seq, operation));
    }
    // Somebody who saw the unseen removes it; the sample hears of the removal only.
    let removal = edit(&mut c, 3, 1, Operation::Delete);
    a.apply(writer(3), 0, &removal);
    (a, ours)
}

fn hex(bytes: &[u8]) -> String {
    let lines: Vec<String> =
        bytes.chunks(32).map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>()).collect();
    lines.join("\n") + "\n"
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ascii"), 16).expect("hex"))
        .collect()
}

#[test]
fn golden_bytes() {
    let (object, delta) = sample();
    expect_file!["../../testdata/object-empty-v1.hex"].assert_eq(&hex(&Object::default().to_bytes()));
    expect_file!["../../testdata/object-v1.hex"].assert_eq(&hex(&object.to_bytes()));
    expect_file!["../../testdata/delta-v1.hex"].assert_eq(&hex(&delta.to_bytes()));
    expect_file!["../../testdata/object-v1.digest"].assert_eq(&hex(&object.digest()));
    expect_file!["../../testdata/object-v1.view"].assert_eq(&format!("{:#?}\n", object.view()));
}

#[test]
fn golden_bytes_are_read() {
    let (object, delta) = sample();
    assert_eq!(Object::from_bytes(&unhex(include_str!("../../testdata/object-v1.hex"))), Ok(object));
    assert_eq!(Delta::from_bytes(&unhex(include_str!("../../testdata/delta-v1.hex"))), Ok(delta));
    assert_eq!(Object::from_bytes(&unhex(include_str!("../../testdata/object-empty-v1.hex"))), Ok(Object::default()));
}

#[test]
fn what_is_cut_short_or_goes_on_is_refused() {
    let (object, delta) = sample();
    for (bytes, delta) in [(object.to_bytes(), false), (delta.to_bytes(), true)] {
        let read =
            |bytes: &[u8]| if delta { Delta::from_bytes(bytes).map(drop) } else { Object::from_bytes(bytes).map(drop) };
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
        }
        let longer: Vec<u8> = bytes.iter().copied().chain([0, 0]).collect();
        assert_eq!(read(&longer), Err(FormatError::Trailing { bytes: 2 }));
        let mut later = bytes.clone();
        later[0] = 2;
        assert_eq!(read(&later), Err(FormatError::Level(2)));
    }
    assert_eq!(Object::from_bytes(&delta.to_bytes()), Err(FormatError::Kind));
    assert_eq!(Delta::from_bytes(&object.to_bytes()), Err(FormatError::Kind));
}

/// Flips every bit, and sets every byte to everything: what is still accepted is exactly what it encodes to.
#[test]
fn there_is_one_form_only() {
    let (object, delta) = sample();
    let (mut accepted, mut refused) = (0, 0);
    for (bytes, is_delta) in [(object.to_bytes(), false), (delta.to_bytes(), true)] {
        for place in 0..bytes.len() {
            for byte in 0..=255 {
                let mut changed = bytes.clone();
                changed[place] = byte;
                let again = if is_delta {
                    Delta::from_bytes(&changed).map(|delta| delta.to_bytes())
                } else {
                    Object::from_bytes(&changed).map(|object| object.to_bytes())
                };
                match again {
                    Ok(again) => {
                        assert_eq!(again, changed, "byte {place} set to {byte}");
                        accepted += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(accepted > 1000 && refused > 1000, "{accepted} accepted, {refused} refused");
}

#[test]
fn each_wrong_form_has_its_error() {
    const ZERO: [u8; 16] = [0; 16];
    // level, kind, writers, stamp, paths, then per writer: last, ahead, entries
    let object = |writers: &[&[u8]], rest: &[u8]| {
        let mut bytes = vec![1, b'o', writers.len() as u8];
        writers.iter().for_each(|writer| bytes.extend_from_slice(writer));
        bytes.extend_from_slice(&[0; 9]);
        bytes.extend_from_slice(rest);
        Object::from_bytes(&bytes).map(drop)
    };
    let (one, two) = ([1; 16], [2; 16]);
    assert_eq!(object(&[&ZERO], &[0, 0, 0, 0]), Ok(()), "the empty object");
    assert_eq!(object(&[&two, &one], &[0, 1, 0, 0, 1, 0, 0]), Err(FormatError::Order("writers")));
    assert_eq!(object(&[&one, &one], &[0, 1, 0, 0, 1, 0, 0]), Err(FormatError::Order("writers")));
    assert_eq!(object(&[&one, &two], &[0, 1, 0, 0, 0, 0, 0]), Err(FormatError::Unused("writer")));
    assert_eq!(object(&[], &[0]), Err(FormatError::Unlisted("writer")));
    assert_eq!(object(&[&one], &[1, 0, 0, 1, 0, 0]), Err(FormatError::Unused("path")));
    assert_eq!(object(&[&one], &[0, 1, 0, 1, 0, 0, 3, 0]), Err(FormatError::Unlisted("path")));
    assert_eq!(object(&[&one], &[0, 0x81, 0, 0, 0]), Err(FormatError::Number), "1 in two bytes");
    assert_eq!(object(&[&one], &[1, 0, 0, 1, 0, 1, 1, 0, 3, 0]), Err(FormatError::Dot), "an entry above the last dot");
    assert_eq!(object(&[&one], &[1, 0, 0, 1, 0, 1, 0, 0, 9]), Err(FormatError::Tag(9)));
    assert_eq!(object(&[&one], &[1, 0, 9]), Err(FormatError::Depth));
    assert_eq!(object(&[&one], &[1, 0, 1, 1, 0xff, 1, 0, 0]), Err(FormatError::Text));
    // Names in common must be shared, and not more than there are.
    assert_eq!(object(&[&one], &[2, 0, 1, 1, b'a', 0, 2, 1, b'a', 1, b'b']), Err(FormatError::Order("paths")));
    assert_eq!(object(&[&one], &[2, 0, 1, 1, b'a', 2, 1, 1, b'b']), Err(FormatError::Unlisted("name")));
    assert_eq!(object(&[&one], &[2, 0, 1, 1, b'b', 0, 1, 1, b'a']), Err(FormatError::Order("paths")));
}

#[test]
fn lying_counts_and_lengths_cost_nothing() {
    let largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let head: Vec<u8> = [1, b'o', 1].into_iter().chain([0; 16]).chain([0; 9]).collect();
    for rest in [&[][..], &[0], &[0, 1], &[0, 1, 0], &[1, 0], &[1, 0, 1], &[1, 0, 0, 1, 0, 1, 0, 0, 3]] {
        let bytes: Vec<u8> = head.iter().chain(rest).chain(&largest).copied().collect();
        assert!(Object::from_bytes(&bytes).is_err());
    }
    let writers: Vec<u8> = [1, b'd'].into_iter().chain(largest).collect();
    assert_eq!(Delta::from_bytes(&writers), Err(FormatError::Truncated));
}

proptest! {
    #![proptest_config(cases(5000))]

    #[test]
    fn nothing_that_comes_makes_it_panic(kind in prop_oneof![Just(b'o'), Just(b'd')], rest in vec(0..12u8, 0..80)) {
        let bytes: Vec<u8> = [1, kind].into_iter().chain(rest).collect();
        if let Ok(object) = Object::from_bytes(&bytes) {
            prop_assert_eq!(Object::bytes_are_empty(&bytes), Ok(object.is_empty()));
            prop_assert_eq!(object.to_bytes(), bytes);
        } else if let Ok(delta) = Delta::from_bytes(&bytes) {
            prop_assert_eq!(delta.to_bytes(), bytes);
        }
    }

    /// Deltas of strangers: whatever they claim, applying and joining them never panics and keeps one form.
    #[test]
    fn strange_deltas_leave_an_object_in_order(changes in vec((any::<usize>(), any::<u8>()), 1..4), after in 0..400u64) {
        let (sound, delta) = sample();
        let mut bytes = delta.to_bytes();
        for (place, byte) in changes {
            let place = place % bytes.len();
            bytes[place] = byte;
        }
        if let Ok(strange) = Delta::from_bytes(&bytes) {
            let mut object = sound.clone();
            object.apply(writer(0), after, &strange);
            prop_assert_eq!(Object::from_bytes(&object.to_bytes()), Ok(object.clone()));
            let mut other = sound;
            other.join(&object);
            prop_assert_eq!(Object::from_bytes(&other.to_bytes()), Ok(other));
            let _ = object.view();
        }
    }
}
