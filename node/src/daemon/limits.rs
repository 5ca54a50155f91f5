//! Spans of the daemon's life.

use std::time::Duration;
/// How long an orderly stop may take; then the process ends as it is. Nothing acknowledged depends on order.
pub const STOP_MAX: Duration = Duration::from_secs(3);
/// How long handing leadership over and closing the log may take.
pub const GROUP_STOP_MAX: Duration = Duration::from_millis(1200);
/// How long closing links may take.
pub const NET_STOP_MAX: Duration = Duration::from_millis(300);

const _: () = assert!(GROUP_STOP_MAX.as_millis() + NET_STOP_MAX.as_millis() < STOP_MAX.as_millis());
/// How often the group's figures are taken.
pub const FIGURES_INTERVAL: Duration = Duration::from_millis(500);
/// Bytes of log lines that wait to be written; what does not fit is dropped and counted.
pub const LINES_BYTES_MAX: usize = 1024 * 1024;
/// How long a process that ends waits for its last lines to be read.
pub const LINES_FLUSH_MAX: Duration = Duration::from_millis(500);
/// How long a library's warning of one place is only counted after it was told.
pub const LIBRARY_QUIET: Duration = Duration::from_secs(60);
