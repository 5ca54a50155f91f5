//! Bounds of Raft's connections.

use std::time::Duration;

use trine_crdt::codec::ENCODED_BYTES_MAX;
use trine_ledger::limits::ENTRY_BYTES_MAX;

/// The longest frame on append and prefix connections: one entry of the greatest size, or many small ones.
pub const BULK_FRAME_BYTES_MAX: usize = ENCODED_BYTES_MAX;
/// The longest frame on control connections and before a connection's kind is known.
pub const CONTROL_FRAME_BYTES_MAX: usize = 64 * 1024;
/// Connections that a node accepts at a time, all peers and kinds together, where the system allows that many open files.
pub const RAFT_CONNECTIONS_MAX: usize = 128;
/// Calls of one control connection under way at the server.
pub const CONTROL_CALLS_MAX: usize = 32;
/// Append requests of one connection that wait for Raft.
pub const APPEND_REQUESTS_MAX: usize = 64;
/// How long TCP's and TLS' handshakes and the greeting may take, together, for who dials.
pub const RAFT_DIAL_TIMEOUT: Duration = Duration::from_millis(700);
/// The same for who accepts.
pub const ACCEPT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a control call may stay unanswered before its connection is given up.
pub const CONTROL_PATIENCE: Duration = Duration::from_millis(700);
/// How long append requests may all stay unanswered before their connection is given up; longer than a slow fsync.
pub const APPEND_PATIENCE: Duration = Duration::from_millis(1_500);
/// How long one step of a prefix' transfer may take.
pub const PREFIX_PATIENCE: Duration = Duration::from_secs(60);
/// How long who dials keeps a connection without using it.
pub const IDLE_CLIENT: Duration = Duration::from_secs(30);
/// How long who accepts keeps one; longer, so that the dialler is first to close it.
pub const IDLE_SERVER: Duration = Duration::from_secs(60);
/// The pause before an unreachable peer is tried again.
pub const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Members whose newest addresses are remembered.
pub const MOVED_MEMBERS_MAX: usize = 1024;
/// How long a member must have failed to answer before that is said.
pub const UNREACHABLE_AFTER: Duration = Duration::from_secs(1);
/// A vote whose term is this far beyond ours comes from no honest peer.
pub const TERM_JUMP_MAX: u64 = 1 << 32;

const _: () = assert!(ENTRY_BYTES_MAX + 1024 * 1024 <= BULK_FRAME_BYTES_MAX);
