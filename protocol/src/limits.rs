//! What a client may send, in one place.

/// The longest key, in bytes of UTF-8.
pub const KEY_BYTES_MAX: usize = 1024;
/// The largest value by default, in bytes; a node's configuration may lower it.
pub const VALUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The largest metadata of a record, in bytes.
pub const METADATA_BYTES_MAX: usize = 16 * 1024;
/// The longest content type, in bytes.
pub const CONTENT_TYPE_BYTES_MAX: usize = 128;
/// The longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;
/// The largest element of a set, and the longest name in a map, in bytes.
pub const ELEMENT_BYTES_MAX: usize = 64 * 1024;
/// The deepest nesting of maps.
pub const MAP_DEPTH_MAX: usize = 8;
/// The most records in one page of a range or a history.
pub const PAGE_RECORDS_MAX: u32 = 1000;
/// The most objects in one page of a list.
pub const PAGE_OBJECTS_MAX: u32 = 1000;
/// The largest frame between client and node, in bytes: a value, its key and metadata, and room for the envelope.
pub const FRAME_BYTES_MAX: usize = VALUE_BYTES_MAX + 256 * 1024;
/// The largest session token, in bytes.
pub const SESSION_BYTES_MAX: usize = 1024;
/// The most exact positions in a session token.
pub const SESSION_POSITIONS_MAX: usize = 16;

const _: () = assert!(FRAME_BYTES_MAX <= trine_crdt::codec::ENCODED_BYTES_MAX);
