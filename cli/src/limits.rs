//! The command line's bounds, in one place.

use std::time::Duration;

/// The most characters of a key or value that a table shows.
pub const SHOWN_CHARS_MAX: usize = 60;
/// How long each node may take to say how it is.
pub const STATUS_TIMEOUT_MAX: Duration = Duration::from_secs(3);
/// How often nodes are asked for their status while some are behind.
pub const STATUS_ROUNDS_MAX: usize = 6;
