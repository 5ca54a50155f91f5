//! The objects of a node: what it holds of each partition, and how a write or a remote interval changes it.
//!
//! A write is one dot. It joins into the object, goes to the delta log and moves the writer's place in the
//! partition's vector, all in one batch. A remote interval does the same for many dots of another writer, and is
//! taken only when it connects to what is held. The sum of a partition's object digests moves along, so that two
//! nodes can be compared without reading their objects.
//!
//! What is kept in memory is small and does not grow with objects: opening reads one row a partition and one a
//! partition and writer, never objects or deltas.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;
use trine_crdt::digest::SumDigest;
use trine_crdt::{Delta, NamespaceId, Object, PartitionId, Timestamp, VersionVector, WriterId};
use trine_gossip::vectors;

use super::delta_log::Log;
use crate::effect::Persistence::Synced;
use crate::mutants::{self, Mutant};
use crate::rows;
use crate::store::{Store, StoreError};
use crate::turn::Turn;

/// What is known of all partitions, in memory; the objects themselves stay on disk.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    vectors: BTreeMap<PartitionId, VersionVector>,
    /// The hashes of the vectors, but for those that changed since they were asked for.
    hashes: BTreeMap<PartitionId, u64>,
    unhashed: BTreeSet<PartitionId>,
    sums: BTreeMap<PartitionId, Sum>,
    /// The delta log's parts that have rows, per partition and writer.
    pub(super) logs: BTreeMap<(PartitionId, WriterId), Log>,
    /// Where the next look for what may be trimmed begins.
    pub(super) trim_from: Option<(PartitionId, WriterId)>,
}

#[derive(Debug, Clone, Default)]
struct Sum {
    /// Objects in which anything is left.
    count: u64,
    /// Of all objects, also of those that were removed.
    digest: SumDigest,
}

/// An object as it is held, with its bytes, which its digest is taken of.
#[derive(Debug, Default)]
pub struct Stored {
    /// The value; empty when nothing is stored.
    pub object: Object,
    /// Its bytes; none when nothing is stored.
    pub bytes: Option<Bytes>,
}

impl Partitions {
    /// Reads what is kept in memory from the store.
    ///
    /// # Errors
    /// What the store says, and rows that cannot be read.
    pub fn open(store: &dyn Store) -> Result<Self, StoreError> {
        let mut objects = Self::default();
        each_row(store, b"v", |key, value| {
            let (partition, writer) = read_writer_row(key)?;
            let (seq, log) = Log::read(value)?;
            if let Some(log) = log {
                objects.logs.insert((partition.clone(), writer), log);
            }
            objects.unhashed.insert(partition.clone());
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
        Ok(objects)
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

    /// All partitions that hold anything, with the hashes of their vectors.
    pub fn hashes(&mut self) -> &BTreeMap<PartitionId, u64> {
        for partition in std::mem::take(&mut self.unhashed) {
            let hash = vectors::vector_hash(&self.vectors[&partition]);
            self.hashes.insert(partition, hash);
        }
        &self.hashes
    }

    /// The partitions of a namespace that hold anything.
    pub fn partitions<'a>(&'a self, namespace: &'a NamespaceId) -> impl Iterator<Item = &'a PartitionId> {
        self.sums.keys().filter(move |partition| partition.namespace == *namespace)
    }

    /// Up to `count` partitions after one, with their vectors, and whether there are more.
    #[must_use]
    pub fn vectors_after(
        &self,
        after: Option<&PartitionId>,
        count: usize,
    ) -> (Vec<(PartitionId, VersionVector)>, bool) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.vectors.range((from, Bound::Unbounded));
        let page = rest.by_ref().take(count).map(|(partition, vector)| (partition.clone(), vector.clone())).collect();
        (page, rest.next().is_some())
    }

    /// How many objects a namespace has, and the sum of their digests. An object in which nothing is left counts no more,
    /// while its digest does: nodes differ until all know that it was removed.
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

    /// Reads an object.
    ///
    /// # Errors
    /// What the store says; `Damaged` when the bytes are no object.
    pub fn read(turn: &mut Turn<'_>, partition: &PartitionId, key: &[u8]) -> Result<Stored, StoreError> {
        let Some(bytes) = turn.get(Synced, &rows::object(partition, key))? else {
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
        turn: &mut Turn<'_>,
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
            Some(_) if mutants::is(Mutant::DigestNotUpdated) => {}
            Some(bytes) => sum.digest.sub(key, &digest_of(bytes)),
            None => {}
        }
        sum.digest.add(key, &digest_of(&after));
        match (before.is_some_and(|bytes| holds_something(bytes)), holds_something(&after)) {
            (false, true) => sum.count += 1,
            (true, false) => sum.count = sum.count.saturating_sub(1),
            _ => {}
        }
        let mut row = sum.count.to_be_bytes().to_vec();
        row.extend_from_slice(&sum.digest.0);
        turn.put(Synced, rows::digest(partition), Some(row.into()));
        turn.put(Synced, rows::object(partition, key), Some(after));
    }

    /// Moves a writer's place in a partition's vector.
    pub fn advance(&mut self, turn: &mut Turn<'_>, partition: &PartitionId, writer: WriterId, upto: u64) {
        self.vectors.entry(partition.clone()).or_default().dots.insert(writer, upto);
        self.unhashed.insert(partition.clone());
        self.put_place(turn, partition, writer);
    }

    /// Writes the row of a writer's place in a partition: up to where it is held, and what the delta log has of it.
    pub(crate) fn put_place(&self, turn: &mut Turn<'_>, partition: &PartitionId, writer: WriterId) {
        let log = self.logs.get(&(partition.clone(), writer));
        let row = Log::write(self.held(partition, writer), log);
        turn.put(Synced, rows::vector(partition, writer), Some(row));
    }
}

/// Whether anything is left in an object. Bytes that cannot be read count, so that nothing damaged is taken for removed.
fn holds_something(bytes: &[u8]) -> bool {
    !Object::bytes_are_empty(bytes).unwrap_or(false)
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
