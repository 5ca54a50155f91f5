//! Values that the stories share.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;

use bytes::Bytes;
use trine_crdt::{NamespaceId, NodeId, Timestamp, WriterId};
use trine_ledger::{
    AppendCommand, Body, Change, Command, Condition, Entry, Hash, LedgerState, LogPosition, Lookup, NodeRecord,
    Outcome, RecordHeader, Remembered, SigningKey, TreeNode,
};

/// A stamp `seconds` after the stories begin.
pub fn at(seconds: u64) -> Timestamp {
    Timestamp { time: (1_700_000_000 + seconds) << 32, writer: WriterId([7; 16]) }
}

/// A stamp a few counts after another.
pub fn tick(stamp: Timestamp, counts: u64) -> Timestamp {
    Timestamp { time: stamp.time + counts, ..stamp }
}

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub fn body(key: &str, value: &str) -> Body {
    let metadata = BTreeMap::from([("author".to_owned(), "trine".to_owned())]);
    let value = Bytes::copy_from_slice(value.as_bytes());
    Body { salts: [[1; 32], [2; 32], [3; 32]], key: key.to_owned(), metadata, value }
}

pub fn header(stamp: Timestamp, body: &Body) -> RecordHeader {
    let namespace = NamespaceId::default_ledger();
    RecordHeader::of(namespace, stamp, "text/plain".to_owned(), Vec::new(), None, body).expect("within bounds")
}

pub fn append(stamp: Timestamp, key: &str, value: &str) -> AppendCommand {
    let body = body(key, value);
    let header = header(stamp, &body).to_bytes().expect("within bounds");
    AppendCommand { header, body, idempotency: None, condition: None }
}

pub fn put(stamp: Timestamp, key: &str, value: &str) -> Command {
    Command::Append(Box::new(append(stamp, key, value)))
}

pub fn restore(index: u64, stamp: Timestamp, key: &str, value: &str) -> Command {
    let AppendCommand { header, body, .. } = append(stamp, key, value);
    Command::Restore { index, header, body: Box::new(body) }
}

pub fn put_if(stamp: Timestamp, key: &str, value: &str, condition: Condition) -> Command {
    Command::Append(Box::new(AppendCommand { condition: Some(condition), ..append(stamp, key, value) }))
}

pub fn put_once(stamp: Timestamp, key: &str, value: &str, idempotency: u8) -> Command {
    let idempotency = Some([idempotency; 32]);
    Command::Append(Box::new(AppendCommand { idempotency, ..append(stamp, key, value) }))
}

pub fn node(stamp: Timestamp, node: u64, name: &str, incarnation: u8) -> NodeRecord {
    NodeRecord {
        stamp,
        node: NodeId(node),
        name: name.to_owned(),
        peer: format!("peer-of-{name}"),
        addresses: vec!["/ip4/127.0.0.1/tcp/7421".to_owned()],
        raft: "127.0.0.1:7422".to_owned(),
        http: Some("127.0.0.1:7420".to_owned()),
        writer: WriterId([incarnation; 16]),
        levels: trine_crdt::FORMAT_LEVELS,
    }
}

/// A node's ledger: the state and the rows that the core would keep.
#[derive(Clone)]
pub struct Ledger {
    pub state: LedgerState,
    pub rows: Rows,
    pub nodes: BTreeMap<(u8, u64), Hash>,
    pub index: u64,
}

#[derive(Clone, Default)]
pub struct Rows {
    pub latest: BTreeMap<(NamespaceId, String), u64>,
    pub by_key: BTreeMap<[u8; 32], Remembered>,
    pub by_number: BTreeMap<u64, ([u8; 32], Timestamp)>,
}

impl Lookup for Rows {
    type Error = Infallible;

    fn latest(&mut self, namespace: &NamespaceId, key: &str) -> Result<Option<u64>, Infallible> {
        Ok(self.latest.get(&(namespace.clone(), key.to_owned())).copied())
    }

    fn remembered(&mut self, key: &[u8; 32]) -> Result<Option<Remembered>, Infallible> {
        Ok(self.by_key.get(key).copied())
    }

    fn remembered_at(&mut self, number: u64) -> Result<([u8; 32], Timestamp), Infallible> {
        Ok(*self.by_number.get(&number).expect("only rows that are there are asked for"))
    }
}

impl Ledger {
    pub fn new() -> Self {
        let region = "us-east-1".parse().expect("a region's name");
        Self { state: LedgerState::new(region), rows: Rows::default(), nodes: BTreeMap::new(), index: 0 }
    }

    pub fn position(&self) -> LogPosition {
        LogPosition { term: 1, leader: NodeId(1), index: self.index }
    }

    /// Applies the next entry and keeps its rows.
    pub fn apply(&mut self, commands: Vec<Command>) -> Outcome {
        let entry = Entry { commands };
        let position = self.position();
        let outcome = self.state.apply(position, &entry, &mut self.rows).expect("the next entry");
        self.index += 1;
        self.keep(&outcome);
        outcome
    }

    fn keep(&mut self, outcome: &Outcome) {
        for TreeNode { level, index, hash } in &outcome.nodes {
            assert!(self.nodes.insert((*level, *index), *hash).is_none(), "a node is complete once");
        }
        for applied in &outcome.applied {
            if let trine_ledger::Applied::Record(record) = applied {
                let place = (record.header.namespace.clone(), record.key.clone());
                self.rows.latest.insert(place, record.index);
            }
        }
        for change in &outcome.changes {
            match *change {
                Change::Remember { key, row } => {
                    self.rows.by_key.insert(key, row);
                    self.rows.by_number.insert(row.number, (key, row.stamp));
                }
                Change::Forget { number, key } => {
                    self.rows.by_number.remove(&number);
                    if self.rows.by_key.get(&key).is_some_and(|row| row.number == number) {
                        self.rows.by_key.remove(&key);
                    }
                }
            }
        }
    }

    /// The state as a restarted node reads it.
    pub fn restart(&mut self) {
        let registry = self.state.registry().to_bytes().expect("within bounds");
        let restored = LedgerState::from_bytes(&self.state.head_to_bytes(), &registry).expect("our own bytes");
        assert_eq!(restored, self.state);
        self.state = restored;
    }
}

pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    for line in bytes.chunks(32) {
        line.iter().for_each(|byte| write!(out, "{byte:02x}").expect("strings take everything"));
        out.push('\n');
    }
    out
}
