//! Log entries: from the region's leader, and from disk.

use bytes::Bytes;
use trine_ledger::{Applied, Entry, LedgerState};

use crate::fixture::{Rows, alterations, append, entries, position, region};
use crate::target::{Memory, Sample, Target, Verdict};

/// `Entry::from_bytes`: canonical; applied to a new ledger and to one in use, twice with the same outcome.
pub const TARGET: Target = Target { name: "entry", run, samples, memory: Memory::OURS };

fn run(bytes: &[u8]) -> Verdict {
    let Ok(entry) = Entry::from_bytes(&Bytes::copy_from_slice(bytes)) else { return Verdict::Refused };
    assert_eq!(entry.to_bytes().expect("what was read is within bounds"), bytes, "an entry has a second encoding");
    for command in &entry.commands {
        assert!(command.bytes_max() > 0);
        let _ = command.stamp();
    }
    let once = apply(std::slice::from_ref(&entry));
    assert_eq!(once, apply(std::slice::from_ref(&entry)), "an entry has two outcomes");
    let mut after = entries();
    after.push(entry);
    after.extend(alterations());
    apply(&after);
    Verdict::Accepted
}

fn apply(entries: &[Entry]) -> LedgerState {
    let (mut state, mut rows) = (LedgerState::new(region()), Rows::default());
    for (index, entry) in (0..).zip(entries) {
        let before = state.size();
        let outcome = state.apply(position(index), entry, &mut rows).expect("the next entry, and all rows are here");
        let made = outcome.applied.iter().filter(|applied| matches!(applied, Applied::Record(_))).count();
        assert_eq!(state.size(), before + made as u64);
        rows.keep(&outcome);
        let registry = state.registry().to_bytes().expect("within bounds");
        let read = LedgerState::from_bytes(&state.head_to_bytes(), &registry);
        assert_eq!(read.as_ref(), Ok(&state), "an entry made a state that cannot be read");
    }
    state
}

fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for (number, entry) in entries().iter().enumerate() {
        let bytes = entry.to_bytes().expect("within bounds");
        samples.push(Sample::valid(&number.to_string(), bytes));
    }
    for (number, entry) in alterations().iter().enumerate() {
        samples.push(Sample::valid(&format!("alteration-{number}"), entry.to_bytes().expect("within bounds")));
    }
    let one = Entry { commands: vec![append(1, None)] }.to_bytes().expect("within bounds");
    samples.extend(Sample::broken("append", &one));
    samples.extend([
        Sample::hostile("commands-of-2-32", [1, 0xff, 0xff, 0xff, 0xff]),
        Sample::hostile("commands-of-4096", [1, 0, 0, 0x10, 0]),
        Sample::hostile("another-version", [2, 0, 0, 0, 0]),
        Sample::hostile("a-command-of-no-kind", [1, 0, 0, 0, 1, 99]),
        Sample::hostile("a-header-of-64-kib", [1, 0, 0, 0, 1, 1, 0xff, 0xff]),
        Sample::hostile("slots-of-three", namespace(3, 1, "a")),
        Sample::hostile("slots-of-2-31", namespace(1 << 31, 1, "a")),
        Sample::hostile("a-namespace-of-no-kind", namespace(256, 9, "a")),
        Sample::hostile("a-namespace-without-name", namespace(256, 1, "")),
        Sample::hostile(
            "a-namespace-renamed-to-nothing",
            [&[1, 0, 0, 0, 1, 10][..], &[0; 24], b"\0\x01_", &[0; 10]].concat(),
        ),
        Sample::hostile("a-deletion-of-nothing", [&[1, 0, 0, 0, 1, 11][..], &[0; 24], &[0; 10]].concat()),
    ]);
    samples
}

/// An entry that creates a namespace, whatever is wrong with it.
fn namespace(slots: u32, kind: u8, name: &str) -> Vec<u8> {
    let length = (name.len() as u16).to_be_bytes();
    [&[1, 0, 0, 0, 1, 5][..], &[0; 24], &length, name.as_bytes(), &[kind], &slots.to_be_bytes()].concat()
}
