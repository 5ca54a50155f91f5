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
/// Bytes of a group that one frame takes.
pub const GROUP_PART_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of groups that are read at once at a start.
pub const REPLAY_BYTES_AT_ONCE: usize = 1024 * 1024;
/// Bytes of rows that a group may hold: what the core has under way at most, with room to spare.
pub const GROUP_EXPANDED_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How many bytes one byte of an LZ4 block stands for at most, as its format has it.
pub const LZ4_RATIO_MAX: usize = 255;
