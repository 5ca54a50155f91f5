//! What the HTTP API takes from its callers, in one place.

use std::time::Duration;

/// The most connections served at once; more wait in the system's queue.
pub const CONNECTIONS_MAX: usize = 1024;
/// The bytes of request bodies held at once; what would go beyond is answered 429.
pub const BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How the budget of bodies is counted.
pub const BODY_PERMIT_BYTES: usize = 1024;
/// How long a TLS handshake may take.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long the head of a request may take to arrive.
pub const HEAD_MAX: Duration = Duration::from_secs(10);
/// How long the body of a request may take to arrive.
pub const BODY_MAX: Duration = Duration::from_secs(60);
/// How long the node may take to answer when the caller does not say.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// The longest that a caller may ask the node to try.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(300);
/// How long requests under way may take to finish once the node stops.
pub const STOP_MAX: Duration = Duration::from_secs(5);
/// How long a caller should wait before it asks a node again that cannot serve now.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How many records are shown when the caller does not say.
pub const PAGE_RECORDS_DEFAULT: u32 = 100;
/// How often the metrics' histograms are trimmed.
pub const METRICS_UPKEEP: Duration = Duration::from_secs(5);
/// The largest JSON body of a request that carries no value, in bytes.
pub const SMALL_BODY_BYTES_MAX: usize = 64 * 1024;

const _: () = assert!(BODIES_BYTES_MAX > 4 * trine_protocol::limits::VALUE_BYTES_MAX);
