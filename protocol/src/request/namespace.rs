//! Requests about namespaces.

use serde::{Deserialize, Serialize};

use super::NamespaceKind;

/// Creates a namespace, in this region's ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceCreate {
    /// Its label.
    pub name: String,
    /// What it holds; fixed.
    pub kind: NamespaceKind,
    /// How many partitions (objects); a power of two, fixed. None: 256.
    pub slots: Option<u32>,
}

/// The namespaces of a label or an id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceShow {
    /// A label or an id.
    pub namespace: String,
}

/// Gives a namespace another label; its id stays, and what it holds with it. The region that created it does so, whoever
/// is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceRename {
    /// Its label or id.
    pub namespace: String,
    /// Its label from now on.
    pub name: String,
}

/// Deletes a namespace: its label is free, and what it holds is read and written no more. The region that created it does
/// so, whoever is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceDelete {
    /// Its label or id.
    pub namespace: String,
    /// Also while it holds objects or records.
    pub force: bool,
    /// Whether a node that mirrors the other regions' ledgers has found no record of it. Nodes say so to each other; a
    /// client says that it has not.
    pub vetted: bool,
}
