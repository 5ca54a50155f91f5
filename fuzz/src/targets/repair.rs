//! Repair of the metadata between two nodes.

use bytes::Bytes;
use trine_crdt::NodeId;
use trine_gossip::repair::Config;
use trine_gossip::{Digest, Repair, RepairMessage, Version, Versioned};

use super::rumor::told;
use crate::cbor;
use crate::fixture::at;
use crate::target::{Memory, Sample, Target, Verdict};

/// `RepairMessage::from_bytes`: within bounds; answered with messages that the peer can read, and never more than a
/// message may call forth.
pub const TARGET: Target = Target { name: "repair", run, samples, memory: Memory::SERDE };

fn run(bytes: &[u8]) -> Verdict {
    let Ok(message) = RepairMessage::from_bytes(bytes) else { return Verdict::Refused };
    assert_eq!(RepairMessage::from_bytes(&message.to_bytes()).expect("our own bytes"), message);
    let mut state = Versioned::default();
    state.apply(told());
    let mut repair = Repair::new(NodeId(1), Config::default());
    let outcome = repair.on_message(1, NodeId(2), message.clone(), &mut state, |_| true);
    let mut bytes = 0;
    for (to, answer) in &outcome.send {
        assert_eq!(*to, NodeId(2), "somebody else was answered");
        let encoded = answer.to_bytes();
        bytes += encoded.len();
        assert_eq!(&RepairMessage::from_bytes(&encoded).expect("an answer can be read"), answer);
    }
    assert!(bytes <= 2 * trine_gossip::limits::REPAIR_ANSWER_BYTES_MAX, "{bytes} bytes were called forth");
    let root = state.root();
    repair.on_message(2, NodeId(2), message, &mut state, |_| true);
    assert_eq!(state.root(), root, "the same message again changed the state");
    Verdict::Accepted
}

fn samples() -> Vec<Sample> {
    let key = Bytes::from_static(b"registry/us-east-1");
    let versions = vec![(key.clone(), Version { epoch: 1, stamp: at(1) }, 7)];
    let (after, upto) = (Bytes::new(), Bytes::new());
    let bucket = Versioned::bucket_of(&key);
    let mut samples = cbor::samples(&[
        ("root", RepairMessage::Root(Digest([1; 16]))),
        ("buckets", RepairMessage::Buckets((0..64).map(|bucket| (bucket, Digest([bucket; 16]))).collect())),
        ("summary", RepairMessage::Summary { bucket, after: after.clone(), upto: upto.clone(), versions }),
        ("want", RepairMessage::Want(vec![key.clone(), Bytes::from_static(b"nobody/has/this")])),
        ("entries", RepairMessage::Entries(told())),
    ]);
    let hostile = |name: &str, message: RepairMessage| Sample::hostile(name, message.to_bytes());
    let backwards = (Bytes::from_static(b"z"), Bytes::from_static(b"a"));
    samples.extend([
        hostile("a-bucket-that-is-not-there", RepairMessage::Buckets(vec![(64, Digest([0; 16]))])),
        hostile("a-summary-of-no-bucket", RepairMessage::Summary { bucket: 255, after, upto, versions: Vec::new() }),
        hostile("a-key-too-long", RepairMessage::Want(vec![vec![b'k'; 513].into()])),
        hostile("keys-without-end", RepairMessage::Want(vec![key; 4000])),
    ]);
    let (after, upto) = backwards;
    let summary = RepairMessage::Summary { bucket, after, upto, versions: Vec::new() };
    samples.push(Sample::valid("a-summary-that-ends-before-it-begins", summary.to_bytes()));
    samples
}
