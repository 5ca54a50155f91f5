//! Bounds of keys and certificates, in one place.

pub use trine_ledger::limits::CERTIFICATE_BYTES_MAX;

/// The longest name of a host, in bytes.
pub const HOST_BYTES_MAX: usize = 253;
/// The largest file of a key, certificate or genesis that is read, in bytes.
pub const IDENTITY_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The longest name of a node or client in a certificate, in bytes: that of a label of DNS.
pub const COMMON_NAME_BYTES_MAX: usize = 63;
