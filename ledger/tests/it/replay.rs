//! Crashes and replays against a model that knows nothing but lists (a restarted node has the same ledger).

use proptest::prelude::*;
use trine_crdt::NodeId;
use trine_ledger::tree::{empty_root, inclusion_proof, leaf_hash, node_hash, verify_inclusion};
use trine_ledger::{Applied, Command, Condition, Entry, Hash};

use crate::fixture::{Ledger, at, node, put, put_if, put_once, tick};

#[derive(Debug, Clone)]
enum Step {
    Put(u8),
    PutIf(u8, Option<u64>),
    PutOnce(u8, u8),
    Stale,
    Wait(u16),
    Register(u8, u8, u8),
    Retire(u8),
    Replace(u8),
    Seal,
    /// The entry ends here.
    Commit,
    /// The node that is compared restarts here.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4_u8).prop_map(Step::Put),
        3 => (0..4_u8, prop::option::of(0..12_u64)).prop_map(|(key, index)| Step::PutIf(key, index)),
        4 => (0..4_u8, 0..5_u8).prop_map(|(key, once)| Step::PutOnce(key, once)),
        1 => Just(Step::Stale),
        2 => (0..500_u16).prop_map(Step::Wait),
        2 => (0..5_u8, 0..3_u8, 0..5_u8).prop_map(|(id, name, writer)| Step::Register(id, name, writer)),
        1 => (0..5_u8).prop_map(Step::Retire),
        1 => (0..5_u8).prop_map(Step::Replace),
        1 => Just(Step::Seal),
        6 => Just(Step::Commit),
        2 => Just(Step::Crash),
    ];
    proptest::collection::vec(step, 0..60)
}

/// The steps as entries, and whether a restart follows each.
fn entries(steps: &[Step]) -> Vec<(Vec<Command>, bool)> {
    let (mut now, mut commands, mut entries) = (at(0), Vec::new(), Vec::new());
    for step in steps {
        now = tick(now, 1);
        let key = |key: &u8| format!("key-{key}");
        match step {
            Step::Put(k) => commands.push(put(now, &key(k), "v")),
            Step::PutIf(k, None) => commands.push(put_if(now, &key(k), "v", Condition::Absent)),
            Step::PutIf(k, Some(index)) => commands.push(put_if(now, &key(k), "v", Condition::Index(*index))),
            Step::PutOnce(k, once) => commands.push(put_once(now, &key(k), "v", *once)),
            Step::Stale => commands.push(put(at(0), "stale", "v")),
            Step::Wait(seconds) => now = tick(now, u64::from(*seconds) << 32),
            Step::Register(id, name, writer) => {
                commands.push(Command::Register(node(now, u64::from(*id), &format!("node-{name}"), *writer)));
            }
            Step::Retire(id) => commands.push(Command::Retire { stamp: now, node: NodeId(u64::from(*id)) }),
            Step::Replace(id) => commands.push(Command::Replace { stamp: now, node: NodeId(u64::from(*id)) }),
            Step::Seal => commands.push(Command::Seal { stamp: now }),
            Step::Commit => entries.push((std::mem::take(&mut commands), false)),
            Step::Crash => entries.push((std::mem::take(&mut commands), true)),
        }
    }
    entries.push((commands, true));
    entries
}

/// RFC 9162's root, by recursion.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

/// Which appends become records, told with nothing but the list of those that did.
fn model(entries: &[(Vec<Command>, bool)]) -> Vec<Hash> {
    let mut last = None;
    // (key, idempotency key, time in units of stamps, leaf)
    let mut records: Vec<(String, Option<[u8; 32]>, u64, Hash)> = Vec::new();
    for command in entries.iter().flat_map(|(commands, _)| commands) {
        let stamp = command.stamp().expect("our own header");
        if last.is_some_and(|last| stamp <= last) || stamp == trine_crdt::Timestamp::ZERO {
            continue;
        }
        last = Some(stamp);
        let Command::Append(append) = command else { continue };
        let (time, leaf) = (stamp.time, leaf_hash(&append.header));
        let repeats = |(_, once, then, _): &(String, Option<[u8; 32]>, u64, Hash)| {
            once.is_some() && *once == append.idempotency && time - then <= 600 << 32
        };
        if records.iter().any(repeats) {
            continue;
        }
        let latest = records.iter().rposition(|(key, ..)| *key == append.body.key).map(|index| index as u64);
        let holds = match append.condition {
            None => true,
            Some(Condition::Absent) => latest.is_none(),
            Some(Condition::Index(index)) => latest == Some(index),
        };
        if holds {
            records.push((append.body.key.clone(), append.idempotency, time, leaf));
        }
    }
    records.into_iter().map(|(_, _, _, leaf)| leaf).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_node_comes_to_the_models_ledger(steps in steps()) {
        let entries = entries(&steps);
        let leaves = model(&entries);
        let (mut steady, mut crashing) = (Ledger::new(), Ledger::new());
        let mut applied = Vec::new();
        for (commands, crash) in &entries {
            let outcome = steady.apply(commands.clone());
            prop_assert_eq!(&crashing.apply(commands.clone()), &outcome);
            if *crash {
                crashing.restart();
                // The log hands an entry over again that was applied before the crash.
                let position = steady.state.position().expect("an entry was applied");
                let again = Entry { commands: commands.clone() };
                prop_assert!(crashing.state.apply(position, &again, &mut crashing.rows).is_err());
            }
            prop_assert_eq!(&crashing.state, &steady.state);
            applied.extend(outcome.applied);
        }
        let found: Vec<Hash> = applied
            .iter()
            .filter_map(|applied| match applied {
                Applied::Record(record) => Some(record.leaf),
                _ => None,
            })
            .collect();
        prop_assert_eq!(&found, &leaves);
        let root = naive_root(&leaves);
        prop_assert_eq!(crashing.state.root(), root);
        for (index, leaf) in leaves.iter().enumerate() {
            let (index, size) = (index as u64, leaves.len() as u64);
            let read = |level, index| crashing.nodes.get(&(level, index)).copied();
            let path = inclusion_proof(index, size, read).expect("every node was stored");
            prop_assert_eq!(verify_inclusion(leaf, index, size, &path, &root), Ok(()));
        }
        let sealed: u64 = applied.iter().map(|a| if let Applied::Sealed(s) = a { s.count } else { 0 }).sum();
        prop_assert_eq!(sealed + crashing.state.segment().count, leaves.len() as u64);
        let roster = &crashing.state.registry().roster;
        prop_assert!(roster.keys().all(|id| !crashing.state.registry().retired.contains(id)));
        for (id, record) in roster {
            let twins = roster.values().filter(|other| other.name == record.name || other.writer == record.writer);
            prop_assert_eq!((twins.count(), *id), (1, record.node));
        }
    }
}
