//! Finding what two nodes miss of each other.

use std::collections::BTreeMap;

use trine_crdt::{Dot, NamespaceId, PartitionId, RegionId, VersionVector, WriterId};
use trine_gossip::vectors::{Gap, differing, missing, vector_hash};

fn vector(dots: &[(u8, u64)]) -> VersionVector {
    dots.iter().map(|(writer, seq)| Dot::new(WriterId([*writer; 16]), *seq)).collect()
}

fn gap(writer: u8, after: u64, upto: u64) -> Gap {
    Gap { writer: WriterId([writer; 16]), after, upto }
}

fn partition(namespace: u64, slot: u32) -> PartitionId {
    PartitionId { namespace: NamespaceId { region: RegionId::genesis(), index: namespace }, slot }
}

#[test]
fn each_side_learns_what_it_lacks() {
    let found = missing(&vector(&[(1, 5), (2, 3), (3, 7)]), &vector(&[(1, 9), (2, 3), (4, 2)]));
    assert_eq!(found.here, [gap(1, 5, 9), gap(4, 0, 2)]);
    assert_eq!(found.there, [gap(3, 0, 7)]);
}

#[test]
fn equal_vectors_hash_alike_and_others_do_not() {
    assert_eq!(vector_hash(&vector(&[(1, 5), (2, 3)])), vector_hash(&vector(&[(2, 3), (1, 5)])));
    let unequal = [vector(&[]), vector(&[(1, 5)]), vector(&[(1, 6)]), vector(&[(2, 5)]), vector(&[(1, 5), (2, 5)])];
    for (number, one) in unequal.iter().enumerate() {
        for other in &unequal[number + 1..] {
            assert_ne!(vector_hash(one), vector_hash(other), "{one:?} and {other:?}");
        }
    }
}

#[test]
fn only_partitions_that_differ_are_named() {
    let hash = |seq| vector_hash(&vector(&[(1, seq)]));
    let here = BTreeMap::from([
        (partition(1, 0), hash(1)),
        (partition(1, 1), hash(2)),
        (partition(1, 2), hash(3)),
        (partition(2, 0), hash(1)),
    ]);
    let theirs = [
        (partition(1, 0), hash(1)), // the same
        (partition(1, 1), hash(9)), // another
        (partition(1, 7), hash(4)), // only there
        (partition(4, 5), hash(1)), // a namespace that is new here
    ];
    // (1, 2) is only here; of namespace 2 the list says nothing.
    assert_eq!(differing(&here, &theirs), [partition(1, 1), partition(1, 2), partition(1, 7), partition(4, 5)]);
}

#[test]
fn a_partition_without_deltas_is_like_one_that_is_not_there() {
    let empty = vector_hash(&VersionVector::default());
    let here = BTreeMap::from([(partition(1, 0), empty)]);
    assert!(differing(&here, &[(partition(1, 3), empty)]).is_empty());
}
