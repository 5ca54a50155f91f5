//! The metadata lattice in a small universe, whole: every state of one key and of two, every pair, every triple, with
//! versions that are equal and versions where 64 bits end.

use bytes::Bytes;
use trine_gossip::{Entry, Lattice, Version, Versioned};

use crate::metadata::version;

/// Every entry there is for a key.
fn entries(key: &'static str) -> Vec<Entry> {
    let numbers = [0, u64::MAX];
    let mut entries = Vec::new();
    for (epoch, time) in numbers.into_iter().flat_map(|epoch| numbers.map(|time| (epoch, time))) {
        for (writer, value) in [(0, "a"), (0, "b"), (1, "a")] {
            let (key, value) = (Bytes::from_static(key.as_bytes()), Bytes::from_static(value.as_bytes()));
            entries.push(Entry { key, version: version(epoch, time, writer), value });
        }
    }
    entries
}

fn state(entries: &[Entry]) -> Versioned {
    let mut state = Versioned::default();
    assert!(state.apply(entries.iter().cloned()).refused.is_empty());
    state
}

fn joined(a: &Versioned, b: &Versioned) -> Versioned {
    let mut joined = a.clone();
    joined.join(b);
    joined
}

#[track_caller]
fn assert_same(a: &Versioned, b: &Versioned) {
    let all = |state: &Versioned| state.entries().collect::<Vec<_>>();
    assert_eq!(all(a), all(b));
    assert_eq!(a.root(), b.root());
}

fn laws(states: &[Versioned]) {
    for a in states {
        assert_same(&joined(a, a), a);
        for b in states {
            let ab = joined(a, b);
            assert_same(&ab, &joined(b, a));
            assert_same(&joined(&ab, a), &ab);
            for c in states {
                assert_same(&joined(&ab, c), &joined(a, &joined(b, c)));
            }
        }
    }
}

#[test]
fn one_key() {
    let mut states = vec![Versioned::default()];
    states.extend(entries("k").into_iter().map(|entry| state(&[entry])));
    assert_eq!(states.len(), 13);
    laws(&states);
    // The lattice of one key is a chain: of two states one is the other's join.
    for (a, b) in states.iter().flat_map(|a| states.iter().map(move |b| (a, b))) {
        let root = joined(a, b).root();
        assert!(root == a.root() || root == b.root());
    }
}

#[test]
fn two_keys() {
    let few = |key| entries(key).into_iter().step_by(5).collect::<Vec<_>>();
    let mut states = vec![Versioned::default()];
    for one in few("k") {
        states.push(state(std::slice::from_ref(&one)));
        states.extend(few("l").into_iter().map(|other| state(&[one.clone(), other])));
    }
    assert_eq!(states.len(), 13);
    laws(&states);
}

#[test]
fn a_version_at_the_end_of_numbers_is_never_overtaken_and_harms_no_other_key() {
    let last = Entry { version: Version { epoch: u64::MAX, ..version(0, u64::MAX, 255) }, ..entries("k")[0].clone() };
    let mut state = state(std::slice::from_ref(&last));
    let root = state.root();
    for entry in entries("k") {
        state.apply([entry]);
        assert_eq!(state.root(), root);
    }
    assert_eq!(state.apply(entries("l")).changed.last(), entries("l").last());
}
