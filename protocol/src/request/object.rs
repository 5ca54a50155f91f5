//! Requests about objects.

use serde::{Deserialize, Serialize};

use crate::{Edit, ObjectKind};

/// Reads an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectGet {
    /// An objects namespace.
    pub namespace: String,
    /// The key.
    pub key: String,
}

/// The objects whose keys have a prefix, in key order. A page may hold fewer than asked for, or none, while there are more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectList {
    /// An objects namespace.
    pub namespace: String,
    /// The keys' prefix.
    pub prefix: String,
    /// Only objects of this kind.
    pub kind: Option<ObjectKind>,
    /// Start after this key.
    pub after: Option<String>,
    /// At most this many.
    pub limit: u32,
}

/// Changes an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectEdit {
    /// An objects namespace.
    pub namespace: String,
    /// The key.
    pub key: String,
    /// The change.
    pub edit: Edit,
}
