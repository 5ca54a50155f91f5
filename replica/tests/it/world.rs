//! A handful of cores in memory: disks that sync when told to, a log that commits when told to, messages that a test
//! may look at, drop or forge.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use trine_crdt::{NodeId, Now, PartitionId, RegionId, WriterId};
use trine_ledger::genesis::GenesisRegion;
use trine_ledger::{Genesis, LogPosition};
use trine_protocol::reply::Answer;
use trine_protocol::request::{Append, ObjectEdit, ObjectGet, Options};
use trine_protocol::{Consistency, Durability, Edit, Reply, Request, RequestError, Role, SessionToken};
use trine_replica::input::{CommittedEntry, GroupId, Leadership, Payload, Peer, ProposeOutcome, Voters};
use trine_replica::{Batch, Config, Effect, Input, Outbox, PeerMessage, Persistence, Replica};

pub use crate::disk::{Disk, Log};

/// Noon of a day, and the monotonic clock's start.
pub const NOON_NS: u64 = 1_800_000_000_000_000_000;
pub const MS: u64 = 1_000_000;

/// What a node answers to a request.
pub type Answered = Result<Box<Answer>, RequestError>;

/// One node.
pub struct Node {
    pub id: NodeId,
    pub region: RegionId,
    pub name: String,
    pub core: Replica,
    pub disk: Disk,
    pub config: Config,
    /// Whether synced batches wait for [`World::sync`].
    pub slow_disk: bool,
    pub unsynced: VecDeque<Batch>,
    pub sent: VecDeque<(NodeId, PeerMessage)>,
    pub proposed: VecDeque<(u64, Bytes)>,
    pub answers: BTreeMap<u64, Answered>,
    pub halted: Option<Effect>,
    /// Whether committed entries are handed over.
    pub deaf: bool,
    delivered: usize,
    pub wall_ahead_ns: u64,
    /// How often it wanted to be relieved of leadership.
    pub stepped_down: u32,
}

/// What happens, in somebody's words.
pub struct Journey {
    pub lines: Vec<String>,
    /// What a node is told.
    pub heard: fn(&[Node], usize, &Input) -> Option<String>,
    /// What a node does.
    pub done: fn(&[Node], usize, &Effect) -> Option<String>,
}

/// Some nodes, all connected.
pub struct World {
    pub nodes: Vec<Node>,
    pub logs: BTreeMap<RegionId, Log>,
    pub now: Now,
    pub genesis: Genesis,
    pub leaders: BTreeMap<RegionId, usize>,
    /// Whether what leaders propose is committed.
    pub commits: bool,
    /// Messages for which this holds are lost.
    pub loses: fn(&World, usize, usize, &PeerMessage) -> bool,
    /// Messages handed over so far.
    pub delivered: usize,
    /// What happens, a line each, while somebody writes it down.
    pub journey: Option<Journey>,
    requests: u64,
    starts: u8,
}

/// The seed of a region's log key.
pub fn log_seed(region: usize) -> [u8; 32] {
    [region as u8 + 1; 32]
}

/// A region's name.
pub fn region(number: usize) -> RegionId {
    ["us-east-1", "eu-west-1", "ap-southeast-1"][number].parse().expect("a name")
}

impl World {
    /// Regions with these numbers of nodes, registered and at rest.
    pub fn new(nodes: &[usize]) -> Self {
        let mut world = Self::unsettled(nodes);
        world.settle();
        for node in 0..world.nodes.len() {
            assert_eq!(world.nodes[node].core.ready(), Ok(()));
        }
        world
    }

    fn unsettled(nodes: &[usize]) -> Self {
        let regions: Vec<RegionId> = (0..nodes.len()).map(region).collect();
        let founding = |(number, id): (usize, &RegionId)| GenesisRegion {
            id: id.clone(),
            log_key: SigningKey::from_bytes(&log_seed(number)).verifying_key().to_bytes(),
            nodes: Vec::new(),
        };
        let genesis = Genesis { cluster: "0f".repeat(16), regions: regions.iter().enumerate().map(founding).collect() };
        let mut world = Self {
            nodes: Vec::new(),
            logs: regions.iter().map(|id| (id.clone(), Log::default())).collect(),
            now: Now { wall_ns: NOON_NS, monotonic_ns: MS },
            genesis,
            leaders: BTreeMap::new(),
            commits: true,
            loses: |_, _, _, _| false,
            delivered: 0,
            journey: None,
            requests: 0,
            starts: 0,
        };
        for (number, count) in nodes.iter().enumerate() {
            for place in 0..*count {
                let name = format!("{}-{}", regions[number], char::from(b'a' + place as u8));
                world.add(number, &name);
            }
        }
        let all: Vec<usize> = (0..world.nodes.len()).collect();
        for node in &all {
            world.connect(*node);
        }
        for id in regions {
            let first = all.iter().copied().find(|node| world.nodes[*node].region == id).expect("a node");
            world.lead(first);
        }
        world
    }

    /// Adds a node with an empty disk, connected to nobody.
    pub fn add(&mut self, number: usize, name: &str) -> usize {
        let (id, place) = (region(number), self.nodes.len());
        self.starts += 1;
        let node = NodeId(1000 + place as u64);
        let mut config = Config::new(self.genesis.clone(), node, name, id.clone(), WriterId([self.starts; 16]));
        config.log_key = Some(log_seed(number));
        config.peer = format!("peer-{name}");
        let disk = Disk::new(Rc::clone(&self.logs[&id]));
        let mut out = Outbox::default();
        let core = Replica::open(config.clone(), &disk, &mut out).expect("an empty disk");
        self.nodes.push(Node {
            id: node,
            region: id,
            name: name.to_owned(),
            core,
            disk,
            config,
            slow_disk: false,
            unsynced: VecDeque::new(),
            sent: VecDeque::new(),
            proposed: VecDeque::new(),
            answers: BTreeMap::new(),
            halted: None,
            deaf: false,
            delivered: 0,
            wall_ahead_ns: 0,
            stepped_down: 0,
        });
        self.effects(place, out);
        place
    }

    /// Stops a node and starts it again on what its disk has synced, and on `disk` instead when there is one.
    pub fn restart(&mut self, place: usize, disk: Option<Disk>) {
        self.restart_apart(place, disk);
        self.connect(place);
    }

    /// The same for a node that nobody reaches.
    pub fn restart_apart(&mut self, place: usize, disk: Option<Disk>) {
        for other in 0..self.nodes.len() {
            if other != place {
                self.input(other, Input::PeerDown(self.nodes[place].id));
            }
        }
        self.starts += 1;
        let writer = WriterId([self.starts; 16]);
        let node = &mut self.nodes[place];
        node.config.writer = writer;
        node.disk = disk.unwrap_or(node.disk.clone());
        let mut out = Outbox::default();
        node.core = Replica::open(node.config.clone(), &node.disk, &mut out).expect("its own disk");
        (node.unsynced, node.sent, node.proposed) = Default::default();
        node.delivered = node.core.last_applied().map_or(0, |last| last.index as usize + 1);
        self.effects(place, out);
        let leader = self.leaders.get(&self.nodes[place].region).copied();
        if let Some(leader) = leader {
            self.tell_leader(place, leader);
        }
    }

    /// The only node of its region stops, and starts again on a disk and a log that are older, or empty.
    pub fn go_back(&mut self, place: usize, (disk, log): (Disk, Vec<CommittedEntry>)) {
        *self.logs[&self.nodes[place].region].borrow_mut() = log;
        self.restart(place, Some(disk));
        self.lead(place);
        self.settle();
    }

    /// Connects a node with all others.
    pub fn connect(&mut self, place: usize) {
        for other in (0..self.nodes.len()).filter(|other| *other != place) {
            for (here, there) in [(place, other), (other, place)] {
                let Node { id, name, region, .. } = &self.nodes[there];
                let peer = Peer { node: *id, name: name.as_str().into(), region: region.clone() };
                self.input(here, Input::PeerUp(peer));
            }
        }
    }

    /// Makes a node the leader of its region.
    pub fn lead(&mut self, place: usize) {
        let id = self.nodes[place].region.clone();
        let index = self.logs[&id].borrow().len() as u64;
        let position = LogPosition { term: index + 1, leader: self.nodes[place].id, index };
        self.logs[&id].borrow_mut().push(CommittedEntry { position, payload: Payload::Blank });
        self.leaders.insert(id.clone(), place);
        self.commit();
        for node in 0..self.nodes.len() {
            if self.nodes[node].region == id {
                self.tell_leader(node, place);
            }
        }
    }

    /// Tells a node who leads.
    pub fn tell_leader(&mut self, node: usize, leader: usize) {
        let term = self.logs[&self.nodes[node].region].borrow().len() as u64;
        if node == leader {
            let voters = self.everybody(&self.nodes[leader].region, term);
            self.input(node, Input::Voters(voters));
        }
        let leadership = Leadership { leader: Some(self.nodes[leader].id), term, serving: node == leader };
        self.input(node, Input::Leadership { group: GroupId::Region, leadership });
    }

    /// The log of a region says who votes.
    pub fn vote(&mut self, number: usize, places: &[usize]) {
        let voters = places.iter().map(|place| self.nodes[*place].id).collect();
        let log = Rc::clone(&self.logs[&region(number)]);
        let index = log.borrow().len() as u64;
        let position = LogPosition { term: index + 1, leader: self.nodes[places[0]].id, index };
        let payload = Payload::Membership { bytes: Bytes::from_static(b"voters"), voters };
        log.borrow_mut().push(CommittedEntry { position, payload });
        self.commit();
    }

    /// All nodes of a region that have not stopped vote and answer.
    pub fn everybody(&self, region: &RegionId, term: u64) -> Voters {
        let nodes = self.nodes.iter().filter(|node| node.region == *region && node.halted.is_none());
        let all: std::collections::BTreeSet<NodeId> = nodes.map(|node| node.id).collect();
        Voters { term, sets: vec![all.clone()], learners: Default::default(), answering: all }
    }

    /// Nobody leads any more, as far as this node knows.
    pub fn unseat(&mut self, node: usize) {
        let leadership = Leadership { leader: None, term: 99, serving: false };
        self.input(node, Input::Leadership { group: GroupId::Region, leadership });
    }

    /// One input, and its effects.
    pub fn input(&mut self, place: usize, input: Input) {
        let now = Now { wall_ns: self.now.wall_ns + self.nodes[place].wall_ahead_ns, ..self.now };
        if self.nodes[place].halted.is_some() {
            return;
        }
        if let Some(journey) = &mut self.journey {
            journey.lines.extend((journey.heard)(&self.nodes, place, &input));
        }
        let node = &mut self.nodes[place];
        let mut out = Outbox::default();
        node.core.handle(now, &node.disk, input, &mut out);
        self.effects(place, out);
    }

    fn effects(&mut self, place: usize, out: Outbox) {
        if let Some(journey) = &mut self.journey {
            let told = out.effects.iter().filter_map(|effect| (journey.done)(&self.nodes, place, effect));
            journey.lines.extend(told);
        }
        let node = &mut self.nodes[place];
        let mut derived = Vec::new();
        for effect in out.effects {
            match effect {
                Effect::Persist(batch) if batch.persistence == Persistence::Synced => node.unsynced.push_back(batch),
                Effect::Persist(batch) => {
                    derived.push(batch.id);
                    node.disk.write(batch);
                }
                Effect::Send { to, message } => node.sent.push_back((to, message)),
                Effect::Propose { group: GroupId::Region, ticket, entry } => node.proposed.push_back((ticket, entry)),
                Effect::Reply { request, answer } => {
                    assert!(node.answers.insert(request, answer).is_none(), "a second answer");
                }
                Effect::ReadIndex { group: GroupId::Region, ticket } => {
                    let index = Some(self.logs[&node.region].borrow().len() as u64 - 1);
                    let input = Input::ReadIndex { group: GroupId::Region, ticket, index };
                    return self.after(place, derived, Some(input));
                }
                end @ (Effect::Halt(_) | Effect::Leave { .. }) => node.halted = Some(end),
                Effect::StepDown => node.stepped_down += 1,
                Effect::Publish(_) | Effect::Peers(_) | Effect::Roster { .. } => {}
            }
        }
        self.after(place, derived, None);
    }

    fn after(&mut self, place: usize, derived: Vec<u64>, input: Option<Input>) {
        for id in derived {
            self.input(place, Input::Persisted(id));
        }
        if !self.nodes[place].slow_disk {
            self.sync(place);
        }
        if let Some(input) = input {
            self.input(place, input);
        }
    }

    /// Puts what waits for the disk onto it.
    pub fn sync(&mut self, place: usize) {
        self.sync_but(place, 0);
    }

    /// The same, but for the `left` last batches.
    pub fn sync_but(&mut self, place: usize, left: usize) {
        while self.nodes[place].unsynced.len() > left
            && let Some(batch) = self.nodes[place].unsynced.pop_front()
        {
            let id = batch.id;
            self.nodes[place].disk.write(batch);
            self.input(place, Input::Persisted(id));
        }
    }

    /// Commits what leaders proposed, and hands it over.
    pub fn commit(&mut self) -> bool {
        let mut any = false;
        for place in 0..self.nodes.len() {
            while self.commits
                && let Some((ticket, entry)) = self.nodes[place].proposed.pop_front()
            {
                any = true;
                if self.leaders.get(&self.nodes[place].region) != Some(&place) {
                    self.input(
                        place,
                        Input::Proposed { group: GroupId::Region, ticket, outcome: ProposeOutcome::Refused },
                    );
                    continue;
                }
                let log = Rc::clone(&self.logs[&self.nodes[place].region]);
                let index = log.borrow().len() as u64;
                let position = LogPosition { term: 1, leader: self.nodes[place].id, index };
                log.borrow_mut().push(CommittedEntry { position, payload: Payload::Entry(entry) });
                self.hand_over(place);
                self.input(
                    place,
                    Input::Proposed { group: GroupId::Region, ticket, outcome: ProposeOutcome::Committed },
                );
            }
        }
        for place in 0..self.nodes.len() {
            any |= self.hand_over(place);
        }
        any
    }

    fn hand_over(&mut self, place: usize) -> bool {
        let node = &mut self.nodes[place];
        let entries: Vec<_> = self.logs[&node.region].borrow()[node.delivered..].to_vec();
        if node.deaf || entries.is_empty() {
            return false;
        }
        node.delivered += entries.len();
        self.input(place, Input::Committed { group: GroupId::Region, entries });
        true
    }

    /// Hands messages over and commits until nothing is under way.
    pub fn run(&mut self) {
        loop {
            let mut quiet = !self.commit();
            for place in 0..self.nodes.len() {
                while let Some((to, message)) = self.nodes[place].sent.pop_front() {
                    quiet = false;
                    self.delivered += 1;
                    let there = self.nodes.iter().position(|node| node.id == to).expect("a node");
                    if !(self.loses)(self, place, there, &message) {
                        let from = self.nodes[place].id;
                        self.input(there, Input::Message { from, message });
                    }
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// Lets time pass for all, in ticks.
    pub fn pass(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(50) {
            self.now.monotonic_ns += 50 * MS;
            self.now.wall_ns += 50 * MS;
            for place in 0..self.nodes.len() {
                self.input(place, Input::Tick);
            }
            self.run();
        }
    }

    /// Runs and lets time pass until repair has had its say.
    pub fn settle(&mut self) {
        self.run();
        self.pass(4_000);
    }

    /// A message from one node to another, as if it had said that.
    pub fn forge(&mut self, from: usize, to: usize, message: PeerMessage) {
        let from = self.nodes[from].id;
        self.input(to, Input::Message { from, message });
    }

    /// A client asks; its number.
    pub fn ask(&mut self, place: usize, options: Options, request: Request) -> u64 {
        self.requests += 1;
        let id = self.requests;
        self.input(place, Input::Request { id, role: Role::Admin, options, request });
        id
    }

    /// The answer, when there is one.
    pub fn answer(&self, place: usize, id: u64) -> Option<&Answered> {
        self.nodes[place].answers.get(&id)
    }

    /// The answer, which must be there.
    pub fn answered(&self, place: usize, id: u64) -> &Answered {
        self.answer(place, id).expect("an answer")
    }

    /// Adds to a counter.
    pub fn increment(&mut self, place: usize, key: &str, durability: Durability) -> u64 {
        self.ask(place, durable(durability), increment(key))
    }

    /// What a node's client reads of a counter now; none when there is nothing.
    pub fn counter(&mut self, place: usize, key: &str) -> Option<i64> {
        let get = Request::ObjectGet(ObjectGet { namespace: "objects".to_owned(), key: key.to_owned() });
        let eventual = Options { consistency: Consistency::Eventual, ..Options::default() };
        let id = self.ask(place, eventual, get);
        match self.answered(place, id) {
            Ok(answer) => match &answer.reply {
                Reply::Object(view) => match view.views[..] {
                    [trine_protocol::object::View::Counter(total)] => Some(total),
                    ref other => panic!("a counter, not {other:?}"),
                },
                other => panic!("an object, not {other:?}"),
            },
            Err(RequestError::NotFound { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The options of a durability.
pub fn durable(durability: Durability) -> Options {
    Options { durability, ..Options::default() }
}

/// The options of a session.
pub fn session(session: SessionToken) -> Options {
    Options { consistency: Consistency::Session, session, ..Options::default() }
}

/// One more on a counter.
pub fn increment(key: &str) -> Request {
    Request::ObjectEdit(ObjectEdit { namespace: "objects".to_owned(), key: key.to_owned(), edit: Edit::Increment(1) })
}

/// A record.
pub fn append(key: &str, value: &str, idempotency: Option<&str>) -> Request {
    Request::Append(Append {
        namespace: "default".to_owned(),
        key: key.to_owned(),
        value: Bytes::copy_from_slice(value.as_bytes()),
        content_type: "text/plain".to_owned(),
        metadata: BTreeMap::new(),
        idempotency_key: idempotency.map(str::to_owned),
        if_match: None,
        with_proof: false,
    })
}

/// The partition of a key of `objects`.
pub fn partition(key: &str) -> PartitionId {
    PartitionId::of_key(trine_crdt::NamespaceId::default_objects(), key.as_bytes(), 256)
}

/// Index and whether it is a repetition.
pub fn appended(answer: &Answered) -> (u64, bool) {
    match answer.as_ref().map(|answer| &answer.reply) {
        Ok(Reply::Appended(appended)) => (appended.index, appended.duplicate),
        other => panic!("an append, not {other:?}"),
    }
}
