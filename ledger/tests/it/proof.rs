//! Proof files: enough to convince somebody who has nothing but a key.

use expect_test::expect_file;
use proptest::prelude::*;
use trine_ledger::checkpoint::origin;
use trine_ledger::tree::inclusion_proof;
use trine_ledger::{Applied, Checkpoint, ProofFile, ProofFileError, Record, RecordError, SigningKey, proof};

use crate::fixture::{Ledger, append, at, key, put, tick};

fn name() -> String {
    origin("0123456789abcdef0123456789abcdef", &"us-east-1".parse().expect("a region"))
}

/// The proof of record 3 of 7.
fn file(with_body: bool, signer: &SigningKey) -> ProofFile {
    let mut ledger = Ledger::new();
    ledger.apply((0..7).map(|n| put(tick(at(0), n), &format!("orders/{n}"), "paid")).collect());
    let checkpoint = Checkpoint { origin: name(), size: ledger.state.size(), root: ledger.state.root() };
    let path = inclusion_proof(3, 7, |level, index| ledger.nodes.get(&(level, index)).copied()).expect("it is there");
    let whole = append(tick(at(0), 3), "orders/3", "paid").record();
    let record = if with_body { whole } else { Record { body: None, ..whole } };
    ProofFile { index: 3, record, path, checkpoint: checkpoint.sign(signer) }
}

#[test]
fn a_stranger_can_check_it() {
    let bytes = file(true, &key(1)).to_bytes().expect("within bounds");
    expect_file!["../../testdata/proof.txt"].assert_eq(std::str::from_utf8(&bytes).expect("text"));
    let read = ProofFile::from_bytes(&bytes).expect("our own bytes");
    let verified = proof::verify(&read, &key(1).verifying_key(), &name()).expect("it holds");
    assert_eq!(verified.index, 3);
    assert_eq!(verified.checkpoint.size, 7);
    assert_eq!(verified.body.expect("it has one").key, "orders/3");
}

#[test]
fn without_the_body_it_shows_that_something_was_recorded() {
    let bytes = file(false, &key(1)).to_bytes().expect("within bounds");
    let read = ProofFile::from_bytes(&bytes).expect("our own bytes");
    let verified = proof::verify(&read, &key(1).verifying_key(), &name()).expect("it holds");
    assert_eq!((verified.body, verified.header.value_bytes), (None, 4));
}

#[test]
fn a_proof_for_something_else_is_none() {
    let ours = key(1).verifying_key();
    let good = file(true, &key(1));
    let foreign = file(true, &key(2));
    assert!(matches!(proof::verify(&foreign, &ours, &name()), Err(ProofFileError::Checkpoint(_))));
    let moved = ProofFile { index: 4, ..good.clone() };
    assert!(matches!(proof::verify(&moved, &ours, &name()), Err(ProofFileError::Path(_))));
    let mut forged = good.clone();
    forged.record.body.as_mut().expect("it has one").value = "owed".into();
    let commitment = ProofFileError::Record(RecordError::Commitment { part: "value" });
    assert_eq!(proof::verify(&forged, &ours, &name()), Err(commitment));
    let mut restamped = good;
    restamped.record.header = append(at(9), "orders/3", "paid").header;
    assert!(matches!(proof::verify(&restamped, &ours, &name()), Err(ProofFileError::Path(_))));
}

#[test]
fn no_changed_byte_is_accepted() {
    let ours = key(1).verifying_key();
    let bytes = file(true, &key(1)).to_bytes().expect("within bounds");
    for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1 << bit;
        let accepted = ProofFile::from_bytes(&changed).and_then(|file| proof::verify(&file, &ours, &name()));
        assert!(accepted.is_err(), "byte {at}, bit {bit}");
    }
}

#[test]
fn a_failed_append_leaves_nothing_to_prove() {
    let mut ledger = Ledger::new();
    let outcome = ledger.apply(vec![put(at(1), "k", "v"), put(at(0), "k", "late")]);
    assert!(matches!(outcome.applied.as_slice(), [Applied::Record(_), Applied::Refused(_)]));
    assert_eq!(ledger.state.size(), 1);
}

proptest! {
    #[test]
    fn noise_is_refused_without_a_panic(noise in "[\\n a-z0-9+/=@.]{0,120}") {
        prop_assert!(ProofFile::from_bytes(noise.as_bytes()).is_err());
        let dressed = format!("c2sp.org/tlog-proof@v1\nextra {noise}");
        prop_assert!(ProofFile::from_bytes(dressed.as_bytes()).is_err());
    }
}
