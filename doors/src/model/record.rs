//! Records of a ledger as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trine_protocol::reply::{self, InclusionView, Page, RecordView};
use utoipa::ToSchema;

use super::value::{Encoding, Value, base64, hex, time_of};

/// Why a record is in a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Proof {
    /// The signed note (C2SP tlog-checkpoint).
    pub checkpoint: String,
    /// The sibling hashes from the leaf upwards (RFC 9162, 2.1.3), base64.
    pub path: Vec<String>,
}

impl From<&InclusionView> for Proof {
    fn from(view: &InclusionView) -> Self {
        Self {
            checkpoint: String::from_utf8_lossy(&view.checkpoint).into_owned(),
            path: view.path.iter().map(|hash| base64(hash)).collect(),
        }
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Record {
    /// Whose ledger it stands in.
    pub region: String,
    /// Its index there.
    pub index: u64,
    /// The namespace's id.
    pub namespace: String,
    /// The key.
    pub key: String,
    /// Its version, as `ETag` and `If-Match` have it: region and index.
    pub version: String,
    /// Its hybrid-time stamp.
    pub timestamp: String,
    /// The stamp's wall-clock time, UTC.
    pub time: String,
    /// The value, in `encoding`.
    pub value: String,
    /// How the value stands there.
    pub encoding: Encoding,
    /// The value's media type.
    pub content_type: String,
    /// Names and values that travel with it.
    pub metadata: BTreeMap<String, String>,
    /// The record's header, the leaf of the ledger's tree, base64.
    pub header: String,
    /// The salts of the header's commitments to key, metadata and value, base64.
    pub salts: String,
    /// An inclusion proof, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

impl From<&RecordView> for Record {
    fn from(view: &RecordView) -> Self {
        let Value { value, encoding } = Value::of(&view.value);
        Self {
            region: view.region.to_string(),
            index: view.index,
            namespace: view.namespace.to_string(),
            key: view.key.clone(),
            version: version_of(view),
            timestamp: view.timestamp.to_string(),
            time: time_of(view.timestamp),
            value,
            encoding,
            content_type: view.content_type.clone(),
            metadata: view.metadata.clone(),
            header: base64(&view.header),
            salts: base64(&view.salts),
            proof: view.proof.as_ref().map(Proof::from),
        }
    }
}

/// A record's version: `us-east-1/17`.
#[must_use]
pub fn version_of(record: &RecordView) -> String {
    format!("{}/{}", record.region, record.index)
}

/// A page of records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Records {
    /// The records.
    pub records: Vec<Record>,
    /// What to pass as `from` to go on, when there is more.
    pub next: Option<String>,
}

impl From<&Page> for Records {
    fn from(page: &Page) -> Self {
        Self { records: page.records.iter().map(Record::from).collect(), next: page.next.clone() }
    }
}

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Appended {
    /// The ledger's region.
    pub region: String,
    /// The record's index.
    pub index: u64,
    /// The record's version, as `ETag` and `If-Match` have it: region and index.
    pub version: String,
    /// The record's hybrid-time stamp.
    pub timestamp: String,
    /// The stamp's wall-clock time, UTC.
    pub time: String,
    /// Whether the idempotency key was seen before and this is the first append's answer.
    pub duplicate: bool,
    /// The leaf hash of the record's header (RFC 9162), hexadecimal.
    pub leaf: String,
    /// The record's header, base64, when a proof was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// An inclusion proof, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

impl From<&reply::Appended> for Appended {
    fn from(view: &reply::Appended) -> Self {
        Self {
            region: view.region.to_string(),
            index: view.index,
            version: format!("{}/{}", view.region, view.index),
            timestamp: view.timestamp.to_string(),
            time: time_of(view.timestamp),
            duplicate: view.duplicate,
            leaf: hex(&view.leaf),
            header: view.header.as_ref().map(|header| base64(header)),
            proof: view.proof.as_ref().map(Proof::from),
        }
    }
}
