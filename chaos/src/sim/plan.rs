//! What a run does to its world: sizes, faults, workload. A seed draws the details.

use crate::chance::Chance;

/// The plan of one run. Times are milliseconds of simulated time, probabilities are per event.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many regions.
    pub regions: usize,
    /// How many nodes each.
    pub nodes: usize,
    /// How long clients are active.
    pub active_ms: u64,
    /// How many operations clients begin a second, over all nodes.
    pub operations_per_s: u64,
    /// A message is lost although its link stands.
    pub drop: f64,
    /// A message comes twice.
    pub duplicate: f64,
    /// A message comes up to a second late.
    pub delay: f64,
    /// Rumors are published at all.
    pub gossip: bool,
    /// A rumor reaches a node.
    pub rumor: f64,
    /// Crashes of single nodes.
    pub crashes: u64,
    /// All nodes crash at once.
    pub blackout: bool,
    /// Regions cut off, one after another.
    pub splits: u64,
    /// Cuts of single links, in one direction.
    pub cuts: u64,
    /// Changes of leader without a crash.
    pub elections: u64,
    /// The wall clocks' largest offset, in milliseconds.
    pub skew_ms: u64,
    /// How many delta rows a node keeps per partition and writer: few force whole objects to be sent.
    pub delta_rows_max: u64,
    /// A proposal is refused, or its fate stays unknown.
    pub proposal_trouble: f64,
}

impl Plan {
    /// The plan of a seed, in a world of this size.
    #[must_use]
    pub fn of_seed(seed: u64, regions: usize, nodes: usize) -> Self {
        let mut chance = Chance::new(seed ^ 0x7472_696e_6500);
        let sometimes = |chance: &mut Chance, share: f64, value: f64| if chance.happens(share) { value } else { 0.0 };
        Self {
            regions,
            nodes,
            active_ms: 6_600 + chance.below(4_400),
            operations_per_s: 20 + chance.below(60),
            drop: sometimes(&mut chance, 0.6, 0.02),
            duplicate: sometimes(&mut chance, 0.6, 0.02),
            delay: sometimes(&mut chance, 0.6, 0.03),
            gossip: chance.happens(0.5),
            rumor: 0.7,
            crashes: if chance.happens(0.85) { 1 + chance.below(4) } else { 0 },
            blackout: chance.happens(0.1),
            splits: if chance.happens(0.8) { 1 + chance.below(2) } else { 0 },
            cuts: if chance.happens(0.3) { 1 + chance.below(4) } else { 0 },
            elections: chance.below(3),
            skew_ms: if chance.happens(0.3) { chance.below(400) } else { 10 },
            delta_rows_max: if chance.happens(0.4) { 2 + chance.below(4) } else { 4096 },
            proposal_trouble: sometimes(&mut chance, 0.3, 0.05),
        }
    }
}
