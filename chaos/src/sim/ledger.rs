//! The ledger that a region's log amounts to, by an applier of the checker's own that keeps everything in maps.

use std::collections::BTreeMap;

use bytes::Bytes;
use trine_crdt::{NamespaceId, RegionId, Timestamp};
use trine_ledger::apply::{Applied, Change, Lookup, Remembered};
use trine_ledger::entry::{Command, Entry as LogEntry};
use trine_ledger::state::{Idempotency, LedgerState};
use trine_ledger::tree::{Frontier, Hash};
use trine_replica::input::Payload;

use crate::sim::sequencer::Sequencer;

/// One record, as the checker sees it.
#[derive(Debug)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Bytes,
    /// Its stamp.
    pub stamp: Timestamp,
    /// Its leaf hash.
    pub leaf: Hash,
}

/// A ledger whole in memory.
#[derive(Debug, Default)]
pub struct Model {
    /// Its records, in order.
    pub records: Vec<Entry>,
    roots: Vec<Hash>,
}

impl Model {
    /// Size and root.
    #[must_use]
    pub fn head(&self) -> (u64, Hash) {
        let size = self.records.len() as u64;
        (size, self.root_at(size).expect("a root for each size"))
    }

    /// The root at a size.
    #[must_use]
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        self.roots.get(size as usize).copied()
    }
}

#[derive(Default)]
struct Maps {
    latest: BTreeMap<(NamespaceId, String), u64>,
    remembered: BTreeMap<[u8; 32], Remembered>,
    numbered: BTreeMap<u64, ([u8; 32], Timestamp)>,
}

impl Lookup for Maps {
    type Error = std::convert::Infallible;

    fn latest(&mut self, namespace: &NamespaceId, key: &str) -> Result<Option<u64>, Self::Error> {
        Ok(self.latest.get(&(namespace.clone(), key.to_owned())).copied())
    }

    fn remembered(&mut self, key: &[u8; 32]) -> Result<Option<Remembered>, Self::Error> {
        Ok(self.remembered.get(key).copied())
    }

    fn remembered_at(&mut self, number: u64) -> Result<([u8; 32], Timestamp), Self::Error> {
        Ok(self.numbered[&number])
    }
}

/// Applies a region's whole log, with what bounds its table of idempotency keys.
#[must_use]
pub fn replay(region: &RegionId, log: &Sequencer, idempotency: Idempotency) -> Model {
    let mut state = LedgerState::new(region.clone()).bounded(idempotency);
    let (mut maps, mut model, mut frontier) = (Maps::default(), Model::default(), Frontier::default());
    model.roots.push(frontier.root());
    for committed in log.from(0, usize::MAX) {
        let entry = match &committed.payload {
            Payload::Entry(bytes) => LogEntry::from_bytes(bytes).unwrap_or_default(),
            _ => LogEntry::default(),
        };
        let outcome = state.apply(committed.position, &entry, &mut maps).expect("a log is in order");
        for change in outcome.changes {
            match change {
                Change::Remember { key, row } => {
                    maps.remembered.insert(key, row);
                    maps.numbered.insert(row.number, (key, row.stamp));
                }
                Change::Forget { number, key } => {
                    maps.numbered.remove(&number);
                    maps.remembered.retain(|known, row| *known != key || row.number != number);
                }
            }
        }
        for (command, applied) in entry.commands.iter().zip(outcome.applied) {
            let body = match command {
                Command::Append(append) => &append.body,
                Command::Restore { body, .. } => body,
                _ => continue,
            };
            if let Applied::Record(record) = applied {
                maps.latest.insert((record.header.namespace.clone(), record.key.clone()), record.index);
                model.records.push(Entry {
                    key: record.key.clone(),
                    value: body.value.clone(),
                    stamp: record.header.stamp,
                    leaf: record.leaf,
                });
                frontier.push(record.leaf, |_| {});
                model.roots.push(frontier.root());
            }
        }
    }
    model
}
