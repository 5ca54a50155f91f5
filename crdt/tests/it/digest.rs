//! The digest of many objects: the order in which they came does not matter, and what left leaves no trace.

use proptest::collection::vec;
use proptest::prelude::*;
use trine_crdt::SumDigest;

fn sum(terms: &[(Vec<u8>, [u8; 32])]) -> SumDigest {
    let mut digest = SumDigest::default();
    terms.iter().for_each(|(key, object)| digest.add(key, object));
    digest
}

#[test]
fn a_key_and_a_digest_do_not_run_into_each_other() {
    let zero = [0; 32];
    assert_ne!(sum(&[(vec![], zero)]), SumDigest::default());
    assert_ne!(sum(&[(vec![0], zero)]), sum(&[(vec![], zero)]));
    assert_ne!(sum(&[(vec![1], zero), (vec![2], [1; 32])]), sum(&[(vec![2], zero), (vec![1], [1; 32])]));
}

#[test]
fn the_sum_wraps() {
    let mut digest = SumDigest([0xff; 32]);
    let mut one = SumDigest::default();
    one.0[31] = 1;
    digest.add_sum(&one);
    assert_eq!(digest, SumDigest::default());
    digest.sub_sum(&one);
    assert_eq!(digest, SumDigest([0xff; 32]));
}

#[test]
fn the_value_is_fixed() {
    expect_test::expect!["db3139e8a4ed231f9e98c0b5410ca7ef23e2d562efbf7ba26623e7b9ad46b43d"]
        .assert_eq(&sum(&[(b"key".to_vec(), [1; 32]), (b"another".to_vec(), [2; 32])]).to_string());
}

proptest! {
    #[test]
    fn order_does_not_matter_and_changes_are_incremental(
        terms in vec((vec(any::<u8>(), 0..20), any::<[u8; 32]>()), 1..20),
        at in any::<usize>(),
        new in any::<[u8; 32]>(),
    ) {
        let whole = sum(&terms);
        let mut reversed = terms.clone();
        reversed.reverse();
        prop_assert_eq!(sum(&reversed), whole);

        let (left, right) = terms.split_at(at % terms.len());
        let mut parts = sum(left);
        parts.add_sum(&sum(right));
        prop_assert_eq!(parts, whole);
        parts.sub_sum(&sum(left));
        prop_assert_eq!(parts, sum(right));

        let mut changed = terms.clone();
        let (key, object) = &mut changed[at % terms.len()];
        let mut incremental = whole;
        incremental.sub(key, object);
        incremental.add(key, &new);
        *object = new;
        prop_assert_eq!(incremental, sum(&changed));
    }
}
