//! The registry's bounds, in one place.

use std::time::Duration;

/// The longest line of a stanza, in bytes.
pub const LINE_BYTES_MAX: usize = 256 * 1024;
/// The longest stanza, in bytes; it becomes a record's value.
pub const STANZA_BYTES_MAX: usize = 1024 * 1024;
/// Releases in flight in each region, unless told otherwise.
pub const CONCURRENCY_DEFAULT: u16 = 64;
/// How long a call may take, unless told otherwise.
pub const CALL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// How often a verification asks again for what was missing.
pub const ASK_AGAIN_INTERVAL: Duration = Duration::from_millis(250);
/// This many problems are shown in full; the rest is counted.
pub const PROBLEMS_SHOWN_MAX: usize = 20;

const _: () = assert!(STANZA_BYTES_MAX <= trine_protocol::limits::VALUE_BYTES_MAX);
