//! The plan's faults in the simulated world: how they begin and how they end.
//!
//! Each of the plan's occurrences is an event when it begins and one when it ends; its targets are drawn when it
//! begins. What there is no model of is left out and named, so that no plan passes for what was not done.

use std::collections::{BTreeMap, BTreeSet};

use trine_protocol::Role;
use trine_protocol::request::{NodeRemove, Options, Request};
use trine_replica::Input;

use crate::chance::Chance;
use crate::check::Happened;
use crate::plan::{Inject, Spot, Target, Way};
use crate::sim::event::Event;
use crate::sim::faults::{Active, START_NS, gained_ns, nanos};
use crate::sim::world::{MS, World};

/// How long clients stay away from a node before it is taken out, so that what it alone has gets away.
const DRAIN_NS: u64 = 2_000 * MS;
/// How soon a node is asked again to be taken off its roster.
const LEAVE_AGAIN_NS: u64 = 500 * MS;
/// The request of an operator, that is no client's.
const OPERATOR: u64 = 1 << 48;

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
                let names = spot.nodes(&self.plan.topology);
                let known = names.iter().filter_map(|name| self.number(name)).filter(|node| !self.nodes[*node].gone);
                let mut nodes: Vec<usize> = known.collect();
                nodes.sort_unstable();
                nodes
            })
            .collect();
        let Some(active) = self.inject(&inject, &spots, &nodes) else {
            self.left_out.insert(inject.kind());
            return;
        };
        // Its region could not do without this disk as well.
        let goes_back = matches!(&active, Active::Old(nodes) if !self.whole_regions(nodes).is_empty());
        if let Active::Lost(nodes) | Active::Old(nodes) = &active
            && !goes_back
            && !nodes.iter().all(|node| self.can_spare(*node))
        {
            return;
        }
        if let Active::Cut { flap_ns: Some(flap_ns), .. } = active {
            self.schedule(flap_ns, Event::Flap { occurrence });
        }
        let until_ns = matches!(active, Active::Once).then_some(self.now_ns);
        let targets = match spots.first() {
            Some(Spot::Region(region)) if !goes_back => vec![region.clone()],
            Some(Spot::Clients(_)) => vec!["clients".to_owned()],
            _ => nodes.first().into_iter().flatten().map(|node| self.name(*node)).collect(),
        };
        let (kind, from_ns) = (inject.kind().to_owned(), self.now_ns);
        self.faults.add(occurrence, active, self.happened.len());
        self.happened.push(Happened { kind, targets, from_ns, until_ns, detail: String::new() });
        self.begun(occurrence);
    }

    /// Lets a fault begin; none: there is no model of it here.
    fn inject(&mut self, inject: &Inject, spots: &[Spot], nodes: &[Vec<usize>]) -> Option<Active> {
        let first = nodes.first()?.clone();
        Some(match inject {
            Inject::Split { way, flap, .. } => {
                if let (Some(Spot::Clients(home)), None) = (spots.first(), flap) {
                    let named = nodes[1..].concat();
                    let nodes = if named.is_empty() { (0..self.nodes.len()).collect() } else { named };
                    return Some(Active::Clients { home: home.clone(), nodes, way: *way });
                }
                if spots.iter().any(|spot| matches!(spot, Spot::Clients(_))) {
                    return None;
                }
                let pairs = self.pairs_of(&first, &nodes[1..], *way);
                let clients = self.clients_behind(spots, &pairs);
                Active::Cut { pairs, clients, closed: true, flap_ns: flap.map(nanos) }
            }
            Inject::Link { .. } if spots.iter().any(|spot| matches!(spot, Spot::Clients(_))) => return None,
            Inject::Link { one_way, .. } => {
                Active::Link { from: first, to: nodes.get(1)?.clone(), one_way: *one_way, change: inject.clone() }
            }
            Inject::Kill { .. } => Active::Down(first),
            // Batches are whole or not there at all, below the core: torn writes come to the same.
            Inject::PowerLoss { .. } | Inject::TornWrite { .. } => Active::Dark(first),
            Inject::Pause { .. } => Active::Asleep(first),
            Inject::Skew { by, .. } => Active::Skew { nodes: first, ns: by.ns, stays: false },
            Inject::Jump { by, .. } => Active::Skew { nodes: first, ns: by.ns, stays: true },
            Inject::Drift { ppm, .. } => Active::Drift { nodes: first, ppm: *ppm, since_ns: self.now_ns },
            Inject::Proposals { share, .. } => Active::Proposals { nodes: first, share: *share },
            Inject::DiskFull { .. } => Active::Full(first),
            Inject::DiskSlow { by, .. } => Active::Slow { nodes: first, by_ns: nanos(*by) },
            Inject::DiskFails { share, .. } => Active::Fails { nodes: first, share: *share },
            Inject::DiskLost { .. } => Active::Lost(first),
            Inject::DiskRestored { .. } => Active::Old(first),
            Inject::Disorder { share, .. } => Active::Disorder { nodes: first, share: *share },
            Inject::Elect { .. } => {
                let regions: BTreeSet<usize> = first.iter().map(|node| self.nodes[*node].region).collect();
                regions.into_iter().for_each(|region| self.unseat(region));
                Active::Once
            }
            Inject::Join { .. } => {
                let region = self.nodes[*first.first()?].region;
                let node = self.add(region);
                self.start(node);
                Active::Once
            }
            Inject::Leave { .. } => {
                for node in first {
                    (self.nodes[node].draining, self.nodes[node].leaving) = (true, true);
                    self.schedule(DRAIN_NS, Event::Leave { node });
                }
                Active::Once
            }
            Inject::Replace { .. } => {
                for node in first {
                    self.nodes[node].draining = true;
                    self.schedule(DRAIN_NS, Event::Renew { node });
                }
                Active::Once
            }
        })
    }

    /// What a fault does at once, when everybody who asks knows of it.
    fn begun(&mut self, occurrence: usize) {
        let Some((active, _)) = self.faults.active.get(&occurrence).cloned() else { return };
        match active {
            Active::Cut { pairs, .. } => self.cut(&pairs, true),
            Active::Down(nodes) => nodes.into_iter().for_each(|node| self.kill(node)),
            Active::Dark(nodes) | Active::Lost(nodes) => nodes.into_iter().for_each(|node| self.crash(node)),
            Active::Asleep(nodes) => nodes.into_iter().for_each(|node| self.sleep(node)),
            Active::Old(nodes) => {
                self.note_past(&nodes);
                for node in nodes {
                    self.nodes[node].image = Some(self.nodes[node].disk.image());
                }
            }
            Active::Full(nodes) => {
                nodes.into_iter().for_each(|node| self.input(node, self.nodes[node].life, full()));
                self.watch_leaders();
            }
            _ => {}
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

    /// The clients that a cut keeps from nodes: where regions are cut off from each other, theirs are, too, whichever
    /// direction it is that nothing passes in.
    fn clients_behind(&self, spots: &[Spot], pairs: &[(usize, usize)]) -> Vec<(String, Vec<usize>)> {
        if !spots.iter().all(|spot| matches!(spot, Spot::Region(_))) {
            return Vec::new();
        }
        let mut behind: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (a, b) in pairs {
            for (here, there) in [(a, b), (b, a)] {
                behind.entry(self.nodes[*here].region).or_default().insert(*there);
            }
        }
        behind
            .into_iter()
            .map(|(region, nodes)| (self.regions[region].to_string(), nodes.into_iter().collect()))
            .collect()
    }

    /// Closes directions, or opens them again.
    fn cut(&mut self, pairs: &[(usize, usize)], close: bool) {
        pairs.iter().for_each(|pair| self.faults.close(*pair, close));
        for (a, b) in pairs {
            self.relink(*a, *b);
        }
        self.watch_leaders();
    }

    /// A flapping cut opens or closes.
    pub fn flap(&mut self, occurrence: usize) {
        let Some((Active::Cut { pairs, closed, flap_ns: Some(flap_ns), .. }, _)) =
            self.faults.active.get_mut(&occurrence)
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
        let Some((active, happened)) = self.faults.remove(occurrence) else { return };
        let until = &mut self.happened[happened].until_ns;
        *until = until.or(Some(self.now_ns));
        match active {
            Active::Cut { pairs, closed: true, .. } => self.cut(&pairs, false),
            Active::Down(nodes) | Active::Dark(nodes) => nodes.into_iter().for_each(|node| self.start(node)),
            Active::Asleep(nodes) => nodes.into_iter().for_each(|node| self.wake(node)),
            Active::Lost(nodes) => nodes.into_iter().for_each(|node| self.renew(node)),
            Active::Old(nodes) => {
                let whole = self.go_back(&nodes);
                for node in nodes {
                    // Since the image was taken its region may have come to need this disk.
                    if !whole.contains(&self.nodes[node].region) && !self.can_spare(node) {
                        self.nodes[node].image = None;
                        let name = self.name(node);
                        self.happened[happened].targets.retain(|target| *target != name);
                        continue;
                    }
                    self.crash(node);
                    if let Some(image) = self.nodes[node].image.take() {
                        self.nodes[node].disk = image;
                        self.faults.old.insert(node);
                    }
                    self.start(node);
                }
            }
            Active::Full(nodes) => {
                let room = |node: &usize| !self.faults.disk_is_full(*node);
                let nodes: Vec<usize> = nodes.into_iter().filter(room).collect();
                for node in nodes {
                    self.input(node, self.nodes[node].life, Input::Disk { writable: true });
                }
            }
            Active::Drift { nodes, ppm, since_ns } => {
                for node in nodes {
                    *self.faults.drifted_ns.entry(node).or_default() += gained_ns(ppm, self.now_ns - since_ns);
                }
            }
            _ => {}
        }
    }

    /// Asks for a node to be taken off its region's roster, until it has noticed.
    pub(super) fn leave(&mut self, node: usize) {
        let state = &self.nodes[node];
        if state.gone {
            return;
        }
        let request = Input::Request {
            id: OPERATOR,
            role: Role::Admin,
            options: Options::default(),
            request: Request::NodeRemove(NodeRemove { node: state.id, force: false }),
        };
        let near =
            self.members[state.region].iter().copied().find(|other| *other != node && self.nodes[*other].awake());
        if let Some(near) = near {
            self.input(near, self.nodes[near].life, request);
        }
        self.schedule(LEAVE_AGAIN_NS, Event::Leave { node });
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

    /// What an operator wanted and what is not so: nodes that are to leave and go on, and regions
    /// that were to bring back what they lost.
    #[must_use]
    pub fn unfinished(&self) -> Vec<String> {
        let staying = self.nodes.iter().filter(|node| node.leaving && !node.gone);
        let staying = staying.map(|node| format!("{} was taken off its region's roster and goes on", node.name));
        let lacking = self.restored.recovering().map(|region| &self.regions[region]);
        staying.chain(lacking.map(|region| format!("{region} has not got back what it lost"))).collect()
    }
}

fn full() -> Input {
    Input::Disk { writable: false }
}
