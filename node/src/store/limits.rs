//! How much a committer takes at once, and how small the databases are kept.
//!
//! A node that starts must stay below 60 MiB of memory, and a machine may run nine of them. `derived` keeps one memtable
//! that fills and at most a few sealed ones that are being written; of the synced rows those that are in no table yet are in
//! memory. With 16 MiB each that is nothing at first, up to 32 MiB once they have filled, and more for moments under load;
//! smaller ones cost a busy region a seventh of its appends, because tables are written and merged so much more often. The block cache (8 MiB for both) is
//! small on purpose: the operating system's page cache holds the tables too, and gives the memory back when somebody else
//! needs it.

use std::time::Duration;

/// Batches that may wait for a committer; the driver waits beyond that.
pub const BATCHES_WAITING_MAX: usize = 1024;
/// Bytes of rows that one group takes in; a larger single batch makes a group of its own.
pub const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of rows that gather in memory before they are put into the table; as many again while that is done.
pub const UNFLUSHED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of rows that are written to the journal before they are put into the table, whatever they take in memory: it bounds
/// what a start reads.
pub const JOURNALED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What a row takes in memory beside its key and value, roughly.
pub const ROW_BYTES: usize = 96;
/// A file of the journal that has grown to this size is followed by a new one.
pub const JOURNAL_FILE_BYTES: u64 = 8 * 1024 * 1024;
/// Zeros made ahead of the journal's groups at a time.
pub const JOURNAL_ROOM_BYTES: usize = 512 * 1024;
/// Tables that are not merged yet, above which no more are made: the merging comes first.
pub const UNMERGED_TABLES_MAX: usize = 16;
/// How long it is waited for the merging at a time.
pub const MERGE_PAUSE: Duration = Duration::from_millis(50);
/// The least that fjall allows all journals of a database to hold, in bytes.
pub const JOURNAL_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Threads per database that write and merge tables.
pub const TABLE_WRITERS: usize = 1;
/// Open table files that a database keeps.
pub const OPEN_FILES_MAX: usize = 128;
/// How long derived batches gather before they are written as one group.
pub const DERIVED_GATHER: Duration = Duration::from_millis(10);
/// How often the floor is written while rows are synced.
pub const FLOOR_INTERVAL: Duration = Duration::from_secs(1);
/// How often free disk is measured.
pub const DISK_INTERVAL: Duration = Duration::from_millis(250);
/// How long it is waited between two looks at all tables.
pub const SCRUB_INTERVAL: Duration = Duration::from_secs(10);
/// Bytes of a table that are read at once, and how long it is waited after: 10 MiB a second.
pub const SCRUB_BYTES_AT_ONCE: usize = 256 * 1024;
/// See [`SCRUB_BYTES_AT_ONCE`].
pub const SCRUB_PAUSE: Duration = Duration::from_millis(25);
/// Of the reserve, the share (one so-many-th) that committers leave untouched: below it they hold batches back, so that
/// the databases can still write their tables. Between it and the reserve only clients' writes are refused.
pub const RESERVE_HOLD_SHARE: u64 = 8;
/// How often a database is made anew without being whole once in between: one that needs more lies on a disk that fails.
pub const REBUILDS_MAX: u64 = 3;
