//! A behaviour that only nodes take part in.
//!
//! Gossip is among nodes. A client's connection, admitted as it is, gets no gossip handler, and gossip never learns
//! of it. The connections that we dial are all to nodes: admission refuses anybody else at the other end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{Context, Poll};

use either::Either;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    dummy,
};
use libp2p::{Multiaddr, PeerId};
use trine_identity::admission::Gate;
use trine_protocol::Role;

/// Keeps everybody but nodes away from the behaviour within.
pub(super) struct NodesOnly<B> {
    pub inner: B,
    gate: Arc<Gate>,
    kept_away: BTreeSet<ConnectionId>,
}

impl<B> NodesOnly<B> {
    pub fn new(inner: B, gate: Arc<Gate>) -> Self {
        Self { inner, gate, kept_away: BTreeSet::new() }
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for NodesOnly<B> {
    type ConnectionHandler = Either<THandler<B>, dummy::ConnectionHandler>;
    type ToSwarm = B::ToSwarm;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if self.gate.admitted(&peer).is_some_and(|admitted| admitted.claims.role == Role::Node) {
            self.inner.handle_established_inbound_connection(connection, peer, local, remote).map(Either::Left)
        } else {
            self.kept_away.insert(connection);
            Ok(Either::Right(dummy::ConnectionHandler))
        }
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role_override: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner
            .handle_established_outbound_connection(connection, peer, address, role_override, port_use)
            .map(Either::Left)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match &event {
            FromSwarm::ConnectionEstablished(made) if self.kept_away.contains(&made.connection_id) => {}
            FromSwarm::ConnectionClosed(closed) if self.kept_away.remove(&closed.connection_id) => {}
            FromSwarm::AddressChange(change) if self.kept_away.contains(&change.connection_id) => {}
            FromSwarm::ListenFailure(failed) if self.kept_away.remove(&failed.connection_id) => {}
            _ => self.inner.on_swarm_event(event),
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {
            Either::Left(event) => self.inner.on_connection_handler_event(peer, connection, event),
            Either::Right(nothing) => match nothing {},
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.inner.poll(cx).map(|event| event.map_in(Either::Left))
    }
}
