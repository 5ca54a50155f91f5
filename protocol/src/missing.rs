//! What a request asked for and is not there.
//!
//! That there is no such key is an answer that many callers expect; that there is no such namespace is a mistake of theirs, or
//! news that has not reached the node yet. Both come as [`RequestError::NotFound`], so it carries what is missing as data: whoever
//! has to tell them apart matches on it and compares no words.

use serde::{Deserialize, Serialize};
use trine_crdt::{NodeId, RegionId};

use crate::RequestError;

/// What is missing; the text names it, as in "… not found".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The namespace is there, and no ledger known here has a record of the key in it.
    #[error("key {key}")]
    Key {
        /// The key.
        key: String,
    },
    /// The namespace is there, and holds no object under the key.
    #[error("object {key}")]
    Object {
        /// The key.
        key: String,
    },
    /// There is no such namespace, or none any more.
    #[error("namespace {namespace}{}", if *.deleted { " (it was deleted)" } else { "" })]
    Namespace {
        /// The label or id that was asked for.
        namespace: String,
        /// Whether it was deleted, as far as the node knows.
        deleted: bool,
    },
    /// The ledger has no such record, as far as the node holds it.
    #[error("record {index} of {region}")]
    Record {
        /// Whose ledger.
        region: RegionId,
        /// The record's index there.
        index: u64,
    },
    /// No signed checkpoint of the ledger is known: it has no record yet, or the node has not heard of one.
    #[error("checkpoint of {region}")]
    Checkpoint {
        /// Whose ledger.
        region: RegionId,
    },
    /// The ledger is another region's, and only that region can do what was asked.
    #[error("the ledger of {region} here: ask a node of {region}")]
    Ledger {
        /// Whose ledger.
        region: RegionId,
    },
    /// The cluster has no such region.
    #[error("region {region}")]
    Region {
        /// Its name.
        region: RegionId,
    },
    /// The node holds no founding document.
    #[error("the genesis document at this node")]
    Genesis,
    /// The node is on no roster.
    #[error("{}", off_the_roster(*.node, .region, *.left))]
    Node {
        /// The node.
        node: NodeId,
        /// The region whose ledger was asked.
        region: RegionId,
        /// Whether it was on that region's roster before.
        left: bool,
    },
    /// No name of the region is kept closed like that: no node was removed under it, or another one has it.
    #[error("a removed node named {name} in {region}")]
    ClosedName {
        /// The name.
        name: String,
        /// The region whose ledger was asked.
        region: RegionId,
    },
}

impl Missing {
    /// A namespace of which nothing is known.
    #[must_use]
    pub fn namespace(namespace: impl ToString) -> Self {
        Self::Namespace { namespace: namespace.to_string(), deleted: false }
    }
}

impl From<Missing> for RequestError {
    fn from(what: Missing) -> Self {
        Self::NotFound { what }
    }
}

fn off_the_roster(node: NodeId, region: &RegionId, left: bool) -> String {
    if left {
        format!("node {node} on the roster (it has left, and another one may have its name by now)")
    } else {
        format!("node {node} on the roster of {region}, or on any other that is known there")
    }
}
