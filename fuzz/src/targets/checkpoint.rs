//! Signed notes, from other regions and from servers that nobody trusts.

use trine_ledger::{Checkpoint, origin};

use crate::fixture::{CLUSTER, key, ledger, log_key, region};
use crate::target::{Memory, Sample, Target, Verdict};

/// `Checkpoint::open`: what is believed was signed. What is only looked at is read the same way.
pub const TARGET: Target = Target { name: "checkpoint", run, samples, memory: Memory::OURS };

fn run(bytes: &[u8]) -> Verdict {
    let peeked = Checkpoint::peek(bytes);
    let Ok(opened) = Checkpoint::open(bytes, &log_key().verifying_key(), &origin(CLUSTER, &region())) else {
        return Verdict::Refused;
    };
    let signed = (0..=13).any(|size| ledger().checkpoint(size) == opened);
    assert!(signed, "a checkpoint was believed that nobody signed: {opened:?}");
    assert_eq!(peeked, Ok(opened), "a note is looked at in another way than it is opened");
    Verdict::Accepted
}

fn samples() -> Vec<Sample> {
    let note = String::from_utf8(ledger().note(13).to_vec()).expect("notes are text");
    let other = ledger().checkpoint(13).sign(&key(99));
    let swapped = |from: &str, to: &str| note.replacen(from, to, 1);
    let (text, signature) = note.split_once("\n\n").expect("a blank line");
    let mut samples: Vec<Sample> = [0, 1, 8].map(|size| Sample::valid(&size.to_string(), ledger().note(size))).into();
    samples.extend(Sample::broken("note", note.as_bytes()));
    samples.extend([
        Sample::valid("with-a-witness", format!("{note}\u{2014} witness AAAAAAAA\n")),
        Sample::hostile("another-key", other),
        Sample::hostile("another-size", swapped("\n13\n", "\n12\n")),
        Sample::hostile("a-size-with-zeros", swapped("\n13\n", "\n0013\n")),
        Sample::hostile("a-size-with-sign", swapped("\n13\n", "\n+13\n")),
        Sample::hostile("a-size-beyond-64-bits", swapped("\n13\n", "\n18446744073709551616\n")),
        Sample::hostile("another-region", note.replace("us-east-1", "eu-west-1")),
        Sample::hostile("windows-lines", note.replace('\n', "\r\n")),
        Sample::hostile("a-line-more", format!("{text}\nmore\n\n{signature}")),
        Sample::hostile("with-nul", swapped("trine/", "trine\0/")),
        Sample::hostile("no-text", [0xff; 300]),
        Sample::hostile("signatures-without-end", format!("{text}\n\n{}", "\u{2014} a AAAAAAAA\n".repeat(2000))),
        Sample::hostile("blank-lines", "\n".repeat(4096)),
    ]);
    samples
}
