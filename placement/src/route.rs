//! Whom a client asks first.
//!
//! The nearest healthy node, by measured round trips. Two nodes that are about as near count as equal, and a number
//! of the client's own decides between them: otherwise all clients of a region would ask the same node, and a
//! microsecond's difference would move them all at once.

use trine_crdt::{NodeId, RegionId};

/// A node that a client may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The node.
    pub node: NodeId,
    /// Its region.
    pub region: RegionId,
    /// It answered lately.
    pub healthy: bool,
    /// The smoothed round trip to it, in nanoseconds; none before the first.
    pub rtt_ns: Option<u64>,
}

/// A round trip as it is smoothed: an eighth of each new sample (RFC 6298).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rtt {
    smoothed_ns: Option<u64>,
}

impl Rtt {
    /// Takes a sample in.
    pub fn observe(&mut self, sample_ns: u64) {
        self.smoothed_ns = Some(match self.smoothed_ns {
            None => sample_ns,
            Some(before) => before - before / 8 + sample_ns / 8,
        });
    }

    /// The smoothed round trip, in nanoseconds.
    #[must_use]
    pub fn smoothed_ns(&self) -> Option<u64> {
        self.smoothed_ns
    }
}

/// The targets in the order in which to ask them: healthy before others, near before far, those not yet measured
/// last of their kind. `client` is any number of the client's own.
#[must_use]
pub fn order(mut targets: Vec<Target>, client: u64) -> Vec<Target> {
    targets.sort_by_cached_key(|target| {
        (!target.healthy, target.rtt_ns.map_or(u32::MAX, distance), lot(target.node, client), target.node)
    });
    targets
}

/// The regions in the order in which to try them: by their first target.
#[must_use]
pub fn regions(targets: Vec<Target>, client: u64) -> Vec<RegionId> {
    let mut regions = Vec::new();
    for target in order(targets, client) {
        if !regions.contains(&target.region) {
            regions.push(target.region);
        }
    }
    regions
}

/// Round trips as classes: below 1 ms all are equal; above, a class is at most a quarter wide.
fn distance(rtt_ns: u64) -> u32 {
    let ms = rtt_ns / 1_000_000;
    if ms == 0 {
        return 0;
    }
    let whole = 63 - ms.leading_zeros();
    let quarter = if whole >= 2 { (ms >> (whole - 2)) & 3 } else { (ms << (2 - whole)) & 3 };
    1 + whole * 4 + u32::try_from(quarter).expect("two bits")
}

fn lot(node: NodeId, client: u64) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&client.to_be_bytes());
    hasher.update(&node.0.to_be_bytes());
    u64::from_be_bytes(*hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes"))
}
