//! The metadata lattice: its laws, its bounds, its digests.

use bytes::Bytes;
use proptest::prelude::*;
use trine_crdt::{Timestamp, WriterId};
use trine_gossip::entry::EntryError;
use trine_gossip::versioned::{Config, PutError};
use trine_gossip::{Entry, Lattice, Version, Versioned};

pub fn version(epoch: u64, time: u64, writer: u8) -> Version {
    Version { epoch, stamp: Timestamp { time, writer: WriterId([writer; 16]) } }
}

fn state(entries: impl IntoIterator<Item = Entry>) -> Versioned {
    let mut state = Versioned::default();
    state.apply(entries);
    state
}

prop_compose! {
    // Few keys, versions and values, so that ties and overwrites are common.
    fn any_entry()(key in 0_u8..6, epoch in 0_u64..3, time in 0_u64..3, writer in 0_u8..2, value in 0_u8..3) -> Entry {
        Entry { key: vec![b'k', key].into(), version: version(epoch, time, writer), value: vec![value].into() }
    }
}

proptest! {
    #[test]
    fn order_and_repetition_do_not_matter(
        entries in prop::collection::vec(any_entry(), 0..24),
        shuffle in prop::collection::vec(any::<prop::sample::Index>(), 0..48),
    ) {
        let straight = state(entries.clone());
        let mut other = Versioned::default();
        if !entries.is_empty() {
            other.apply(shuffle.iter().map(|index| entries[index.index(entries.len())].clone()));
        }
        other.apply(entries.into_iter().rev());
        prop_assert_eq!(straight.root(), other.root());
        prop_assert_eq!(straight, other);
    }

    #[test]
    fn join_is_associative_commutative_and_idempotent(
        a in prop::collection::vec(any_entry(), 0..12),
        b in prop::collection::vec(any_entry(), 0..12),
        c in prop::collection::vec(any_entry(), 0..12),
    ) {
        let joined = |first: &Versioned, second: &Versioned| {
            let mut result = first.clone();
            let changed = result.join(second);
            prop_assert_eq!(changed, result != *first);
            prop_assert!(!result.join(second), "joining again changed something");
            Ok(result)
        };
        let (a, b, c) = (state(a), state(b), state(c));
        prop_assert_eq!(joined(&a, &b)?, joined(&b, &a)?);
        prop_assert_eq!(joined(&joined(&a, &b)?, &c)?, joined(&a, &joined(&b, &c)?)?);
    }

    #[test]
    fn digests_are_equal_exactly_where_states_are(
        a in prop::collection::vec(any_entry(), 0..8),
        b in prop::collection::vec(any_entry(), 0..8),
    ) {
        let (a, b) = (state(a), state(b));
        prop_assert_eq!(a == b, a.root() == b.root());
        prop_assert_eq!(a == b, a.digests() == b.digests());
    }

    #[test]
    fn a_stored_row_comes_back(entries in prop::collection::vec(any_entry(), 0..12)) {
        let before = state(entries);
        let mut after = Versioned::default();
        for row in before.entries().map(|entry| entry.to_bytes()) {
            after.restore(&Entry::from_bytes(&row).expect("a row as it was written")).expect("it fitted before");
        }
        prop_assert_eq!(before.root(), after.root());
        prop_assert_eq!(before.bytes(), after.bytes());
    }
}

#[test]
fn a_later_epoch_beats_a_later_stamp() {
    let mut state = Versioned::default();
    let key = Bytes::from_static(b"roster/us-east-1");
    assert!(state.put(key.clone(), version(4, 10, 1), "old".into()).expect("fits").is_some());
    assert!(state.put(key.clone(), version(3, 99, 1), "older".into()).expect("fits").is_none());
    let told = state.put(key.clone(), version(5, 1, 1), "new".into()).expect("fits").expect("it won");
    assert_eq!(told.value, "new");
    assert_eq!(state.get(&key).expect("held").bytes, "new");
}

#[test]
fn a_prefix_names_its_keys_and_no_others() {
    let mut state = Versioned::default();
    for key in ["head/a", "head/b", "heads", "roster/a", "hea"] {
        state.put(key.into(), version(0, 1, 1), Bytes::new()).expect("fits");
    }
    let keys: Vec<_> = state.range(b"head/").map(|(key, _)| key.clone()).collect();
    assert_eq!(keys, ["head/a", "head/b"]);
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let mut state = Versioned::new(Config { entries_max: 2, bytes_max: 400 });
    state.put("a".into(), version(0, 1, 1), vec![0; 100].into()).expect("fits");
    let root = state.root();

    let long = state.put(vec![b'k'; 513].into(), version(0, 1, 1), Bytes::new());
    assert_eq!(long, Err(PutError::Entry(EntryError::Key { bytes: 513 })));
    let heavy = state.put("b".into(), version(0, 1, 1), vec![0; 300].into());
    assert!(matches!(heavy, Err(PutError::TooManyBytes { max: 400, .. })), "{heavy:?}");
    assert_eq!(state.root(), root);

    state.put("b".into(), version(0, 1, 1), vec![0; 10].into()).expect("fits");
    assert_eq!(state.put("c".into(), version(0, 1, 1), Bytes::new()), Err(PutError::TooManyEntries { max: 2 }));
    // What is held may still move on, and make room.
    assert!(state.put("a".into(), version(0, 2, 1), Bytes::new()).expect("shrinks").is_some());
    assert!(state.bytes() <= 400);
}

#[test]
fn the_stored_form_does_not_change() {
    let entry = Entry { key: "head/a".into(), version: version(7, 0x0102_0304, 9), value: "v".into() };
    let hex: String = entry.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN_ENTRY);
}

const GOLDEN_ENTRY: &str = "8346686561642f61820758180000000001020304090909090909090909090909090909094176";
