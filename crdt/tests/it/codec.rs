//! The codec and the frames, read from hostile hands.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use trine_crdt::codec::{DecodeError, ENCODED_BYTES_MAX, decode, encode};
use trine_crdt::frame::{FRAME_HEAD_BYTES, FrameTooLong, frame, head, length, unframe};
use trine_crdt::limits::CODEC_DEPTH_MAX;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Letter {
    to: String,
    lines: Vec<u64>,
    #[serde(with = "serde_bytes")]
    seal: Vec<u8>,
    kind: Post,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Post {
    Plain,
    Weighed(u32),
    Insured { value: u64 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Nested(Vec<Nested>);

fn letter(kind: Post) -> Letter {
    Letter { to: "north".to_owned(), lines: vec![1, u64::MAX], seal: vec![0, 255], kind }
}

#[test]
fn values_come_back() {
    for kind in [Post::Plain, Post::Weighed(3), Post::Insured { value: 7 }] {
        assert_eq!(decode::<Letter>(&encode(&letter(kind.clone()))).expect("our own"), letter(kind));
    }
}

#[test]
fn what_is_cut_short_or_goes_on_is_refused() {
    let bytes = encode(&letter(Post::Plain));
    for length in 0..bytes.len() {
        assert!(decode::<Letter>(&bytes[..length]).is_err());
    }
    let longer: Vec<u8> = bytes.into_iter().chain([0]).collect();
    assert!(decode::<Letter>(&longer).is_err());
}

#[test]
fn unknown_and_repeated_fields_and_forms_that_we_never_write_are_refused() {
    let with = |fields: &[(&str, u8)]| {
        let mut bytes = vec![0xa0 | fields.len() as u8];
        for (name, value) in fields {
            bytes.push(0x60 | name.len() as u8);
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(*value);
        }
        bytes
    };
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only ever decoded")]
    struct Point {
        x: u8,
        y: u8,
    }
    assert!(decode::<Point>(&with(&[("x", 1), ("y", 2)])).is_ok());
    assert!(decode::<Point>(&with(&[("x", 1), ("y", 2), ("z", 3)])).is_err(), "unknown");
    assert!(decode::<Point>(&with(&[("x", 1), ("x", 2), ("y", 2)])).is_err(), "repeated");
    assert!(decode::<Point>(&[0xa2, 0, 1, 1, 2]).is_err(), "packed: numbers for names");
    assert!(decode::<Post>(&[0x82, 0x67, b'W', b'e', b'i', b'g', b'h', b'e', b'd', 3]).is_err(), "legacy enum: a list");
    assert!(decode::<Post>(&[0xa1, 0x67, b'W', b'e', b'i', b'g', b'h', b'e', b'd', 3]).is_ok());
}

#[test]
fn lying_lengths_and_depths_are_refused_before_they_cost_anything() {
    for major in [0x40u8, 0x60, 0x80, 0xa0] {
        let mut bytes = vec![major | 27];
        bytes.extend_from_slice(&(1u64 << 62).to_be_bytes());
        assert!(decode::<serde_bytes::ByteBuf>(&bytes).is_err());
        assert!(decode::<String>(&bytes).is_err());
        assert!(decode::<Vec<u64>>(&bytes).is_err());
        assert!(decode::<BTreeMap<String, u64>>(&bytes).is_err());
    }
    let nested = |levels: usize| -> Vec<u8> { std::iter::repeat_n(0x81, levels).chain([0x80]).collect() };
    assert!(decode::<Nested>(&nested(CODEC_DEPTH_MAX / 2)).is_ok());
    assert!(decode::<Nested>(&nested(CODEC_DEPTH_MAX + 1)).is_err());
    assert!(decode::<Nested>(&nested(1_000_000)).is_err());
    assert!(decode::<Nested>(&vec![0x9f; 1_000_000]).is_err(), "lists without a length that never end");
    assert!(decode::<u64>(&vec![0xc1; 1_000_000]).is_err(), "tags on tags");
    let huge = vec![0; ENCODED_BYTES_MAX + 1];
    assert!(matches!(decode::<u8>(&huge), Err(DecodeError::TooLong { bytes }) if bytes == ENCODED_BYTES_MAX + 1));
}

#[test]
fn frames_come_whole_or_not_at_all_and_never_longer_than_allowed() {
    let framed = frame(b"hello", 5).expect("fits");
    assert_eq!(framed, b"\0\0\0\x05hello");
    for length in 0..framed.len() {
        assert_eq!(unframe(&framed[..length], 5), Ok(None));
    }
    let two: Vec<u8> = framed.iter().chain(&framed).copied().collect();
    assert_eq!(unframe(&two, 5), Ok(Some((&b"hello"[..], &framed[..]))));
    assert_eq!(frame(b"hello", 4), Err(FrameTooLong { bytes: 5, bytes_max: 4 }));
    assert_eq!(unframe(&framed, 4), Err(FrameTooLong { bytes: 5, bytes_max: 4 }), "as soon as the head is there");
    assert_eq!(
        length([0xff; FRAME_HEAD_BYTES], 1 << 20),
        Err(FrameTooLong { bytes: u32::MAX as usize, bytes_max: 1 << 20 })
    );
    assert_eq!(frame(b"", 0), Ok(vec![0; FRAME_HEAD_BYTES]));
    assert!(head(1 << 33, usize::MAX).is_err(), "more than a head can say");
}

proptest! {
    #[test]
    fn nothing_that_comes_makes_it_panic(bytes in vec(any::<u8>(), 0..100)) {
        let _ = decode::<Letter>(&bytes);
        let _ = decode::<Nested>(&bytes);
        let _ = unframe(&bytes, 50);
    }
}
