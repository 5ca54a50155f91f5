//! What bounds the values of this crate, in one place.

/// The largest value that may be encoded or decoded in one piece, in bytes: the largest frame.
pub const ENCODED_BYTES_MAX: usize = 24 * 1024 * 1024;
/// The deepest nesting of Rust values that the codec decodes; `serde_cbor` refuses what is deeper.
pub const CODEC_DEPTH_MAX: usize = 128;

/// The largest element of a set, and the longest name in a map, in bytes.
pub const ELEMENT_BYTES_MAX: usize = 64 * 1024;
/// The deepest nesting of maps: the most names on the way to a value.
pub const MAP_DEPTH_MAX: usize = 8;
/// The weight above which an object takes no more local edits that add to it, in bytes. An object's weight is an
/// upper bound of its encoding. Merging is never refused, so objects written at once in several places may be heavier.
pub const OBJECT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What an entry weighs besides its names and its value, in bytes.
pub const ENTRY_OVERHEAD_BYTES: usize = 64;
/// What an object weighs for each writer that touched it, in bytes.
pub const WRITER_OVERHEAD_BYTES: usize = 48;

/// How far ahead of use a clock's mark is persisted, in nanoseconds. After a restart a clock starts at its mark, so
/// it may run ahead by as much: whoever refuses stamps from the future must allow more than this.
pub const CLOCK_MARK_AHEAD_NS: u64 = 300_000_000;
/// The longest region name, in bytes.
pub const REGION_NAME_BYTES_MAX: usize = 63;

const _: () = assert!(OBJECT_BYTES_MAX + ENTRY_OVERHEAD_BYTES < ENCODED_BYTES_MAX);
const _: () = assert!(ELEMENT_BYTES_MAX * (MAP_DEPTH_MAX + 1) < OBJECT_BYTES_MAX);
