//! The sizes that decide branches of the core: where a page ends, what is too much, what is forgotten.
//!
//! A page that never fills, a table that is never full and a window that nobody outlives hide what stands behind them.
//! So each such bound is data here, with the value that `limits` states: the daemon runs with those alone, and the
//! simulator with small ones, so that ten simulated seconds come to what takes a cluster months. What all nodes of a
//! region must agree on (`idempotency`) or what is on disk already (`tree_levels`) never changes in a cluster's life.

use serde::{Deserialize, Serialize};
use trine_ledger::state::Idempotency;

use crate::limits;

/// What bounds one node's core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sizes {
    /// See [`limits::REQUESTS_WAITING_MAX`].
    pub requests_waiting: usize,
    /// See [`limits::WAITING_BYTES_MAX`].
    pub waiting_bytes: usize,
    /// See [`limits::UNPERSISTED_BYTES_MAX`].
    pub unpersisted_bytes: usize,
    /// See [`limits::PROPOSED_COMMANDS_MAX`].
    pub entry_commands: usize,
    /// See [`limits::ENTRY_COMMANDS_MIN`].
    pub entry_commands_min: usize,
    /// See [`limits::ENTRY_BYTES_TARGET`].
    pub entry_bytes: usize,
    /// See [`limits::PROPOSALS_IN_FLIGHT_MAX`].
    pub proposals_in_flight: usize,
    /// See [`limits::INTERVALS_BYTES_TARGET`].
    pub intervals_bytes: usize,
    /// See [`limits::INTERVALS_PER_MESSAGE_MAX`].
    pub intervals_per_message: usize,
    /// See [`limits::DELTA_ROWS_PER_READ`].
    pub delta_rows_per_read: usize,
    /// See [`limits::PULLED_OBJECTS_MAX`].
    pub page_objects: usize,
    /// See [`limits::PAGE_BYTES_TARGET`].
    pub page_bytes: usize,
    /// See [`limits::PULL_TIMEOUT_MS`].
    pub pull_timeout_ms: u64,
    /// See [`limits::TRIM_STRIDE`].
    pub trim_stride: u64,
    /// See [`limits::TRIM_ROWS_MAX`].
    pub trim_rows: usize,
    /// See [`limits::TRIM_LOGS_MAX`].
    pub trim_logs: usize,
    /// See [`limits::LINK_BATCHES_MAX`].
    pub link_batches: usize,
    /// See [`trine_gossip::limits::LINK_DIRTY_MAX`].
    pub link_dirty: usize,
    /// See [`trine_gossip::limits::LINK_BATCH_RANGES_MAX`].
    pub link_batch_ranges: usize,
    /// See [`limits::VECTORS_PER_MESSAGE_MAX`].
    pub vectors_per_message: usize,
    /// See [`limits::HASHES_PER_MESSAGE_TARGET`].
    pub hashes_per_message: usize,
    /// See [`limits::LACKED_MAX`].
    pub lacked: usize,
    /// See [`limits::TAIL_BYTES_TARGET`].
    pub tail_bytes: usize,
    /// See [`limits::TAIL_RECORDS_MAX`].
    pub tail_records: usize,
    /// See [`limits::TAIL_NOTES_MAX`].
    pub tail_notes: usize,
    /// See [`limits::FOLLOW_WINDOW_BYTES`].
    pub follow_window_bytes: u64,
    /// See [`limits::OPENED_NOTES_MAX`].
    pub opened_notes: usize,
    /// See [`limits::RECENT_RECORDS_BYTES_MAX`].
    pub recent_records_bytes: usize,
    /// See [`limits::LATEST_KEPT_MAX`].
    pub latest_kept: usize,
    /// See [`limits::TREE_LEVELS_STORED`].
    pub tree_levels: u8,
    /// See [`limits::NAMESPACES_PER_ENTRY`].
    pub namespaces_per_entry: usize,
    /// See [`trine_gossip::limits::REPAIR_PAYLOAD_BYTES_MAX`].
    pub metadata_repair_bytes: usize,
    /// See [`trine_gossip::limits::REPAIR_ANSWER_BYTES_MAX`].
    pub metadata_answer_bytes: usize,
    /// See [`trine_gossip::limits::RUMOR_PAYLOAD_BYTES_MAX`].
    pub rumor_bytes: usize,
    /// The table of idempotency keys of the region's ledger.
    pub idempotency: Idempotency,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            requests_waiting: limits::REQUESTS_WAITING_MAX,
            waiting_bytes: limits::WAITING_BYTES_MAX,
            unpersisted_bytes: limits::UNPERSISTED_BYTES_MAX,
            entry_commands: limits::PROPOSED_COMMANDS_MAX,
            entry_commands_min: limits::ENTRY_COMMANDS_MIN,
            entry_bytes: limits::ENTRY_BYTES_TARGET,
            proposals_in_flight: limits::PROPOSALS_IN_FLIGHT_MAX,
            intervals_bytes: limits::INTERVALS_BYTES_TARGET,
            intervals_per_message: limits::INTERVALS_PER_MESSAGE_MAX,
            delta_rows_per_read: limits::DELTA_ROWS_PER_READ,
            page_objects: limits::PULLED_OBJECTS_MAX,
            page_bytes: limits::PAGE_BYTES_TARGET,
            pull_timeout_ms: limits::PULL_TIMEOUT_MS,
            trim_stride: limits::TRIM_STRIDE,
            trim_rows: limits::TRIM_ROWS_MAX,
            trim_logs: limits::TRIM_LOGS_MAX,
            link_batches: limits::LINK_BATCHES_MAX,
            link_dirty: trine_gossip::limits::LINK_DIRTY_MAX,
            link_batch_ranges: trine_gossip::limits::LINK_BATCH_RANGES_MAX,
            vectors_per_message: limits::VECTORS_PER_MESSAGE_MAX,
            hashes_per_message: limits::HASHES_PER_MESSAGE_TARGET,
            lacked: limits::LACKED_MAX,
            tail_bytes: limits::TAIL_BYTES_TARGET,
            tail_records: limits::TAIL_RECORDS_MAX,
            tail_notes: limits::TAIL_NOTES_MAX,
            follow_window_bytes: limits::FOLLOW_WINDOW_BYTES,
            opened_notes: limits::OPENED_NOTES_MAX,
            recent_records_bytes: limits::RECENT_RECORDS_BYTES_MAX,
            latest_kept: limits::LATEST_KEPT_MAX,
            tree_levels: limits::TREE_LEVELS_STORED,
            namespaces_per_entry: limits::NAMESPACES_PER_ENTRY,
            metadata_repair_bytes: trine_gossip::limits::REPAIR_PAYLOAD_BYTES_MAX,
            metadata_answer_bytes: trine_gossip::limits::REPAIR_ANSWER_BYTES_MAX,
            rumor_bytes: trine_gossip::limits::RUMOR_PAYLOAD_BYTES_MAX,
            idempotency: Idempotency::default(),
        }
    }
}

impl Sizes {
    /// Whether they are those that `limits` states.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the core goes on with them: each page takes something, each window lets something through.
    ///
    /// # Errors
    /// What is too small.
    pub fn check(&self) -> Result<(), &'static str> {
        let counts = [
            ("requests_waiting", self.requests_waiting),
            ("waiting_bytes", self.waiting_bytes),
            ("unpersisted_bytes", self.unpersisted_bytes),
            ("entry_commands", self.entry_commands),
            ("entry_commands_min", self.entry_commands_min),
            ("entry_bytes", self.entry_bytes),
            ("proposals_in_flight", self.proposals_in_flight),
            ("intervals_bytes", self.intervals_bytes),
            ("intervals_per_message", self.intervals_per_message),
            ("delta_rows_per_read", self.delta_rows_per_read),
            ("page_objects", self.page_objects),
            ("page_bytes", self.page_bytes),
            ("trim_rows", self.trim_rows),
            ("trim_logs", self.trim_logs),
            ("link_batches", self.link_batches),
            ("link_dirty", self.link_dirty),
            ("link_batch_ranges", self.link_batch_ranges),
            ("vectors_per_message", self.vectors_per_message),
            ("hashes_per_message", self.hashes_per_message),
            ("lacked", self.lacked),
            ("tail_bytes", self.tail_bytes),
            ("tail_records", self.tail_records),
            ("tail_notes", self.tail_notes),
            ("opened_notes", self.opened_notes),
            ("namespaces_per_entry", self.namespaces_per_entry),
            ("metadata_repair_bytes", self.metadata_repair_bytes),
            ("metadata_answer_bytes", self.metadata_answer_bytes),
            ("rumor_bytes", self.rumor_bytes),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(name);
        }
        // A young half of nothing would forget what it was just told.
        if self.latest_kept < 2 {
            return Err("latest_kept");
        }
        if self.idempotency.rows_max == 0 || self.idempotency.forget_max == 0 {
            return Err("idempotency");
        }
        if self.follow_window_bytes == 0 {
            return Err("follow_window_bytes");
        }
        if !(1..=limits::TREE_LEVELS_STORED).contains(&self.tree_levels) {
            return Err("tree_levels");
        }
        Ok(())
    }
}
