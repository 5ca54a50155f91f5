//! Calls about the cluster: namespaces, regions, nodes, status, manifest.

use bytes::Bytes;
use trine_crdt::RegionId;
use trine_protocol::Request;
use trine_protocol::reply::{NamespaceView, NodeView, Recovered, RegionView, Reply, SegmentView, StatusView};
use trine_protocol::request::{
    ManifestShow, NamespaceCreate, NamespaceDelete, NamespaceKind, NamespaceRename, NamespaceShow, RegionRecover,
};

use super::Client;
use crate::CallOptions;
use crate::error::ClientError;

/// Takes the reply that belongs to the request, or says what came instead.
macro_rules! expect_reply {
    ($answer:expr, $asked:literal, $($pattern:pat => $value:expr),+ $(,)?) => {
        match $answer.reply {
            $($pattern => Ok($value),)+
            other => Err(ClientError::UnexpectedReply { asked: $asked, got: $crate::client::reply_name(&other) }),
        }
    };
}
pub(crate) use expect_reply;

impl Client {
    /// All namespaces.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn namespaces(&self) -> Result<Vec<NamespaceView>, ClientError> {
        let answer = self.request(&CallOptions::default(), Request::NamespaceList).await?;
        expect_reply!(answer, "namespace list", Reply::Namespaces(list) => list)
    }

    /// The namespaces of a label or an id.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn namespace(&self, namespace: &str) -> Result<Vec<NamespaceView>, ClientError> {
        let request = Request::NamespaceShow(NamespaceShow { namespace: namespace.to_owned() });
        let answer = self.request(&CallOptions::default(), request).await?;
        expect_reply!(answer, "namespace show", Reply::Namespaces(list) => list, Reply::Namespace(one) => vec![one])
    }

    /// Creates a namespace in the ledger of the region that answers.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn namespace_create(
        &self,
        name: &str,
        kind: NamespaceKind,
        slots: Option<u32>,
    ) -> Result<NamespaceView, ClientError> {
        let request = Request::NamespaceCreate(NamespaceCreate { name: name.to_owned(), kind, slots });
        let answer = self.request(&CallOptions::default(), request).await?;
        expect_reply!(answer, "namespace create", Reply::Namespace(view) => view)
    }

    /// Gives a namespace, of a label or an id, another label. Its id stays, and what it holds with it.
    ///
    /// # Errors
    /// [`ClientError`]; `Ambiguous` when the new label is taken, or the present one stands for several namespaces.
    pub async fn namespace_rename(&self, namespace: &str, name: &str) -> Result<NamespaceView, ClientError> {
        let request =
            Request::NamespaceRename(NamespaceRename { namespace: namespace.to_owned(), name: name.to_owned() });
        let answer = self.request(&CallOptions::default(), request).await?;
        expect_reply!(answer, "namespace rename", Reply::Namespace(view) => view)
    }

    /// Deletes a namespace, of a label or an id: its label is free, and what it holds can be read under it no more. With
    /// `force` also while it holds something.
    ///
    /// # Errors
    /// [`ClientError`]; `NotEmpty` when it holds objects or records.
    pub async fn namespace_delete(&self, namespace: &str, force: bool) -> Result<(), ClientError> {
        let request =
            Request::NamespaceDelete(NamespaceDelete { namespace: namespace.to_owned(), force, vetted: false });
        let answer = self.request(&CallOptions::default(), request).await?;
        expect_reply!(answer, "namespace delete", Reply::Done => ())
    }

    /// Brings back the records that a region's disks lost and other regions kept: how many records its ledger has then,
    /// and how many were put back since that region's leader started.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn region_recover(&self, region: &RegionId) -> Result<(u64, u64), ClientError> {
        let request = Request::RegionRecover(RegionRecover { region: region.clone() });
        let answer = self.request(&CallOptions::default(), request).await?;
        expect_reply!(answer, "region recover", Reply::Recovered(Recovered { size, restored }) => (size, restored))
    }

    /// The regions, as the answering node knows them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn regions(&self) -> Result<Vec<RegionView>, ClientError> {
        let answer = self.request(&CallOptions::default(), Request::RegionList).await?;
        expect_reply!(answer, "region list", Reply::Regions(list) => list)
    }

    /// The nodes of all regions, as the answering node knows them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn nodes(&self) -> Result<Vec<NodeView>, ClientError> {
        let answer = self.request(&CallOptions::default(), Request::NodeList).await?;
        expect_reply!(answer, "node list", Reply::Nodes(list) => list)
    }

    /// The answering node's own state.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&self) -> Result<StatusView, ClientError> {
        let answer = self.request(&CallOptions::default(), Request::Status).await?;
        expect_reply!(answer, "status", Reply::Status(status) => *status)
    }

    /// The cluster's founding document as its authority signed it; proofs are checked with the log keys that it names. Whoever
    /// holds the authority's certificate can open it ([`crate::Builder::genesis_document`]) and need not trust the node.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn genesis(&self) -> Result<Bytes, ClientError> {
        let answer = self.request(&CallOptions::default(), Request::Genesis).await?;
        expect_reply!(answer, "genesis", Reply::Genesis(document) => document)
    }

    /// The manifest's segments, of one region or of all.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn segments(&self, region: Option<RegionId>) -> Result<Vec<SegmentView>, ClientError> {
        let answer = self.request(&CallOptions::default(), Request::ManifestShow(ManifestShow { region })).await?;
        expect_reply!(answer, "manifest show", Reply::Segments(list) => list)
    }
}

/// The kind of a reply, for messages.
pub(crate) fn reply_name(reply: &Reply) -> &'static str {
    match reply {
        Reply::Appended(_) => "appended",
        Reply::Record(_) => "record",
        Reply::Page(_) => "page",
        Reply::Checkpoint(_) => "checkpoint",
        Reply::Consistency(_) => "consistency proof",
        Reply::Object(_) => "object",
        Reply::Objects(_) => "objects",
        Reply::Genesis(_) => "genesis",
        Reply::Namespace(_) => "namespace",
        Reply::Namespaces(_) => "namespaces",
        Reply::Regions(_) => "regions",
        Reply::Nodes(_) => "nodes",
        Reply::Status(_) => "status",
        Reply::Segments(_) => "segments",
        Reply::Done => "done",
        _ => "something newer",
    }
}
