//! What the HTTP API takes from its callers, in one place.

use std::time::Duration;

pub use trine_identity::limits::{REFUSAL_QUIET, REFUSALS_REMEMBERED_MAX};

/// The most connections served at once, where the system allows that many open files; when more come, silent ones go.
pub const HTTP_CONNECTIONS_MAX: usize = 1024;
/// Places beyond those, for questions after the node's health when nobody at the others is silent.
pub const CONNECTIONS_RESERVED: usize = 16;
/// The bytes of request bodies held at once; what would go beyond is answered 429.
pub const BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How the budget of bodies is counted.
pub const BODY_PERMIT_BYTES: usize = 1024;
/// The steps in which a body takes room as it comes.
pub const BODY_STEP_BYTES: usize = 4 * 1024;
/// What each connection has for bodies whatever others do.
pub const CONNECTION_SHARE_BYTES: usize = 64 * 1024;
/// The most that one connection may have of what all share.
pub const CONNECTION_POOL_BYTES_MAX: usize = 48 * 1024 * 1024;
/// The pause before a connection is accepted again when none could be.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a TLS handshake may take.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long the head of a request may take to arrive.
pub const HEAD_MAX: Duration = Duration::from_secs(10);
/// How long a connection may take until it has asked for something, its handshake included.
pub const FIRST_REQUEST_MAX: Duration = Duration::from_secs(15);
/// How long a connection may be silent when nothing is done for it.
pub const IDLE_MAX: Duration = Duration::from_secs(60);
/// How long the body of a request may take to arrive.
pub const BODY_MAX: Duration = Duration::from_secs(60);
/// How long a body may stop coming.
pub const BODY_STALL_MAX: Duration = Duration::from_secs(10);
/// The most bytes of a body that are read and thrown away after its request was answered.
pub const LEFTOVER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a body is read on after its request was answered.
pub const LEFTOVER_MAX: Duration = Duration::from_secs(5);
/// How long the node may take to answer when the caller does not say.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// The longest that a caller may ask the node to try.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(300);
/// How long requests under way may take to finish once the node stops.
pub const HTTP_STOP_MAX: Duration = Duration::from_secs(5);
/// How long a caller should wait before it asks a node again that cannot serve now.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How many records are shown when the caller does not say.
pub const PAGE_RECORDS_DEFAULT: u32 = 100;
/// How often the metrics' histograms are trimmed, and the files of the HTTPS certificate looked at.
pub const METRICS_UPKEEP: Duration = Duration::from_secs(5);
/// The largest JSON body of a request that carries no value, in bytes.
pub const SMALL_BODY_BYTES_MAX: usize = 64 * 1024;

/// The largest value in JSON, where base64 makes four bytes of three.
const JSON_VALUE_BYTES_MAX: usize = trine_protocol::limits::VALUE_BYTES_MAX.div_ceil(3) * 4 + SMALL_BODY_BYTES_MAX;

const _: () = assert!(CONNECTION_POOL_BYTES_MAX > 2 * JSON_VALUE_BYTES_MAX);
const _: () =
    assert!(BODIES_BYTES_MAX >= HTTP_CONNECTIONS_MAX * CONNECTION_SHARE_BYTES + 4 * CONNECTION_POOL_BYTES_MAX);
const _: () = assert!(CONNECTION_SHARE_BYTES.is_multiple_of(BODY_STEP_BYTES));
const _: () = assert!(BODY_STEP_BYTES.is_multiple_of(BODY_PERMIT_BYTES));
