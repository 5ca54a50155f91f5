//! What a region says of itself in the metadata bears its log key's signature.
//!
//! Metadata passes through every node, and an admitted node that lies could make an entry up: a registry that retires
//! another region's nodes, say. So what a region's ledger decided leaves it signed by the region's log key, which only
//! its own nodes hold and whose public half stands in the genesis. Ed25519 is deterministic and all nodes of a region
//! apply the same log: they produce equal bytes. A head needs none of this, for a checkpoint is signed by itself.
//!
//! ```text
//! value     signature (64 bytes), then what is said
//! signed    "trine/metadata/1\n" cluster "\n" key "\n" epoch (u64, big-endian) what is said
//! ```
//!
//! What this does not hold off: a node can lie about its own region, as it can sign checkpoints of its own making.

use bytes::Bytes;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use trine_gossip::entry::Entry;

const PURPOSE: &[u8] = b"trine/metadata/1\n";

fn text(cluster: &str, key: &[u8], epoch: u64, said: &[u8]) -> Vec<u8> {
    [PURPOSE, cluster.as_bytes(), b"\n", key, b"\n", &epoch.to_be_bytes(), said].concat()
}

/// An entry's value: what is said, signed.
pub(crate) fn sign(signing: &SigningKey, cluster: &str, key: &[u8], epoch: u64, said: &[u8]) -> Bytes {
    let signature = signing.sign(&text(cluster, key, epoch, said)).to_bytes();
    [signature.as_slice(), said].concat().into()
}

/// What an entry says, if the region's log key signed it.
pub(crate) fn verify(log_key: &[u8; 32], cluster: &str, entry: &Entry) -> Option<Bytes> {
    let (signature, said) = entry.value.split_first_chunk::<64>()?;
    let log_key = VerifyingKey::from_bytes(log_key).ok()?;
    let text = text(cluster, &entry.key, entry.version.epoch, said);
    log_key.verify_strict(&text, &Signature::from_bytes(signature)).ok()?;
    said_in(&entry.value)
}

/// What a value says; its signature was verified before it was kept.
pub(crate) fn said_in(value: &Bytes) -> Option<Bytes> {
    value.split_first_chunk::<64>().map(|_| value.slice(64..))
}
