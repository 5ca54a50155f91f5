//! Inclusion proofs: as files, and as the numbers and hashes that an answer carries.

use trine_ledger::tree::verify_inclusion;
use trine_ledger::{ProofFile, origin, proof};

use crate::fixture::{CLUSTER, Ledger, ledger, log_key, region};
use crate::target::{Memory, Sample, Target, Verdict};

/// `ProofFile` and `verify_inclusion`: what is proven is in the ledger, at that place, and nothing else.
pub const TARGET: Target = Target { name: "inclusion", run, samples, memory: Memory::OURS };

fn run(bytes: &[u8]) -> Verdict {
    Verdict::of(match bytes.split_first() {
        Some((0, file)) => proven(file),
        Some((1, numbers)) => walked(numbers),
        _ => None,
    })
}

fn proven(bytes: &[u8]) -> Option<()> {
    let file = ProofFile::from_bytes(bytes).ok()?;
    let written = file.to_bytes().expect("what was read is within bounds");
    assert_eq!(ProofFile::from_bytes(&written).as_ref(), Ok(&file), "a proof file changed when it was written");
    let verified = proof::verify(&file, &log_key().verifying_key(), &origin(CLUSTER, &region())).ok()?;
    let Ledger { records, .. } = ledger();
    let index = usize::try_from(verified.index).expect("a ledger here is small");
    let record = records.get(index).expect("a record was proven that does not exist");
    assert_eq!(Some(&verified.header), record.header().ok().as_ref(), "a record was proven that is another");
    assert_eq!(verified.checkpoint, ledger().checkpoint(verified.checkpoint.size));
    if verified.body.is_some() {
        assert_eq!(verified.body, record.body, "a body was proven that is another");
    }
    assert_eq!(file.path, ledger().path(verified.index, verified.checkpoint.size), "there are two proofs");
    Some(())
}

/// Index and size, eight bytes each; the leaf; the path. The root is the ledger's at that size, or that of all.
fn walked(bytes: &[u8]) -> Option<()> {
    let (index, rest) = bytes.split_first_chunk::<8>()?;
    let (size, rest) = rest.split_first_chunk::<8>()?;
    let (leaf, rest) = rest.split_first_chunk::<32>()?;
    let (path, []) = rest.as_chunks::<32>() else { return None };
    let (index, size) = (u64::from_be_bytes(*index), u64::from_be_bytes(*size));
    let Ledger { records, roots, .. } = ledger();
    let signed = usize::try_from(size).ok().and_then(|size| roots.get(size));
    verify_inclusion(leaf, index, size, path, signed.unwrap_or(&roots[records.len()])).ok()?;
    // A root alone does not say how large its tree is: the checkpoint does, and under its size a place has one leaf.
    let mut leaves = records.iter().map(trine_ledger::Record::leaf);
    match signed {
        Some(_) => {
            assert_eq!(leaves.nth(usize::try_from(index).ok()?), Some(*leaf), "another record's leaf was proven")
        }
        None => assert!(leaves.any(|known| known == *leaf), "a leaf was proven that was never appended"),
    }
    Some(())
}

fn numbers(index: u64, size: u64, leaf: &[u8; 32], path: &[[u8; 32]]) -> Vec<u8> {
    [&index.to_be_bytes()[..], &size.to_be_bytes(), leaf, path.as_flattened()].concat()
}

fn samples() -> Vec<Sample> {
    let ledger = ledger();
    let file = |index, size, whole| ledger.proof_file(index, size, whole).to_bytes().expect("within bounds");
    let leaf = |index: usize| ledger.records[index].leaf();
    let whole = String::from_utf8(file(12, 13, true).to_vec()).expect("text");
    let (mut swapped, mut long) = (ledger.path(5, 13), ledger.path(5, 13));
    swapped.swap(0, 1);
    long.push([0; 32]);
    let mut samples = vec![
        Sample::valid("whole", &whole).behind(0),
        Sample::valid("bare", file(0, 13, false)).behind(0),
        Sample::valid("of-one", file(0, 1, true)).behind(0),
        Sample::valid("in-the-middle", file(5, 8, true)).behind(0),
        Sample::hostile("another-index", whole.replacen("index 12", "index 11", 1)).behind(0),
        Sample::hostile("an-index-with-zeros", whole.replacen("index 12", "index 012", 1)).behind(0),
        Sample::hostile("an-index-of-2-64", whole.replacen("index 12", "index 18446744073709551615", 1)).behind(0),
        Sample::hostile("windows-lines", whole.replace('\n', "\r\n")).behind(0),
        Sample::hostile(
            "hashes-without-end",
            whole.replacen("\n\n", &("\n".to_owned() + &"A".repeat(43) + "=\n").repeat(99), 1),
        )
        .behind(0),
    ];
    samples.extend(Sample::broken("file", whole.as_bytes()).into_iter().map(|sample| sample.behind(0)));
    samples.extend(
        [
            Sample::valid("walk", numbers(5, 13, &leaf(5), &ledger.path(5, 13))),
            Sample::valid("walk-to-the-last", numbers(12, 13, &leaf(12), &ledger.path(12, 13))),
            Sample::valid("walk-of-one", numbers(0, 1, &leaf(0), &[])),
            Sample::hostile("swapped", numbers(5, 13, &leaf(5), &swapped)),
            Sample::hostile("a-hash-more", numbers(5, 13, &leaf(5), &long)),
            Sample::hostile("a-hash-less", numbers(5, 13, &leaf(5), &ledger.path(5, 13)[..3])),
            Sample::hostile("the-root-as-leaf", numbers(0, 1, &ledger.roots[13], &[])),
            Sample::hostile("a-tree-of-2-64", numbers(u64::MAX - 1, u64::MAX, &leaf(5), &[[7; 32]; 64])),
            Sample::hostile("an-index-beyond", numbers(13, 13, &leaf(5), &ledger.path(5, 13))),
            Sample::hostile("of-nothing", numbers(0, 0, &leaf(0), &[])),
        ]
        .map(|sample| sample.behind(1)),
    );
    samples
}
