//! What the driver holds of the network.

use bytes::Bytes;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::mpsc;
use trine_crdt::NodeId;
use trine_replica::PeerMessage;
use trine_replica::effect::PeerAddress;

use super::config::{NetConfig, StartError};
use super::event::NetEvent;

/// The network of one node.
pub struct Net;

/// Sends, publishes and connects. Clones speak for the same network; nothing here ever waits for a peer.
#[derive(Clone)]
pub struct NetHandle {
    listening: Vec<Multiaddr>,
    peer: PeerId,
}

impl Net {
    /// Starts listening and dialling.
    ///
    /// # Errors
    /// [`StartError`] when the own certificate is not acceptable or an address cannot be listened on.
    pub async fn start(config: NetConfig) -> Result<(NetHandle, mpsc::Receiver<NetEvent>), StartError> {
        let _ = config;
        Err(StartError::Transport { what: "not there yet".to_owned() })
    }
}

impl NetHandle {
    /// Queues a message for a peer. Without a link, or with a full queue, it is dropped and counted.
    pub fn send(&self, to: NodeId, message: &PeerMessage) {
        let _ = (to, message);
    }

    /// Publishes to all nodes by gossip; nothing happens when gossip is off. May be lost.
    pub fn publish(&self, bytes: Bytes) {
        let _ = bytes;
    }

    /// Replaces the nodes to be connected with; seeds and discovered nodes stay.
    pub fn set_peers(&self, peers: Vec<PeerAddress>) {
        let _ = peers;
    }

    /// The nodes that a link stands with.
    #[must_use]
    pub fn connected(&self) -> Vec<NodeId> {
        Vec::new()
    }

    /// Where the network listens, with ports filled in.
    #[must_use]
    pub fn listening(&self) -> &[Multiaddr] {
        &self.listening
    }

    /// This node's libp2p peer id.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Closes all connections and ends the network's tasks.
    pub async fn shutdown(&self) {}
}
