//! Requests about ledgers.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use trine_crdt::RegionId;

/// Appends a record to the ledger of the node's region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Append {
    /// A ledger namespace.
    pub namespace: String,
    /// The key.
    pub key: String,
    /// The value.
    pub value: Bytes,
    /// The value's media type.
    pub content_type: String,
    /// Names and values that travel with the record.
    pub metadata: BTreeMap<String, String>,
    /// The same key within ten minutes returns the first append's answer.
    pub idempotency_key: Option<String>,
    /// Appends only when the key's latest version in this region's ledger is this record (0 records before: none).
    pub if_match: Option<Precondition>,
    /// Whether the answer carries an inclusion proof.
    pub with_proof: bool,
}

/// Reads the latest version of a key, over all regions' ledgers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerGet {
    /// A ledger namespace.
    pub namespace: String,
    /// The key.
    pub key: String,
    /// Whether the answer carries an inclusion proof.
    pub with_proof: bool,
}

/// Reads one record by its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRecord {
    /// Whose ledger.
    pub region: RegionId,
    /// The record's index there.
    pub index: u64,
    /// Whether the answer carries an inclusion proof.
    pub with_proof: bool,
}

/// All versions of a key, oldest first by hybrid time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerHistory {
    /// A ledger namespace.
    pub namespace: String,
    /// The key.
    pub key: String,
    /// Where to go on; from the last page.
    pub after: Option<String>,
    /// At most this many.
    pub limit: u32,
}

/// The latest versions of the keys with a prefix, in key order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRange {
    /// A ledger namespace.
    pub namespace: String,
    /// The keys' prefix.
    pub prefix: String,
    /// Start after this key.
    pub after: Option<String>,
    /// At most this many.
    pub limit: u32,
}

/// The latest signed checkpoint known of a region's ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointGet {
    /// Whose ledger.
    pub region: RegionId,
}

/// Proof that a later checkpoint extends an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsistencyGet {
    /// Whose ledger.
    pub region: RegionId,
    /// The earlier size.
    pub from: u64,
    /// The later size.
    pub to: u64,
}

/// What the key's latest version must be for an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precondition {
    /// The key has no version in this region's ledger.
    Absent,
    /// The key's latest version in this region's ledger is the record of this index.
    Index(u64),
}
