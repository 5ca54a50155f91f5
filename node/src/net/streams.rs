//! Streams per connection: the link that a dialler opens, and what the other side opens.
//!
//! `libp2p-stream` opens a stream on any connection of a peer. After a cut a peer may have several, of which all but
//! one are dead and do not know it yet; the link must be opened on the connection that has just been made, and be
//! closed with it. So this behaviour names the connection of each stream. It takes every incoming stream; whether
//! the peer may open it is decided by whoever owns the swarm.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll, Waker};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::handler::{
    ConnectionEvent, ConnectionHandlerEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, Stream,
    StreamProtocol, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

use super::limits::STREAMS_PER_CONNECTION_MAX;

/// The stream protocol of links.
pub(super) const LINK: StreamProtocol = StreamProtocol::new("/trine/link/1");
/// The stream protocol of clients.
pub(super) const CLIENT: StreamProtocol = StreamProtocol::new(trine_protocol::frame::CLIENT_PROTOCOL);

/// A stream that was opened, by us (links only) or by the peer.
#[derive(Debug)]
pub(super) struct Opened {
    pub peer: PeerId,
    pub connection: ConnectionId,
    /// None: our link could not be opened.
    pub stream: Option<(StreamProtocol, Stream)>,
    pub ours: bool,
}

/// Opens links and takes streams.
#[derive(Default)]
pub(super) struct Behaviour {
    pending: VecDeque<ToSwarm<Opened, Open>>,
    waker: Option<Waker>,
}

/// Tells a connection to open the link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open;

impl Behaviour {
    /// Opens the link on a connection.
    pub fn open_link(&mut self, peer_id: PeerId, connection: ConnectionId) {
        let handler = NotifyHandler::One(connection);
        self.pending.push_back(ToSwarm::NotifyHandler { peer_id, handler, event: Open });
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Opened;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn on_swarm_event(&mut self, _: FromSwarm) {}

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        let HandlerEvent { stream, ours } = event;
        self.pending.push_back(ToSwarm::GenerateEvent(Opened { peer, connection, stream, ours }));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        match self.pending.pop_front() {
            Some(event) => Poll::Ready(event),
            None => {
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// A stream on one connection.
#[derive(Debug)]
pub(super) struct HandlerEvent {
    stream: Option<(StreamProtocol, Stream)>,
    ours: bool,
}

/// One connection's streams.
#[derive(Default)]
pub(super) struct Handler {
    open: bool,
    taken: usize,
    events: VecDeque<HandlerEvent>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = HandlerEvent;
    type InboundProtocol = Protocols;
    type OutboundProtocol = Protocols;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Protocols> {
        // A connection that opened its share of streams is offered nothing more.
        let offered = if self.taken < STREAMS_PER_CONNECTION_MAX { vec![LINK, CLIENT] } else { Vec::new() };
        SubstreamProtocol::new(Protocols(offered), ())
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Protocols, (), HandlerEvent>> {
        if std::mem::take(&mut self.open) {
            let protocol = SubstreamProtocol::new(Protocols(vec![LINK]), ());
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        match self.events.pop_front() {
            Some(event) => Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event)),
            None => Poll::Pending,
        }
    }

    fn on_behaviour_event(&mut self, Open: Open) {
        self.open = true;
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<Protocols, Protocols>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                self.taken += 1;
                self.events.push_back(HandlerEvent { stream: Some(protocol), ours: false });
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, .. }) => {
                self.events.push_back(HandlerEvent { stream: Some(protocol), ours: true });
            }
            ConnectionEvent::DialUpgradeError(_) => {
                self.events.push_back(HandlerEvent { stream: None, ours: true });
            }
            _ => {}
        }
    }
}

/// The negotiation of one of several stream protocols, without a handshake of its own.
#[derive(Debug, Clone)]
pub(super) struct Protocols(Vec<StreamProtocol>);

impl UpgradeInfo for Protocols {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Protocols {
    type Output = (StreamProtocol, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((protocol, stream)))
    }
}

impl OutboundUpgrade<Stream> for Protocols {
    type Output = (StreamProtocol, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((protocol, stream)))
    }
}
