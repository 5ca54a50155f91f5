//! The client's bounds, in one place.

use std::time::Duration;

pub use trine_ledger::limits::CERTIFICATE_BYTES_MAX;

/// How long a call may take, unless told otherwise.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(10);
/// How often a call may be sent again, unless told otherwise.
pub const RETRIES_DEFAULT: u32 = 5;
/// How long to wait before the first retry; doubled each time.
pub const RETRY_PAUSE_FIRST: Duration = Duration::from_millis(25);
/// The longest wait between retries.
pub const RETRY_PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long one connection attempt may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How many connections wait in the system's queue of a listener; beyond it their diallers try again a second later.
pub const LISTEN_BACKLOG: u32 = 4096;
/// The most requests under way on one connection.
pub const IN_FLIGHT_MAX: usize = 4096;
/// The most bytes of requests that wait to be written on one connection.
pub const UNSENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most node addresses remembered.
pub const NODES_KNOWN_MAX: usize = 256;
/// How long a node that failed is passed over.
pub const NODE_REST: Duration = Duration::from_secs(2);
/// How often, while appends go on, a client asks who leads its region.
pub const LEADER_INTERVAL: Duration = Duration::from_secs(1);
/// A node is given less time than the call has by this, so that its refusal is heard before the call gives up: this share of
/// what is left at most,
pub const WAY_SHARE: u32 = 4;
/// this much, and twice the round trip.
pub const WAY_LEAST: Duration = Duration::from_millis(100);
/// A call that is refused with no more time left than this, or this share of its own, ends with that reason.
pub const LAST_TRY: Duration = Duration::from_secs(1);
/// See [`LAST_TRY`].
pub const LAST_TRY_SHARE: u32 = 3;
/// How often a connection is asked whether it lives.
pub const PING_INTERVAL: Duration = Duration::from_secs(1);
/// How long that answer may take.
pub const PING_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a node may be silent between answers; pings notice a dead one much earlier.
pub const SILENT_MAX: Duration = Duration::from_secs(3600);
/// How long an answer may stall half read.
pub const ANSWER_STALL_MAX: Duration = Duration::from_secs(10);
/// Dials that wait for the swarm's task.
pub const DIALS_MAX: usize = 64;
/// How long a connection without a stream stands.
pub const CONNECTION_IDLE_MAX: Duration = Duration::from_secs(5);
/// Host names looked up at the same time; the system's resolver holds a thread for each.
pub const LOOKUPS_MAX: usize = 16;
/// How long a host name's look-up may take.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);
/// How far apart attempts start.
pub const ATTEMPT_SPACING: Duration = Duration::from_millis(200);
/// How many bytes are gathered for one write or read.
pub const BUFFER_BYTES: usize = 64 * 1024;
/// The unit in which room for unsent bytes is handed out.
pub const UNIT_BYTES: usize = 1024;
/// The largest hello of a node, in bytes.
pub const NODE_HELLO_BYTES_MAX: usize = 64 * 1024;
/// How much memory is reserved before the first byte of a body is there.
pub const BODY_BYTES_FIRST: usize = 64 * 1024;
/// How long whoever listens may take to show what it speaks.
pub const OTHER_PROTOCOL_TIMEOUT: Duration = Duration::from_millis(500);
