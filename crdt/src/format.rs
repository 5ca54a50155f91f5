//! The canonical bytes of objects and deltas, and the parts that they are made of.
//!
//! Equal values have equal bytes, and bytes that decode are the bytes that the value encodes to: whatever could be
//! written in two ways is refused in all but one. Numbers are LEB128 in the shortest form. A sorted list of numbers is
//! written as gaps, so that an unsorted one cannot be written at all. Writers and paths are written once, sorted, in a
//! dictionary, and must be used.
//!
//! Decoding takes memory in proportion to the bytes that really came: counts are upper limits of loops, and never
//! sizes of allocations.
//!
//! ```text
//! level        1 byte, FORMAT_LEVEL             kind         1 byte, `o` or `d`
//! writers      count, 16 bytes each, ascending
//! stamp        8 bytes NTP time, big-endian; number of the writer
//! paths        count, each: names in common with the one before, further names, those as length and UTF-8
//! entry        gap of its dot, number of the path, tag, value
//!              tag 0 counter: up, down · 1 register: stamp, length, bytes · 2 multi-value, 3 element: length, bytes
//!
//! object  o    stamp, paths, for each writer: last dot; count and gaps of dots ahead; count and entries
//! delta   d    stamp, paths, last dot; count and gaps of own dots removed; count and entries;
//!              for each writer: count and gaps of dots removed
//! ```

mod decode;
mod encode;
mod reader;

pub use reader::FormatError;

/// The format level of objects and deltas, their first byte.
pub const FORMAT_LEVEL: u8 = 1;

const OBJECT: u8 = b'o';
const DELTA: u8 = b'd';

const TAG_COUNT: u8 = 0;
const TAG_REGISTER: u8 = 1;
const TAG_HELD: u8 = 2;
const TAG_ELEMENT: u8 = 3;
