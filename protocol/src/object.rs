//! What a client does to an object, and what it sees of one.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use trine_crdt::Timestamp;

/// One change of an object. The first change of a key decides its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// Adds to a counter; negative subtracts.
    Increment(i64),
    /// Sets a register; the latest by hybrid time wins.
    Set(Bytes),
    /// Puts into a multi-value register; concurrent values are all kept until the next put.
    Put(Bytes),
    /// Adds an element to a set; an add wins over a concurrent remove.
    Add(Bytes),
    /// Removes an element from a set.
    Remove(Bytes),
    /// Changes the value under a name of a map.
    Field {
        /// The name.
        name: String,
        /// The change there.
        edit: Box<Edit>,
    },
    /// Removes a name of a map, as far as this node has seen it.
    RemoveField(String),
    /// Removes the whole object, as far as this node has seen it.
    Delete,
}

/// What an object looks like to a reader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// A counter's total.
    Counter(i64),
    /// A register's latest value.
    Register(Bytes),
    /// A multi-value register's values, sorted.
    MultiValue(Vec<Bytes>),
    /// A set's elements, sorted.
    Set(Vec<Bytes>),
    /// A map's names and what stands under each. Where two regions made two kinds under one name, both stand.
    Map(BTreeMap<String, Vec<View>>),
}

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// A sum of increments.
    Counter,
    /// The latest value.
    Register,
    /// All concurrent values.
    MultiValue,
    /// Elements.
    Set,
    /// Names, and objects under them.
    Map,
}

impl View {
    /// What kind of object looks like this.
    #[must_use]
    pub fn kind(&self) -> ObjectKind {
        match self {
            Self::Counter(_) => ObjectKind::Counter,
            Self::Register(_) => ObjectKind::Register,
            Self::MultiValue(_) => ObjectKind::MultiValue,
            Self::Set(_) => ObjectKind::Set,
            Self::Map(_) => ObjectKind::Map,
        }
    }
}

/// An object as listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectEntry {
    /// Its key.
    pub key: String,
    /// What it is.
    pub object: ObjectView,
}

/// A page of objects.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectPage {
    /// The objects.
    pub objects: Vec<ObjectEntry>,
    /// Where to go on, when there may be more.
    pub next: Option<String>,
}

/// An object as read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectView {
    /// What it holds: one view, or several where regions made several kinds under one key at the same time.
    pub views: Vec<View>,
    /// The latest stamp that touched it.
    pub timestamp: Timestamp,
    /// BLAKE3 of the object's canonical encoding: equal on nodes that hold the same.
    #[serde(with = "serde_bytes")]
    pub digest: [u8; 32],
}
