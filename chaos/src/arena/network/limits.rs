//! What the network may hold, in one place.

/// The largest packet by default, in bytes: Ethernet's, so that loss and delay meet packets of a usual size.
pub const MTU_BYTES_DEFAULT: u16 = 1500;
/// The smallest packet size that may be asked for, in bytes: what IPv4 demands of every link, rounded up.
pub const MTU_BYTES_MIN: u16 = 576;
/// The most packets under way at once; what comes then is dropped.
pub const PACKETS_UNDER_WAY_MAX: usize = 65_536;
/// The most packets read from one device before another gets its turn.
pub const READ_BATCH_PACKETS: usize = 64;
/// The device's own queue in the kernel, in packets.
pub const DEVICE_QUEUE_PACKETS: u16 = 8192;
/// The bytes that a link with a bandwidth keeps waiting by default; what comes then is dropped.
pub const LINK_QUEUE_BYTES_DEFAULT: u64 = 4 * 1024 * 1024;
/// The bytes that a link with a bandwidth lets through at once after a pause.
pub const LINK_BURST_BYTES: u64 = 16 * 1024;
/// The most regions.
pub const REGIONS_MAX: usize = 64;
/// The most nodes of a region.
pub const REGION_NODES_MAX: usize = 200;
/// How often the router publishes its counts, in nanoseconds.
pub const COUNTS_EVERY_NS: u64 = 50_000_000;

const _: () = assert!(REGIONS_MAX < CLIENTS_OCTET as usize);
const _: () = assert!(REGION_NODES_MAX < CALLER_OCTET as usize);
/// The third byte of the clients' address.
pub const CLIENTS_OCTET: u8 = 254;
/// The fourth byte of the address that commands run in a region have.
pub const CALLER_OCTET: u8 = 250;
