//! Anti-entropy: whatever the network does, states become equal, and cheaply.

use bytes::Bytes;
use trine_crdt::NodeId;
use trine_gossip::limits::{REPAIR_ANSWER_BYTES_MAX, REPAIR_MESSAGE_BYTES_MAX};
use trine_gossip::repair::{Config, MessageError};
use trine_gossip::versioned::Config as Bounds;
use trine_gossip::{Digest, Entry, Repair, RepairMessage, Versioned};

use crate::chance::Chance;
use crate::metadata::version;
use crate::network::{FAIR, MS, Network, Weather};

const FOUL: Weather = Weather { lost_percent: 30, repeated_percent: 20, delay_ns: (MS, 400 * MS) };

fn entry(key: u64, time: u64, writer: u8, value_bytes: usize) -> Entry {
    let value = vec![writer; value_bytes].into();
    Entry { key: format!("key/{key}").into(), version: version(0, time, writer), value }
}

#[test]
fn nodes_agree_though_messages_are_lost_repeated_and_late() {
    for seed in 0..40 {
        let mut chance = Chance::new(seed);
        let regions: Vec<u64> = (0..2 + chance.below(6)).map(|node| node % 3).collect();
        let mut network = Network::new(&regions, FOUL, seed);
        for step in 1..=200 {
            let node = usize::try_from(chance.below(regions.len() as u64)).expect("small");
            let (key, time) = (chance.below(60), chance.below(40));
            let size = usize::try_from(chance.below(300)).expect("small");
            // Versions repeat with other values: ties must end alike everywhere.
            network.write(node, entry(key, time, u8::try_from(node).expect("small"), size));
            network.run_until(step * 20 * MS);
        }
        let took = network.run_until_agreed(60_000 * MS);
        assert!(took.is_some(), "seed {seed}: {} nodes do not agree after a minute", regions.len());
    }
}

#[test]
fn nine_nodes_in_three_regions_agree_soon_after_a_split_heals_and_fetch_little_twice() {
    let weather = Weather { delay_ns: (40 * MS, 60 * MS), ..FAIR };
    for seed in 0..10 {
        let mut network = Network::new(&[0, 0, 0, 1, 1, 1, 2, 2, 2], weather, seed);
        let mut key = 0;
        for node in 0..9 {
            for _ in 0..200 {
                key += 1;
                network.write(node, entry(key, 1, 1, 200));
            }
        }
        network.run_until_agreed(30_000 * MS).expect("they agree to begin with");

        network.split(|a, b| a < 3 && b >= 3);
        for node in 0..9 {
            for _ in 0..100 {
                key += 1;
                network.write(node, entry(key, 2, 1, 200));
            }
        }
        network.run_until(network.now_ns + 20_000 * MS);
        assert!(!network.agree(), "the split splits nothing");
        // Each side agreed within itself, so 3 nodes miss 600 entries each, and 6 nodes miss 300.
        let missing = 3 * 600 + 6 * 300;
        (network.entries, network.bytes) = (0, 0);
        network.heal();
        let took = network.run_until_agreed(30_000 * MS).expect("they agree again");
        assert!(took <= 1_000 * MS, "seed {seed}: agreed only {} ms after the heal", took / MS);
        assert!(network.entries <= 2 * missing, "seed {seed}: {} entries sent for {missing}", network.entries);
    }
}

#[test]
fn agreement_costs_a_digest_a_round() {
    let mut network = Network::new(&[0, 0, 1, 1], FAIR, 7);
    for key in 0..500 {
        network.write(0, entry(key, 1, 1, 100));
    }
    network.run_until_agreed(30_000 * MS).expect("they agree");
    network.run_until(network.now_ns + 5_000 * MS);
    (network.messages, network.bytes) = (0, 0);
    network.run_until(network.now_ns + 60_000 * MS);
    // Four nodes ask one near and one far peer a second, give or take a quarter.
    assert!((300..=640).contains(&network.messages), "{} messages in a minute", network.messages);
    assert!(network.bytes <= network.messages * 32, "{} bytes", network.bytes);
}

#[test]
fn a_bulk_comes_in_chunks_and_within_the_bounds_of_an_answer() {
    let mut full = Versioned::default();
    for key in 0..400 {
        let entry = entry(key, 1, 1, 30_000);
        full.put(entry.key, entry.version, entry.value).expect("fits");
    }
    let (here, there) = (NodeId(1), NodeId(2));
    let mut repair = Repair::new(here, Config::default());
    let keys: Vec<Bytes> = full.range(b"").map(|(key, _)| key.clone()).collect();
    let outcome = repair.on_message(0, there, RepairMessage::Want(keys), &mut full, |_| true);
    let sizes: Vec<usize> = outcome.send.iter().map(|(_, message)| message.to_bytes().len()).collect();
    assert!(sizes.iter().all(|size| *size <= REPAIR_MESSAGE_BYTES_MAX), "{sizes:?}");
    let sum: usize = sizes.iter().sum();
    assert!((REPAIR_ANSWER_BYTES_MAX / 2..=REPAIR_ANSWER_BYTES_MAX).contains(&sum), "{sum} bytes");

    let mut network = Network::new(&[0, 1], FAIR, 1);
    network.states[0] = full;
    network.run_until_agreed(60_000 * MS).expect("what did not fit into one answer comes with the next");
}

/// Hands messages over, back and forth, until nobody has anything to say.
fn converse(states: &mut [Versioned; 2], message: RepairMessage) {
    let names = [NodeId(1), NodeId(2)];
    let mut repairs = names.map(|own| Repair::new(own, Config::default()));
    let mut under_way = std::collections::VecDeque::from([(1, message)]);
    while let Some((to, message)) = under_way.pop_front() {
        let outcome = repairs[to].on_message(0, names[1 - to], message, &mut states[to], |_| true);
        under_way.extend(outcome.send.into_iter().map(|(_, message)| (1 - to, message)));
    }
}

#[test]
fn one_round_makes_both_sides_equal() {
    let mut states = [Versioned::default(), Versioned::default()];
    for key in 0..300 {
        let (time, other_time) = (key % 3, key % 5);
        if key % 7 != 0 {
            states[0].apply([entry(key, time, 1, 50)]);
        }
        if key % 11 != 0 {
            states[1].apply([entry(key, other_time, 1, 50)]);
        }
    }
    let root = RepairMessage::Root(states[0].root());
    converse(&mut states, root);
    assert_eq!(states[0].root(), states[1].root());
    assert_eq!(states[0].len(), 300 - 4, "4 of the 300 are on neither side");
}

/// A node whose bounds are narrower than the others' never agrees; it must keep up with what it does hold, though what
/// it refuses would fill every answer.
#[test]
fn what_is_refused_keeps_nothing_else_from_coming() {
    let in_one_bucket = |prefix: &'static str| {
        let keys = (0..).map(move |number| Bytes::from(format!("{prefix}/{number}")));
        keys.filter(|key| Versioned::bucket_of(key) == 0)
    };
    let entry = |key, time| Entry { key, version: version(0, time, 1), value: vec![7; 20_000].into() };
    let mut network = Network::new(&[0, 1], FAIR, 1);
    network.states[1] = Versioned::new(Bounds { entries_max: 20, bytes_max: 1 << 30 });
    for key in in_one_bucket("held").take(20) {
        network.write(1, entry(key, 1));
    }
    for key in in_one_bucket("first").take(200) {
        network.write(0, entry(key, 1));
    }
    for key in in_one_bucket("held").take(20) {
        network.write(0, entry(key, 2));
    }
    network.run_until(30_000 * MS);
    assert_eq!(network.states[1].len(), 20);
    let behind = network.states[1].entries().filter(|entry| entry.version != version(0, 2, 1)).count();
    assert_eq!(behind, 0);
}

#[test]
fn what_is_not_admitted_changes_nothing_and_is_reported() {
    let mut state = Versioned::default();
    let mut repair = Repair::new(NodeId(1), Config::default());
    let message = RepairMessage::Entries(vec![entry(1, 1, 1, 1), entry(2, 9, 1, 1)]);
    let sane = |entry: &Entry| entry.version.stamp.time < 5;
    let outcome = repair.on_message(0, NodeId(2), message, &mut state, sane);
    assert_eq!(outcome.applied.changed, [entry(1, 1, 1, 1)]);
    assert_eq!(outcome.turned_away, [entry(2, 9, 1, 1)]);
    assert_eq!(state.len(), 1);
}

#[test]
fn hostile_messages_are_refused() {
    let refused = |message: RepairMessage| RepairMessage::from_bytes(&message.to_bytes()).expect_err("refused");
    assert!(matches!(refused(RepairMessage::Buckets(vec![(64, Digest::default())])), MessageError::Bucket(64)));
    assert!(matches!(refused(RepairMessage::Want(vec![Bytes::new()])), MessageError::Entry(_)));
    let heavy = RepairMessage::Want(vec![vec![b'k'; 500].into(); 200]);
    assert!(matches!(refused(heavy), MessageError::TooLong { .. }));
    // An array that claims 2^63 members in eight bytes.
    assert!(RepairMessage::from_bytes(&[0x9b, 0x80, 0, 0, 0, 0, 0, 0, 0]).is_err());
    let mut chance = Chance::new(3);
    for _ in 0..20_000 {
        let length = chance.below(40);
        let noise: Vec<u8> = (0..length).map(|_| chance.draw().to_le_bytes()[0]).collect();
        if let Ok(message) = RepairMessage::from_bytes(&noise) {
            let mut state = Versioned::default();
            Repair::new(NodeId(1), Config::default()).on_message(0, NodeId(2), message, &mut state, |_| true);
        }
    }
}
