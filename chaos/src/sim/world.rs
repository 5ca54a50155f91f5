//! The simulated world: nodes with real cores, and everything around them that can go wrong.
//!
//! One queue of events in simulated time is the only source of order, one stream of chance the only source of
//! choice, so a seed decides everything. The cores are those of the daemon: every input goes through
//! `Replica::handle`, and every effect is carried out here as the daemon's driver would, only later, twice, or never,
//! where the contract allows it (`node`, `links`, `group`, `faults`).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use trine_crdt::{NodeId, RegionId};
use trine_ledger::{Genesis, GenesisNode, GenesisRegion};
use trine_replica::Input;
use trine_replica::input::GroupId;

use crate::chance::Chance;
use crate::check::{ClockMark, Happened, NodeEvent, Said, Uptime};
use crate::plan::{Plan, Topology};
use crate::report::simulated::Traffic;
use crate::sim::clients::{self, Clients};
use crate::sim::event::{Event, Queue};
use crate::sim::faults::{Faults, START_NS};
use crate::sim::links::Pairs;
use crate::sim::node::Node;
use crate::sim::restored::Restored;
use crate::sim::sequencer::Sequencer;
use crate::sim::trace::Trace;
use crate::sim::voters::Group;

/// A simulated millisecond.
pub(super) const MS: u64 = 1_000_000;

/// The world of one run.
pub struct World {
    /// What decides it.
    pub seed: u64,
    /// What is done to it.
    pub plan: Plan,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The regions' names.
    pub regions: Vec<RegionId>,
    /// The regions' logs.
    pub logs: Vec<Rc<RefCell<Sequencer>>>,
    /// The clients.
    pub clients: Clients,
    /// What goes wrong at the moment.
    pub faults: Faults,
    /// What went wrong, as it really happened.
    pub happened: Vec<Happened>,
    /// Faults of the plan that there is no model of here, and which were left out.
    pub left_out: BTreeSet<&'static str>,
    /// What nodes' clocks showed when they stopped and started.
    pub clocks: Vec<ClockMark>,
    /// What nodes did of themselves.
    pub events: Vec<NodeEvent>,
    /// What nodes said of themselves.
    pub said: Vec<Said>,
    /// When their processes ran.
    pub uptimes: Vec<Uptime>,
    /// When everything was healed.
    pub healed_ns: Option<u64>,
    /// When all nodes were first seen to hold the same after that.
    pub converged_ns: Option<u64>,
    /// Simulated nanoseconds since the start.
    pub now_ns: u64,
    /// Chance.
    pub chance: Chance,
    /// What happened, as a hash.
    pub trace: Trace,
    /// Whether bytes of messages are counted, which costs their encoding.
    pub measure: bool,
    /// Regions that went back, and what regions sign.
    pub restored: Restored,
    /// What went between nodes of one region.
    pub inside: Traffic,
    /// What went from one region to another.
    pub between: Traffic,
    pub(super) pairs: Pairs,
    pub(super) genesis: Arc<Genesis>,
    /// The nodes of each region that were not taken out.
    pub(super) members: Vec<Vec<usize>>,
    /// The regions' Raft memberships.
    pub(super) groups: Vec<Group>,
    pub(super) by_id: BTreeMap<NodeId, usize>,
    /// Until when the line between two regions is busy, where it is narrow.
    pub(super) busy_until_ns: BTreeMap<(usize, usize), u64>,
    queue: Queue,
    numbers: BTreeMap<String, usize>,
}

impl World {
    /// A world in which all nodes are about to start.
    #[must_use]
    pub fn new(seed: u64, plan: Plan) -> Self {
        let chance = Chance::new(seed);
        let topology = plan.topology;
        let regions: Vec<RegionId> =
            topology.region_names().iter().map(|name| name.parse().expect("a region's name")).collect();
        let genesis = Genesis {
            cluster: format!("{seed:032x}"),
            regions: regions.iter().enumerate().map(|(number, id)| founding(number, id, topology.nodes)).collect(),
        };
        let logs: Vec<_> = regions.iter().map(|_| Rc::new(RefCell::new(Sequencer::default()))).collect();
        let mut world = Self {
            clients: Clients::of(&plan),
            faults: Faults::of(&plan, seed),
            restored: Restored::of(&plan),
            seed,
            plan,
            nodes: Vec::new(),
            members: vec![Vec::new(); regions.len()],
            groups: Vec::new(),
            regions,
            logs,
            happened: Vec::new(),
            left_out: BTreeSet::new(),
            clocks: Vec::new(),
            events: Vec::new(),
            said: Vec::new(),
            uptimes: Vec::new(),
            healed_ns: None,
            converged_ns: None,
            now_ns: 0,
            chance,
            trace: Trace::default(),
            measure: false,
            inside: Traffic::default(),
            between: Traffic::default(),
            pairs: Pairs::default(),
            genesis: Arc::new(genesis),
            by_id: BTreeMap::new(),
            busy_until_ns: BTreeMap::new(),
            queue: Queue::default(),
            numbers: BTreeMap::new(),
        };
        for region in 0..world.regions.len() {
            for _ in 0..topology.nodes {
                let node = world.add(region);
                let at = world.chance.below(200 * MS);
                world.schedule(at, Event::Start { node });
            }
        }
        world.book_faults();
        for region in 0..world.regions.len() {
            let founders: Vec<NodeId> = world.members[region].iter().map(|node| world.nodes[*node].id).collect();
            let group = Group::founded(&founders);
            world.logs[region].borrow_mut().found(group.membership.voters.clone());
            world.groups.push(group);
            world.schedule(100 * MS + region as u64 * MS, Event::Follow { region });
            let at = 100 * MS + world.chance.below(500 * MS);
            world.logs[region].borrow_mut().voting = true;
            world.schedule(at, Event::Elect { region });
        }
        world
    }

    /// Puts one more node into a region; its number. It does not run yet.
    pub fn add(&mut self, region: usize) -> usize {
        let node = self.nodes.len();
        let place = self.nodes.iter().filter(|other| other.region == region).count();
        let name = Topology::node(&self.regions[region].to_string(), place);
        let id = NodeId(self.chance.bits());
        self.nodes.push(Node::new(name.as_str().into(), region, id, &self.logs[region]));
        self.members[region].push(node);
        self.by_id.insert(id, node);
        self.numbers.insert(name, node);
        node
    }

    /// When clients end and everything heals.
    #[must_use]
    pub fn end_ns(&self) -> u64 {
        START_NS + u64::try_from(self.plan.duration.as_nanos()).unwrap_or(u64::MAX / 2)
    }

    /// A node's number, by its name.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied()
    }

    /// A node's name.
    #[must_use]
    pub fn name(&self, node: usize) -> String {
        self.nodes[node].name.to_string()
    }

    /// Whether a node takes clients' calls: it runs, and nobody is about to take it out.
    #[must_use]
    pub fn serves(&self, name: &str) -> bool {
        self.number(name).is_some_and(|node| self.nodes[node].replica.is_some() && !self.nodes[node].draining)
    }

    /// The number of a region, by its name.
    #[must_use]
    pub fn region(&self, name: &str) -> Option<usize> {
        self.regions.iter().position(|region| region.to_string() == name)
    }

    /// The nodes that were not taken out.
    pub fn present(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|node| !self.nodes[*node].gone)
    }

    /// Puts an event into the queue, `after_ns` from now.
    pub fn schedule(&mut self, after_ns: u64, event: Event) {
        self.queue.at(self.now_ns + after_ns, event);
    }

    /// Lets events happen until a time. Events that are the clients' business are returned to the caller.
    pub fn run_until(&mut self, end_ns: u64, mut operation: impl FnMut(&mut Self)) {
        while let Some((time_ns, event)) = self.queue.pop(end_ns) {
            self.now_ns = time_ns;
            match event {
                Event::Operation => operation(self),
                event => self.happen(event),
            }
        }
        self.now_ns = self.now_ns.max(end_ns);
    }

    fn happen(&mut self, event: Event) {
        if let Some(due) = event.process().and_then(|node| self.nodes[node].asleep.as_mut()) {
            due.push(event);
            return;
        }
        match event {
            Event::Tick { node, life } => {
                if self.nodes[node].tick_at_ns <= self.now_ns {
                    self.input(node, life, Input::Tick);
                }
            }
            Event::Message { from, to, lives, message } => {
                let whole = !self.faults.is_cut(from, to) && self.nodes[from].life == lives.0;
                if whole {
                    let id = self.nodes[from].id;
                    self.input(to, lives.1, Input::Message { from: id, message: *message });
                }
            }
            Event::Rumor { from, to, bytes } => {
                if !self.faults.is_cut(from, to) {
                    let (id, life) = (self.nodes[from].id, self.nodes[to].life);
                    self.input(to, life, Input::Rumor { from: id, bytes });
                }
            }
            Event::LinkUp { node, peer, epoch } => self.link(node, peer, epoch, true),
            Event::LinkDown { node, peer, epoch } => self.link(node, peer, epoch, false),
            Event::Synced { node, life, batch } => {
                if self.nodes[node].life == life && self.nodes[node].replica.is_some() {
                    self.nodes[node].disk.synced(batch);
                    self.input(node, life, Input::Persisted(batch));
                }
            }
            Event::Visible { node, life, batch } => self.input(node, life, Input::Persisted(batch)),
            Event::Flush { node, life } => {
                if self.nodes[node].life == life && self.nodes[node].replica.is_some() {
                    self.nodes[node].disk.flush();
                    self.schedule(200 * MS, Event::Flush { node, life });
                }
            }
            Event::Propose { node, life, ticket, entry } => self.propose(node, life, ticket, entry),
            Event::Proposed { node, life, ticket, outcome } => {
                self.input(node, life, Input::Proposed { group: GroupId::Region, ticket, outcome });
            }
            Event::Deliver { node, life } => self.deliver(node, life),
            Event::Barrier { node, life, ticket } => self.barrier(node, life, ticket),
            Event::Request { node, life, request } => self.input(node, life, *request),
            Event::Elect { region } => self.elect(region),
            Event::Follow { region } => self.follow(region),
            Event::Start { node } => self.start(node),
            Event::Leave { node } => self.leave(node),
            Event::Recover { region } => self.recover(region),
            Event::Renew { node } => self.replace(node),
            Event::Fault { occurrence } => self.begin_fault(occurrence),
            Event::FaultOver { occurrence } => self.end_fault(occurrence),
            Event::Flap { occurrence } => self.flap(occurrence),
            Event::NextCall { client, after } => clients::go_on(self, client, after),
            Event::Look => self.look(),
            Event::Operation => {}
        }
    }
}

/// The seed of a region's log key in every simulated world.
pub(super) fn log_seed(region: usize) -> [u8; 32] {
    [u8::try_from(region).unwrap_or(u8::MAX).wrapping_add(1); 32]
}

fn founding(number: usize, id: &RegionId, nodes: usize) -> GenesisRegion {
    let node = |place: usize| {
        let name = Topology::node(&id.to_string(), place);
        let peer = format!("peer-{name}");
        GenesisNode { addresses: vec![format!("/sim/{name}")], raft: format!("{name}:0"), peer, name }
    };
    let log_key = SigningKey::from_bytes(&log_seed(number)).verifying_key().to_bytes();
    GenesisRegion { id: id.clone(), log_key, nodes: (0..nodes).map(node).collect() }
}
