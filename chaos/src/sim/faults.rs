//! What goes wrong in the simulated world at the moment.
//!
//! Whoever sends a message, reads a clock, writes to a disk or proposes an entry asks here what becomes of it. How faults
//! begin and end stands in `inject`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::plan::{Inject, Occurrence, Plan, Way};
use crate::sim::world::MS;

/// When clients begin, and with them the plan's time.
pub const START_NS: u64 = 500 * MS;

/// How messages travel from one node to another.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shape {
    /// The share lost.
    pub loss: f64,
    /// The share that comes twice.
    pub duplicate: f64,
    /// The share that comes late.
    pub reorder: f64,
    /// At most how late.
    pub late_ns: u64,
    /// The delay; none: by geography.
    pub delay_ns: Option<u64>,
    /// Up to this much more.
    pub jitter_ns: u64,
    /// Bytes a second; none: as many as there are.
    pub bytes_per_s: Option<u64>,
}

/// What an active fault does.
#[derive(Debug, Clone)]
pub(super) enum Active {
    /// These directions are cut, while it is closed, and so are clients of these regions from these nodes.
    Cut { pairs: Vec<(usize, usize)>, clients: Vec<(String, Vec<usize>)>, closed: bool, flap_ns: Option<u64> },
    /// Clients from this region (none: from anywhere) do not reach these nodes, nor these them, or one of the two.
    Clients { home: Option<String>, nodes: Vec<usize>, way: Way },
    /// Messages from these nodes to those travel in another way.
    Link { from: Vec<usize>, to: Vec<usize>, one_way: bool, change: Inject },
    /// These nodes' processes were killed.
    Down(Vec<usize>),
    /// These nodes have no power.
    Dark(Vec<usize>),
    /// These nodes sleep.
    Asleep(Vec<usize>),
    /// These nodes' clocks are off.
    Skew { nodes: Vec<usize>, ns: i64, stays: bool },
    /// These nodes' clocks run fast or slow, since then.
    Drift { nodes: Vec<usize>, ppm: i64, since_ns: u64 },
    /// A share of these nodes' proposals goes wrong.
    Proposals { nodes: Vec<usize>, share: f64 },
    /// These nodes' disks are full.
    Full(Vec<usize>),
    /// These nodes' disks are slow.
    Slow { nodes: Vec<usize>, by_ns: u64 },
    /// A share of these nodes' writes fails.
    Fails { nodes: Vec<usize>, share: f64 },
    /// These nodes are down, and have empty disks when they come back.
    Lost(Vec<usize>),
    /// These nodes' disks will be as they were when this began.
    Old(Vec<usize>),
    /// These nodes put a share of their ledgers' tails in a wrong order.
    Disorder { nodes: Vec<usize>, share: f64 },
    /// Over when it begins.
    Once,
}

/// The faults of a run.
#[derive(Debug, Default)]
pub struct Faults {
    pub(super) timeline: Vec<Occurrence>,
    /// The active ones, each with its place among those that happened.
    pub(super) active: BTreeMap<usize, (Active, usize)>,
    /// How many cuts close a direction; only those that some cut closes.
    cut: BTreeMap<(usize, usize), u32>,
    /// The active ones that links, clocks or disks ask about: most of the time there are none.
    links: BTreeSet<usize>,
    clocks: BTreeMap<usize, BTreeSet<usize>>,
    others: BTreeSet<usize>,
    /// What ended drifts have left of clocks' offsets.
    pub(super) drifted_ns: BTreeMap<usize, i64>,
    /// Nodes whose disks came back as they were before.
    pub(super) old: BTreeSet<usize>,
}

impl Faults {
    /// The faults of a plan, none begun.
    #[must_use]
    pub fn of(plan: &Plan, seed: u64) -> Self {
        Self { timeline: plan.timeline(seed), ..Self::default() }
    }

    /// A fault is active from now on.
    pub(super) fn add(&mut self, occurrence: usize, active: Active, happened: usize) {
        match &active {
            Active::Link { .. } => {
                self.links.insert(occurrence);
            }
            Active::Skew { nodes, .. } | Active::Drift { nodes, .. } => {
                for node in nodes {
                    self.clocks.entry(*node).or_default().insert(occurrence);
                }
            }
            Active::Proposals { .. }
            | Active::Full(_)
            | Active::Slow { .. }
            | Active::Fails { .. }
            | Active::Disorder { .. }
            | Active::Clients { .. }
            | Active::Cut { .. } => {
                self.others.insert(occurrence);
            }
            _ => {}
        }
        self.active.insert(occurrence, (active, happened));
    }

    /// A fault is over.
    pub(super) fn remove(&mut self, occurrence: usize) -> Option<(Active, usize)> {
        self.links.remove(&occurrence);
        self.others.remove(&occurrence);
        for of in self.clocks.values_mut() {
            of.remove(&occurrence);
        }
        self.active.remove(&occurrence)
    }

    /// One more cut closes a direction, or one less.
    pub(super) fn close(&mut self, pair: (usize, usize), close: bool) {
        let count = self.cut.entry(pair).or_default();
        *count = if close { *count + 1 } else { count.saturating_sub(1) };
        if *count == 0 {
            self.cut.remove(&pair);
        }
    }

    /// Whether nothing passes from one node to another.
    #[must_use]
    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        !self.cut.is_empty() && self.cut.contains_key(&(from, to))
    }

    /// How messages travel from one node to another.
    #[must_use]
    pub fn shape(&self, a: usize, b: usize) -> Shape {
        let mut shape = Shape::default();
        for (active, _) in self.links.iter().filter_map(|link| self.active.get(link)) {
            let Active::Link { from, to, one_way, change } = active else { continue };
            let there = from.binary_search(&a).is_ok() && to.binary_search(&b).is_ok();
            let back = !one_way && from.binary_search(&b).is_ok() && to.binary_search(&a).is_ok();
            let Inject::Link { delay, jitter, loss, duplicate, reorder, late, bytes_per_s, .. } = change else {
                continue;
            };
            if there || back {
                shape.loss = loss.unwrap_or(shape.loss);
                shape.duplicate = duplicate.unwrap_or(shape.duplicate);
                shape.reorder = reorder.unwrap_or(shape.reorder);
                shape.late_ns = late.map_or(shape.late_ns, nanos);
                shape.delay_ns = delay.map(nanos).or(shape.delay_ns);
                shape.jitter_ns = jitter.map_or(shape.jitter_ns, nanos);
                shape.bytes_per_s = bytes_per_s.or(shape.bytes_per_s);
            }
        }
        shape
    }

    /// How far a node's wall clock is off.
    #[must_use]
    pub fn clock_offset_ns(&self, node: usize, now_ns: u64) -> i64 {
        let mut offset_ns = self.drifted_ns.get(&node).copied().unwrap_or_default();
        for occurrence in self.clocks.get(&node).into_iter().flatten() {
            match self.active.get(occurrence) {
                Some((Active::Skew { ns, .. }, _)) => offset_ns += ns,
                Some((Active::Drift { ppm, since_ns, .. }, _)) => offset_ns += gained_ns(*ppm, now_ns - since_ns),
                _ => {}
            }
        }
        offset_ns
    }

    /// The share of a node's proposals that go wrong.
    #[must_use]
    pub fn proposal_trouble(&self, node: usize) -> f64 {
        self.most(|active| match active {
            Active::Proposals { nodes, share } if nodes.contains(&node) => Some(*share),
            _ => None,
        })
    }

    /// The share of a node's writes that fail.
    #[must_use]
    pub fn disk_failures(&self, node: usize) -> f64 {
        self.most(|active| match active {
            Active::Fails { nodes, share } if nodes.contains(&node) => Some(*share),
            _ => None,
        })
    }

    /// The share of a node's tails that are in a wrong order.
    #[must_use]
    pub fn disorder(&self, node: usize) -> f64 {
        self.most(|active| match active {
            Active::Disorder { nodes, share } if nodes.contains(&node) => Some(*share),
            _ => None,
        })
    }

    /// By how much a node's disk is slower.
    #[must_use]
    pub fn disk_delay_ns(&self, node: usize) -> u64 {
        let of = |active: &Active| match active {
            Active::Slow { nodes, by_ns } if nodes.contains(&node) => Some(*by_ns),
            _ => None,
        };
        self.of_others().filter_map(of).max().unwrap_or_default()
    }

    /// Whether no byte fits on a node's disk.
    #[must_use]
    pub fn disk_is_full(&self, node: usize) -> bool {
        self.of_others().any(|active| matches!(active, Active::Full(nodes) if nodes.contains(&node)))
    }

    /// Whether a node hears nothing of the clients from a region.
    #[must_use]
    pub fn deaf_to_clients(&self, home: &str, node: usize) -> bool {
        self.clients_cut(home, node).any(|way| way != Way::In)
    }

    /// Whether the clients from a region hear nothing of a node.
    #[must_use]
    pub fn mute_to_clients(&self, home: &str, node: usize) -> bool {
        self.clients_cut(home, node).any(|way| way != Way::Out)
    }

    fn clients_cut(&self, home: &str, node: usize) -> impl Iterator<Item = Way> {
        self.of_others().filter_map(move |active| match active {
            Active::Clients { home: from, nodes, way }
                if from.as_ref().is_none_or(|from| from == home) && nodes.contains(&node) =>
            {
                Some(*way)
            }
            Active::Cut { clients, closed: true, .. }
                if clients.iter().any(|(from, nodes)| from == home && nodes.contains(&node)) =>
            {
                Some(Way::Both)
            }
            _ => None,
        })
    }

    /// Whether a node's disk came back as it was before.
    #[must_use]
    pub fn may_be_old(&self, node: usize) -> bool {
        self.old.contains(&node)
    }

    /// Whether a node's disk is about to be lost, or to come back or has come back as it was before.
    #[must_use]
    pub fn loses_or_lost(&self, node: usize) -> bool {
        let loses =
            |active: &Active| matches!(active, Active::Lost(nodes) | Active::Old(nodes) if nodes.contains(&node));
        self.may_be_old(node) || self.active.values().any(|(active, _)| loses(active))
    }

    fn of_others(&self) -> impl Iterator<Item = &Active> {
        self.others.iter().filter_map(|other| self.active.get(other)).map(|(active, _)| active)
    }

    fn most(&self, of: impl Fn(&Active) -> Option<f64>) -> f64 {
        self.of_others().filter_map(of).fold(0.0, f64::max)
    }
}

/// What a clock that runs fast or slow gains in a time.
pub(super) fn gained_ns(ppm: i64, time_ns: u64) -> i64 {
    i64::try_from(i128::from(ppm) * i128::from(time_ns) / 1_000_000).unwrap_or_default()
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4)
}
