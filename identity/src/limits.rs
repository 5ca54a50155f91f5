//! Bounds of keys and certificates, in one place.

use std::time::Duration;

pub use trine_ledger::limits::CERTIFICATE_BYTES_MAX;

/// The longest name of a host, in bytes.
pub const HOST_BYTES_MAX: usize = 253;
/// The largest file of a key, certificate or genesis that is read, in bytes.
pub const IDENTITY_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The longest name of a node or client in a certificate, in bytes: that of a label of DNS.
pub const COMMON_NAME_BYTES_MAX: usize = 63;
/// How long the same refusal of the same peer is only counted, not logged again.
pub const REFUSAL_QUIET: Duration = Duration::from_secs(60);
/// The most refusals remembered for that.
pub const REFUSALS_REMEMBERED_MAX: usize = 256;
