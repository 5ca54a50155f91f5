//! Raft's bounds: proposals, the log's queue and groups, and how long things are waited for. Connections have their own.

use std::time::Duration;
/// Proposals under way.
pub const PROPOSALS_MAX: usize = 4096;
/// Bytes of proposals under way.
pub const PROPOSED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of entries in one answer to a reader that goes on by itself.
pub const LOG_CHUNK_BYTES: usize = 1024 * 1024;
/// Bytes of the log written before one sync.
pub const LOG_GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Silence after which the log's floor is written.
pub const LOG_FLOOR_IDLE: Duration = Duration::from_millis(100);
/// The longest that the log's floor lags behind while entries keep coming.
pub const LOG_FLOOR_LAG: Duration = Duration::from_secs(1);
/// How often membership is compared with the roster.
pub const FOLLOW_ROUND: Duration = Duration::from_millis(500);
/// How long a node may be silent and still counts as reachable.
pub const FOLLOW_SILENCE: Duration = Duration::from_secs(2);
/// How long a node that votes no more may take to stop before it is let go without having done so.
pub const FOLLOW_PARTING: Duration = Duration::from_secs(15);
/// How far behind the leader's log a learner may be to become a voter, in entries.
pub const FOLLOW_CLOSE_BEHIND: u64 = 256;
/// How long a change of membership may take before the next look.
pub const FOLLOW_STEP: Duration = Duration::from_secs(10);
/// How often founders are asked whether all are there.
pub const FOUND_ROUND: Duration = Duration::from_millis(200);
/// How long a founder may take to answer.
pub const FOUND_PATIENCE: Duration = Duration::from_secs(1);
/// Entries handed to the core at once.
pub const APPLY_ENTRIES_MAX: usize = 512;
/// Bytes of entries handed to the core at once, about.
pub const APPLY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long an heir may take to lead.
pub const HAND_OVER_PATIENCE: Duration = Duration::from_secs(1);
/// Reads waiting for a barrier.
pub const BARRIER_WAITING_MAX: usize = 4096;
/// How long a barrier's round may take.
pub const BARRIER_ROUND: Duration = Duration::from_secs(2);
/// How long a follower may be silent to whom leadership is handed over.
pub const HEIR_SILENCE: Duration = Duration::from_millis(500);
/// How long the other members may take to say what they know of this node, before it serves Raft.
pub const HOLD_ASK: Duration = Duration::from_millis(500);
/// How often a node that is held back looks whether it has all.
pub const HOLD_ROUND: Duration = Duration::from_millis(200);
/// How often a leader looks whether its followers are silent.
pub const LEADERSHIP_LOOK: Duration = Duration::from_millis(250);
/// The most names of nodes of another group that are remembered.
pub const FOREIGN_MAX: usize = 64;
/// The most bytes of the log that one read of its file fetches.
pub const EXTENT_BYTES_MAX: usize = 4 * 1024 * 1024;
