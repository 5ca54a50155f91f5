//! Metadata that a node hears of: rumors of gossip, and what the regions' log keys sign.

use std::collections::BTreeSet;

use bytes::Bytes;
use ed25519_dalek::{Signature, Signer as _};
use trine_crdt::{NodeId, RegionId, Timestamp};
use trine_gossip::{Entry, RepairMessage, Version, rumor};
use trine_ledger::{Checkpoint, Registry, SigningKey, origin};
use trine_replica::PeerMessage;

use super::rumor::told;
use crate::cbor;
use crate::fixture::{CLUSTER, at, genesis, key, node_record};
use crate::node::{FAR, NODE, Node, Rows, told_abroad};
use crate::target::{Memory, Sample, Target, Verdict};

/// Behind a selector: a rumor, byte for byte; or keys, epochs and what is said of them, which the region that the key
/// names is made to sign here, so that a search comes past signatures. A node keeps what its region signed and nothing
/// else, by gossip as by repair, once as twice, and goes on; only its own region can send it away.
pub const TARGET: Target = Target { name: "metadata", run, samples, memory: Memory::SERDE };

/// A key, its epoch, and what is said under it.
type Said = (Bytes, u64, Bytes);

/// Entries of the metadata, and evidence of forks.
const KEPT: &[u8] = b"yq";

fn run(bytes: &[u8]) -> Verdict {
    let Some((selector, rest)) = bytes.split_first() else { return Verdict::Refused };
    let rumor = match selector {
        0 => Bytes::copy_from_slice(rest),
        1 => {
            let Some(said) = cbor::again::<Vec<Said>>(rest) else { return Verdict::Refused };
            trine_crdt::codec::encode(&said.iter().map(signed).collect::<Vec<_>>()).into()
        }
        _ => return Verdict::Refused,
    };
    let mut node = Node::awake();
    let before = kept(node.rows());
    node.hear_rumor(rumor.clone());
    let after = kept(node.rows());
    let Ok(entries) = rumor::decode(&rumor) else {
        assert_eq!(after, before, "something was taken from a rumor that is none");
        return Verdict::Refused;
    };
    after.difference(&before).filter(|(row, _)| row[0] == b'y').for_each(|(_, value)| vouched(value, &entries));
    if let Some(end) = node.halted() {
        let own = entries.iter().any(|entry| &entry.key[..] == b"registry/us-east-1" && vouches(entry));
        assert!(own, "another region's word stopped a node: {end:?}");
        return Verdict::Accepted;
    }
    node.hear_rumor(rumor);
    assert_eq!(kept(node.rows()), after, "a rumor was news twice");
    let mut other = Node::awake();
    other.hear(PeerMessage::Metadata(RepairMessage::Entries(entries).to_bytes()));
    assert_eq!(kept(other.rows()), after, "gossip and repair judge differently");
    node.pass_a_second();
    node.ask_everything();
    node.restart().expect("what gossip brought made a disk unreadable").ask_everything();
    if after == before { Verdict::Refused } else { Verdict::Accepted }
}

fn kept(rows: &Rows) -> BTreeSet<(Bytes, Bytes)> {
    rows.of_kinds(KEPT).into_iter().collect()
}

/// What was kept is one of the entries that were told, and the region that its key names signed it.
fn vouched(row: &[u8], entries: &[Entry]) {
    let entry = Entry::from_bytes(row).expect("a node's own row");
    assert!(entries.contains(&entry), "an entry was kept that nobody told: {entry:?}");
    assert!(vouches(&entry), "an entry was kept that its region did not sign: {entry:?}");
}

fn vouches(entry: &Entry) -> bool {
    let Some(region) = region_of(&entry.key) else { return false };
    let log_key = log_key(&region).verifying_key();
    if entry.key.starts_with(b"head/") {
        return Checkpoint::open(&entry.value, &log_key, &origin(CLUSTER, &region)).is_ok();
    }
    let Some((signature, said)) = entry.value.split_first_chunk::<64>() else { return false };
    let text = text(&entry.key, entry.version.epoch, said);
    log_key.verify_strict(&text, &Signature::from_bytes(signature)).is_ok()
}

/// The region of the genesis that a key names.
fn region_of(key: &[u8]) -> Option<RegionId> {
    let name = std::str::from_utf8(key).ok()?.split('/').nth(1)?;
    genesis().regions.into_iter().map(|region| region.id).find(|id| id.as_str() == name)
}

fn log_key(region: &RegionId) -> SigningKey {
    let number = genesis().regions.iter().position(|known| known.id == *region).expect("a region of the genesis");
    key(10 + u8::try_from(number).expect("few"))
}

/// What a log key signs, as `trine_replica` says it; written once more, so that it cannot change unnoticed.
fn text(key: &[u8], epoch: u64, said: &[u8]) -> Vec<u8> {
    [b"trine/metadata/1\n", CLUSTER.as_bytes(), b"\n", key, b"\n", &epoch.to_be_bytes(), said].concat()
}

/// The entry as the region that its key names signs it; as us-east-1 does, when it names none. A head says a root.
fn signed((key, epoch, said): &Said) -> Entry {
    let region = region_of(key).unwrap_or_else(crate::fixture::region);
    let log_key = log_key(&region);
    let value = if key.starts_with(b"head/") {
        let mut root = [0; 32];
        root.iter_mut().zip(said).for_each(|(to, from)| *to = *from);
        Checkpoint { origin: origin(CLUSTER, &region), size: *epoch, root }.sign(&log_key)
    } else {
        let signature = log_key.sign(&text(key, *epoch, said)).to_bytes();
        [signature.as_slice(), said].concat().into()
    };
    Entry { key: key.clone(), version: Version { epoch: *epoch, stamp: Timestamp::ZERO }, value }
}

fn registry(change: impl FnOnce(&mut Registry)) -> Bytes {
    let mut registry = Registry { namespaces: [].into(), ..Registry::default() };
    change(&mut registry);
    registry.to_bytes().expect("within bounds")
}

/// What regions may say.
fn sayings() -> Vec<(&'static str, Vec<Said>)> {
    let said =
        |key: &str, epoch, said: &[u8]| (Bytes::copy_from_slice(key.as_bytes()), epoch, Bytes::copy_from_slice(said));
    let roster = registry(|registry| drop(registry.roster.insert(FAR, node_record(FAR.0))));
    let namespaces = |region: &str| {
        registry(|registry| {
            let (id, record) = Registry::default().namespaces.into_iter().nth(1).expect("there are two");
            let id = trine_crdt::NamespaceId { region: region.parse().expect("a name"), ..id };
            registry.namespaces.insert(id.clone(), trine_ledger::registry::NamespaceRecord { id, ..record });
        })
    };
    let altered = |deleted| {
        registry(|registry| {
            let (id, record) = Registry::default().namespaces.into_iter().nth(1).expect("there are two");
            let id = trine_crdt::NamespaceId { region: "eu-west-1".parse().expect("a name"), ..id };
            let record =
                trine_ledger::registry::NamespaceRecord { id: id.clone(), altered: Some(7), deleted, ..record };
            registry.namespaces.insert(id, record);
        })
    };
    let retires = |node: NodeId| registry(|registry| registry.retired.extend([node]));
    let segment = [&0_u64.to_be_bytes()[..], &[0; 24], &[3; 64]].concat();
    vec![
        ("registry", vec![said("registry/eu-west-1", 7, &roster)]),
        ("namespaces", vec![said("namespaces/eu-west-1/00000000", 1, &namespaces("eu-west-1"))]),
        ("namespaces-renamed", vec![said("namespaces/eu-west-1/00000000", 8, &altered(false))]),
        (
            "namespaces-deleted",
            vec![
                said("namespaces/eu-west-1/00000000", 1, &namespaces("eu-west-1")),
                said("namespaces/eu-west-1/00000000", 8, &altered(true)),
            ],
        ),
        ("head", vec![said("head/eu-west-1", 9, &[9; 32])]),
        ("segment", vec![said("segment/eu-west-1/0000000000000000", 1, &segment)]),
        ("several", vec![said("head/eu-west-1", 9, &[9; 32]), said("registry/eu-west-1", 7, &roster)]),
        ("two-histories", vec![said("head/eu-west-1", 9, &[9; 32]), said("head/eu-west-1", 9, &[8; 32])]),
        ("another-history-of-ours", vec![said("head/us-east-1", 1, &[8; 32])]),
        ("a-head-beyond-all", vec![said("head/eu-west-1", u64::MAX, &[9; 32])]),
        ("this-node-away", vec![said("registry/us-east-1", u64::MAX, &retires(NODE))]),
        ("its-own-node-away", vec![said("registry/eu-west-1", 8, &retires(FAR))]),
        ("anothers-node-away", vec![said("registry/eu-west-1", 8, &retires(NODE))]),
        ("refused-nothing", Vec::new()),
        (
            "refused-another-regions-namespaces",
            vec![said("namespaces/eu-west-1/00000000", 1, &namespaces("us-east-1"))],
        ),
        ("refused-a-roster-as-namespaces", vec![said("namespaces/eu-west-1/00000000", 1, &roster)]),
        ("refused-a-number-written-short", vec![said("namespaces/eu-west-1/0", 1, &namespaces("eu-west-1"))]),
        ("refused-another-segments-number", vec![said("segment/eu-west-1/0000000000000001", 1, &segment)]),
        ("refused-no-registry", vec![said("registry/eu-west-1", 7, &roster[1..])]),
        ("refused-a-region-that-is-not-there", vec![said("registry/ap-south-1", 7, &roster)]),
        ("refused-a-key-with-nul", vec![said("registry/eu-west-1\0", 7, &roster)]),
        ("refused-a-key-above", vec![said("registry/../eu-west-1", 7, &roster)]),
    ]
}

fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for (number, rumor) in told_abroad().iter().enumerate() {
        samples.push(Sample::valid(&format!("rumor-{number}"), rumor).behind(0));
    }
    let whole = told_abroad().iter().max_by_key(|rumor| rumor.len()).expect("some are told");
    samples.extend(Sample::broken("rumor", whole).into_iter().map(|sample| sample.behind(0)));
    for (name, said) in sayings() {
        let bytes = trine_crdt::codec::encode(&said);
        samples.push(match name.strip_prefix("refused-") {
            Some(name) => Sample::hostile(name, bytes),
            None => Sample::valid(name, bytes),
        });
        let last = samples.len() - 1;
        samples[last] = samples[last].clone().behind(1);
    }
    let entries = rumor::decode(whole).expect("a rumor");
    let changed = |name: &str, change: fn(&mut Entry)| {
        let mut entries = entries.clone();
        entries.iter_mut().for_each(change);
        Sample::hostile(name, trine_crdt::codec::encode(&entries)).behind(0)
    };
    samples.extend([
        changed("of-another-epoch", |entry| entry.version.epoch += 1),
        changed("stamped", |entry| entry.version.stamp = at(1)),
        changed("of-another-region", |entry| {
            entry.key = String::from_utf8_lossy(&entry.key).replace("eu-west-1", "us-east-1").into();
        }),
        changed("of-another-kind", |entry| entry.key = [b"x", &entry.key[..]].concat().into()),
        changed("without-a-signature", |entry| entry.value = entry.value.slice(entry.value.len().min(64)..)),
        changed("with-a-byte-more", |entry| entry.value = [&entry.value[..], &[0]].concat().into()),
        Sample::hostile("unsigned", trine_crdt::codec::encode(&told())).behind(0),
    ]);
    samples.extend(Sample::family(0, "rumor", cbor::hostile()));
    samples.extend(Sample::family(1, "said", cbor::hostile()));
    samples
}
