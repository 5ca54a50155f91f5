//! What a ledger's values may hold, in one place.

/// The largest record header, in bytes: a leaf of the tree, far below the 65,535 of a C2SP tiles entry.
pub const HEADER_BYTES_MAX: usize = 4096;
/// The longest key, in bytes of UTF-8.
pub const KEY_BYTES_MAX: usize = 1024;
/// The longest content type, in bytes.
pub const CONTENT_TYPE_BYTES_MAX: usize = 128;
/// The most versions that a header names as seen.
pub const SEEN_MAX: usize = 64;
/// The largest metadata of a record, names and values together, in bytes.
pub const METADATA_BYTES_MAX: usize = 16 * 1024;
/// The largest encoded metadata of a record, in bytes.
pub const METADATA_ENCODED_BYTES_MAX: usize = METADATA_BYTES_MAX + 4 * METADATA_PAIRS_MAX + 4;
/// The most metadata pairs of a record.
pub const METADATA_PAIRS_MAX: usize = 256;
/// The largest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The largest encoded record, in bytes.
pub const RECORD_BYTES_MAX: usize =
    HEADER_BYTES_MAX + KEY_BYTES_MAX + METADATA_ENCODED_BYTES_MAX + VALUE_BYTES_MAX + 256;
/// The most commands in one log entry.
pub const ENTRY_COMMANDS_MAX: usize = 4096;
/// The largest log entry, in bytes.
pub const ENTRY_BYTES_MAX: usize = 20 * 1024 * 1024;
/// The longest name of a node or namespace, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// The longest address, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 512;
/// The most addresses of one node.
pub const ADDRESSES_MAX: usize = 16;
/// The most nodes on one region's roster.
pub const ROSTER_NODES_MAX: usize = 128;
/// The most nodes that one region ever retires; their ids never return.
pub const RETIRED_NODES_MAX: usize = 65_536;
/// The most recoveries of a lost majority that a region remembers; the oldest is forgotten first.
pub const RECOVERIES_MAX: usize = 64;
/// The most namespaces that one region ever creates, deleted ones included; their ids never return.
pub const NAMESPACES_MAX: usize = 4096;
/// The largest registry in an entry, in bytes.
pub const REGISTRY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most slots of a namespace.
pub const SLOTS_MAX: u32 = 4096;
/// How long an idempotency key is remembered, in seconds of hybrid time.
pub const IDEMPOTENCY_WINDOW_S: u64 = 600;
/// The most idempotency keys remembered at once: some 28,000 appends a second over the whole window. They are rows on
/// disk, about 160 bytes each.
pub const IDEMPOTENCY_ROWS_MAX: u64 = 16 * 1024 * 1024;
/// The most idempotency keys that one command's application forgets.
pub const IDEMPOTENCY_FORGET_MAX: u64 = 4;
/// The largest signed note, in bytes.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;
/// The most signature lines of a note.
pub const NOTE_SIGNATURES_MAX: usize = 64;
/// The most hashes of an inclusion or consistency proof.
pub const PROOF_HASHES_MAX: usize = 65;
/// The largest proof file, in bytes.
pub const PROOF_BYTES_MAX: usize = RECORD_BYTES_MAX / 3 * 4 + NOTE_BYTES_MAX + 16 * 1024;
/// The largest certificate, in bytes of DER.
pub const CERTIFICATE_BYTES_MAX: usize = 8192;
/// The largest genesis document, in bytes.
pub const GENESIS_BYTES_MAX: usize = 1024 * 1024;
/// The largest payload of a frame in the log's files, in bytes.
pub const FRAME_PAYLOAD_BYTES_MAX: usize = ENTRY_BYTES_MAX + 1024;

const _: () = assert!(RECORD_BYTES_MAX + 4096 <= ENTRY_BYTES_MAX);
const _: () = assert!(ENTRY_BYTES_MAX <= trine_crdt::codec::ENCODED_BYTES_MAX);
const _: () = assert!(SEEN_MAX * 32 + CONTENT_TYPE_BYTES_MAX + 512 <= HEADER_BYTES_MAX);
