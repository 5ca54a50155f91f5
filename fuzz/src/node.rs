//! One node in memory: the daemon's core, a disk, a log that commits what is proposed, and two peers.
//!
//! A node that is in use is made once, and its rows are kept; each input then begins on a copy of them. Another, of the
//! other region, is asked only for what it publishes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::OnceLock;

use bytes::Bytes;
use trine_crdt::{NodeId, Now, Timestamp, WriterId};
use trine_ledger::LogPosition;
use trine_protocol::request::{
    Append, CheckpointGet, ConsistencyGet, LedgerGet, LedgerHistory, LedgerRange, LedgerRecord, ManifestShow,
    NamespaceCreate, NamespaceKind, ObjectEdit, ObjectGet, ObjectList, Options,
};
use trine_protocol::{Consistency, Durability, Edit, Request, RequestError, Role};
use trine_replica::input::{CommittedEntry, GroupId, Leadership, Payload, Peer, ProposeOutcome};
use trine_replica::store::Memory;
use trine_replica::{Config, Effect, Input, Outbox, PeerMessage, Persistence, Replica, Store, StoreError};

use crate::fixture::{NOW_UNIX_S, genesis};

/// The node here.
pub const NODE: NodeId = NodeId(1);
/// A peer of its region, from which messages come.
pub const PEER: NodeId = NodeId(2);
/// A node of the other region.
pub const FAR: NodeId = NodeId(3);
/// The incarnation that wrote what is on the disk.
pub const WRITER: WriterId = WriterId([101; 16]);
const SECOND_NS: u64 = 1_000_000_000;
/// This many inputs an input may lead to; more is a node that talks to itself for ever.
const INPUTS_MAX: usize = 10_000;

/// Whose core it is: id, name, region and the seed of that region's log key.
type Seat = (NodeId, &'static str, &'static str, u8);
const HERE: Seat = (NODE, "us-east-1-a", "us-east-1", 10);
const ABROAD: Seat = (FAR, "eu-west-1-a", "eu-west-1", 11);

/// A stamp that the node believes.
pub fn stamp(writer: WriterId) -> Timestamp {
    Timestamp { time: trine_crdt::clock::ntp_of_ns(NOW_UNIX_S as u64 * SECOND_NS), writer }
}

/// What is on the node's disk.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    rows: Memory,
    log: Vec<CommittedEntry>,
}

impl Rows {
    /// The disk of a node that has been in use.
    pub fn used() -> Self {
        static USED: OnceLock<Rows> = OnceLock::new();
        USED.get_or_init(use_a_node).clone()
    }

    /// Replaces a row.
    pub fn put(&mut self, kind: Persistence, key: &[u8], value: &[u8]) {
        self.rows.rows_mut(kind).insert(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
    }

    /// The rows of these letters.
    pub fn of_kinds(&self, letters: &[u8]) -> Vec<(Bytes, Bytes)> {
        let rows = [Persistence::Synced, Persistence::Derived].into_iter().flat_map(|kind| self.rows.rows(kind));
        rows.filter(|(key, _)| letters.contains(&key[0])).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// The first row of each letter.
    pub fn one_of_each(&self) -> Vec<(Persistence, Bytes, Bytes)> {
        let mut rows: Vec<(Persistence, Bytes, Bytes)> = Vec::new();
        for kind in [Persistence::Synced, Persistence::Derived] {
            for (key, value) in self.rows.rows(kind) {
                if rows.last().is_none_or(|(known, last, _)| *known != kind || last.first() != key.first()) {
                    rows.push((kind, key.clone(), value.clone()));
                }
            }
        }
        rows
    }
}

impl Store for Rows {
    fn get(&self, kind: Persistence, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.rows.get(kind, key)
    }

    fn scan(
        &self,
        kind: Persistence,
        from: &[u8],
        to: &[u8],
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.rows.scan(kind, from, to, limit, reverse)
    }

    fn entry(&self, index: u64) -> Result<Option<Bytes>, StoreError> {
        let entry = usize::try_from(index).ok().and_then(|index| self.log.get(index));
        Ok(entry.and_then(|entry| match &entry.payload {
            Payload::Entry(bytes) => Some(bytes.clone()),
            Payload::Blank | Payload::Membership { .. } => None,
        }))
    }
}

/// The node.
pub struct Node {
    core: Replica,
    id: NodeId,
    rows: Rows,
    published: Vec<Bytes>,
    now: Now,
    pending: VecDeque<Input>,
    halted: Option<Effect>,
    damaged: bool,
    asked: u64,
}

impl Node {
    /// A node that is in use, with its peers connected.
    pub fn awake() -> Self {
        let mut node = Self::open(Rows::used()).expect("its own rows");
        node.lead();
        for (peer, name, region) in [(PEER, "us-east-1-b", "us-east-1"), (FAR, "eu-west-1-a", "eu-west-1")] {
            let region = region.parse().expect("a region's name");
            node.input(Input::PeerUp(Peer { node: peer, name: name.into(), region }));
        }
        node
    }

    /// Starts a node on a disk.
    pub fn open(rows: Rows) -> Result<Self, StoreError> {
        Self::open_as(HERE, rows)
    }

    fn open_as((id, name, region, log_key): Seat, rows: Rows) -> Result<Self, StoreError> {
        // Each start is an incarnation of its own.
        let starts = rows.rows.rows(Persistence::Synced).keys().filter(|key| key.starts_with(b"w")).count() as u8;
        let writer = WriterId([WRITER.0[0] + starts.min(100); 16]);
        let mut config = Config::new(genesis(), id, name, region.parse().expect("a region's name"), writer);
        config.log_key = Some([log_key; 32]);
        config.value_bytes_max = 1 << 20;
        config.unasked_goes_on = true;
        if id == FAR {
            config.segment_bytes = 256;
        }
        let mut out = Outbox::default();
        let core = Replica::open(config, &rows, &mut out)?;
        let now = Now { wall_ns: NOW_UNIX_S as u64 * SECOND_NS, monotonic_ns: SECOND_NS };
        let (pending, published) = (VecDeque::new(), Vec::new());
        let mut node = Self { core, id, rows, published, now, pending, halted: None, damaged: false, asked: 0 };
        node.effects(out);
        node.run();
        Ok(node)
    }

    /// Starts the node again on the same disk.
    pub fn restart(self) -> Result<Self, StoreError> {
        let mut node = Self::open(self.rows)?;
        node.lead();
        Ok(node)
    }

    /// Why it stopped, if it did.
    pub fn halted(&self) -> Option<&Effect> {
        self.halted.as_ref()
    }

    /// Whether a request met a damaged row.
    pub fn found_damage(&self) -> bool {
        self.damaged
    }

    /// A message from [`PEER`], and all that it leads to.
    pub fn hear(&mut self, message: PeerMessage) {
        self.input(Input::Message { from: PEER, message });
    }

    /// A rumor of [`PEER`]'s, and all that it leads to.
    pub fn hear_rumor(&mut self, bytes: Bytes) {
        self.input(Input::Rumor { from: PEER, bytes });
    }

    /// What is on its disk.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Lets a second pass, in ticks.
    pub fn pass_a_second(&mut self) {
        for _ in 0..10 {
            self.now.wall_ns += SECOND_NS / 10;
            self.now.monotonic_ns += SECOND_NS / 10;
            self.input(Input::Tick);
        }
    }

    /// A request of every kind that reads or writes.
    pub fn ask_everything(&mut self) {
        for request in reads().into_iter().chain(writes()) {
            self.ask(request);
        }
    }

    fn ask(&mut self, request: Request) {
        self.asked += 1;
        let options =
            Options { consistency: Consistency::Eventual, durability: Durability::Local, ..Options::default() };
        self.input(Input::Request { id: self.asked, role: Role::Admin, options, request });
    }

    fn lead(&mut self) {
        let index = self.rows.log.len() as u64;
        let position = LogPosition { term: index + 1, leader: self.id, index };
        self.rows.log.push(CommittedEntry { position, payload: Payload::Blank });
        let next = self.core.last_applied().map_or(0, |last| last.index.saturating_add(1));
        let entries = self.rows.log.get(usize::try_from(next).unwrap_or(usize::MAX)..).unwrap_or_default().to_vec();
        self.input(Input::Committed { group: GroupId::Region, entries });
        let leadership = Leadership { leader: Some(self.id), term: index + 1, serving: true };
        self.input(Input::Leadership { group: GroupId::Region, leadership });
        // It hears nobody, and waits for a while before it believes its clock, and signs.
        (0..5).for_each(|_| self.pass_a_second());
    }

    fn input(&mut self, input: Input) {
        self.pending.push_back(input);
        self.run();
    }

    fn run(&mut self) {
        for _ in 0..INPUTS_MAX {
            if self.halted.is_some() {
                self.pending.clear();
            }
            let Some(input) = self.pending.pop_front() else { return };
            let mut out = Outbox::default();
            self.core.handle(self.now, &self.rows, input, &mut out);
            self.effects(out);
        }
        panic!("one input led to more than {INPUTS_MAX} others");
    }

    fn effects(&mut self, out: Outbox) {
        for effect in out.effects {
            match effect {
                Effect::Persist(batch) => {
                    self.pending.push_back(Input::Persisted(batch.id));
                    self.rows.rows.write(&batch);
                }
                Effect::Propose { group, ticket, entry } => {
                    let index = self.rows.log.len() as u64;
                    let position = LogPosition { term: index + 1, leader: self.id, index };
                    let committed = CommittedEntry { position, payload: Payload::Entry(entry) };
                    self.rows.log.push(committed.clone());
                    self.pending.push_back(Input::Committed { group, entries: vec![committed] });
                    self.pending.push_back(Input::Proposed { group, ticket, outcome: ProposeOutcome::Committed });
                }
                Effect::ReadIndex { group, ticket } => {
                    let index = (self.rows.log.len() as u64).checked_sub(1);
                    self.pending.push_back(Input::ReadIndex { group, ticket, index });
                }
                Effect::Reply { answer, .. } => {
                    self.damaged |= matches!(answer, Err(RequestError::Damaged { .. }));
                }
                end @ (Effect::Halt(_) | Effect::Leave { .. }) => self.halted = Some(end),
                Effect::Send { message, .. } => {
                    let bytes = trine_crdt::codec::encode(&message);
                    assert!(bytes.len() <= trine_crdt::codec::ENCODED_BYTES_MAX, "a message that no peer takes");
                }
                Effect::Publish(rumor) => self.published.push(rumor),
                Effect::Peers(_) | Effect::Roster { .. } | Effect::StepDown => {}
            }
        }
    }
}

/// The rumors of a node of the other region that registers, appends, creates a namespace and seals a segment.
pub fn told_abroad() -> &'static [Bytes] {
    static TOLD: OnceLock<Vec<Bytes>> = OnceLock::new();
    TOLD.get_or_init(|| {
        let mut node = Node::open_as(ABROAD, Rows::default()).expect("an empty disk");
        node.lead();
        let (name, kind) = ("orders".to_owned(), NamespaceKind::Objects);
        node.ask(Request::NamespaceCreate(NamespaceCreate { name, kind, slots: Some(16) }));
        writes().into_iter().for_each(|request| node.ask(request));
        // Heads are told once a second, and a segment is sealed at a tick.
        (0..3).for_each(|_| node.pass_a_second());
        assert!(node.halted.is_none() && !node.damaged);
        node.published
    })
}

/// Registers, leads, writes and reads; what is then on its disk.
fn use_a_node() -> Rows {
    let mut node = Node::open(Rows::default()).expect("an empty disk");
    node.lead();
    assert_eq!(node.core.ready(), Ok(()), "the node here serves");
    writes().into_iter().for_each(|request| node.ask(request));
    node.pass_a_second();
    reads().into_iter().for_each(|request| node.ask(request));
    assert!(node.halted.is_none() && !node.damaged);
    node.rows
}

fn key(number: usize) -> String {
    format!("key-{number}")
}

fn writes() -> Vec<Request> {
    let (objects, default) = ("objects".to_owned(), "default".to_owned());
    let element = || Bytes::from_static(b"e");
    let field = |edit| Edit::Field { name: "n".to_owned(), edit: Box::new(edit) };
    let edits = [
        Edit::Increment(1),
        Edit::Set(element()),
        Edit::Put(element()),
        Edit::Add(element()),
        field(Edit::Add(element())),
    ];
    let edit = |(number, edit)| Request::ObjectEdit(ObjectEdit { namespace: objects.clone(), key: key(number), edit });
    let append = |number: usize| {
        Request::Append(Append {
            namespace: default.clone(),
            key: key(number % 2),
            value: element(),
            content_type: "text/plain".to_owned(),
            metadata: BTreeMap::new(),
            idempotency_key: Some(format!("once-{number}")),
            if_match: None,
            with_proof: true,
        })
    };
    edits.into_iter().enumerate().map(edit).chain((0..3).map(append)).collect()
}

fn reads() -> Vec<Request> {
    let (objects, default) = ("objects".to_owned(), "default".to_owned());
    let mut reads: Vec<Request> =
        (0..5).map(|number| Request::ObjectGet(ObjectGet { namespace: objects.clone(), key: key(number) })).collect();
    for number in 0..2 {
        let (namespace, key) = (default.clone(), key(number));
        reads.push(Request::LedgerHistory(LedgerHistory {
            namespace: namespace.clone(),
            key: key.clone(),
            after: None,
            limit: 10,
        }));
        reads.push(Request::LedgerGet(LedgerGet { namespace, key, with_proof: true }));
    }
    for region in ["us-east-1", "eu-west-1"].map(|name| name.parse::<trine_crdt::RegionId>().expect("a name")) {
        for index in 0..3 {
            reads.push(Request::LedgerRecord(LedgerRecord { region: region.clone(), index, with_proof: true }));
        }
        reads.push(Request::Checkpoint(CheckpointGet { region: region.clone() }));
        reads.push(Request::Consistency(ConsistencyGet { region, from: 1, to: 3 }));
    }
    reads.extend([
        Request::LedgerRange(LedgerRange { namespace: default, prefix: String::new(), after: None, limit: 10 }),
        Request::ObjectList(ObjectList {
            namespace: trine_crdt::NamespaceId::default_objects().to_string(),
            prefix: String::new(),
            kind: None,
            after: None,
            limit: 10,
        }),
        Request::Status,
        Request::NodeList,
        Request::RegionList,
        Request::NamespaceList,
        Request::ManifestShow(ManifestShow { region: None }),
    ]);
    reads
}
