//! The objects of a node: what it holds of each partition, and how a write or a remote interval changes it.
//!
//! A write is one dot. It joins into the object, goes to the delta log and moves the writer's place in the
//! partition's vector, all in one batch. A remote interval does the same for many dots of another writer, and is
//! taken only when it connects to what is held. The sum of a partition's object digests moves along, so that two
//! nodes can be compared without reading their objects.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use trine_crdt::digest::SumDigest;
use trine_crdt::{Delta, NamespaceId, Object, PartitionId, Timestamp, VersionVector, WriterId};

use crate::buffer::Buffer;
use crate::effect::Persistence::Synced;
use crate::rows;
use crate::store::{Store, StoreError};
use crate::turn::Turn;

/// What is known of all partitions, in memory; the objects themselves stay on disk.
#[derive(Debug, Default)]
pub struct Objects {
    vectors: BTreeMap<PartitionId, VersionVector>,
    sums: BTreeMap<PartitionId, Sum>,
    /// How many delta rows are kept, and the first of them, per partition and writer.
    logs: BTreeMap<(PartitionId, WriterId), Log>,
}

#[derive(Debug, Clone, Default)]
struct Sum {
    count: u64,
    digest: SumDigest,
}

/// What is kept of one writer's deltas in a partition.
#[derive(Debug, Clone, Copy, Default)]
pub struct Log {
    /// How many rows.
    pub rows: u64,
    /// Deltas at or below this number are not kept any more.
    pub trimmed: u64,
}

/// A row of the delta log: an interval, which its key's `upto` closes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, Vec<(Bytes, Bytes)>)", into = "(u64, Vec<(Bytes, Bytes)>)")]
pub struct DeltaRow {
    /// Where the interval begins, this number excluded.
    pub after: u64,
    /// Keys and encoded deltas, in key order.
    pub deltas: Vec<(Bytes, Bytes)>,
}

impl From<(u64, Vec<(Bytes, Bytes)>)> for DeltaRow {
    fn from((after, deltas): (u64, Vec<(Bytes, Bytes)>)) -> Self {
        Self { after, deltas }
    }
}

impl From<DeltaRow> for (u64, Vec<(Bytes, Bytes)>) {
    fn from(row: DeltaRow) -> Self {
        (row.after, row.deltas)
    }
}

/// An object as it is held, with its bytes, which its digest is taken of.
#[derive(Debug, Default)]
pub struct Stored {
    /// The value; empty when nothing is stored.
    pub object: Object,
    /// Its bytes; none when nothing is stored.
    pub bytes: Option<Bytes>,
}

impl Objects {
    /// Reads what is kept in memory from the store.
    ///
    /// # Errors
    /// What the store says, and rows that cannot be read.
    pub fn open(store: &dyn Store) -> Result<Self, StoreError> {
        let mut objects = Self::default();
        each_row(store, b"v", |key, value| {
            let (partition, writer) = read_writer_row(key)?;
            let seq = u64::from_be_bytes(value.as_ref().try_into().ok()?);
            objects.vectors.entry(partition).or_default().dots.insert(writer, seq);
            Some(())
        })?;
        each_row(store, b"g", |key, value| {
            let (partition, _) = PartitionId::read_key(&key[1..])?;
            let (count, digest) = value.split_first_chunk::<8>()?;
            let digest = SumDigest(digest.try_into().ok()?);
            objects.sums.insert(partition, Sum { count: u64::from_be_bytes(*count), digest });
            Some(())
        })?;
        objects.open_logs(store)?;
        Ok(objects)
    }

    /// Finds per partition and writer where the delta log begins, without reading the deltas' values into memory
    /// all at once.
    fn open_logs(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let mut logs: BTreeMap<(PartitionId, WriterId), Log> = BTreeMap::new();
        each_row(store, b"d", |key, value| {
            let row = read_writer_row(&key[..key.len().checked_sub(8)?])?;
            let log = logs.entry(row).or_insert_with(|| Log { rows: 0, trimmed: u64::MAX });
            if log.rows == 0 {
                log.trimmed = trine_crdt::codec::decode::<DeltaRow>(value).ok()?.after;
            }
            log.rows += 1;
            Some(())
        })?;
        for (partition, vector) in &self.vectors {
            for (writer, seq) in &vector.dots {
                // A writer of whom no delta is kept is served from whole objects.
                logs.entry((partition.clone(), *writer)).or_insert(Log { rows: 0, trimmed: *seq });
            }
        }
        self.logs = logs;
        Ok(())
    }

    /// The vector of a partition.
    #[must_use]
    pub fn vector(&self, partition: &PartitionId) -> VersionVector {
        self.vectors.get(partition).cloned().unwrap_or_default()
    }

    /// What is held of a writer in a partition.
    #[must_use]
    pub fn held(&self, partition: &PartitionId, writer: WriterId) -> u64 {
        self.vectors.get(partition).map_or(0, |vector| vector.get(&writer))
    }

    /// All partitions that hold anything, with their vectors.
    pub fn vectors(&self) -> impl Iterator<Item = (&PartitionId, &VersionVector)> {
        self.vectors.iter()
    }

    /// How many objects a namespace has, and the sum of their digests.
    #[must_use]
    pub fn digest(&self, namespace: &NamespaceId) -> (u64, SumDigest) {
        let mut total = Sum::default();
        for (_, sum) in self.sums.iter().filter(|(partition, _)| partition.namespace == *namespace) {
            total.count += sum.count;
            total.digest.add_sum(&sum.digest);
        }
        (total.count, total.digest)
    }

    /// The namespaces that hold anything.
    #[must_use]
    pub fn namespaces(&self) -> BTreeSet<NamespaceId> {
        self.sums.keys().map(|partition| partition.namespace.clone()).collect()
    }

    /// What is kept of a writer's deltas.
    #[must_use]
    pub fn log(&self, partition: &PartitionId, writer: WriterId) -> Log {
        self.logs.get(&(partition.clone(), writer)).copied().unwrap_or_default()
    }

    /// Reads an object.
    ///
    /// # Errors
    /// What the store says; `Damaged` when the bytes are no object.
    pub fn read(
        buffer: &mut Buffer,
        turn: &Turn<'_>,
        partition: &PartitionId,
        key: &[u8],
    ) -> Result<Stored, StoreError> {
        let Some(bytes) = buffer.get(turn.store, Synced, &rows::object(partition, key))? else {
            return Ok(Stored::default());
        };
        let object = Object::from_bytes(&bytes).map_err(|error| {
            StoreError::Damaged(format!("object {} of {partition}: {error}", String::from_utf8_lossy(key)))
        })?;
        Ok(Stored { object, bytes: Some(bytes) })
    }

    /// Writes an object in place of what was stored, and moves the partition's sum.
    pub fn write(
        &mut self,
        buffer: &mut Buffer,
        partition: &PartitionId,
        key: &[u8],
        before: Option<&Bytes>,
        after: Bytes,
    ) {
        if before == Some(&after) {
            return;
        }
        let sum = self.sums.entry(partition.clone()).or_default();
        match before {
            Some(bytes) => sum.digest.sub(key, &digest_of(bytes)),
            None => sum.count += 1,
        }
        sum.digest.add(key, &digest_of(&after));
        let mut row = sum.count.to_be_bytes().to_vec();
        row.extend_from_slice(&sum.digest.0);
        buffer.put(Synced, rows::digest(partition), Some(row.into()));
        buffer.put(Synced, rows::object(partition, key), Some(after));
    }

    /// Moves a writer's place in a partition's vector.
    pub fn advance(&mut self, buffer: &mut Buffer, partition: &PartitionId, writer: WriterId, upto: u64) {
        self.vectors.entry(partition.clone()).or_default().dots.insert(writer, upto);
        buffer.put(Synced, rows::vector(partition, writer), Some(Bytes::copy_from_slice(&upto.to_be_bytes())));
    }

    /// Keeps an interval in the delta log.
    pub fn keep(&mut self, buffer: &mut Buffer, partition: &PartitionId, writer: WriterId, upto: u64, row: &DeltaRow) {
        let log = self.logs.entry((partition.clone(), writer)).or_insert(Log { rows: 0, trimmed: row.after });
        log.rows += 1;
        let bytes = trine_crdt::codec::encode(row);
        buffer.put(Synced, rows::delta(partition, writer, upto), Some(bytes.into()));
    }

    /// The writer's deltas up to here are known only as part of whole objects.
    pub fn skip(&mut self, partition: &PartitionId, writer: WriterId, upto: u64) {
        let log = self.logs.entry((partition.clone(), writer)).or_default();
        log.trimmed = log.trimmed.max(upto);
    }

    /// Drops up to `count` of the oldest delta rows of a writer in a partition.
    ///
    /// # Errors
    /// What the store says.
    pub fn trim(
        &mut self,
        buffer: &mut Buffer,
        turn: &Turn<'_>,
        (partition, writer): (&PartitionId, WriterId),
        count: usize,
    ) -> Result<usize, StoreError> {
        let first = rows::delta(partition, writer, 0);
        let last = rows::delta(partition, writer, u64::MAX);
        let oldest = buffer.scan(turn.store, Synced, (&first, &last), count, false)?;
        let Some((key, _)) = oldest.last() else { return Ok(0) };
        let upto = u64::from_be_bytes(*key.last_chunk().expect("a delta row's key ends in a number"));
        let log = self.logs.entry((partition.clone(), writer)).or_default();
        log.trimmed = log.trimmed.max(upto);
        log.rows = log.rows.saturating_sub(oldest.len() as u64);
        for (key, _) in &oldest {
            buffer.put(Synced, key.clone(), None);
        }
        Ok(oldest.len())
    }

    /// The rows of the delta log with anything in them.
    pub fn logs(&self) -> impl Iterator<Item = (&PartitionId, WriterId, Log)> {
        self.logs.iter().map(|((partition, writer), log)| (partition, *writer, *log))
    }
}

/// Joins the delta rows of `(after, upto]` into one interval of at most about `bytes_max` bytes: the keys with
/// their deltas, where it begins (at or below `after`), where it ends, and its size. None: not kept any more.
///
/// # Errors
/// What the store says; `Damaged` when a row cannot be read.
#[allow(clippy::type_complexity, reason = "one caller unpacks it at once")]
pub fn read_interval(
    buffer: &mut Buffer,
    turn: &Turn<'_>,
    (partition, writer): (&PartitionId, WriterId),
    (after, upto): (u64, u64),
    bytes_max: usize,
) -> Result<Option<(BTreeMap<Bytes, Delta>, u64, u64, usize)>, StoreError> {
    let (mut begins, mut ends, mut bytes) = (None, after, 0);
    let mut deltas: BTreeMap<Bytes, Delta> = BTreeMap::new();
    while ends < upto && bytes < bytes_max {
        let from = rows::delta(partition, writer, ends + 1);
        // Not beyond: what came later may not be on disk yet, and would make this wait for it.
        let to = rows::delta(partition, writer, upto.saturating_add(1));
        let page = buffer.scan(turn.store, Synced, (&from, &to), 64, false)?;
        if page.is_empty() {
            break;
        }
        for (key, value) in page {
            let damaged = || StoreError::Damaged(format!("delta log of {partition}, writer {writer}"));
            let row: DeltaRow = trine_crdt::codec::decode(&value).map_err(|_| damaged())?;
            if row.after > ends {
                return Ok(None);
            }
            if begins.is_some() && (bytes + value.len() > bytes_max || ends >= upto) {
                return Ok(begins.map(|begins| (deltas, begins, ends, bytes)));
            }
            // Rows may overlap, because a peer coalesced what had come in part before; a later one may even begin
            // before an earlier one, and what it says by leaving things out holds from there on.
            begins = Some(begins.map_or(row.after, |begins: u64| begins.min(row.after)));
            bytes += value.len();
            ends = u64::from_be_bytes(*key.last_chunk().ok_or_else(damaged)?);
            for (key, delta) in row.deltas {
                let delta = Delta::from_bytes(&delta).map_err(|_| damaged())?;
                match deltas.get_mut(&key) {
                    Some(earlier) => earlier.then_overlapping(row.after, delta),
                    None => {
                        deltas.insert(key, delta);
                    }
                }
            }
        }
    }
    Ok(begins.map(|begins| (deltas, begins, ends, bytes)))
}

/// The digest of an object's bytes.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// The latest stamp of an interval's deltas.
#[must_use]
pub fn latest_stamp<'a>(deltas: impl IntoIterator<Item = &'a Delta>) -> Timestamp {
    deltas.into_iter().map(|delta| delta.stamp).max().unwrap_or_default()
}

fn read_writer_row(key: &[u8]) -> Option<(PartitionId, WriterId)> {
    let (partition, rest) = PartitionId::read_key(&key[1..])?;
    Some((partition, WriterId(rest.try_into().ok()?)))
}

/// Visits all synced rows of a letter, a page at a time.
fn each_row(
    store: &dyn Store,
    letter: &[u8],
    mut visit: impl FnMut(&Bytes, &Bytes) -> Option<()>,
) -> Result<(), StoreError> {
    let (mut from, to) = (Bytes::copy_from_slice(letter), rows::after_prefix(letter));
    loop {
        let page = store.scan(Synced, &from, &to, 1024, false)?;
        for (key, value) in &page {
            visit(key, value).ok_or_else(|| StoreError::Damaged(format!("row {key:?}")))?;
        }
        let Some((last, _)) = page.last() else { return Ok(()) };
        from = [last.as_ref(), &[0]].concat().into();
    }
}
