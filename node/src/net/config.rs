//! What the network is started with.

use std::sync::Arc;

use bytes::Bytes;
use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use trine_crdt::NodeId;
use trine_identity::admission::{Claims, Refusal, Verify};

use super::frame::Reached;
use super::process::Process;

/// Called with what a peer's certificate claims and where it says that its Raft connections arrive, whenever a link is made.
pub type Told = Arc<dyn Fn(&Claims, &str) + Send + Sync>;

/// What the network is started with.
#[derive(Clone)]
pub struct NetConfig {
    /// The node's disk.
    pub node: NodeId,
    /// This process.
    pub process: Process,
    /// The node's Ed25519 key: its libp2p key and the key of its certificate.
    pub keypair: Keypair,
    /// The node's certificate, DER. Cluster, region and name stand in it.
    pub certificate: Bytes,
    /// Checks other certificates.
    pub verify: Arc<dyn Verify>,
    /// Where to listen.
    pub listen: Vec<Multiaddr>,
    /// Where this node is reached; peers are told so.
    pub reached: Reached,
    /// Hears where peers are reached.
    pub told: Told,
    /// Nodes to be connected with whatever the core says, with or without `/p2p/…`.
    pub seeds: Vec<Multiaddr>,
    /// Whether metadata also spreads by gossipsub; without it only by repair, later.
    pub gossip: bool,
    /// Whether nodes of the local network are found by multicast DNS.
    pub mdns: bool,
    /// The most incoming connections.
    pub incoming_max: usize,
}

/// Why the network could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The node's own certificate would be refused by its peers.
    #[error("this node's own certificate is not acceptable: {0}")]
    Certificate(#[from] Refusal),
    /// The transport could not be made.
    #[error("libp2p: {what}")]
    Transport {
        /// What failed.
        what: String,
    },
    /// An address could not be listened on.
    #[error("cannot listen on {address}: {what}")]
    Listen {
        /// Which.
        address: Multiaddr,
        /// Why.
        what: String,
    },
}
