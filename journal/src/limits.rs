//! Bounds of what is read of a file, in one place.

/// The most bytes that are read of a file of text beside the databases.
pub const TEXT_FILE_BYTES_MAX: u64 = 64 * 1024;
