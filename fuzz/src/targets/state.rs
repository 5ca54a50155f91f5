//! A ledger's state, registry and frontier as rows of a disk.

use bytes::Bytes;
use trine_ledger::{Frontier, LedgerState, Registry};

use crate::fixture::{Rows, alterations, append, entries, ledger, position, region};
use crate::target::{Memory, Sample, Target, Verdict};

/// `LedgerState`, `Registry` and `Frontier`: canonical; a state that was read goes on.
pub const TARGET: Target = Target { name: "state", run, samples, memory: Memory::OURS };

fn run(bytes: &[u8]) -> Verdict {
    let Some((selector, rest)) = bytes.split_first() else { return Verdict::Refused };
    let bytes = Bytes::copy_from_slice(rest);
    Verdict::of(match selector {
        0 => registry(&bytes),
        1 => frontier(&bytes),
        2 => state(&bytes),
        _ => None,
    })
}

fn registry(bytes: &Bytes) -> Option<()> {
    let registry = Registry::from_bytes(bytes).ok()?;
    assert_eq!(registry.to_bytes().expect("what was read is within bounds"), bytes, "a registry has two encodings");
    Some(())
}

fn frontier(bytes: &Bytes) -> Option<()> {
    let mut frontier = Frontier::from_bytes(bytes).ok()?;
    assert_eq!(frontier.to_bytes().as_slice(), bytes.as_ref(), "a frontier has two encodings");
    let _ = frontier.root();
    if frontier.size() < u64::MAX {
        frontier.push([9; 32], |_| {});
    }
    Some(())
}

fn state(bytes: &Bytes) -> Option<()> {
    let empty = Registry::default().to_bytes().expect("within bounds");
    let mut state = LedgerState::from_bytes(bytes, &empty).ok()?;
    assert_eq!(state.head_to_bytes(), bytes, "a state has two encodings");
    let _ = state.root();
    let next = state.position().map_or(Some(0), |last| last.index.checked_add(1));
    if let Some(next) = next.filter(|_| state.size() < u64::MAX) {
        let seal = trine_ledger::Entry { commands: vec![trine_ledger::Command::Seal { stamp: state.stamp() }] };
        // It may ask for keys that it remembers and that are not here; then nothing has changed.
        let before = state.clone();
        if state.apply(position(next), &seal, &mut Rows::default()).is_err() {
            assert_eq!(state, before, "an entry that was not applied changed the state");
        }
    }
    Some(())
}

fn samples() -> Vec<Sample> {
    let mut used = LedgerState::new(region());
    let mut samples = Vec::new();
    let mut rows = Rows::default();
    for (index, entry) in (0..).zip(entries()) {
        let outcome = used.apply(position(index), &entry, &mut rows).expect("the next entry, and all rows are here");
        rows.keep(&outcome);
        if index == 3 {
            let registry = used.registry().to_bytes().expect("within bounds");
            samples.extend(Sample::broken("registry", &registry).into_iter().map(|sample| sample.behind(0)));
            samples.push(Sample::valid("registry", registry).behind(0));
        }
    }
    let registry = used.registry().to_bytes().expect("within bounds");
    samples.push(Sample::valid("registry-with-retired-nodes", registry).behind(0));
    for (index, entry) in (entries().len() as u64..).zip(alterations()) {
        used.apply(position(index), &entry, &mut rows).expect("the next entry, and all rows are here");
        let registry = used.registry().to_bytes().expect("within bounds");
        let name = format!("registry-altered-{}", index - entries().len() as u64);
        samples.extend(Sample::broken(&name, &registry).into_iter().map(|sample| sample.behind(0)));
        samples.push(Sample::valid(&name, registry).behind(0));
    }
    let mut frontier = Frontier::default();
    ledger().records.iter().for_each(|record| frontier.push(record.leaf(), |_| {}));
    let frontier = frontier.to_bytes();
    samples.extend(Sample::broken("frontier", &frontier).into_iter().map(|sample| sample.behind(1)));
    let mut fresh = LedgerState::new(region());
    let entry = trine_ledger::Entry { commands: vec![append(1, None), append(2, None)] };
    let Ok(_) = fresh.apply(position(0), &entry, &mut Rows::default()) else { unreachable!("the next entry") };
    let head = fresh.head_to_bytes();
    samples.extend(Sample::broken("state", &head).into_iter().map(|sample| sample.behind(2)));
    samples.extend([
        Sample::valid("frontier", frontier).behind(1),
        Sample::valid("frontier-full", [0xff; 8 + 64 * 32]).behind(1),
        Sample::valid("state", head).behind(2),
        Sample::valid("state-new", LedgerState::new(region()).head_to_bytes()).behind(2),
        Sample::hostile("registry-with-three-slots", three_slots()).behind(0),
        Sample::hostile("roster-of-2-32", [&[1][..], &[0; 8], &[0xff; 4]].concat()).behind(0),
        Sample::hostile("retired-of-65536", [&[1][..], &[0; 8], &[0; 4], &[0, 1, 0, 0]].concat()).behind(0),
        Sample::hostile("frontier-of-2-64", [0xff; 8]).behind(1),
    ]);
    samples
}

/// A registry whose objects lie in three slots: keys find theirs by the top bits of a hash, so there is no such thing.
fn three_slots() -> Vec<u8> {
    let mut bytes = Registry::default().to_bytes().expect("within bounds").to_vec();
    let name = b"objects\x02";
    let at = bytes.windows(name.len()).position(|window| window == name).expect("it is listed") + name.len();
    bytes[at..at + 4].copy_from_slice(&3_u32.to_be_bytes());
    bytes
}
