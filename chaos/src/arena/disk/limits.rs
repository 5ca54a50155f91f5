//! What a forgetful disk holds, in one place.

/// The unit in which unsynced data is kept and lost, in bytes: what an operating system writes back at once.
pub const PAGE_BYTES: u64 = 4096;
/// The unit in which a page can be torn, in bytes: what a disk writes at once.
pub const SECTOR_BYTES: usize = 512;
/// Unsynced data of one disk, in bytes; a file that grows beyond it is written back without being asked, as any system does.
pub const UNSYNCED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Unsynced changes of one directory; then it is written back without being asked.
pub const UNSYNCED_CHANGES_MAX: usize = 4096;
/// The largest write that the kernel hands over at once, in bytes.
pub const WRITE_BYTES_MAX: u32 = 1024 * 1024;
/// Threads that serve one disk: a slow sync must not hold up a read.
pub const SERVER_THREADS: usize = 3;
/// Commands to a disk and operations on it do not end its slowness before this many seconds are over.
pub const SLOW_SECONDS_MAX: u64 = 600;
