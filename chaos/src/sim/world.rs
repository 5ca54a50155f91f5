//! The simulated world: nodes with real cores, and everything around them that can go wrong.
//!
//! One queue of events in simulated time is the only source of order, one stream of chance the only source of
//! choice, so a seed decides everything. The cores are those of the daemon: every input goes through
//! `Replica::handle`, and every effect is carried out here as the daemon's driver would, only later, twice, or never,
//! where the contract allows it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use ed25519_dalek::SigningKey;
use trine_crdt::{NodeId, Now, RegionId, Timestamp, WriterId};
use trine_ledger::{Genesis, GenesisNode, GenesisRegion};
use trine_protocol::RequestError;
use trine_protocol::reply::Answer;
use trine_replica::input::{Leadership, Payload, Peer, ProposeOutcome};
use trine_replica::{Config, Effect, Input, Outbox, Persistence, Replica, rows};

use crate::chance::Chance;
use crate::check::{ClockMark, Did, Happened, NodeEvent};
use crate::plan::{Plan, Topology};
use crate::sim::clients::Clients;
use crate::sim::disk::Disk;
use crate::sim::event::{Event, Queue};
use crate::sim::faults::{Faults, START_NS};
use crate::sim::sequencer::Sequencer;
use crate::sim::trace::Trace;

/// The wall clocks' start: 2026-01-01.
const WALL_START_NS: u64 = 1_767_225_600_000_000_000;
const MS: u64 = 1_000_000;
/// The share of nodes that a rumor reaches.
const RUMOR_SHARE: f64 = 0.7;
/// How long a silent link takes to be noticed.
const SILENCE_NS: u64 = 1_500 * MS;

/// One simulated node.
pub struct Node {
    /// Its region's number.
    pub region: usize,
    /// Its identity.
    pub id: NodeId,
    /// Its core, while it runs.
    pub replica: Option<Replica>,
    /// Its disk, which outlives it.
    pub disk: Disk,
    /// How often it was started.
    pub life: u64,
    /// Why it stopped for good.
    pub halted: Option<String>,
    delivered: u64,
    synced_at_ns: u64,
    told: Leadership,
    tick_at_ns: u64,
    /// Whether its clock was read since it was started.
    clock_read: bool,
}

/// What a pair of nodes knows of the stream between them.
#[derive(Debug, Default, Clone, Copy)]
struct Pair {
    wanted: bool,
    epoch: u64,
    /// Whether the lower and the higher node believe that it stands.
    up: (bool, bool),
}

/// The world of one run.
pub struct World {
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
    /// What nodes' clocks showed when they stopped and started.
    pub clocks: Vec<ClockMark>,
    /// What nodes did of themselves.
    pub events: Vec<NodeEvent>,
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
    queue: Queue,
    pairs: BTreeMap<(usize, usize), Pair>,
    genesis: Genesis,
    numbers: BTreeMap<String, usize>,
}

impl World {
    /// A world in which all nodes are about to start.
    #[must_use]
    pub fn new(seed: u64, plan: Plan) -> Self {
        let mut chance = Chance::new(seed);
        let topology = plan.topology;
        let regions: Vec<RegionId> =
            topology.region_names().iter().map(|name| name.parse().expect("a region's name")).collect();
        let genesis = Genesis {
            cluster: format!("{seed:032x}"),
            regions: regions.iter().enumerate().map(|(number, id)| founding(number, id, topology.nodes)).collect(),
        };
        let logs: Vec<_> = regions.iter().map(|_| Rc::new(RefCell::new(Sequencer::new()))).collect();
        let mut nodes = Vec::new();
        for (region, log) in logs.iter().enumerate() {
            for _ in 0..topology.nodes {
                nodes.push(Node {
                    region,
                    id: NodeId(chance.bits()),
                    replica: None,
                    disk: Disk::new(Rc::clone(log)),
                    life: 0,
                    halted: None,
                    delivered: 0,
                    synced_at_ns: 0,
                    told: Leadership::default(),
                    tick_at_ns: 0,
                    clock_read: false,
                });
            }
        }
        let numbers = topology.node_names().into_iter().enumerate().map(|(number, name)| (name, number)).collect();
        let mut world = Self {
            clients: Clients::of(&plan),
            faults: Faults::of(&plan, seed),
            plan,
            nodes,
            regions,
            logs,
            happened: Vec::new(),
            clocks: Vec::new(),
            events: Vec::new(),
            healed_ns: None,
            converged_ns: None,
            now_ns: 0,
            chance,
            trace: Trace::default(),
            queue: Queue::default(),
            pairs: BTreeMap::new(),
            genesis,
            numbers,
        };
        world.book_faults();
        for node in 0..world.nodes.len() {
            let at = world.chance.below(200 * MS);
            world.queue.at(at, Event::Start { node });
        }
        for region in 0..world.regions.len() {
            let at = 100 * MS + world.chance.below(500 * MS);
            world.queue.at(at, Event::Elect { region });
        }
        world
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

    /// Whether a node runs.
    #[must_use]
    pub fn running(&self, name: &str) -> bool {
        self.number(name).is_some_and(|node| self.nodes[node].replica.is_some())
    }

    /// The number of a region, by its name.
    #[must_use]
    pub fn region(&self, name: &str) -> Option<usize> {
        self.regions.iter().position(|region| region.to_string() == name)
    }

    /// Puts an event into the queue, `after_ns` from now.
    pub fn schedule(&mut self, after_ns: u64, event: Event) {
        self.queue.at(self.now_ns + after_ns, event);
    }

    /// Lets events happen until a time. Events that are the clients' business are returned to the caller.
    pub fn run_until(&mut self, end_ns: u64, mut operation: impl FnMut(&mut Self)) {
        while let Some((time_ns, event)) = self.queue.pop() {
            if time_ns > end_ns {
                self.queue.at(time_ns, event);
                break;
            }
            self.now_ns = time_ns;
            match event {
                Event::Operation => operation(self),
                event => self.happen(event),
            }
        }
        self.now_ns = self.now_ns.max(end_ns);
    }

    fn happen(&mut self, event: Event) {
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
                self.input(node, life, Input::Proposed { ticket, outcome });
            }
            Event::Deliver { node, life } => self.deliver(node, life),
            Event::Barrier { node, life, ticket } => {
                let log = self.logs[self.nodes[node].region].borrow();
                let index = (log.leader == Some(node)).then(|| log.end() - 1);
                drop(log);
                self.input(node, life, Input::ReadIndex { ticket, index });
            }
            Event::Elect { region } => self.elect(region),
            Event::Start { node } => self.start(node),
            Event::Fault { occurrence } => self.begin_fault(occurrence),
            Event::FaultOver { occurrence } => self.end_fault(occurrence),
            Event::Flap { occurrence } => self.flap(occurrence),
            Event::Operation => {}
        }
    }

    /// Hands an input to a node's core and carries out what it wants.
    pub fn input(&mut self, node: usize, life: u64, input: Input) {
        let state = &mut self.nodes[node];
        if state.life != life {
            return;
        }
        let Some(replica) = &mut state.replica else { return };
        let mut out = Outbox::default();
        let wall = (WALL_START_NS + self.now_ns).saturating_add_signed(self.faults.clock_offset_ns(node, self.now_ns));
        let now = Now { wall_ns: wall, monotonic_ns: self.now_ns };
        self.trace.input(self.now_ns, node, &input);
        replica.handle(now, &state.disk, input, &mut out);
        let deadline = replica.deadline();
        self.carry_out(node, out);
        let state = &mut self.nodes[node];
        if state.tick_at_ns <= self.now_ns || deadline < state.tick_at_ns {
            state.tick_at_ns = deadline.max(self.now_ns + MS);
            let life = state.life;
            let at = state.tick_at_ns;
            self.queue.at(at, Event::Tick { node, life });
        }
    }

    fn carry_out(&mut self, node: usize, out: Outbox) {
        let life = self.nodes[node].life;
        for effect in out.effects {
            self.trace.effect(&effect);
            match effect {
                Effect::Persist(batch) => {
                    let (id, kind) = (batch.id, batch.persistence);
                    self.nodes[node].disk.write(batch);
                    if kind == Persistence::Synced {
                        let wait = MS + self.chance.below(4 * MS);
                        let at = (self.now_ns + wait).max(self.nodes[node].synced_at_ns);
                        self.nodes[node].synced_at_ns = at;
                        self.queue.at(at, Event::Synced { node, life, batch: id });
                    } else {
                        let wait = self.chance.below(MS);
                        self.schedule(wait, Event::Visible { node, life, batch: id });
                    }
                }
                Effect::Send { to, message } => {
                    if let Some(to) = self.nodes.iter().position(|known| known.id == to) {
                        self.send(node, to, message);
                    }
                }
                Effect::Publish(bytes) => {
                    if self.plan.nodes.gossip {
                        for to in (0..self.nodes.len()).filter(|to| *to != node) {
                            if self.chance.happens(RUMOR_SHARE) {
                                let wait = self.delay(node, to) + self.chance.below(100 * MS);
                                self.schedule(wait, Event::Rumor { from: node, to, bytes: bytes.clone() });
                            }
                        }
                    }
                }
                Effect::Propose { ticket, entry } => {
                    self.schedule(MS, Event::Propose { node, life, ticket, entry });
                }
                Effect::ReadIndex { ticket } => {
                    let wait = MS + self.chance.below(5 * MS);
                    self.schedule(wait, Event::Barrier { node, life, ticket });
                }
                Effect::Reply { request, answer } => {
                    self.read_clock(node, request, &answer);
                    self.clients.answered(request, self.now_ns, answer);
                }
                Effect::Peers(_) | Effect::Roster(_) => {}
                Effect::Halt { reason } => {
                    self.tell(node, Did::Halt, &reason);
                    self.nodes[node].halted = Some(reason);
                    self.nodes[node].replica = None;
                    return;
                }
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, message: trine_replica::PeerMessage) {
        let shape = self.faults.shape(from, to);
        if self.faults.is_cut(from, to) || self.chance.happens(shape.loss) {
            return;
        }
        let lives = (self.nodes[from].life, self.nodes[to].life);
        let copies = 1 + u64::from(self.chance.happens(shape.duplicate));
        for _ in 0..copies {
            let mut wait = shape.delay_ns.unwrap_or_else(|| self.delay(from, to)) + self.chance.below(shape.jitter_ns);
            if self.chance.happens(shape.reorder) {
                wait += self.chance.below(shape.late_ns);
            }
            self.schedule(wait, Event::Message { from, to, lives, message: Box::new(message.clone()) });
        }
    }

    /// One-way delay between two nodes, by geography, with jitter.
    fn delay(&mut self, from: usize, to: usize) -> u64 {
        let (a, b) = (self.nodes[from].region, self.nodes[to].region);
        let base = match (a.min(b), a.max(b)) {
            (a, b) if a == b => MS / 2,
            (0, 1) => 38 * MS,
            (0, 2) => 110 * MS,
            (1, 2) => 80 * MS,
            _ => 60 * MS,
        };
        base + self.chance.below(base / 4 + MS)
    }

    /// Brings what two nodes will notice of each other up to date.
    pub fn relink(&mut self, a: usize, b: usize) {
        if a == b {
            return;
        }
        let (a, b) = (a.min(b), a.max(b));
        let alive = |node: &Node| node.replica.is_some();
        let wanted =
            alive(&self.nodes[a]) && alive(&self.nodes[b]) && !self.faults.is_cut(a, b) && !self.faults.is_cut(b, a);
        let pair = self.pairs.entry((a, b)).or_default();
        if pair.wanted == wanted {
            return;
        }
        (pair.wanted, pair.epoch) = (wanted, pair.epoch + 1);
        let epoch = pair.epoch;
        let crashed = !alive(&self.nodes[a]) || !alive(&self.nodes[b]);
        for (node, peer) in [(a, b), (b, a)] {
            let distance = self.delay(a, b);
            let wait = match (wanted, crashed) {
                (true, _) => 3 * distance + self.chance.below(50 * MS),
                (false, true) => distance,
                (false, false) => SILENCE_NS + self.chance.below(250 * MS),
            };
            let event =
                if wanted { Event::LinkUp { node, peer, epoch } } else { Event::LinkDown { node, peer, epoch } };
            self.schedule(wait, event);
        }
    }

    fn link(&mut self, node: usize, peer: usize, epoch: u64, up: bool) {
        let key = (node.min(peer), node.max(peer));
        let pair = self.pairs.entry(key).or_default();
        if pair.epoch != epoch {
            return;
        }
        let seen = if node < peer { &mut pair.up.0 } else { &mut pair.up.1 };
        let before = std::mem::replace(seen, up);
        let (life, id) = (self.nodes[node].life, self.nodes[peer].id);
        if before {
            self.input(node, life, Input::PeerDown(id));
        }
        if up {
            let region = self.regions[self.nodes[peer].region].clone();
            let name = self.name(peer);
            self.input(node, life, Input::PeerUp(Peer { node: id, name, region }));
        }
    }

    /// A node's name.
    #[must_use]
    pub fn name(&self, node: usize) -> String {
        let place = node % self.plan.topology.nodes;
        self.genesis.regions[self.nodes[node].region].nodes[place].name.clone()
    }

    fn tell(&mut self, node: usize, what: Did, words: &str) {
        let (node, words) = (self.name(node), words.to_owned());
        self.events.push(NodeEvent { node, at_ns: self.now_ns, what, words });
    }

    /// The first stamp that a node gives an edit after its start must lie above what its clock had kept before.
    fn read_clock(&mut self, node: usize, request: u64, answer: &Result<Box<Answer>, RequestError>) {
        let edits = self.clients.call(request).is_some_and(|call| call.edit().is_some());
        if let (Ok(answer), true, false) = (answer, edits, self.nodes[node].clock_read) {
            self.nodes[node].clock_read = true;
            let stamp = answer.timestamp;
            self.clocks.push(ClockMark { node: self.name(node), at_ns: self.now_ns, stamp });
        }
    }

    fn propose(&mut self, node: usize, life: u64, ticket: u64, entry: bytes::Bytes) {
        if self.nodes[node].life != life || self.nodes[node].replica.is_none() {
            return;
        }
        let region = self.nodes[node].region;
        let leads = self.logs[region].borrow().leader == Some(node);
        let trouble = self.chance.happens(self.faults.proposal_trouble(node));
        let (commits, outcome) = match (leads, trouble) {
            (false, _) => (false, ProposeOutcome::Refused),
            (true, false) => (true, ProposeOutcome::Committed),
            (true, true) => match self.chance.below(3) {
                0 => (false, ProposeOutcome::Refused),
                1 => (false, ProposeOutcome::Unknown),
                _ => (true, ProposeOutcome::Unknown),
            },
        };
        if commits {
            let id = self.nodes[node].id;
            self.logs[region].borrow_mut().push(id, Payload::Entry(entry));
            self.announce(region);
        }
        let wait = MS + self.chance.below(3 * MS);
        self.schedule(wait, Event::Proposed { node, life, ticket, outcome });
    }

    /// Lets the nodes of a region hear of their log, each in its time.
    fn announce(&mut self, region: usize) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].region == region {
                let slow = if self.chance.happens(0.05) { 100 * MS } else { 4 * MS };
                let wait = MS + self.chance.below(slow);
                let life = self.nodes[node].life;
                self.schedule(wait, Event::Deliver { node, life });
            }
        }
    }

    fn deliver(&mut self, node: usize, life: u64) {
        let state = &self.nodes[node];
        if state.life != life || state.replica.is_none() {
            return;
        }
        let log = Rc::clone(&self.logs[state.region]);
        let entries = log.borrow().from(state.delivered, 64);
        if !entries.is_empty() {
            self.nodes[node].delivered += entries.len() as u64;
            self.input(node, life, Input::Committed(entries));
        }
        let (leader, term, len) = (log.borrow().leader, log.borrow().term, log.borrow().end());
        let all = self.nodes[node].delivered == len;
        let told = self.nodes[node].told;
        let serving = leader == Some(node) && (all || (told.term == term && told.serving));
        let leadership = Leadership { leader: leader.map(|leader| self.nodes[leader].id), term, serving };
        if told != leadership {
            self.nodes[node].told = leadership;
            self.input(node, life, Input::Leadership(leadership));
        }
        if !all {
            self.schedule(MS, Event::Deliver { node, life });
        }
    }

    fn elect(&mut self, region: usize) {
        let members: Vec<usize> = (0..self.nodes.len()).filter(|node| self.nodes[*node].region == region).collect();
        let alive: Vec<usize> = members.iter().copied().filter(|node| self.nodes[*node].replica.is_some()).collect();
        if alive.len() * 2 <= members.len() {
            self.logs[region].borrow_mut().leader = None;
            self.schedule(300 * MS, Event::Elect { region });
            return;
        }
        let leader = alive[self.chance.below(alive.len() as u64) as usize];
        let id = self.nodes[leader].id;
        let mut log = self.logs[region].borrow_mut();
        log.term += 1;
        log.leader = Some(leader);
        log.push(id, Payload::Blank);
        drop(log);
        self.announce(region);
    }

    /// Makes a region look for a leader.
    pub fn unseat(&mut self, region: usize) {
        self.logs[region].borrow_mut().leader = None;
        self.announce(region);
        let wait = 200 * MS + self.chance.below(800 * MS);
        self.schedule(wait, Event::Elect { region });
    }

    /// The power of a node goes.
    pub fn crash(&mut self, node: usize) {
        if self.nodes[node].replica.take().is_none() {
            return;
        }
        self.trace.mark(self.now_ns, node, 0xdead);
        let mut chance = self.chance.clone();
        self.nodes[node].disk.crash(&mut chance);
        self.chance = chance;
        self.nodes[node].clock_read = false;
        if let Some(mark) = self.nodes[node].disk.synced.get(rows::CLOCK).and_then(|row| row.as_ref().try_into().ok()) {
            let stamp = Timestamp { time: u64::from_be_bytes(mark), ..Timestamp::ZERO };
            self.clocks.push(ClockMark { node: self.name(node), at_ns: self.now_ns, stamp });
        }
        for peer in 0..self.nodes.len() {
            self.relink(node, peer);
            // Whatever it believed, it believes nothing when it comes back.
            if let Some(pair) = self.pairs.get_mut(&(node.min(peer), node.max(peer))) {
                *(if node < peer { &mut pair.up.0 } else { &mut pair.up.1 }) = false;
            }
        }
        let region = self.nodes[node].region;
        if self.logs[region].borrow().leader == Some(node) {
            self.unseat(region);
        }
    }

    /// A node starts, unless it runs or has given up.
    pub fn start(&mut self, node: usize) {
        if self.nodes[node].replica.is_some() || self.nodes[node].halted.is_some() {
            return;
        }
        self.nodes[node].life += 1;
        self.trace.mark(self.now_ns, node, 0xa11e);
        let region = self.nodes[node].region;
        let mut writer = [0; 16];
        writer[..8].copy_from_slice(&self.chance.bits().to_be_bytes());
        writer[8..].copy_from_slice(&self.chance.bits().to_be_bytes());
        let founding = &self.genesis.regions[region].nodes[node % self.plan.topology.nodes];
        let mut config = Config::new(
            self.genesis.clone(),
            self.nodes[node].id,
            &founding.name,
            self.regions[region].clone(),
            WriterId(writer),
        );
        config.peer = founding.peer.clone();
        config.log_key = Some(log_seed(region));
        config.gossip = self.plan.nodes.gossip;
        config.segment_bytes = self.plan.nodes.segment_bytes.unwrap_or(config.segment_bytes);
        config.delta_rows_max = self.plan.nodes.delta_rows_max.unwrap_or(config.delta_rows_max);
        let mut out = Outbox::default();
        match Replica::open(config, &self.nodes[node].disk, &mut out) {
            Ok(replica) => self.nodes[node].replica = Some(replica),
            Err(error) => {
                self.tell(node, Did::RefuseToStart, &error.to_string());
                self.nodes[node].halted = Some(error.to_string());
                return;
            }
        }
        let state = &mut self.nodes[node];
        let applied = state.replica.as_ref().and_then(Replica::last_applied);
        state.delivered = applied.map_or(0, |position| position.index + 1);
        state.told = Leadership::default();
        state.synced_at_ns = self.now_ns;
        state.tick_at_ns = 0;
        let life = state.life;
        self.carry_out(node, out);
        self.input(node, life, Input::Tick);
        for peer in 0..self.nodes.len() {
            self.relink(node, peer);
        }
        self.schedule(MS, Event::Deliver { node, life });
        self.schedule(200 * MS, Event::Flush { node, life });
    }
}

/// The seed of a region's log key in every simulated world.
fn log_seed(region: usize) -> [u8; 32] {
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
