//! A node's ledgers: its own region's, applied anew from the log; the others', put together from mirrored records.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use trine_crdt::{NamespaceId, RegionId, Timestamp};
use trine_ledger::apply::{Applied, Change, Lookup, Remembered};
use trine_ledger::entry::Command;
use trine_ledger::{Entry, Frontier, Hash, LedgerState, Record};
use trine_replica::rows;

use super::table::Table;
use super::{Head, hex, log};
use crate::derived::{Derived, LETTERS};

/// Before the registry stands the log index of its last change.
const REGISTRY_HEAD_BYTES: usize = 8;

/// What the applier asks for, in memory: this checker has as much as it needs.
#[derive(Debug, Default)]
struct Memory {
    latest: BTreeMap<(NamespaceId, String), u64>,
    remembered: BTreeMap<[u8; 32], Remembered>,
    numbers: BTreeMap<u64, ([u8; 32], Timestamp)>,
}

impl Lookup for Memory {
    type Error = Infallible;

    fn latest(&mut self, namespace: &NamespaceId, key: &str) -> Result<Option<u64>, Infallible> {
        Ok(self.latest.get(&(namespace.clone(), key.to_owned())).copied())
    }

    fn remembered(&mut self, key: &[u8; 32]) -> Result<Option<Remembered>, Infallible> {
        Ok(self.remembered.get(key).copied())
    }

    fn remembered_at(&mut self, number: u64) -> Result<([u8; 32], Timestamp), Infallible> {
        Ok(self.numbers.get(&number).copied().unwrap_or_default())
    }
}

/// A record as it stands on a disk.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// Its key.
    pub key: &'a str,
    /// Its value.
    pub value: &'a [u8],
    /// Its stamp.
    pub stamp: Timestamp,
    /// Its leaf hash.
    pub leaf: Hash,
}

/// Reads one stopped node's ledgers.
#[derive(Debug)]
pub struct LedgerReader {
    data: PathBuf,
    region: RegionId,
}

impl LedgerReader {
    /// The node of this data directory and region.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn open(data: &Path, region: RegionId) -> anyhow::Result<Self> {
        ensure!(data.is_dir(), "{} is not there", data.display());
        Ok(Self { data: data.to_owned(), region })
    }

    /// Applies the own region's log and hands every record over, in order.
    ///
    /// # Errors
    /// When the log is damaged or does not apply.
    pub fn own(&self, mut record: impl FnMut(Standing<'_>)) -> anyhow::Result<Head> {
        let mut state = LedgerState::new(self.region.clone());
        let mut memory = Memory::default();
        log::replay(&self.data.join("raft"), |position, payload| {
            let at = || format!("log entry {}", position.index);
            let Some(payload) = payload else {
                return state.pass::<Infallible>(position).with_context(at);
            };
            let entry = Entry::from_bytes(&payload).with_context(at)?;
            let outcome = state.apply(position, &entry, &mut memory).with_context(at)?;
            for (command, applied) in entry.commands.iter().zip(outcome.applied) {
                let body = match command {
                    Command::Append(append) => &append.body,
                    Command::Restore { body, .. } => body,
                    _ => continue,
                };
                if let Applied::Record(applied) = applied {
                    let (stamp, leaf) = (applied.header.stamp, applied.leaf);
                    record(Standing { key: &applied.key, value: &body.value, stamp, leaf });
                    memory.latest.insert((applied.header.namespace.clone(), applied.key), applied.index);
                }
            }
            for change in outcome.changes {
                memory.keep(change);
            }
            Ok(())
        })?;
        Ok(Head { size: state.size(), root: hex(&state.root()) })
    }

    /// The own ledger's roots at these sizes and at its end.
    ///
    /// # Errors
    /// When the log is damaged or does not apply.
    pub fn roots_at(&self, sizes: &BTreeSet<u64>) -> anyhow::Result<BTreeMap<u64, String>> {
        let mut frontier = Frontier::default();
        let mut roots = BTreeMap::from([(0, hex(&frontier.root()))]);
        let head = self.own(|record| {
            frontier.push(record.leaf, |_| ());
            if sizes.contains(&frontier.size()) {
                roots.insert(frontier.size(), hex(&frontier.root()));
            }
        })?;
        roots.insert(head.size, head.root);
        Ok(roots)
    }

    /// All ledgers' heads.
    ///
    /// # Errors
    /// When something is damaged, or a mirror has a gap.
    pub fn heads(&self) -> anyhow::Result<BTreeMap<String, Head>> {
        let own = self.own(|_| ())?;
        let mut frontiers: BTreeMap<String, Frontier> = BTreeMap::new();
        self.mirrored(|region, record| frontiers.entry(region.to_owned()).or_default().push(record.leaf, |_| ()))?;
        let show = |frontier: Frontier| Head { size: frontier.size(), root: hex(&frontier.root()) };
        let mut heads: BTreeMap<String, Head> =
            frontiers.into_iter().map(|(region, frontier)| (region, show(frontier))).collect();
        heads.insert(self.region.to_string(), own);
        Ok(heads)
    }

    /// Hands over every record of every ledger with its region's name, each ledger's in order.
    ///
    /// # Errors
    /// When something is damaged, or a mirror has a gap.
    pub fn records(&self, mut record: impl FnMut(&str, Standing<'_>)) -> anyhow::Result<()> {
        let region = self.region.to_string();
        self.own(|standing| record(&region, standing))?;
        self.mirrored(record)
    }

    /// What the node derived of its own region's ledger and has lost, up to where it says that it applied the log.
    ///
    /// # Errors
    /// When a row is damaged.
    pub fn lost(&self) -> anyhow::Result<Vec<String>> {
        let table = Table::open(&self.data, "derived")?;
        let row = |key: &'static [u8]| table.rows(key).next().transpose();
        let (Some((_, head)), Some((_, registry))) = (row(rows::LEDGER_STATE)?, row(rows::REGISTRY)?) else {
            return Ok(Vec::new());
        };
        ensure!(registry.len() >= REGISTRY_HEAD_BYTES, "the registry's row is too short");
        let state = LedgerState::from_bytes(&head, &registry.slice(REGISTRY_HEAD_BYTES..))?;
        let mut derived = Derived::of(self.region.clone());
        for letter in LETTERS {
            for row in table.rows(&[letter]) {
                let (key, value) = row?;
                derived.row(&key, &value);
            }
        }
        Ok(derived.missing(state.size()))
    }

    /// Hands over every mirrored record, verified, with its region's name.
    fn mirrored(&self, mut take: impl FnMut(&str, Standing<'_>)) -> anyhow::Result<()> {
        let table = Table::open(&self.data, "derived")?;
        let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
        for row in table.rows(b"m") {
            let (key, bytes) = row?;
            let (region, index) = mirrored(&key).context("a mirrored record's row without a place")?;
            let size = sizes.entry(region.clone()).or_default();
            ensure!(*size == index, "the mirror of {region} has no record {size}");
            *size += 1;
            let name = || format!("record {index} of {region}");
            let record = Record::from_bytes(&bytes).with_context(name)?;
            let header = record.verify().with_context(name)?;
            let body = record.body.as_ref().with_context(name)?;
            let (stamp, leaf) = (header.stamp, record.leaf());
            take(&region, Standing { key: &body.key, value: &body.value, stamp, leaf });
        }
        Ok(())
    }
}

impl Memory {
    fn keep(&mut self, change: Change) {
        match change {
            Change::Remember { key, row } => {
                self.numbers.insert(row.number, (key, row.stamp));
                self.remembered.insert(key, row);
            }
            Change::Forget { number, key } => {
                self.numbers.remove(&number);
                if self.remembered.get(&key).is_some_and(|row| row.number == number) {
                    self.remembered.remove(&key);
                }
            }
        }
    }
}

/// Region and index from the key of a mirrored record's row.
fn mirrored(row: &[u8]) -> Option<(String, u64)> {
    let rest = row.strip_prefix(b"m")?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let region = std::str::from_utf8(&rest[..end]).ok()?;
    Some((region.to_owned(), u64::from_be_bytes(rest[end + 1..].try_into().ok()?)))
}
