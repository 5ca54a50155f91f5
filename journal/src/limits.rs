//! Bounds of files, and of how long their readers wait, in one place.

use std::time::Duration;

/// The most bytes that are read of a file of text beside the databases.
pub const TEXT_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Jobs of the log waiting or being done.
pub const LOG_JOBS_MAX: usize = 1024;
/// How long a read waits for a descriptor when the process has none left.
pub const OPEN_PATIENCE: Duration = Duration::from_secs(2);
/// The pause before it tries again.
pub const OPEN_PAUSE: Duration = Duration::from_millis(10);
