//! What a client may send, in one place. What a node's configuration may lower is the most that it may allow.

pub use trine_crdt::limits::{ELEMENT_BYTES_MAX, MAP_DEPTH_MAX};
pub use trine_ledger::limits::{CONTENT_TYPE_BYTES_MAX, KEY_BYTES_MAX, METADATA_BYTES_MAX, VALUE_BYTES_MAX};

/// The longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;
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
