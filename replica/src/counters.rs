//! What one node's core counts.

/// What the core counts, for the driver's metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Deltas sent to peers.
    pub deltas_sent: u64,
    /// Deltas taken in.
    pub deltas_received: u64,
    /// Deltas that were held already.
    pub deltas_duplicate: u64,
    /// Deltas that did not connect to what is held.
    pub deltas_dropped: u64,
    /// Messages held back because their stamps are too far ahead.
    pub stamps_held: u64,
    /// Rows of the delta log dropped, because all nodes have them or there are too many.
    pub delta_rows_trimmed: u64,
    /// Rounds of repair begun.
    pub repair_rounds: u64,
    /// Messages that made no sense or came from no member.
    pub messages_refused: u64,
    /// Records of other regions taken into mirrors.
    pub records_mirrored: u64,
    /// Checkpoints that cannot be true beside what is held, although their region's key signed them.
    pub fork_evidence: u64,
    /// Whether no record may be proposed nor anything signed here now: 1 or 0.
    pub appends_withheld: u64,
    /// How many records of the own region's ledger others hold and this node does not, although it leads or may not sign.
    pub records_missing: u64,
}
