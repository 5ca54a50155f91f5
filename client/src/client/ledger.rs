//! Calls about ledgers.

use bytes::Bytes;
use trine_crdt::RegionId;
use trine_ledger::Checkpoint;
use trine_ledger::tree::leaf_hash;
use trine_protocol::reply::{Appended, InclusionView, Page, RecordView, Reply};
use trine_protocol::request::{CheckpointGet, ConsistencyGet, LedgerGet, LedgerHistory, LedgerRange, LedgerRecord};
use trine_protocol::{Missing, Request, RequestError};

use super::views::expect_reply;
use super::{AppendRequest, Client};
use crate::CallOptions;
use crate::error::ClientError;
use crate::proof::{self, ProofError};

impl Client {
    /// Appends a record to the ledger of the answering node's region.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn append(&self, namespace: &str, key: &str, value: impl Into<Bytes>) -> Result<Appended, ClientError> {
        self.append_with(&CallOptions::default(), AppendRequest::new(namespace, key, value)).await
    }

    /// Appends a record as the call wants it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn append_with(&self, call: &CallOptions, append: AppendRequest) -> Result<Appended, ClientError> {
        let request = append.into_request(call.idempotency_key.clone(), false);
        let answer = self.request(call, request).await?;
        expect_reply!(answer, "append", Reply::Appended(appended) => appended)
    }

    /// Reads the latest version of a key over all regions' ledgers; none when there is none.
    ///
    /// # Errors
    /// [`ClientError`]; a namespace that is not known is one.
    pub async fn get(&self, namespace: &str, key: &str) -> Result<Option<RecordView>, ClientError> {
        self.get_with(&CallOptions::default(), namespace, key).await
    }

    /// Reads the latest version of a key as the call wants it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn get_with(
        &self,
        call: &CallOptions,
        namespace: &str,
        key: &str,
    ) -> Result<Option<RecordView>, ClientError> {
        let request =
            Request::LedgerGet(LedgerGet { namespace: namespace.to_owned(), key: key.to_owned(), with_proof: false });
        match self.request(call, request).await {
            Err(ClientError::Request(RequestError::NotFound { what: Missing::Key { .. } })) => Ok(None),
            Err(error) => Err(error),
            Ok(answer) => expect_reply!(answer, "get", Reply::Record(record) => Some(record)),
        }
    }

    /// Appends a record and verifies the proof that it stands in the region's signed tree.
    ///
    /// # Errors
    /// [`ClientError::Proof`] when it does not: the record may have been appended all the same.
    pub async fn append_with_proof(&self, call: &CallOptions, append: AppendRequest) -> Result<Appended, ClientError> {
        let request = append.into_request(call.idempotency_key.clone(), true);
        let answer = self.request(call, request).await?;
        let appended = expect_reply!(answer, "append", Reply::Appended(appended) => appended)?;
        let proof = appended.proof.as_ref().ok_or(ProofError::Missing)?;
        let header = appended.header.as_ref().ok_or(ProofError::Missing)?;
        if leaf_hash(header) != appended.leaf {
            return Err(ProofError::Inclusion { region: appended.region, index: appended.index }.into());
        }
        self.verify_inclusion(&appended.region, appended.index, header, proof).await?;
        Ok(appended)
    }

    /// Reads the latest version of a key and verifies that it stands, as read, in its region's signed tree.
    ///
    /// # Errors
    /// [`ClientError::Proof`] when it does not.
    pub async fn get_with_proof(
        &self,
        call: &CallOptions,
        namespace: &str,
        key: &str,
    ) -> Result<Option<RecordView>, ClientError> {
        let request =
            Request::LedgerGet(LedgerGet { namespace: namespace.to_owned(), key: key.to_owned(), with_proof: true });
        let answer = match self.request(call, request).await {
            Err(ClientError::Request(RequestError::NotFound { what: Missing::Key { .. } })) => return Ok(None),
            answer => answer?,
        };
        let record = expect_reply!(answer, "get", Reply::Record(record) => record)?;
        if record.key != key {
            return Err(ProofError::Commitment { region: record.region, index: record.index }.into());
        }
        self.verify_record(&record).await?;
        Ok(Some(record))
    }

    /// Verifies a record that was read with its proof.
    ///
    /// # Errors
    /// [`ClientError::Proof`] when it does not prove what it says.
    pub async fn verify_record(&self, record: &RecordView) -> Result<(), ClientError> {
        let checkpoint = proof::verify(self.inner.pins.genesis(&record.region)?, record)?;
        self.pin(&record.region, checkpoint).await
    }

    async fn verify_inclusion(
        &self,
        region: &RegionId,
        index: u64,
        header: &[u8],
        proof: &InclusionView,
    ) -> Result<(), ClientError> {
        let checkpoint = self.inner.pins.open(region, &proof.checkpoint)?;
        proof::included(region, index, header, &proof.path, &checkpoint)?;
        self.pin(region, checkpoint).await
    }

    /// The latest signed checkpoint of a region, verified and consistent with what was seen before.
    ///
    /// # Errors
    /// [`ClientError::Proof`] when it is not.
    pub async fn checkpoint(&self, region: &RegionId) -> Result<Bytes, ClientError> {
        let request = Request::Checkpoint(CheckpointGet { region: region.clone() });
        let answer = self.request(&CallOptions::default(), request).await?;
        let note = expect_reply!(answer, "checkpoint", Reply::Checkpoint(note) => note)?;
        self.pin(region, self.inner.pins.open(region, &note)?).await?;
        Ok(note)
    }

    /// Believes a signed checkpoint once it is shown to belong to the same tree as the one believed last.
    async fn pin(&self, region: &RegionId, checkpoint: Checkpoint) -> Result<(), ClientError> {
        let pins = &self.inner.pins;
        if let Some(last) = pins.last(region) {
            let (smaller, larger) =
                if last.size <= checkpoint.size { (&last, &checkpoint) } else { (&checkpoint, &last) };
            let proof = if smaller.size == larger.size || smaller.size == 0 {
                Vec::new()
            } else {
                let request = Request::Consistency(ConsistencyGet {
                    region: region.clone(),
                    from: smaller.size,
                    to: larger.size,
                });
                let answer = self.request(&CallOptions::default(), request).await?;
                expect_reply!(answer, "consistency", Reply::Consistency(proof) => proof)?
            };
            proof::extends(region, (smaller, larger), &proof)?;
        }
        pins.pin(region, checkpoint);
        Ok(())
    }

    /// Reads one record by its place.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn record(&self, region: &RegionId, index: u64) -> Result<RecordView, ClientError> {
        let request = Request::LedgerRecord(LedgerRecord { region: region.clone(), index, with_proof: false });
        let answer = self.request(&CallOptions::default(), request).await?;
        expect_reply!(answer, "record", Reply::Record(record) => record)
    }

    /// A page of a key's versions, oldest first by hybrid time.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn history(
        &self,
        namespace: &str,
        key: &str,
        after: Option<String>,
        limit: u32,
    ) -> Result<Page, ClientError> {
        let request = Request::LedgerHistory(LedgerHistory {
            namespace: namespace.to_owned(),
            key: key.to_owned(),
            after,
            limit,
        });
        let answer = self.request(&CallOptions::default(), request).await?;
        expect_reply!(answer, "history", Reply::Page(page) => page)
    }

    /// A page of the latest versions of the keys with a prefix, in key order.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn range(
        &self,
        namespace: &str,
        prefix: &str,
        after: Option<String>,
        limit: u32,
    ) -> Result<Page, ClientError> {
        let request = Request::LedgerRange(LedgerRange {
            namespace: namespace.to_owned(),
            prefix: prefix.to_owned(),
            after,
            limit,
        });
        let answer = self.request(&CallOptions::default(), request).await?;
        expect_reply!(answer, "range", Reply::Page(page) => page)
    }
}
