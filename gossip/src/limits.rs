//! What this crate bounds, in one place.

/// The longest key of a metadata entry, in bytes.
pub const ENTRY_KEY_BYTES_MAX: usize = 512;
/// The longest value of a metadata entry, in bytes.
pub const ENTRY_VALUE_BYTES_MAX: usize = 32 * 1024;
/// What an entry costs on the wire beyond its key and value, in bytes, at most.
pub const ENTRY_FRAME_BYTES: usize = 64;

/// How many buckets the digests of the metadata are kept in.
pub const BUCKETS: usize = 64;
/// The largest encoded repair message, in bytes: a chunk that shares a connection politely.
pub const REPAIR_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// What a repair message may carry in entries, keys or versions, in bytes; leaves room for its frame.
pub const REPAIR_PAYLOAD_BYTES_MAX: usize = 60 * 1024;
/// How many bytes of entries one received repair message may call forth. The rest waits for the next round.
pub const REPAIR_ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// The largest encoded rumor, in bytes: below the 64 KiB that a gossip message may have with its envelope.
pub const RUMOR_BYTES_MAX: usize = 48 * 1024;
/// What a rumor may carry in entries, in bytes; leaves room for its frame.
pub const RUMOR_PAYLOAD_BYTES_MAX: usize = 44 * 1024;

/// How many (partition, writer) pairs may be dirty on one link before it falls back to comparing vectors.
pub const LINK_DIRTY_MAX: usize = 16 * 1024;
/// How many ranges one batch of a link may name.
pub const LINK_BATCH_RANGES_MAX: usize = 1024;

const _: () = assert!(BUCKETS.is_power_of_two() && BUCKETS <= 256, "a bucket's number is a byte");
const _: () = assert!(ENTRY_KEY_BYTES_MAX + ENTRY_VALUE_BYTES_MAX + ENTRY_FRAME_BYTES <= RUMOR_PAYLOAD_BYTES_MAX);
const _: () = assert!(RUMOR_PAYLOAD_BYTES_MAX < RUMOR_BYTES_MAX);
const _: () = assert!(ENTRY_KEY_BYTES_MAX + ENTRY_VALUE_BYTES_MAX + ENTRY_FRAME_BYTES <= REPAIR_PAYLOAD_BYTES_MAX);
const _: () = assert!(REPAIR_PAYLOAD_BYTES_MAX < REPAIR_MESSAGE_BYTES_MAX);
const _: () = assert!(REPAIR_MESSAGE_BYTES_MAX <= REPAIR_ANSWER_BYTES_MAX);
