//! Which condition did not hold.
//!
//! Some the caller set itself, on the key or object that it writes: it can read that again and decide anew. Others are no condition
//! of the caller's, and reading again changes nothing. Both come as [`RequestError::Conflict`], so it carries which it was.

use serde::{Deserialize, Serialize};
use trine_crdt::{NodeId, RegionId, Timestamp};

use crate::RequestError;

/// What stands against a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Conflict {
    /// The key's latest version is another than an append asked for.
    #[error("{}", version(.region, *.latest))]
    Version {
        /// In whose ledger.
        region: RegionId,
        /// The index of the key's latest version there; none: it has none.
        latest: Option<u64>,
    },
    /// There is an object where an edit wanted none.
    #[error("there is such an object")]
    ObjectThere,
    /// There is no object where an edit wanted one.
    #[error("there is no such object")]
    NoObject,
    /// The object is another than an edit wanted.
    #[error("the object has another digest at this node: read it again")]
    ObjectChanged,
    /// The idempotency key was used for another append.
    #[error("the idempotency key stands for another append, record {index} of {region}")]
    IdempotencyKey {
        /// Whose ledger.
        region: RegionId,
        /// The record that the other append made.
        index: u64,
    },
    /// The node that is to be given up answers.
    #[error(
        "{name} ({node}) answers; it has been registered since {}. A replacement is for a node that is lost: to take this one \
         away, remove it; with --force it is given up all the same",
        .since.utc()
    )]
    NodeAnswers {
        /// Its name.
        name: String,
        /// The node.
        node: NodeId,
        /// Since when it is registered.
        since: Timestamp,
    },
    /// The name that is to be opened is a node's.
    #[error("the name {name} is not closed: it is that of the node {node}")]
    NameTaken {
        /// The name.
        name: String,
        /// The node that has it.
        node: NodeId,
    },
}

impl Conflict {
    /// Whether it is one of the conditions that the caller set on what it writes.
    #[must_use]
    pub fn of_precondition(&self) -> bool {
        match self {
            Self::Version { .. } | Self::ObjectThere | Self::NoObject | Self::ObjectChanged => true,
            Self::IdempotencyKey { .. } | Self::NodeAnswers { .. } | Self::NameTaken { .. } => false,
        }
    }
}

impl From<Conflict> for RequestError {
    fn from(what: Conflict) -> Self {
        Self::Conflict { what }
    }
}

fn version(region: &RegionId, latest: Option<u64>) -> String {
    match latest {
        Some(index) => format!("the key's latest version in {region} is record {index}"),
        None => format!("the key has no version in {region}"),
    }
}
