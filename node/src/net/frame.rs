//! What travels on a link.
//!
//! A frame is a length and one codec value (see [`trine_client::framing`]). The first in each direction is the hello;
//! after it, heartbeats, their echoes, and messages of the core. The hello keeps its shape for ever, since whoever knows an older
//! version must read it: what a newer one has to say besides goes into frames after it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use trine_crdt::{NodeId, VersionRange};
use trine_replica::PeerMessage;

/// The versions of the conversation on links that this program speaks. The newest that both ends know is spoken.
pub const LINK_VERSIONS: VersionRange = VersionRange { lowest: 1, highest: 1 };

/// The first frame in each direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkHello {
    /// The versions of the conversation that the sender speaks.
    pub versions: VersionRange,
    /// The format levels that the sender reads.
    pub levels: VersionRange,
    /// The cluster's id.
    pub cluster: String,
    /// The sender's disk.
    pub node: NodeId,
    /// The sender's certificate, DER; the one that admission saw.
    pub certificate: Bytes,
    /// Drawn when the sender's process started: another one means that it was restarted, or that two claim one disk.
    pub process: u64,
    /// For how long the sender's process has run, in milliseconds.
    pub running_ms: u64,
    /// Rises with each link that the sender opens.
    pub number: u64,
    /// Where the sender is reached from now on.
    pub reached: Reached,
}

/// Where a node is reached, as it says itself. On a link that is as good as signed: the link's certificate is the node's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reached {
    /// Libp2p addresses, with or without `/p2p/…`.
    pub libp2p: Vec<String>,
    /// Where Raft connections arrive, `host:port`.
    pub raft: String,
}

/// Every later frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "is written or taken apart at once")]
pub enum LinkFrame {
    /// The sender lives; to be echoed.
    Beat(u64),
    /// The answer to a beat.
    Echo(u64),
    /// A message of the core.
    Message(Box<PeerMessage>),
    /// The sender hears the receiver's node from a process that began earlier. Nothing follows.
    Taken,
}

/// [`LinkFrame::Message`] as it is written, without a copy of the message.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkFrameRef<'a> {
    /// A message of the core.
    Message(&'a PeerMessage),
}
