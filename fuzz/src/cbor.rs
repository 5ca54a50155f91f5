//! Values of the codec: what must hold of those that are accepted, and what every one of them must refuse.

use serde::Serialize;
use serde::de::DeserializeOwned;
use trine_crdt::codec;

use crate::target::Sample;

/// Decodes a value and asks that its encoding decodes to the same again. The codec accepts forms that we never write, so
/// the bytes themselves may differ.
pub fn again<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<T> {
    let value: T = codec::decode(bytes).ok()?;
    let encoded = codec::encode(&value);
    let back: T = codec::decode(&encoded).expect("what was encoded is decodable");
    assert_eq!(back, value, "a value changed on its way through the codec");
    assert_eq!(codec::encode(&back), encoded, "a value has two encodings of ours");
    Some(value)
}

/// What is made to do harm to whoever decodes CBOR.
pub fn hostile() -> Vec<Sample> {
    let huge = |major: u8, length: u64| [&[major | 27][..], &length.to_be_bytes()].concat();
    let nested = |byte: u8| vec![byte; 4096];
    let inside_map = |bytes: &[u8]| [&[0xa1, 0x61, b'x'][..], bytes].concat();
    vec![
        Sample::hostile("bytes-of-2-63", huge(0x40, 1 << 63)),
        Sample::hostile("text-of-2-63", huge(0x60, 1 << 63)),
        Sample::hostile("list-of-2-63", huge(0x80, 1 << 63)),
        Sample::hostile("map-of-2-63", huge(0xa0, 1 << 63)),
        Sample::hostile("list-of-all", huge(0x80, u64::MAX)),
        Sample::hostile("map-holding-a-list-of-2-32", inside_map(&huge(0x80, 1 << 32))),
        Sample::hostile("lists-in-lists", nested(0x81)),
        Sample::hostile("lists-that-never-end", nested(0x9f)),
        Sample::hostile("maps-that-never-end", nested(0xbf)),
        Sample::hostile("bytes-that-never-end", nested(0x5f)),
        Sample::hostile("tags-on-tags", nested(0xc1)),
        Sample::hostile("breaks", nested(0xff)),
        Sample::hostile("a-key-that-is-no-number", [0xa1, 0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0, 0x01]),
        Sample::hostile("a-key-twice", [0xa2, 0x61, b'x', 1, 0x61, b'x', 2]),
        Sample::hostile("text-that-is-none", [0x62, 0xff, 0xfe]),
        Sample::hostile("reserved", [0x1c, 0x1d, 0x1e, 0xfc]),
    ]
}

/// The samples of a value's decoder: the value whole, broken, and what harms any.
pub fn samples<T: Serialize>(values: &[(&str, T)]) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (name, value) in values {
        let bytes = codec::encode(value);
        samples.extend(Sample::broken(name, &bytes));
        samples.push(Sample::valid(name, bytes));
    }
    samples.extend(hostile());
    samples
}
