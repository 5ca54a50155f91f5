//! What a client may ask.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use trine_crdt::{NodeId, RegionId};

use crate::{Consistency, Durability, Edit, ObjectKind, SessionToken};

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
    Append {
        /// A ledger namespace.
        namespace: String,
        /// The key.
        key: String,
        /// The value.
        value: Bytes,
        /// The value's media type.
        content_type: String,
        /// Names and values that travel with the record.
        metadata: BTreeMap<String, String>,
        /// The same key within ten minutes returns the first append's answer.
        idempotency_key: Option<String>,
        /// Appends only when the key's latest version in this region's ledger is this record (0 records before: none).
        if_match: Option<Precondition>,
        /// Whether the answer carries an inclusion proof.
        with_proof: bool,
    },
    /// Reads the latest version of a key, over all regions' ledgers.
    LedgerGet {
        /// A ledger namespace.
        namespace: String,
        /// The key.
        key: String,
        /// Whether the answer carries an inclusion proof.
        with_proof: bool,
    },
    /// Reads one record by its place.
    LedgerRecord {
        /// Whose ledger.
        region: RegionId,
        /// The record's index there.
        index: u64,
        /// Whether the answer carries an inclusion proof.
        with_proof: bool,
    },
    /// All versions of a key, oldest first by hybrid time.
    LedgerHistory {
        /// A ledger namespace.
        namespace: String,
        /// The key.
        key: String,
        /// Where to go on; from the last page.
        after: Option<String>,
        /// At most so many.
        limit: u32,
    },
    /// The latest versions of the keys with a prefix, in key order.
    LedgerRange {
        /// A ledger namespace.
        namespace: String,
        /// The keys' prefix.
        prefix: String,
        /// Start after this key.
        after: Option<String>,
        /// At most so many.
        limit: u32,
    },
    /// The latest signed checkpoint known of a region's ledger.
    Checkpoint {
        /// Whose ledger.
        region: RegionId,
    },
    /// Proof that a later checkpoint extends an earlier one.
    Consistency {
        /// Whose ledger.
        region: RegionId,
        /// The earlier size.
        from: u64,
        /// The later size.
        to: u64,
    },
    /// Reads an object.
    ObjectGet {
        /// An objects namespace.
        namespace: String,
        /// The key.
        key: String,
    },
    /// The objects whose keys have a prefix, in key order. A page may hold fewer than asked for, or none, while there are more.
    ObjectList {
        /// An objects namespace.
        namespace: String,
        /// The keys' prefix.
        prefix: String,
        /// Only objects of this kind.
        kind: Option<ObjectKind>,
        /// Start after this key.
        after: Option<String>,
        /// At most so many.
        limit: u32,
    },
    /// Changes an object.
    ObjectEdit {
        /// An objects namespace.
        namespace: String,
        /// The key.
        key: String,
        /// The change.
        edit: Edit,
    },
    /// Creates a namespace, in this region's ledger.
    NamespaceCreate {
        /// Its label.
        name: String,
        /// What it holds; fixed.
        kind: NamespaceKind,
        /// How many partitions (objects); a power of two, fixed. None: 256.
        slots: Option<u32>,
    },
    /// All namespaces.
    NamespaceList,
    /// The namespaces of a label or an id.
    NamespaceShow {
        /// A label or an id.
        namespace: String,
    },
    /// Gives a namespace another label; its id stays, and what it holds with it. The region that created it does so, whoever
    /// is asked.
    NamespaceRename {
        /// Its label or id.
        namespace: String,
        /// Its label from now on.
        name: String,
    },
    /// Deletes a namespace: its label is free, and what it holds is read and written no more. The region that created it does
    /// so, whoever is asked.
    NamespaceDelete {
        /// Its label or id.
        namespace: String,
        /// Also while it holds objects or records.
        force: bool,
        /// Whether a node that mirrors the other regions' ledgers has found no record of it. Nodes say so to each other; a
        /// client says that it has not.
        vetted: bool,
    },
    /// The regions, as this node knows them.
    RegionList,
    /// The nodes of all regions, as this node knows them.
    NodeList,
    /// This node: identity, role, ledger heads, object digests, counts.
    Status,
    /// The cluster's founding document, as its authority signed it.
    Genesis,
    /// The manifest's segments.
    ManifestShow {
        /// Only this region's.
        region: Option<RegionId>,
    },
    /// Takes a node off its region's roster. That region does so, whoever is asked.
    NodeRemove {
        /// The node.
        node: NodeId,
        /// Also when those that would be left could not go on with the nodes that answer now: it leaves once they can.
        force: bool,
    },
    /// Lets a new node take a lost one's place under its name, as `NodeRemove`.
    NodeReplace {
        /// The lost node.
        node: NodeId,
        /// Also when it answers, and as with `NodeRemove`.
        force: bool,
    },
    /// Opens the name of a node that was removed for a new node, as `NodeRemove`.
    NodeReadmit {
        /// The name.
        name: String,
    },
    /// Brings back the records that a region's disks lost and other regions kept. That region does so, whoever is asked.
    RegionRecover {
        /// Which.
        region: RegionId,
    },
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

impl Request {
    /// Whether the request changes anything.
    #[must_use]
    pub fn writes(&self) -> bool {
        matches!(
            self,
            Self::Append { .. }
                | Self::ObjectEdit { .. }
                | Self::NamespaceCreate { .. }
                | Self::NamespaceRename { .. }
                | Self::NamespaceDelete { .. }
                | Self::NodeRemove { .. }
                | Self::NodeReplace { .. }
                | Self::NodeReadmit { .. }
        )
    }

    /// The least role that may ask this.
    #[must_use]
    pub fn role(&self) -> Role {
        match self {
            Self::NamespaceCreate { .. }
            | Self::NamespaceRename { .. }
            | Self::NamespaceDelete { .. }
            | Self::NodeRemove { .. }
            | Self::NodeReplace { .. }
            | Self::NodeReadmit { .. }
            | Self::RegionRecover { .. } => Role::Admin,
            request if request.writes() => Role::Writer,
            _ => Role::Reader,
        }
    }
}
