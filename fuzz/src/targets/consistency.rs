//! Consistency proofs, as an answer carries them.

use trine_ledger::tree::verify_consistency;

use crate::fixture::{Ledger, ledger};
use crate::target::{Memory, Sample, Target, Verdict};

/// `verify_consistency`: no tree is believed to extend another's that it does not.
pub const TARGET: Target = Target { name: "consistency", run, samples, memory: Memory::OURS };

/// Sizes, eight bytes each; both roots; the proof.
fn run(bytes: &[u8]) -> Verdict {
    Verdict::of(extends(bytes))
}

fn extends(bytes: &[u8]) -> Option<()> {
    let (from, rest) = bytes.split_first_chunk::<8>()?;
    let (to, rest) = rest.split_first_chunk::<8>()?;
    let (from_root, rest) = rest.split_first_chunk::<32>()?;
    let (to_root, rest) = rest.split_first_chunk::<32>()?;
    let (proof, []) = rest.as_chunks::<32>() else { return None };
    let (from, to) = (u64::from_be_bytes(*from), u64::from_be_bytes(*to));
    verify_consistency(from, to, from_root, to_root, proof).ok()?;
    assert!(from <= to);
    // Anybody can make two trees up that fit each other; but none that fits a tree of ours and is another.
    let Ledger { roots, .. } = ledger();
    let ours = |size: u64, root: &[u8; 32]| {
        usize::try_from(size).ok().and_then(|size| roots.get(size)).is_some_and(|known| known == root)
    };
    if ours(to, to_root) && from > 0 {
        assert!(ours(from, from_root), "a tree was believed to be the beginning of ours that is not");
        assert_eq!(proof, ledger().consistency(from, to), "there are two proofs");
    }
    Some(())
}

fn numbers(from: u64, to: u64, roots: [&[u8; 32]; 2], proof: &[[u8; 32]]) -> Vec<u8> {
    [&from.to_be_bytes()[..], &to.to_be_bytes(), roots[0], roots[1], proof.as_flattened()].concat()
}

fn samples() -> Vec<Sample> {
    let ledger = ledger();
    let roots = |from: usize, to: usize| [&ledger.roots[from], &ledger.roots[to]];
    let honest =
        |from: u64, to: u64| numbers(from, to, roots(from as usize, to as usize), &ledger.consistency(from, to));
    let mut swapped = ledger.consistency(5, 13);
    swapped.swap(0, 1);
    let mut samples: Vec<Sample> = [(1, 2), (4, 8), (5, 13), (8, 13), (12, 13), (13, 13), (0, 13)]
        .map(|(from, to)| Sample::valid(&format!("{from}-{to}"), honest(from, to)))
        .into();
    samples.extend([
        Sample::hostile("another-root", numbers(5, 13, roots(6, 13), &ledger.consistency(5, 13))),
        Sample::hostile("backwards", numbers(13, 5, roots(13, 5), &ledger.consistency(5, 13))),
        Sample::hostile("swapped", numbers(5, 13, roots(5, 13), &swapped)),
        Sample::hostile("no-proof", numbers(5, 13, roots(5, 13), &[])),
        Sample::hostile("a-proof-of-nothing", numbers(0, 13, roots(0, 13), &[[1; 32]])),
        Sample::hostile("a-root-of-nothing", numbers(0, 13, roots(1, 13), &[])),
        Sample::hostile("trees-of-2-64", numbers(u64::MAX - 1, u64::MAX, roots(5, 13), &[[7; 32]; 65])),
        Sample::hostile("hashes-without-end", numbers(5, 13, roots(5, 13), &[[7; 32]; 200])),
    ]);
    samples
}
