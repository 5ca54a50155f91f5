//! Calls about ledgers.

use bytes::Bytes;
use trine_crdt::RegionId;
use trine_protocol::reply::{Appended, Page, RecordView, Reply};
use trine_protocol::{Request, RequestError};

use super::views::expect_reply;
use super::{AppendRequest, Client};
use crate::CallOptions;
use crate::error::ClientError;

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
    /// [`ClientError`].
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
        let request = Request::LedgerGet { namespace: namespace.to_owned(), key: key.to_owned(), with_proof: false };
        match self.request(call, request).await {
            Err(ClientError::Request(RequestError::NotFound { what })) if what != namespace => Ok(None),
            Err(error) => Err(error),
            Ok(answer) => expect_reply!(answer, "get", Reply::Record(record) => Some(record)),
        }
    }

    /// Reads one record by its place.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn record(&self, region: &RegionId, index: u64) -> Result<RecordView, ClientError> {
        let request = Request::LedgerRecord { region: region.clone(), index, with_proof: false };
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
        let request = Request::LedgerHistory { namespace: namespace.to_owned(), key: key.to_owned(), after, limit };
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
        let request = Request::LedgerRange { namespace: namespace.to_owned(), prefix: prefix.to_owned(), after, limit };
        let answer = self.request(&CallOptions::default(), request).await?;
        expect_reply!(answer, "range", Reply::Page(page) => page)
    }
}
