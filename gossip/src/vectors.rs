//! Finding what two nodes miss of each other's objects.
//!
//! A partition's version vector says, per writer, up to where its holder has every delta. Two nodes that have the
//! same vectors miss nothing, so they first compare a hash a partition, then the vectors of the partitions that
//! differ, and then send exactly the intervals that are missing: what is not missing is not sent.
//!
//! A list of hashes is complete for each namespace that it names: a partition of such a namespace that the list
//! leaves out is one that its sender has nothing of. Of a namespace that it does not name it says nothing, so a
//! region that may not hold a namespace is never asked about it.

use std::collections::{BTreeMap, BTreeSet};

use trine_crdt::{NamespaceId, PartitionId, VersionVector, WriterId};

/// What a partition hashes to that nothing is held of.
#[must_use]
pub fn empty_hash() -> u64 {
    vector_hash(&VersionVector::default())
}

/// The hash of a version vector: BLAKE3 over its writers and sequence numbers in order, cut to 64 bits.
#[must_use]
pub fn vector_hash(vector: &VersionVector) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for (writer, seq) in vector.dots.iter().filter(|(_, seq)| **seq > 0) {
        hasher.update(&writer.0);
        hasher.update(&seq.to_be_bytes());
    }
    u64::from_be_bytes(*hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

/// The partitions whose vectors differ, in order, given the hashes of what is held here and a peer's list.
/// Partitions of namespaces that the peer's list does not name are left out.
#[must_use]
pub fn differing(here: &BTreeMap<PartitionId, u64>, theirs: &[(PartitionId, u64)]) -> Vec<PartitionId> {
    let empty = empty_hash();
    let theirs: BTreeMap<&PartitionId, u64> = theirs.iter().map(|(partition, hash)| (partition, *hash)).collect();
    let namespaces: BTreeSet<&NamespaceId> = theirs.keys().map(|partition| &partition.namespace).collect();
    let mut differing = BTreeSet::new();
    for (partition, hash) in &theirs {
        if here.get(*partition).copied().unwrap_or(empty) != *hash {
            differing.insert((*partition).clone());
        }
    }
    for namespace in namespaces {
        let first = PartitionId { namespace: namespace.clone(), slot: 0 };
        let last = PartitionId { namespace: namespace.clone(), slot: u32::MAX };
        for (partition, hash) in here.range(first..=last) {
            if *hash != theirs.get(partition).copied().unwrap_or(empty) {
                differing.insert(partition.clone());
            }
        }
    }
    differing.into_iter().collect()
}

/// Deltas of one writer that one side lacks: everything after `after` up to `upto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// The writer.
    pub writer: WriterId,
    /// What the side that lacks them has.
    pub after: u64,
    /// What the other side has.
    pub upto: u64,
}

/// What each of two sides lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// What is missing here and is there to be asked for.
    pub here: Vec<Gap>,
    /// What is missing there and can be sent.
    pub there: Vec<Gap>,
}

/// Compares two vectors of one partition.
#[must_use]
pub fn missing(here: &VersionVector, there: &VersionVector) -> Missing {
    let gaps = |of: &VersionVector, to: &VersionVector| {
        let gap = |(writer, upto): (&WriterId, &u64)| Gap { writer: *writer, after: of.get(writer), upto: *upto };
        to.dots.iter().map(gap).filter(|gap| gap.after < gap.upto).collect()
    };
    Missing { here: gaps(here, there), there: gaps(there, here) }
}
