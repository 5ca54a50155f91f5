//! Rumors: what gossip brings.

use bytes::Bytes;
use trine_gossip::{Entry, Rumors, Version, Versioned, rumor};

use crate::cbor;
use crate::fixture::at;
use crate::target::{Memory, Sample, Target, Verdict};

/// `rumor::decode`: within bounds; taken in any order the state is the same, and can be told on.
pub const TARGET: Target = Target { name: "rumor", run, samples, memory: Memory::SERDE };

fn run(bytes: &[u8]) -> Verdict {
    let Ok(entries) = rumor::decode(bytes) else { return Verdict::Refused };
    let (mut forwards, mut backwards) = (Versioned::default(), Versioned::default());
    forwards.apply(entries.iter().cloned());
    backwards.apply(entries.iter().rev().cloned());
    assert_eq!(forwards.root(), backwards.root(), "the order of entries mattered");
    assert!(forwards.apply(entries.iter().cloned()).changed.is_empty(), "entries were news twice");
    let mut rumors = Rumors::new(rumor::Config::default());
    for entry in forwards.entries() {
        assert_eq!(Entry::from_bytes(&entry.to_bytes()).expect("our own bytes"), entry);
        assert!(rumors.push(entry), "what a rumor brought does not fit into one");
    }
    let mut told = Versioned::default();
    for turn in 0..u64::MAX {
        let Some(bytes) = rumors.next(turn << 32) else { break };
        told.apply(rumor::decode(&bytes).expect("our own rumor"));
    }
    assert_eq!(told.root(), forwards.root(), "what was told on is not what was heard");
    Verdict::Accepted
}

/// Entries as nodes tell them.
pub fn told() -> Vec<Entry> {
    let entry = |key: &'static str, epoch: u64, value: &'static [u8]| Entry {
        key: Bytes::from_static(key.as_bytes()),
        version: Version { epoch, stamp: at(epoch % 1000) },
        value: Bytes::from_static(value),
    };
    vec![
        entry("registry/us-east-1", 1, b"one"),
        entry("registry/us-east-1", 2, b"two"),
        entry("head/eu-west-1", u64::MAX, &[0xff; 64]),
        entry("segment/us-east-1/0", 0, b""),
    ]
}

fn samples() -> Vec<Sample> {
    let long = Entry { value: vec![0; 40_000].into(), ..told()[0].clone() };
    let nameless = Entry { key: Bytes::new(), ..told()[0].clone() };
    let many: Vec<Entry> = std::iter::repeat_n(told()[3].clone(), 2000).collect();
    let mut samples = cbor::samples(&[("entries", told()), ("nothing", Vec::new())]);
    samples.extend([
        Sample::hostile("a-value-too-long", trine_crdt::codec::encode(&vec![long])),
        Sample::hostile("a-key-without-name", trine_crdt::codec::encode(&vec![nameless])),
        Sample::hostile("more-than-a-rumor", trine_crdt::codec::encode(&many)),
    ]);
    samples
}
