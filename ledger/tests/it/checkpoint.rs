//! Checkpoints: signed notes that other tools can read.

use expect_test::expect_file;
use proptest::prelude::*;
use trine_ledger::checkpoint::{Checkpoint, CheckpointError, origin};

use crate::fixture::key;

const CLUSTER: &str = "0123456789abcdef0123456789abcdef";

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: origin(CLUSTER, &"us-east-1".parse().expect("a region")), size: 42, root: [5; 32] }
}

fn text(note: &[u8]) -> String {
    String::from_utf8(note.to_vec()).expect("notes are text")
}

#[test]
fn two_signers_of_one_ledger_produce_the_same_note() {
    let note = checkpoint().sign(&key(1));
    assert_eq!(note, checkpoint().sign(&key(1)));
    expect_file!["../../testdata/checkpoint.note"].assert_eq(&text(&note));
    let opened = Checkpoint::open(&note, &key(1).verifying_key(), &checkpoint().origin);
    assert_eq!(opened, Ok(checkpoint()));
}

#[test]
fn no_changed_byte_is_accepted() {
    let note = checkpoint().sign(&key(1));
    for (at, bit) in (0..note.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut changed = note.to_vec();
        changed[at] ^= 1 << bit;
        let opened = Checkpoint::open(&changed, &key(1).verifying_key(), &checkpoint().origin);
        assert!(opened.is_err(), "byte {at}, bit {bit}");
    }
    for end in 0..note.len() {
        assert!(Checkpoint::open(&note[..end], &key(1).verifying_key(), &checkpoint().origin).is_err());
    }
}

#[test]
fn another_ledger_or_key_does_not_count() {
    let (note, ours) = (checkpoint().sign(&key(1)), checkpoint().origin);
    let other = origin(CLUSTER, &"eu-west-1".parse().expect("a region"));
    let refused = Checkpoint::open(&note, &key(1).verifying_key(), &other);
    assert_eq!(refused, Err(CheckpointError::Origin { found: ours.clone(), expected: other }));
    assert_eq!(Checkpoint::open(&note, &key(2).verifying_key(), &ours), Err(CheckpointError::Unsigned));
}

#[test]
fn a_witness_may_add_a_line_and_nobody_a_word() {
    let note = text(&checkpoint().sign(&key(1)));
    let open = |note: &str| Checkpoint::open(note.as_bytes(), &key(1).verifying_key(), &checkpoint().origin);
    let witnessed = format!("{note}\u{2014} witness.example AAAAAAECAwQ=\n");
    assert_eq!(open(&witnessed), Ok(checkpoint()));
    let first = "\n\u{2014} witness.example AAAAAAECAwQ=\n\u{2014} trine";
    assert_eq!(open(&note.replacen("\n\u{2014} trine", first, 1)), Ok(checkpoint()));
    for added in ["trailing", "\n", "\u{2014} x y\n", "\u{2014} witness AAAA\n"] {
        assert!(open(&format!("{note}{added}")).is_err(), "{added:?}");
    }
    for (from, to) in [("\n42\n", "\n042\n"), ("\n42\n", "\n42 \n"), ("\n42\n", "\n+42\n"), ("\n42\n", "\n42\nmore\n")]
    {
        assert!(matches!(open(&note.replacen(from, to, 1)), Err(CheckpointError::Malformed(_))), "{to:?}");
    }
}

proptest! {
    #[test]
    fn noise_is_refused_without_a_panic(noise in "[\\n\u{2014} a0+=/A-C]{0,80}") {
        prop_assert!(Checkpoint::open(noise.as_bytes(), &key(1).verifying_key(), "a").is_err());
    }

    #[test]
    fn every_checkpoint_opens(size in any::<u64>(), root in any::<[u8; 32]>(), seed in any::<u8>()) {
        let checkpoint = Checkpoint { size, root, ..checkpoint() };
        let note = checkpoint.sign(&key(seed));
        let opened = Checkpoint::open(&note, &key(seed).verifying_key(), &checkpoint.origin);
        prop_assert_eq!(opened, Ok(checkpoint));
    }
}
