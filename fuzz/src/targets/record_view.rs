//! Records as a server answers them, with the proofs that they bear: whoever asked trusts the genesis alone.

use bytes::Bytes;
use trine_doors::model::Record;
use trine_doors::model::proof::{proof_file, read_file, verify_file, verify_record};
use trine_examples::registry::trust::Trust;
use trine_protocol::reply::RecordView;

use super::client_frames::answered;
use crate::cbor;
use crate::fixture::{genesis, key, ledger, region};
use crate::target::{Memory, Sample, Target, Verdict};

/// Behind a selector: an answered record, judged by the library, the command line and the registry, who must agree; or a
/// proof file against a whole genesis. What is believed stands in the ledger, as it was answered.
pub const TARGET: Target = Target { name: "record_view", run, samples, memory: Memory::SERDE };

fn run(bytes: &[u8]) -> Verdict {
    match bytes.split_first() {
        Some((0, rest)) => Verdict::of(cbor::again(rest).and_then(|view| believed(&view))),
        Some((1, rest)) => Verdict::of(proven(rest)),
        _ => Verdict::Refused,
    }
}

fn believed(view: &RecordView) -> Option<()> {
    let genesis = genesis();
    let json = serde_json::to_vec(&Record::from(view)).expect("JSON");
    assert_eq!(serde_json::from_slice::<Record>(&json).expect("our own JSON"), Record::from(view));
    let library = trine_client::proof::verify(&genesis, view);
    let command_line = verify_record(&genesis, view);
    let registry = Trust::new(genesis.clone()).check(view);
    let agree = library.is_ok() == command_line.is_ok() && command_line.is_ok() == registry.is_ok();
    assert!(agree, "they disagree: {library:?}; {command_line:?}; {registry:?}");
    let verified = command_line.ok()?;
    assert_eq!(registry.as_ref(), Ok(&verified));
    assert_eq!(library.as_ref(), Ok(&verified.checkpoint));
    let size = verified.checkpoint.size;
    assert_eq!(verified.checkpoint, ledger().checkpoint(size), "a checkpoint was believed that nobody signed");
    let mut known = answered(view.index, size);
    // A signed note may bear other signatures as well.
    known.proof.as_mut().expect("it has one").checkpoint = view.proof.as_ref()?.checkpoint.clone();
    assert_eq!(*view, known, "a record was believed that is another");
    let file = proof_file(view).expect("it was just verified");
    let again = read_file(&file.to_bytes().expect("within bounds")).expect("our own proof file");
    assert_eq!(verify_file(&genesis, &again), Ok((region(), verified)), "a saved proof proves something else");
    Some(())
}

fn proven(bytes: &[u8]) -> Option<()> {
    let file = read_file(bytes).ok()?;
    let (of, verified) = verify_file(&genesis(), &file).ok()?;
    assert_eq!(of, region(), "a proof was believed of a ledger that is not there");
    let record = &ledger().records[usize::try_from(verified.index).expect("small")];
    assert_eq!(file.record.leaf(), record.leaf(), "a record was proven that is another");
    Some(())
}

fn samples() -> Vec<Sample> {
    let changed = |name: &str, change: &dyn Fn(&mut RecordView)| {
        let mut view = answered(3, 13);
        change(&mut view);
        Sample::hostile(name, trine_crdt::codec::encode(&view)).behind(0)
    };
    let proof = |view: &mut RecordView, change: fn(&mut trine_protocol::reply::InclusionView)| {
        change(view.proof.as_mut().expect("it has one"));
    };
    let values = [("first-of-one", answered(0, 1)), ("middle", answered(5, 8)), ("last", answered(12, 13))];
    let mut samples: Vec<Sample> = Sample::family(0, "view", cbor::samples(&values)).collect();
    samples.extend([
        changed("without-a-proof", &|view| view.proof = None),
        changed("of-another-region", &|view| view.region = "eu-west-1".parse().expect("a name")),
        changed("of-no-region", &|view| view.region = trine_crdt::RegionId::genesis()),
        changed("of-another-index", &|view| view.index = 4),
        changed("of-another-namespace", &|view| view.namespace = trine_crdt::NamespaceId::default_objects()),
        changed("of-another-key", &|view| view.key.push('0')),
        changed("of-another-time", &|view| view.timestamp.time += 1),
        changed("of-another-value", &|view| view.value = Bytes::from_static(b"owed")),
        changed("of-another-type", &|view| view.content_type = "text/html".to_owned()),
        changed("with-other-metadata", &|view| drop(view.metadata.insert("b".to_owned(), "c".to_owned()))),
        changed("with-metadata-more", &|view| drop(view.metadata.insert("c".to_owned(), String::new()))),
        changed("with-another-header", &|view| view.header = answered(4, 13).header),
        changed("with-salts-exchanged", &|view| view.salts = [&view.salts[32..], &view.salts[..32]].concat().into()),
        changed("with-salts-cut", &|view| view.salts = view.salts.slice(..64)),
        changed("with-salts-and-a-byte", &|view| view.salts = [&view.salts[..], &[0]].concat().into()),
        changed("with-another-path", &|view| proof(view, |proof| proof.path.reverse())),
        changed("with-a-hash-more", &|view| proof(view, |proof| proof.path.push(vec![0; 32].into()))),
        changed("with-half-a-hash", &|view| proof(view, |proof| proof.path[0] = proof.path[0].slice(..16))),
        changed("with-hashes-without-end", &|view| proof(view, |proof| proof.path = vec![vec![7; 32].into(); 500])),
        changed("with-an-older-note", &|view| proof(view, |proof| proof.checkpoint = ledger().note(8))),
        changed("with-a-note-of-another-key", &|view| {
            proof(view, |proof| proof.checkpoint = ledger().checkpoint(13).sign(&key(11)));
        }),
    ]);
    let file = |index, size, whole| ledger().proof_file(index, size, whole).to_bytes().expect("within bounds");
    let whole = String::from_utf8(file(12, 13, true).to_vec()).expect("text");
    samples.extend([
        Sample::valid("file", &whole).behind(1),
        Sample::valid("file-without-body", file(5, 8, false)).behind(1),
        Sample::hostile("file-of-another-region", whole.replace("/us-east-1\n", "/eu-west-1\n")).behind(1),
        Sample::hostile("file-of-no-region", whole.replace("/us-east-1\n", "/\n")).behind(1),
        Sample::hostile("file-of-another-cluster", whole.replacen(crate::fixture::CLUSTER, "c", 1)).behind(1),
        Sample::hostile("file-cut", &whole[..whole.len() / 2]).behind(1),
    ]);
    samples
}
