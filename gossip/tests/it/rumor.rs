//! Rumors: at once, in batches, bounded.

use bytes::Bytes;
use trine_gossip::limits::{ENTRY_VALUE_BYTES_MAX, RUMOR_BYTES_MAX};
use trine_gossip::rumor::{Config, RumorError, decode};
use trine_gossip::{Entry, Rumors};

use crate::metadata::version;

const MS: u64 = 1_000_000;

fn entry(key: &str, time: u64, value_bytes: usize) -> Entry {
    Entry { key: key.to_owned().into(), version: version(0, time, 1), value: vec![7; value_bytes].into() }
}

#[test]
fn the_first_leaves_at_once_and_a_burst_leaves_together() {
    let mut rumors = Rumors::new(Config::default());
    assert_eq!(rumors.deadline(), None);
    rumors.push(entry("a", 1, 1));
    assert_eq!(decode(&rumors.next(0).expect("at once")).expect("well formed").len(), 1);

    for number in 0..100 {
        rumors.push(entry(&format!("key {number}"), 1, 10));
    }
    assert_eq!(rumors.next(49 * MS), None, "the pause is not over");
    assert_eq!(rumors.deadline(), Some(50 * MS));
    assert_eq!(decode(&rumors.next(50 * MS).expect("the pause is over")).expect("well formed").len(), 100);
    assert_eq!(rumors.next(999 * MS), None, "nothing is told twice");
}

#[test]
fn only_the_latest_of_a_key_is_told() {
    let mut rumors = Rumors::new(Config::default());
    for time in [3, 5, 4] {
        assert!(rumors.push(entry("a", time, 1)));
    }
    assert_eq!(decode(&rumors.next(0).expect("due")).expect("well formed"), [entry("a", 5, 1)]);
}

#[test]
fn large_entries_are_spread_and_what_has_no_room_is_dropped() {
    let mut rumors = Rumors::new(Config { waiting_bytes_max: 200 * 1024, ..Config::default() });
    let kept = (0..20).filter(|number| rumors.push(entry(&format!("{number}"), 1, ENTRY_VALUE_BYTES_MAX))).count();
    assert_eq!((kept, rumors.dropped()), (6, 14));
    let mut told = 0;
    let mut now_ns = 0;
    while let Some(at_ns) = rumors.deadline() {
        now_ns = now_ns.max(at_ns);
        let bytes = rumors.next(now_ns).expect("due");
        assert!(bytes.len() <= RUMOR_BYTES_MAX);
        told += decode(&bytes).expect("well formed").len();
    }
    assert_eq!(told, kept);
}

#[test]
fn what_is_no_rumor_is_refused() {
    assert!(matches!(decode(&vec![0; RUMOR_BYTES_MAX + 1]), Err(RumorError::TooLong { .. })));
    assert!(matches!(decode(b"hello"), Err(RumorError::Malformed(_))));
    let empty_key = Entry { key: Bytes::new(), ..entry("a", 1, 1) };
    assert!(matches!(decode(&trine_crdt::codec::encode(&vec![empty_key])), Err(RumorError::Entry(_))));
}
