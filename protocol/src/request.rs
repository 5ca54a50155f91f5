//! What a client may ask: each request is a struct of its own.

mod ledger;
mod namespace;
mod object;
mod region;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::ledger::{
    Append, CheckpointGet, ConsistencyGet, LedgerGet, LedgerHistory, LedgerRange, LedgerRecord, Precondition,
};
pub use self::namespace::{NamespaceCreate, NamespaceDelete, NamespaceRename, NamespaceShow};
pub use self::object::{ObjectEdit, ObjectGet, ObjectList};
pub use self::region::{ManifestShow, NodeReadmit, NodeRemove, NodeReplace, RegionRecover};
use crate::{Consistency, Durability, SessionToken};

/// What a certificate lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Reader,
    /// Reads and writes.
    Writer,
    /// Everything.
    Admin,
    /// A node of the cluster.
    Node,
}

/// How a request wants to be served.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How fresh a read must be.
    pub consistency: Consistency,
    /// What a write must survive.
    pub durability: Durability,
    /// What the session has seen.
    pub session: SessionToken,
    /// How long the node may take; after that it answers `Unknown` (a write) or `Unavailable` (a read).
    pub timeout: Option<Duration>,
    /// What the object must be, at the node that makes it, for an edit to be made: one node's check, and no lock, since
    /// others may edit the object elsewhere at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectCondition>,
}

/// What an object must be for an edit to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectCondition {
    /// There is none.
    Absent,
    /// There is one.
    Present,
    /// Its canonical bytes have this digest.
    Digest([u8; 32]),
}

/// What kind of data a namespace holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamespaceKind {
    /// Records.
    Ledger,
    /// Objects.
    Objects,
}

/// One request. `namespace` is a label or an id (`us-east-1/17`). Keys are UTF-8 of 1 byte to 1 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// Appends a record to the ledger of the node's region.
    Append(Append),
    /// Reads the latest version of a key, over all regions' ledgers.
    LedgerGet(LedgerGet),
    /// Reads one record by its place.
    LedgerRecord(LedgerRecord),
    /// All versions of a key, oldest first by hybrid time.
    LedgerHistory(LedgerHistory),
    /// The latest versions of the keys with a prefix, in key order.
    LedgerRange(LedgerRange),
    /// The latest signed checkpoint known of a region's ledger.
    Checkpoint(CheckpointGet),
    /// Proof that a later checkpoint extends an earlier one.
    Consistency(ConsistencyGet),
    /// Reads an object.
    ObjectGet(ObjectGet),
    /// The objects whose keys have a prefix, in key order. A page may hold fewer than asked for, or none, while there are more.
    ObjectList(ObjectList),
    /// Changes an object.
    ObjectEdit(ObjectEdit),
    /// Creates a namespace, in this region's ledger.
    NamespaceCreate(NamespaceCreate),
    /// All namespaces.
    NamespaceList,
    /// The namespaces of a label or an id.
    NamespaceShow(NamespaceShow),
    /// Gives a namespace another label; its id stays, and what it holds with it. The region that created it does so, whoever
    /// is asked.
    NamespaceRename(NamespaceRename),
    /// Deletes a namespace: its label is free, and what it holds is read and written no more. The region that created it does
    /// so, whoever is asked.
    NamespaceDelete(NamespaceDelete),
    /// The regions, as this node knows them.
    RegionList,
    /// The nodes of all regions, as this node knows them.
    NodeList,
    /// This node: identity, role, ledger heads, object digests, counts.
    Status,
    /// The cluster's founding document, as its authority signed it.
    Genesis,
    /// The manifest's segments.
    ManifestShow(ManifestShow),
    /// Takes a node off its region's roster. That region does so, whoever is asked.
    NodeRemove(NodeRemove),
    /// Lets a new node take a lost one's place under its name, as `NodeRemove`.
    NodeReplace(NodeReplace),
    /// Opens the name of a node that was removed for a new node, as `NodeRemove`.
    NodeReadmit(NodeReadmit),
    /// Brings back the records that a region's disks lost and other regions kept. That region does so, whoever is asked.
    RegionRecover(RegionRecover),
}

impl Request {
    /// Whether the request changes anything.
    #[must_use]
    pub fn writes(&self) -> bool {
        matches!(
            self,
            Self::Append(_)
                | Self::ObjectEdit(_)
                | Self::NamespaceCreate(_)
                | Self::NamespaceRename(_)
                | Self::NamespaceDelete(_)
                | Self::NodeRemove(_)
                | Self::NodeReplace(_)
                | Self::NodeReadmit(_)
        )
    }

    /// The least role that may ask this.
    #[must_use]
    pub fn role(&self) -> Role {
        match self {
            Self::NamespaceCreate(_)
            | Self::NamespaceRename(_)
            | Self::NamespaceDelete(_)
            | Self::NodeRemove(_)
            | Self::NodeReplace(_)
            | Self::NodeReadmit(_)
            | Self::RegionRecover(_) => Role::Admin,
            request if request.writes() => Role::Writer,
            _ => Role::Reader,
        }
    }
}
