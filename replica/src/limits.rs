//! What one node takes on at once, in one place.

/// The most client requests that wait for something at once; more are refused as `Overloaded`.
pub const REQUESTS_WAITING_MAX: usize = 16_384;
/// The most bytes of values that waiting requests hold; more are refused as `Overloaded`.
pub const WAITING_BYTES_MAX: usize = 128 * 1024 * 1024;
/// The most bytes of batches not yet on disk; beyond it writes are refused as `Overloaded`.
pub const UNPERSISTED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How many rows of the delta log are read at once.
pub const DELTA_ROWS_PER_READ: usize = 64;
/// How long a request may take when it does not say, in milliseconds.
pub const REQUEST_TIMEOUT_MS: u64 = 10_000;
/// The longest a request may ask to wait, in milliseconds.
pub const REQUEST_TIMEOUT_MS_MAX: u64 = 120_000;
/// Who hands a request on gives the other node less time for it by this, so that a refusal of the last moment is heard in time: a
/// share of what is left, and at most this many milliseconds.
pub const FORWARD_WAY_SHARE: u64 = 8;
/// See [`FORWARD_WAY_SHARE`].
pub const FORWARD_WAY_MS_MAX: u64 = 500;
/// Of at most this many requests that other nodes handed on it is remembered that they came.
pub const FORWARDED_REMEMBERED_MAX: usize = 8192;
/// How long a node waits for a name that another one has and answers under, in milliseconds, before it gives way.
pub const NAME_HELD_MS_MAX: u64 = 10_000;
/// Of at most this many nodes that are not linked any more it is remembered since when.
pub const SILENT_NODES_MAX: usize = 4096;
/// The most commands in one log entry.
pub const PROPOSED_COMMANDS_MAX: usize = 512;
/// While an entry is under way, the next one waits until there are this many commands.
pub const ENTRY_COMMANDS_MIN: usize = 32;
/// An entry takes no further command beyond this many bytes; one large value may exceed it alone.
pub const ENTRY_BYTES_TARGET: usize = 1024 * 1024;
/// The most proposals under way; what comes meanwhile is batched into the next.
pub const PROPOSALS_IN_FLIGHT_MAX: usize = 4;
/// The most bytes of object deltas in one message; one large delta may exceed it alone.
pub const INTERVALS_BYTES_TARGET: usize = 256 * 1024;
/// The most intervals in one message.
pub const INTERVALS_PER_MESSAGE_MAX: usize = 512;
/// The largest encoded object.
pub const OBJECT_ENCODED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most objects in one page of a partition.
pub const PULLED_OBJECTS_MAX: usize = 256;
/// A pull of a partition without a page for so long is begun again with another peer, in milliseconds.
pub const PULL_TIMEOUT_MS: u64 = 5_000;
/// The most bytes of whole objects in one page of a partition; one large object may exceed it alone.
pub const PAGE_BYTES_TARGET: usize = 256 * 1024;
/// The most objects that are looked at for one page of a list, those left out by its filter or removed included.
pub const LIST_ROWS_MAX: usize = 2048;
/// The most bytes of objects looked at for one page of a list; one large object may exceed it alone.
pub const LIST_BYTES_TARGET: usize = 4 * 1024 * 1024;
/// The most delta rows kept per partition and writer while some node lacks them; older ones are served as whole objects.
pub const DELTA_ROWS_MAX: u64 = 4096;
/// Delta rows that all nodes have are dropped when there are this many numbers of them, or when they are the last.
pub const TRIM_STRIDE: u64 = 32;
/// The most delta rows dropped at one tick; twice as many when the last part looked at is large.
pub const TRIM_ROWS_MAX: usize = 2048;
/// How many partitions and writers are looked at, at one tick, for delta rows to be dropped.
pub const TRIM_LOGS_MAX: usize = 1024;
/// How many batches of deltas may be under way on one link. Each sync of a busy disk makes one, so there must be room
/// for those of one round trip: while there is none, a write waits for an acknowledgement from across the ocean.
pub const LINK_BATCHES_MAX: usize = 512;
/// The most partitions' vectors in one message.
pub const VECTORS_PER_MESSAGE_MAX: usize = 128;
/// How many partitions one message of hashes names at most, beyond those of its last namespace.
pub const HASHES_PER_MESSAGE_TARGET: usize = 4096;
/// How many gaps per peer are remembered between rounds of repair.
pub const LACKED_MAX: usize = 16 * 1024;
/// The most partitions that a node which catches up remembers per peer, at some hundred bytes each.
pub const JOIN_PARTITIONS_MAX: usize = 256 * 1024;
/// The most bytes of ledger records in one `Tail`; one large record may exceed it alone.
pub const TAIL_BYTES_TARGET: usize = 256 * 1024;
/// The most records in one `Tail`.
pub const TAIL_RECORDS_MAX: usize = 1024;
/// How many kept checkpoints are looked at for the end of a mirror's `Tail`.
pub const TAIL_NOTES_MAX: usize = 16;
/// One level of a ledger's tree in this many is stored.
pub const TREE_LEVELS_STORED: u8 = 8;
/// How many namespaces one entry of the metadata holds.
pub const NAMESPACES_PER_ENTRY: usize = 64;
/// How many bytes of a ledger's tail may be under way to one follower.
pub const FOLLOW_WINDOW_BYTES: u64 = 1024 * 1024;
/// How many verified checkpoints are remembered, at about 400 bytes each: the last few of some regions.
pub const OPENED_NOTES_MAX: usize = 32;
/// How many bytes of recently applied records are kept to feed followers without reading the disk.
pub const RECENT_RECORDS_BYTES_MAX: usize = 1024 * 1024;
/// The most keys whose latest versions are kept in memory, about 300 bytes each.
pub const LATEST_KEPT_MAX: usize = 16_384;
/// How far ahead of the wall a stamp may be by default, in milliseconds. A node that restarts at once runs ahead of
/// its own wall by the clock's mark, and walls differ: this must be larger than mark and difference together, and
/// leaves 700 ms for the difference.
pub const CLOCK_DRIFT_MS_MAX: u64 = 1000;
/// How long after a start a node waits for its peers' walls before it takes writes all the same, in milliseconds.
pub const CLOCK_PATIENCE_MS: u64 = 2000;
/// How often a peer is asked for its wall, in milliseconds.
pub const CLOCK_ASK_INTERVAL_MS: u64 = 1000;
/// How soon one that never answered is asked again, in milliseconds.
pub const CLOCK_ASK_SOON_MS: u64 = 250;
/// How many peers are asked at one tick, beside those that have just come up.
pub const CLOCK_ASKS_PER_TICK_MAX: usize = 16;
/// How long a comparison that took a shorter way is preferred to a newer one, in milliseconds.
pub const CLOCK_SAMPLE_AGE_MS_MAX: u64 = 10_000;
/// By how much of its age a comparison may be wrong, beyond its error, in thousandths: walls are slewed, crystals drift.
pub const CLOCK_ERROR_GROWTH_PER_MILLE: u64 = 10;
/// A wall that moves by more than this against monotonic time was set, in milliseconds.
pub const CLOCK_LEAP_MS: u64 = 50;
/// The most peers whose walls are remembered when they are gone.
pub const CLOCK_SAMPLES_KEPT_MAX: usize = 4096;
/// By how much a ledger's time may leap ahead of monotonic time, in milliseconds: walls of two leaders in turn differ.
pub const LOG_LEAP_MS_MAX: u64 = 2 * CLOCK_DRIFT_MS_MAX;
/// How often a leader whose clock is doubted asks to be relieved, in milliseconds.
pub const STEP_DOWN_INTERVAL_MS: u64 = 1000;

/// A source of lost records that brings none for this many milliseconds is left for another.
pub const RECOVERY_STALLED_MS: u64 = 3000;
/// The highest version of a registry that a region counts on from: versions are log indexes, and above this lies nonsense.
pub const REGISTRY_VERSION_MAX: u64 = 1 << 62;
/// After a tail that does not verify a mirror asks nobody for this many milliseconds; twice as long after each further one.
pub const DISTRUST_REST_MS: u64 = 100;
/// It asks again after this many milliseconds at the latest.
pub const DISTRUST_REST_MS_MAX: u64 = 30_000;
/// How often a peer is asked for proof that its head of a ledger extends what is held, in milliseconds.
pub const ASK_EXTENSION_INTERVAL_MS: u64 = 2000;
/// How often the others are asked what they hold of this region's ledger, while this node may not sign, in milliseconds.
pub const ASK_HEADS_INTERVAL_MS: u64 = 300;
/// How long a founder with an empty disk waits for nodes of its region that link to it, where there is no other region to ask,
/// in milliseconds.
pub const FOUND_LISTEN_MS: u64 = 1000;
/// After this many milliseconds of asking an answer from one other region suffices; before, all are to answer.
pub const ASK_HEADS_PATIENCE_MS: u64 = 3000;
/// How many nodes may hand a request on, one after the other.
pub const HOPS_MAX: u8 = 3;

const _: () = assert!(CLOCK_DRIFT_MS_MAX * 1_000_000 >= 3 * trine_crdt::limits::CLOCK_MARK_AHEAD_NS);
const _: () = assert!(OBJECT_ENCODED_BYTES_MAX + 1024 * 1024 <= trine_crdt::codec::ENCODED_BYTES_MAX);
const _: () = assert!(INTERVALS_BYTES_TARGET as u64 <= FOLLOW_WINDOW_BYTES);
