//! An append, with everything that may be said about it.

use std::collections::BTreeMap;

use bytes::Bytes;
use trine_protocol::Request;
use trine_protocol::request::{Append, Precondition};

/// A record to be appended.
#[derive(Debug, Clone)]
pub struct AppendRequest {
    namespace: String,
    key: String,
    value: Bytes,
    content_type: String,
    metadata: BTreeMap<String, String>,
    if_match: Option<Precondition>,
}

impl AppendRequest {
    /// A record of a ledger namespace.
    #[must_use]
    pub fn new(namespace: impl Into<String>, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self {
            namespace: namespace.into(),
            key: key.into(),
            value: value.into(),
            content_type: "application/octet-stream".to_owned(),
            metadata: BTreeMap::new(),
            if_match: None,
        }
    }

    /// The value's media type.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = content_type.into();
        self
    }

    /// A name and a value that travel with the record.
    #[must_use]
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }

    /// Appends only when the key has no version in the region's ledger.
    #[must_use]
    pub fn if_absent(mut self) -> Self {
        self.if_match = Some(Precondition::Absent);
        self
    }

    /// Appends only when the key's latest version in the region's ledger is the record of this index.
    #[must_use]
    pub fn if_latest(mut self, index: u64) -> Self {
        self.if_match = Some(Precondition::Index(index));
        self
    }

    pub(crate) fn into_request(self, idempotency_key: Option<String>, with_proof: bool) -> Request {
        Request::Append(Append {
            namespace: self.namespace,
            key: self.key,
            value: self.value,
            content_type: self.content_type,
            metadata: self.metadata,
            idempotency_key,
            if_match: self.if_match,
            with_proof,
        })
    }
}
