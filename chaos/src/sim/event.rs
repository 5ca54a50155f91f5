//! What is due when, in one queue: the only source of order in the simulated world.

use std::collections::BTreeMap;

use bytes::Bytes;
use trine_replica::input::ProposeOutcome;
use trine_replica::{Input, PeerMessage};

/// Something that happens at a time. Nodes are numbers in the world; `life` counts a node's starts, so that what was
/// meant for an earlier life is dropped.
#[derive(Debug)]
#[allow(missing_docs, reason = "the enum's and the variants' words name the fields")]
pub enum Event {
    /// A node's timer.
    Tick { node: usize, life: u64 },
    /// A message arrives.
    Message { from: usize, to: usize, lives: (u64, u64), message: Box<PeerMessage> },
    /// A rumor arrives.
    Rumor { from: usize, to: usize, bytes: Bytes },
    /// A node notices that a link stands.
    LinkUp { node: usize, peer: usize, epoch: u64 },
    /// A node notices that a link is gone.
    LinkDown { node: usize, peer: usize, epoch: u64 },
    /// A synced batch is on disk.
    Synced { node: usize, life: u64, batch: u64 },
    /// A derived batch is visible.
    Visible { node: usize, life: u64, batch: u64 },
    /// Derived rows become durable.
    Flush { node: usize, life: u64 },
    /// A proposal reaches the log.
    Propose { node: usize, life: u64, ticket: u64, entry: Bytes },
    /// A proposer hears.
    Proposed { node: usize, life: u64, ticket: u64, outcome: ProposeOutcome },
    /// Committed entries reach a node.
    Deliver { node: usize, life: u64 },
    /// A read barrier is answered.
    Barrier { node: usize, life: u64, ticket: u64 },
    /// A region chooses a leader.
    Elect { region: usize },
    /// A region's leader looks who answers, and lets its voters follow the roster.
    Follow { region: usize },
    /// A client begins an operation.
    Operation,
    /// All nodes are asked for their status.
    Look,
    /// A client whose call was answered or given up begins its next.
    NextCall { client: usize, after: u64 },
    /// A client's request arrives.
    Request { node: usize, life: u64, request: Box<Input> },
    /// A node that is to leave its region's roster has not left it yet.
    Leave { node: usize },
    /// A region that went back has not got back what it lost.
    Recover { region: usize },
    /// A node that clients have left is replaced.
    Renew { node: usize },
    /// A node starts.
    Start { node: usize },
    /// One of the plan's faults begins.
    Fault { occurrence: usize },
    /// One of the plan's faults ends.
    FaultOver { occurrence: usize },
    /// A flapping cut opens or closes.
    Flap { occurrence: usize },
}

impl Event {
    /// The node whose process it concerns, which hears of nothing while it sleeps.
    #[must_use]
    pub fn process(&self) -> Option<usize> {
        match self {
            Self::Message { to, .. } | Self::Rumor { to, .. } => Some(*to),
            Self::Tick { node, .. }
            | Self::LinkUp { node, .. }
            | Self::LinkDown { node, .. }
            | Self::Synced { node, .. }
            | Self::Visible { node, .. }
            | Self::Flush { node, .. }
            | Self::Propose { node, .. }
            | Self::Proposed { node, .. }
            | Self::Deliver { node, .. }
            | Self::Barrier { node, .. }
            | Self::Request { node, .. } => Some(*node),
            Self::Elect { .. }
            | Self::Follow { .. }
            | Self::Operation
            | Self::Look
            | Self::NextCall { .. }
            | Self::Leave { .. }
            | Self::Recover { .. }
            | Self::Renew { .. }
            | Self::Start { .. }
            | Self::Fault { .. }
            | Self::FaultOver { .. }
            | Self::Flap { .. } => None,
        }
    }
}

/// Events in order of time, and of coming within one.
#[derive(Debug, Default)]
pub struct Queue {
    due: BTreeMap<(u64, u64), Event>,
    next: u64,
}

impl Queue {
    /// Puts an event at a time, in nanoseconds.
    pub fn at(&mut self, time_ns: u64, event: Event) {
        self.next += 1;
        self.due.insert((time_ns, self.next), event);
    }

    /// The next event and its time, if it is due by `end_ns`.
    pub fn pop(&mut self, end_ns: u64) -> Option<(u64, Event)> {
        let first = self.due.first_entry().filter(|first| first.key().0 <= end_ns)?;
        let ((time_ns, _), event) = first.remove_entry();
        Some((time_ns, event))
    }
}
