//! What became of an entry and its commands: what the core answers clients with and what it stores.

use trine_crdt::{NamespaceId, NodeId, Timestamp};

use crate::form::FormError;
use crate::record::{RecordError, RecordHeader};
use crate::registry::NamespaceRecord;
use crate::segment::SegmentInfo;
use crate::tree::{Hash, TreeNode};

/// What an entry did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// What became of each command, in their order.
    pub applied: Vec<Applied>,
    /// Tree nodes that became complete, to be stored.
    pub nodes: Vec<TreeNode>,
    /// Rows of the idempotency table that come and go, in order.
    pub changes: Vec<Change>,
    /// Whether the registry changed (its bytes are to be stored again).
    pub registry_changed: bool,
}

/// A row of the idempotency table that comes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Store the row under its key and its number; it replaces an older row of that key.
    Remember {
        /// The key.
        key: [u8; 32],
        /// What it stands for.
        row: Remembered,
    },
    /// Delete the number's row, and the key's unless that bears a later number by now.
    Forget {
        /// The row's number.
        number: u64,
        /// The key.
        key: [u8; 32],
    },
}

/// What became of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// A record exists.
    Record(Box<AppliedRecord>),
    /// The idempotency key was seen before; this is the first append's record.
    Duplicate {
        /// Its index.
        index: u64,
        /// Its stamp.
        stamp: Timestamp,
        /// Its leaf hash.
        leaf: Hash,
    },
    /// The key's latest version is another.
    ConditionFailed {
        /// The index of its record, when there is one.
        actual: Option<u64>,
    },
    /// A node is on the roster; with equal contents as before when the epoch is an earlier one.
    Registered {
        /// Which.
        node: NodeId,
        /// The node that had its name, retired by this.
        displaced: Option<NodeId>,
        /// The roster's epoch.
        epoch: u64,
    },
    /// The registry is what it was told to have been, and counts on from there.
    Resumed,
    /// A node is off the roster for good.
    Removed {
        /// Which.
        node: NodeId,
        /// Whether its name is open for another disk.
        replaceable: bool,
        /// The roster's epoch.
        epoch: u64,
    },
    /// A lost majority is written off.
    Recovered(crate::registry::Recovery),
    /// A namespace exists, or has another name now.
    Namespace(NamespaceRecord),
    /// A namespace is deleted.
    NamespaceDeleted(NamespaceId),
    /// A segment is sealed.
    Sealed(SegmentInfo),
    /// Nothing changed.
    Refused(Refusal),
}

/// A record that came to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedRecord {
    /// Its index in the ledger.
    pub index: u64,
    /// The command's number in its entry: with the log index, where the record's bytes are.
    pub command: u32,
    /// Its header.
    pub header: RecordHeader,
    /// Its leaf hash.
    pub leaf: Hash,
    /// Its key.
    pub key: String,
    /// The bytes of its canonical form.
    pub bytes: u64,
}

/// Why a command changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its stamp is not above the last one.
    #[error("the stamp {found} is not above {last}")]
    StampNotAbove {
        /// The last stamp applied.
        last: Timestamp,
        /// The command's.
        found: Timestamp,
    },
    /// The record to be put back has another index than the next one.
    #[error("record {found} cannot be put back where record {size} comes next")]
    OtherIndex {
        /// The index that comes next.
        size: u64,
        /// The record's.
        found: u64,
    },
    /// Its record is none.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The namespace holds objects.
    #[error("the namespace {id} holds objects, not records")]
    NotLedger {
        /// The namespace.
        id: NamespaceId,
    },
    /// Too many idempotency keys are remembered.
    #[error("too many idempotency keys are remembered")]
    IdempotencyFull,
    /// The node was retired.
    #[error("the node {node} was retired and does not return")]
    NodeRetired {
        /// The node.
        node: NodeId,
    },
    /// The name's node was removed and not replaced.
    #[error("the name is closed since its node {node} was removed")]
    NameClosed {
        /// The removed node.
        node: NodeId,
    },
    /// The node is registered under another name.
    #[error("the node is registered as `{name}`")]
    OtherName {
        /// That name.
        name: String,
    },
    /// Another node writes under this incarnation.
    #[error("another node has this incarnation")]
    WriterTaken,
    /// No such node is on the roster.
    #[error("the node {node} is not on the roster")]
    UnknownNode {
        /// The node.
        node: NodeId,
    },
    /// The region has a namespace of this name.
    #[error("a namespace of this name exists: {id}")]
    NamespaceExists {
        /// Its id.
        id: NamespaceId,
    },
    /// This region has created no such namespace, or has deleted it.
    #[error("there is no namespace {id} of this region, or none any more")]
    UnknownNamespace {
        /// The id.
        id: NamespaceId,
    },
    /// The namespace is one of those that every cluster has from its start.
    #[error("the namespace {id} is there from the start and stays as it is")]
    GenesisNamespace {
        /// Its id.
        id: NamespaceId,
    },
    /// The entry creates two namespaces, which would share an id.
    #[error("one entry creates one namespace")]
    SecondNamespace,
    /// A bound is reached.
    #[error("no more of these fit")]
    Full,
    /// No record since the last seal.
    #[error("no record since the last seal")]
    NothingToSeal,
}

/// What an idempotency key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// The number of the row; rises by one.
    pub number: u64,
    /// The record's index.
    pub index: u64,
    /// Its stamp.
    pub stamp: Timestamp,
    /// Its leaf hash.
    pub leaf: Hash,
}

impl From<FormError> for Refusal {
    fn from(error: FormError) -> Self {
        Self::Record(RecordError::Form(error))
    }
}
