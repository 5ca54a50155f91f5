//! What the targets share: a small cluster whose keys and ledger are always the same.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bytes::Bytes;
use trine_crdt::{NamespaceId, NodeId, PartitionId, RegionId, Timestamp, WriterId};
use trine_ledger::genesis::{GenesisNode, GenesisRegion};
use trine_ledger::registry::Registry;
use trine_ledger::tree::{consistency_proof, inclusion_proof};
use trine_ledger::{
    AppendCommand, Applied, Body, Change, Checkpoint, Command, Condition, Entry, Frontier, Genesis, Hash, LogPosition,
    Lookup, NamespaceKind, NodeRecord, Outcome, ProofFile, Record, RecordHeader, Remembered, SigningKey, TreeNode,
    origin,
};

/// The cluster's id.
pub const CLUSTER: &str = "0123456789abcdef0123456789abcdef";
/// 2026-06-01, when certificates are looked at, in seconds since 1970.
pub const NOW_UNIX_S: i64 = 1_780_272_000;
/// The seeds of the CA's key and of the regions' log keys.
pub const CA: u8 = 1;
const RECORDS: u64 = 13;

/// The key of a seed.
pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// The region of the ledger here.
pub fn region() -> RegionId {
    "us-east-1".parse().expect("a region's name")
}

/// A writer of a number.
pub fn writer(number: u8) -> WriterId {
    WriterId([number; 16])
}

/// A stamp, seconds after noon.
pub fn at(seconds: u64) -> Timestamp {
    Timestamp { time: (NOW_UNIX_S as u64 + seconds) << 32, writer: writer(7) }
}

/// A partition of objects.
pub fn partition() -> PartitionId {
    PartitionId { namespace: NamespaceId::default_objects(), slot: 17 }
}

/// What the cluster was founded with.
pub fn genesis() -> Genesis {
    let region = |number: u8, id: &str| GenesisRegion {
        id: id.parse().expect("a region's name"),
        log_key: key(10 + number).verifying_key().to_bytes(),
        nodes: vec![GenesisNode {
            name: format!("{id}-a"),
            peer: trine_ledger::peer_id(&key(20 + number).verifying_key().to_bytes()),
            addresses: vec![format!("/ip4/127.0.0.1/tcp/742{number}")],
            raft: format!("127.0.0.1:743{number}"),
        }],
    };
    Genesis { cluster: CLUSTER.to_owned(), regions: vec![region(0, "us-east-1"), region(1, "eu-west-1")] }
}

/// The log key of [`region`].
pub fn log_key() -> SigningKey {
    key(10)
}

/// A body under a key.
pub fn body(key: &str, value: &[u8]) -> Body {
    let metadata = BTreeMap::from([("author".to_owned(), "trine".to_owned()), ("b".to_owned(), String::new())]);
    Body { salts: [[1; 32], [2; 32], [3; 32]], key: key.to_owned(), metadata, value: Bytes::copy_from_slice(value) }
}

/// A record with its body.
pub fn record(number: u64) -> Record {
    let body = body(&format!("order-{number}"), b"paid");
    let seen = vec![[4; 32], [5; 32]];
    let subject = (number % 2 == 1).then_some([6; 16]);
    let header =
        RecordHeader::of(NamespaceId::default_ledger(), at(number), "text/plain".to_owned(), seen, subject, &body);
    Record { header: header.and_then(|header| header.to_bytes()).expect("within bounds"), body: Some(body) }
}

/// A command that appends [`record`].
pub fn append(number: u64, condition: Option<Condition>) -> Command {
    let Record { header, body } = record(number);
    let body = body.expect("just made");
    let idempotency = number.is_multiple_of(3).then_some([number as u8; 32]);
    Command::Append(Box::new(AppendCommand { header, body, idempotency, condition }))
}

/// The same record, put back at its number.
pub fn restored(number: u64) -> Command {
    let Record { header, body } = record(number);
    Command::Restore { index: number, header, body: Box::new(body.expect("just made")) }
}

/// A node as it registers.
pub fn node_record(number: u64) -> NodeRecord {
    NodeRecord {
        stamp: at(number),
        node: NodeId(number),
        name: format!("us-east-1-{number}"),
        peer: trine_ledger::peer_id(&key(20).verifying_key().to_bytes()),
        addresses: vec!["/ip4/127.0.0.1/tcp/7421".to_owned()],
        raft: "127.0.0.1:7422".to_owned(),
        http: Some("127.0.0.1:7420".to_owned()),
        writer: writer(number as u8),
        levels: trine_crdt::FORMAT_LEVELS,
    }
}

/// Entries with every command.
pub fn entries() -> Vec<Entry> {
    let (stamp, node) = (at(20), NodeId(2));
    let (name, kind) = ("orders".to_owned(), NamespaceKind::Objects);
    let registry = Box::new(Registry { retired: [NodeId(7)].into(), ..Registry::default() });
    vec![
        Entry { commands: vec![Command::Register(node_record(1)), Command::Register(node_record(2))] },
        Entry { commands: vec![append(1, None), append(2, Some(Condition::Absent)), append(3, None)] },
        Entry { commands: vec![append(4, Some(Condition::Index(1))), Command::Seal { stamp }] },
        Entry { commands: vec![restored(4), Command::Resume { stamp, version: 9, registry }] },
        Entry { commands: vec![Command::CreateNamespace { stamp, name, kind, slots: 256 }] },
        Entry { commands: vec![Command::Retire { stamp, node }, Command::Replace { stamp, node: NodeId(1) }] },
        Entry::default(),
    ]
}

/// Entries that alter what [`entries`] created.
pub fn alterations() -> Vec<Entry> {
    let namespace = |index| NamespaceId { region: region(), index };
    let created = entries().iter().position(|entry| matches!(entry.commands[..], [Command::CreateNamespace { .. }]));
    let created = namespace(9 + created.expect("one creates") as u64 - 3);
    let rename = |stamp, namespace| Command::RenameNamespace { stamp, namespace, name: "carts".to_owned() };
    vec![
        Entry { commands: vec![rename(at(21), created.clone()), rename(at(22), namespace(0))] },
        Entry { commands: vec![Command::DeleteNamespace { stamp: at(23), namespace: created }] },
    ]
}

/// The rows that a ledger asks for, in memory.
#[derive(Debug, Default)]
pub struct Rows {
    latest: BTreeMap<(NamespaceId, String), u64>,
    by_key: BTreeMap<[u8; 32], Remembered>,
    by_number: BTreeMap<u64, ([u8; 32], Timestamp)>,
}

/// A row is asked for that is not there.
#[derive(Debug, PartialEq, Eq)]
pub struct Missing;

impl Lookup for Rows {
    type Error = Missing;

    fn latest(&mut self, namespace: &NamespaceId, key: &str) -> Result<Option<u64>, Missing> {
        Ok(self.latest.get(&(namespace.clone(), key.to_owned())).copied())
    }

    fn remembered(&mut self, key: &[u8; 32]) -> Result<Option<Remembered>, Missing> {
        Ok(self.by_key.get(key).copied())
    }

    fn remembered_at(&mut self, number: u64) -> Result<([u8; 32], Timestamp), Missing> {
        self.by_number.get(&number).copied().ok_or(Missing)
    }
}

impl Rows {
    /// Keeps what an entry changed.
    pub fn keep(&mut self, outcome: &Outcome) {
        for applied in &outcome.applied {
            if let Applied::Record(record) = applied {
                self.latest.insert((record.header.namespace.clone(), record.key.clone()), record.index);
            }
        }
        for change in &outcome.changes {
            match *change {
                Change::Remember { key, row } => {
                    self.by_key.insert(key, row);
                    assert!(self.by_number.insert(row.number, (key, row.stamp)).is_none(), "two keys under one number");
                }
                Change::Forget { number, key } => {
                    self.by_number.remove(&number);
                    if self.by_key.get(&key).is_some_and(|row| row.number == number) {
                        self.by_key.remove(&key);
                    }
                }
            }
        }
    }
}

/// A position in the log.
pub fn position(index: u64) -> LogPosition {
    LogPosition { term: 1, leader: NodeId(1), index }
}

/// A ledger of thirteen records: an odd number that is no power of two.
pub struct Ledger {
    /// The records.
    pub records: Vec<Record>,
    /// The tree's complete nodes.
    nodes: BTreeMap<(u8, u64), Hash>,
    /// The root at each size, from 0 on.
    pub roots: Vec<Hash>,
}

/// The ledger, made once.
pub fn ledger() -> &'static Ledger {
    static LEDGER: OnceLock<Ledger> = OnceLock::new();
    LEDGER.get_or_init(|| {
        let records: Vec<Record> = (0..RECORDS).map(record).collect();
        let (mut frontier, mut nodes) = (Frontier::default(), BTreeMap::new());
        let mut roots = vec![frontier.root()];
        for record in &records {
            frontier.push(record.leaf(), |TreeNode { level, index, hash }| {
                nodes.insert((level, index), hash);
            });
            roots.push(frontier.root());
        }
        Ledger { records, nodes, roots }
    })
}

impl Ledger {
    /// The tree at a size, as it is signed.
    pub fn checkpoint(&self, size: u64) -> Checkpoint {
        let root = self.roots[usize::try_from(size).expect("small")];
        Checkpoint { origin: origin(CLUSTER, &region()), size, root }
    }

    /// The signed note of a size.
    pub fn note(&self, size: u64) -> Bytes {
        self.checkpoint(size).sign(&log_key())
    }

    /// The path of a record.
    pub fn path(&self, index: u64, size: u64) -> Vec<Hash> {
        inclusion_proof(index, size, |level, index| self.nodes.get(&(level, index)).copied()).expect("in the tree")
    }

    /// The proof between two sizes.
    pub fn consistency(&self, from: u64, to: u64) -> Vec<Hash> {
        consistency_proof(from, to, |level, index| self.nodes.get(&(level, index)).copied()).expect("in the tree")
    }

    /// The proof file of a record, with its body or without.
    pub fn proof_file(&self, index: u64, size: u64, whole: bool) -> ProofFile {
        let Record { header, body } = self.records[usize::try_from(index).expect("small")].clone();
        let record = Record { header, body: body.filter(|_| whole) };
        ProofFile { index, record, path: self.path(index, size), checkpoint: self.note(size) }
    }
}
