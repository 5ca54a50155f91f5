//! What goes wrong in the simulated world at the moment: the plan's faults, begun and ended.
//!
//! Each of the plan's occurrences is an event when it begins and one when it ends. Whoever sends a message, reads a
//! clock or proposes an entry asks here what becomes of it. What the simulator has no model of is told as an event
//! of the nodes that it would have met, so that no plan passes for what was not done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::chance::Chance;
use crate::check::{Did, Happened, NodeEvent};
use crate::plan::{Inject, Occurrence, Plan, Spot, Target, Way};
use crate::sim::event::Event;
use crate::sim::world::World;

const MS: u64 = 1_000_000;
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
    /// Up to so much more.
    pub jitter_ns: u64,
}

/// What an active fault does.
#[derive(Debug)]
enum Active {
    /// These directions are cut, while it is closed.
    Cut { pairs: Vec<(usize, usize)>, closed: bool, flap_ns: Option<u64> },
    /// Messages from these nodes to those travel in another way.
    Link { from: Vec<usize>, to: Vec<usize>, one_way: bool, change: Inject },
    /// These nodes are down.
    Down(Vec<usize>),
    /// These nodes' clocks are off.
    Skew { nodes: Vec<usize>, ns: i64, stays: bool },
    /// These nodes' clocks run fast or slow, since then.
    Drift { nodes: Vec<usize>, ppm: i64, since_ns: u64 },
    /// A share of these nodes' proposals goes wrong.
    Proposals { nodes: Vec<usize>, share: f64 },
    /// Over when it begins.
    Once,
}

/// The faults of a run.
#[derive(Debug, Default)]
pub struct Faults {
    timeline: Vec<Occurrence>,
    active: BTreeMap<usize, (Active, usize)>,
    /// How many cuts close a direction.
    cut: BTreeMap<(usize, usize), u32>,
    /// What ended drifts have left of clocks' offsets.
    drifted_ns: BTreeMap<usize, i64>,
}

impl Faults {
    /// The faults of a plan, none begun.
    #[must_use]
    pub fn of(plan: &Plan, seed: u64) -> Self {
        Self { timeline: plan.timeline(seed), ..Self::default() }
    }

    /// Whether nothing passes from one node to another.
    #[must_use]
    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut.get(&(from, to)).is_some_and(|count| *count > 0)
    }

    /// How messages travel from one node to another.
    #[must_use]
    pub fn shape(&self, a: usize, b: usize) -> Shape {
        let mut shape = Shape::default();
        for (active, _) in self.active.values() {
            let Active::Link { from, to, one_way, change } = active else { continue };
            let there = from.binary_search(&a).is_ok() && to.binary_search(&b).is_ok();
            let back = !one_way && from.binary_search(&b).is_ok() && to.binary_search(&a).is_ok();
            let Inject::Link { delay, jitter, loss, duplicate, reorder, late, .. } = change else { continue };
            if there || back {
                shape.loss = loss.unwrap_or(shape.loss);
                shape.duplicate = duplicate.unwrap_or(shape.duplicate);
                shape.reorder = reorder.unwrap_or(shape.reorder);
                shape.late_ns = late.map_or(shape.late_ns, nanos);
                shape.delay_ns = delay.map(nanos).or(shape.delay_ns);
                shape.jitter_ns = jitter.map_or(shape.jitter_ns, nanos);
            }
        }
        shape
    }

    /// How far a node's wall clock is off.
    #[must_use]
    pub fn clock_offset_ns(&self, node: usize, now_ns: u64) -> i64 {
        let mut offset_ns = self.drifted_ns.get(&node).copied().unwrap_or_default();
        for (active, _) in self.active.values() {
            match active {
                Active::Skew { nodes, ns, .. } if nodes.contains(&node) => offset_ns += ns,
                Active::Drift { nodes, ppm, since_ns } if nodes.contains(&node) => {
                    offset_ns += gained_ns(*ppm, now_ns - since_ns);
                }
                _ => {}
            }
        }
        offset_ns
    }

    /// The share of a node's proposals that go wrong.
    #[must_use]
    pub fn proposal_trouble(&self, node: usize) -> f64 {
        let shares = self.active.values().filter_map(|(active, _)| match active {
            Active::Proposals { nodes, share } if nodes.contains(&node) => Some(*share),
            _ => None,
        });
        shares.fold(0.0, f64::max)
    }
}

impl World {
    /// Books the beginnings and ends of all occurrences.
    pub fn book_faults(&mut self) {
        for (occurrence, it) in self.faults.timeline.clone().into_iter().enumerate() {
            self.schedule(START_NS + nanos(it.at), Event::Fault { occurrence });
            if let Some(until) = it.until {
                self.schedule(START_NS + nanos(until), Event::FaultOver { occurrence });
            }
        }
    }

    /// An occurrence begins: its targets are drawn, and it happens.
    pub fn begin_fault(&mut self, occurrence: usize) {
        if self.healed_ns.is_some() {
            return;
        }
        let Some(it) = self.faults.timeline.get(occurrence).cloned() else { return };
        let inject = self.plan.faults[it.fault].inject.clone();
        let mut chance = Chance::new(it.seed);
        let mut settle = |target: &Target| {
            let leader = |region: &str| {
                let log = self.logs[self.region(region)?].borrow();
                log.leader.map(|leader| self.name(leader))
            };
            target.settle(&self.plan.topology, &mut chance, leader)
        };
        let spots: Vec<Spot> = inject.targets().into_iter().map(&mut settle).collect();
        let nodes: Vec<Vec<usize>> = spots
            .iter()
            .map(|spot| {
                let mut nodes: Vec<usize> =
                    spot.nodes(&self.plan.topology).iter().filter_map(|name| self.number(name)).collect();
                nodes.sort_unstable();
                nodes
            })
            .collect();
        let Some(active) = self.inject(&inject, &spots, &nodes) else {
            let names = nodes.first().into_iter().flatten().map(|node| self.name(*node)).collect::<Vec<_>>();
            for node in names {
                let words = format!("the simulator has no model of {}", inject.kind());
                self.events.push(NodeEvent { node, at_ns: self.now_ns, what: Did::Tell, words });
            }
            return;
        };
        if let Active::Cut { flap_ns: Some(flap_ns), .. } = active {
            self.schedule(flap_ns, Event::Flap { occurrence });
        }
        let until_ns = matches!(active, Active::Once).then_some(self.now_ns);
        let targets = match spots.first() {
            Some(Spot::Region(region)) => vec![region.clone()],
            _ => nodes.first().into_iter().flatten().map(|node| self.name(*node)).collect(),
        };
        let (kind, from_ns) = (inject.kind().to_owned(), self.now_ns);
        self.faults.active.insert(occurrence, (active, self.happened.len()));
        self.happened.push(Happened { kind, targets, from_ns, until_ns, detail: String::new() });
    }

    /// Lets a fault begin; none: there is no model of it here.
    fn inject(&mut self, inject: &Inject, spots: &[Spot], nodes: &[Vec<usize>]) -> Option<Active> {
        let first = nodes.first()?.clone();
        match inject {
            Inject::Split { way, flap, .. } => {
                if spots.iter().any(|spot| matches!(spot, Spot::Clients(_))) {
                    return None;
                }
                let pairs = self.pairs_of(&first, &nodes[1..], *way);
                let (closed, flap_ns) = (true, flap.map(nanos));
                self.cut(&pairs, true);
                Some(Active::Cut { pairs, closed, flap_ns })
            }
            Inject::Link { one_way, .. } => {
                let (from, to) = (first, nodes.get(1)?.clone());
                Some(Active::Link { from, to, one_way: *one_way, change: inject.clone() })
            }
            Inject::Kill { .. } | Inject::PowerLoss { .. } | Inject::TornWrite { .. } => {
                first.iter().for_each(|node| self.crash(*node));
                Some(Active::Down(first))
            }
            Inject::Skew { by, .. } => Some(Active::Skew { nodes: first, ns: by.ns, stays: false }),
            Inject::Jump { by, .. } => Some(Active::Skew { nodes: first, ns: by.ns, stays: true }),
            Inject::Drift { ppm, .. } => Some(Active::Drift { nodes: first, ppm: *ppm, since_ns: self.now_ns }),
            Inject::Proposals { share, .. } => Some(Active::Proposals { nodes: first, share: *share }),
            Inject::Elect { .. } => {
                let regions: BTreeSet<usize> = first.iter().map(|node| self.nodes[*node].region).collect();
                regions.into_iter().for_each(|region| self.unseat(region));
                Some(Active::Once)
            }
            _ => None,
        }
    }

    /// The directions that a split closes: between the target and those named, or all others.
    fn pairs_of(&self, target: &[usize], from: &[Vec<usize>], way: Way) -> Vec<(usize, usize)> {
        let named: Vec<usize> = from.concat();
        let others =
            (0..self.nodes.len()).filter(|node| !target.contains(node) && (from.is_empty() || named.contains(node)));
        let mut pairs = Vec::new();
        for other in others {
            for node in target {
                if way != Way::In {
                    pairs.push((*node, other));
                }
                if way != Way::Out {
                    pairs.push((other, *node));
                }
            }
        }
        pairs
    }

    /// Closes directions, or opens them again.
    fn cut(&mut self, pairs: &[(usize, usize)], close: bool) {
        for pair in pairs {
            let count = self.faults.cut.entry(*pair).or_default();
            *count = if close { *count + 1 } else { count.saturating_sub(1) };
        }
        for (a, b) in pairs {
            self.relink(*a, *b);
        }
    }

    /// A flapping cut opens or closes.
    pub fn flap(&mut self, occurrence: usize) {
        let Some((Active::Cut { pairs, closed, flap_ns: Some(flap_ns) }, _)) = self.faults.active.get_mut(&occurrence)
        else {
            return;
        };
        *closed = !*closed;
        let (pairs, closed, flap_ns) = (pairs.clone(), *closed, *flap_ns);
        self.cut(&pairs, closed);
        self.schedule(flap_ns, Event::Flap { occurrence });
    }

    /// An occurrence ends.
    pub fn end_fault(&mut self, occurrence: usize) {
        let stays = matches!(self.faults.active.get(&occurrence), Some((Active::Skew { stays: true, .. }, _)));
        if stays && self.healed_ns.is_none() {
            return;
        }
        let Some((active, happened)) = self.faults.active.remove(&occurrence) else { return };
        let until = &mut self.happened[happened].until_ns;
        *until = until.or(Some(self.now_ns));
        match active {
            Active::Cut { pairs, closed: true, .. } => self.cut(&pairs, false),
            Active::Down(nodes) => nodes.into_iter().for_each(|node| self.start(node)),
            Active::Drift { nodes, ppm, since_ns } => {
                for node in nodes {
                    *self.faults.drifted_ns.entry(node).or_default() += gained_ns(ppm, self.now_ns - since_ns);
                }
            }
            _ => {}
        }
    }

    /// Ends all faults: cuts heal, clocks are right again, every node starts.
    pub fn heal(&mut self) {
        self.healed_ns = Some(self.now_ns);
        let active: Vec<usize> = self.faults.active.keys().copied().collect();
        active.into_iter().for_each(|occurrence| self.end_fault(occurrence));
        self.faults.drifted_ns.clear();
        for node in 0..self.nodes.len() {
            self.start(node);
        }
    }
}

/// What a clock that runs fast or slow gains in a time.
fn gained_ns(ppm: i64, time_ns: u64) -> i64 {
    i64::try_from(i128::from(ppm) * i128::from(time_ns) / 1_000_000).unwrap_or_default()
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4)
}
