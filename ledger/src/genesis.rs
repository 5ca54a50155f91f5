//! What a cluster was founded with: its regions, their log keys and first nodes, signed by the cluster's CA.

use serde::{Deserialize, Serialize};
use trine_crdt::RegionId;

/// The founding document. It travels as signed bytes; see the functions of this module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The cluster's id: 32 hexadecimal digits, drawn once.
    pub cluster: String,
    /// The regions, in order.
    pub regions: Vec<GenesisRegion>,
}

/// One region at the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisRegion {
    /// Its id.
    pub id: RegionId,
    /// The Ed25519 public key that signs its ledger's checkpoints.
    #[serde(with = "serde_bytes")]
    pub log_key: [u8; 32],
    /// The nodes that found its Raft group, all of them.
    pub nodes: Vec<GenesisNode>,
}

/// One founding node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisNode {
    /// Its name, such as `us-east-1-a`.
    pub name: String,
    /// Its libp2p peer id.
    pub peer: String,
    /// Its libp2p addresses.
    pub addresses: Vec<String>,
    /// Where its Raft connections arrive, `host:port`.
    pub raft: String,
}
