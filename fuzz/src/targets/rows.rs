//! The core's rows, as a disk gives them back.

use trine_replica::Persistence;

use crate::node::{Node, Rows};
use crate::target::{Memory, Sample, Target, Verdict};

/// One row of a node's disk replaced: the node says that it is damaged, or serves it; it never falls over.
pub const TARGET: Target = Target { name: "rows", run, samples, memory: Memory { fixed: 8 << 20, per_byte: 256 } };

/// Which key space; the key's length and the key; the value.
fn run(bytes: &[u8]) -> Verdict {
    let Some((kind, key, value)) = parts(bytes) else { return Verdict::Refused };
    let _ = trine_replica::rows::read_version(key);
    let mut rows = Rows::used();
    rows.put(kind, key, value);
    let Ok(mut node) = Node::open(rows) else { return Verdict::Refused };
    node.ask_everything();
    node.pass_a_second();
    if node.halted().is_some() || node.found_damage() {
        return Verdict::Refused;
    }
    Verdict::Accepted
}

fn parts(bytes: &[u8]) -> Option<(Persistence, &[u8], &[u8])> {
    let (selector, rest) = bytes.split_first()?;
    let kind = if *selector == 0 { Persistence::Synced } else { Persistence::Derived };
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (key, value) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((kind, key, value))
}

fn input(kind: Persistence, key: &[u8], value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(key.len()).expect("keys are short").to_be_bytes();
    [&[u8::from(kind == Persistence::Derived)][..], &length, key, value].concat()
}

fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for (kind, key, value) in Rows::used().one_of_each() {
        let name = format!("{}-{}", if kind == Persistence::Synced { "synced" } else { "derived" }, char::from(key[0]));
        samples.push(Sample::valid(&name, input(kind, &key, &value)));
        // Rows of these are read at the start, so that damage cannot hide.
        if b"cvgabf".contains(&key[0]) && !value.is_empty() {
            samples.push(Sample::hostile(&format!("{name}-cut"), input(kind, &key, &value[..value.len() - 1])));
            samples.push(Sample::hostile(&format!("{name}-empty"), input(kind, &key, &[])));
        }
    }
    samples.extend([
        Sample::hostile("synced-v-of-no-partition", input(Persistence::Synced, b"v_", &[0; 8])),
        Sample::hostile("synced-w-that-is-short", input(Persistence::Synced, b"wxyz", &[])),
    ]);
    samples
}
