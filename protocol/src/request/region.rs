//! Requests about regions: their segments, their rosters, and what they lost.

use serde::{Deserialize, Serialize};
use trine_crdt::{NodeId, RegionId};

/// The manifest's segments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestShow {
    /// Only this region's.
    pub region: Option<RegionId>,
}

/// Takes a node off its region's roster. That region does so, whoever is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRemove {
    /// The node.
    pub node: NodeId,
    /// Also when those that would be left could not go on with the nodes that answer now: it leaves once they can.
    pub force: bool,
}

/// Lets a new node take a lost one's place under its name, as `NodeRemove`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReplace {
    /// The lost node.
    pub node: NodeId,
    /// Also when it answers, and as with `NodeRemove`.
    pub force: bool,
}

/// Opens the name of a node that was removed for a new node, as `NodeRemove`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReadmit {
    /// The name.
    pub name: String,
}

/// Brings back the records that a region's disks lost and other regions kept. That region does so, whoever is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionRecover {
    /// Which.
    pub region: RegionId,
}
