//! What the network tells the driver.

use bytes::Bytes;
use libp2p::Multiaddr;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use trine_crdt::NodeId;
use trine_protocol::reply::Answer;
use trine_protocol::request::Options;
use trine_protocol::{Request, RequestError, Role};
use trine_replica::PeerMessage;
use trine_replica::input::Peer;

/// What the network tells the driver, in the order in which it happened per peer.
#[derive(Debug)]
pub enum NetEvent {
    /// A link to a peer stands. Comes once before anything of that peer, and again after each `PeerDown`.
    PeerUp(Peer),
    /// The link is gone.
    PeerDown(NodeId),
    /// For a while peers have said nothing but that this node answers from another process: this one runs on a copy of its disk.
    Taken {
        /// Who said so last.
        by: Peer,
    },
    /// A peer's message.
    Message {
        /// Who sent it.
        from: NodeId,
        /// What it says.
        message: PeerMessage,
        /// The memory it takes; give it back by dropping it once the message is dealt with.
        room: Room,
    },
    /// A rumor by gossip.
    Rumor {
        /// Its author.
        from: NodeId,
        /// What was published.
        bytes: Bytes,
    },
    /// A client asks.
    Request {
        /// What the caller's certificate allows.
        role: Role,
        /// The caller's name, as its certificate says.
        caller: String,
        /// How it wants to be served.
        options: Options,
        /// The request.
        request: Request,
        /// Where the answer goes. Dropped without an answer, the client is told that none will come.
        reply: oneshot::Sender<Result<Answer, RequestError>>,
        /// The memory the request takes.
        room: Room,
    },
    /// Multicast DNS found a node, which will be dialled.
    Discovered {
        /// Where.
        address: Multiaddr,
    },
}

/// The memory that something received takes; a bounded sum of it is handed out.
#[derive(Debug)]
pub struct Room(#[expect(dead_code, reason = "held for its drop")] pub(super) Vec<OwnedSemaphorePermit>);
