//! What only a simulated run can say: what went between its nodes, and what simulating it took. Rumors count once for
//! each node that one was meant for; a region's Raft is a sequencer there, and what its nodes say to each other about it
//! is not counted.

use serde::{Deserialize, Serialize};

/// Messages between nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// How many.
    pub messages: u64,
    /// How many bytes they have on the wire; 0 where that was not measured.
    pub bytes: u64,
}

/// What a simulated run was like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Simulated {
    /// Names all that happened: the same plan, seed and program come to the same.
    pub trace_hash: String,
    /// Inputs that went through the nodes' doors.
    pub events: u64,
    /// Writes that were acknowledged.
    pub writes: u64,
    /// Messages between nodes of one region.
    pub inside: Traffic,
    /// Messages from one region to another.
    pub between: Traffic,
    /// How long it all took in the simulated world.
    pub simulated_ms: u64,
    /// How long it really took until the nodes were to be judged.
    pub took_ms: u64,
    /// Resident memory of the simulated world for each of its nodes; none where that cannot be had.
    pub resident_bytes_per_node: Option<u64>,
    /// What was not done or not judged, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

impl Traffic {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { messages: self.messages + other.messages, bytes: self.bytes + other.bytes }
    }
}

impl Simulated {
    /// Inputs a second of real time.
    #[must_use]
    pub fn events_per_s(&self) -> u64 {
        self.events.saturating_mul(1_000) / self.took_ms.max(1)
    }

    /// So much of something for each acknowledged write; 0 when there was none.
    #[must_use]
    pub fn per_write(&self, count: u64) -> f64 {
        if self.writes == 0 { 0.0 } else { count as f64 / self.writes as f64 }
    }
}
