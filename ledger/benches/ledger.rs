//! What a ledger costs: appending to the tree, proving, signing, applying.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion};
use trine_crdt::{NamespaceId, NodeId, Timestamp, WriterId};
use trine_ledger::tree::{inclusion_proof, leaf_hash, verify_inclusion};
use trine_ledger::{
    AppendCommand, Body, Checkpoint, Command, Entry, Frontier, LedgerState, LogPosition, Lookup, RecordHeader,
    Remembered, SigningKey,
};

struct NoRows;

impl Lookup for NoRows {
    type Error = Infallible;

    fn latest(&mut self, _: &NamespaceId, _: &str) -> Result<Option<u64>, Infallible> {
        Ok(None)
    }

    fn remembered(&mut self, _: &[u8; 32]) -> Result<Option<Remembered>, Infallible> {
        Ok(None)
    }

    fn remembered_at(&mut self, _: u64) -> Result<([u8; 32], Timestamp), Infallible> {
        Ok(([0; 32], Timestamp::ZERO))
    }
}

fn append(time: u64) -> Command {
    let value = Bytes::from(vec![7; 100]);
    let body = Body { salts: [[1; 32]; 3], key: format!("key-{time}"), metadata: BTreeMap::new(), value };
    let stamp = Timestamp { time, writer: WriterId([1; 16]) };
    let namespace = NamespaceId::default_ledger();
    let header = RecordHeader::of(namespace, stamp, "text/plain".to_owned(), Vec::new(), None, &body);
    let header = header.and_then(|header| header.to_bytes()).expect("within bounds");
    Command::Append(Box::new(AppendCommand { header, body, idempotency: None, condition: None }))
}

fn ledger(c: &mut Criterion) {
    let mut frontier = Frontier::default();
    let leaf = leaf_hash(b"leaf");
    c.bench_function("tree append", |b| b.iter(|| frontier.push(black_box(leaf), |node| _ = black_box(node))));

    const SIZE: u64 = 1 << 17;
    let (mut tree, mut nodes) = (Frontier::default(), BTreeMap::new());
    for leaf in 0..SIZE - 3 {
        tree.push(leaf_hash(&leaf.to_be_bytes()), |node| _ = nodes.insert((node.level, node.index), node.hash));
    }
    let read = |level, index| nodes.get(&(level, index)).copied();
    let (mut index, root) = (0, tree.root());
    c.bench_function("inclusion proof of 131069", |b| {
        b.iter(|| {
            index = (index + 7919) % tree.size();
            inclusion_proof(index, tree.size(), read).expect("stored")
        });
    });
    let path = inclusion_proof(77, tree.size(), read).expect("stored");
    let leaf = leaf_hash(&77_u64.to_be_bytes());
    c.bench_function("verify inclusion in 131069", |b| {
        b.iter(|| verify_inclusion(black_box(&leaf), 77, tree.size(), &path, &root).expect("it holds"));
    });

    let key = SigningKey::from_bytes(&[1; 32]);
    let checkpoint = Checkpoint { origin: "trine/cluster/us-east-1".to_owned(), size: SIZE, root };
    c.bench_function("checkpoint sign", |b| b.iter(|| black_box(&checkpoint).sign(&key)));
    let note = checkpoint.sign(&key);
    c.bench_function("checkpoint open", |b| {
        b.iter(|| Checkpoint::open(black_box(&note), &key.verifying_key(), &checkpoint.origin).expect("it opens"));
    });

    let entry = Entry { commands: (1..=64).map(append).collect() };
    let bytes = entry.to_bytes().expect("within bounds");
    c.bench_function("decode and apply 64 appends of 100 bytes", |b| {
        let region = "us-east-1".parse().expect("a region's name");
        let fresh = LedgerState::new(region);
        let position = LogPosition { term: 1, leader: NodeId(1), index: 0 };
        let apply = |mut state: LedgerState| {
            let entry = Entry::from_bytes(&bytes).expect("our own bytes");
            state.apply(position, &entry, &mut NoRows).expect("the next entry")
        };
        b.iter_batched(|| fresh.clone(), apply, BatchSize::SmallInput);
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    ledger(&mut criterion);
    criterion.final_summary();
}
