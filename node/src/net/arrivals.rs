//! Places of incoming connections: nodes always find one.
//!
//! Who has not shown a certificate yet is quiet and goes when others come ([`Seats`]); who has, keeps its place. Clients,
//! of whom there may be any number, have three quarters of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    dummy,
};
use libp2p::{Multiaddr, PeerId};
use trine_client::transport::{Place, Usher};
use trine_identity::admission::Gate;
use trine_protocol::Role;
use trine_seats::{Seat, Seats, Work};

/// Incoming connections, admitted or not; clones share them.
#[derive(Clone)]
pub(super) struct Arrivals {
    seats: Seats,
    here: Arc<Mutex<BTreeMap<Multiaddr, Arrived>>>,
}

struct Arrived {
    place: Arc<trine_seats::Place>,
    admitted: Option<Work>,
}

/// One incoming connection's place.
struct Held {
    arrivals: Arrivals,
    address: Multiaddr,
    seat: Seat,
}

impl Arrivals {
    /// This many places.
    pub fn new(places: usize) -> Self {
        Self { seats: Seats::new(places, 0), here: Arc::default() }
    }

    /// A connection has shown an acceptable certificate: it keeps its place.
    pub fn admitted(&self, address: &Multiaddr) {
        if let Some(arrived) = self.lock().get_mut(address) {
            arrived.admitted = Some(arrived.place.work());
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Multiaddr, Arrived>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Usher for Arrivals {
    fn room(&self) -> BoxFuture<'static, ()> {
        let seats = self.seats.clone();
        Box::pin(async move { seats.room().await })
    }

    fn seat(&self, address: &Multiaddr) -> Option<Box<dyn Place>> {
        let seat = self.seats.take(ip(address))?;
        let arrived = Arrived { place: Arc::clone(seat.place()), admitted: None };
        self.lock().insert(address.clone(), arrived);
        Some(Box::new(Held { arrivals: self.clone(), address: address.clone(), seat }))
    }
}

impl Place for Held {
    fn listens(&mut self) {
        self.seat.place().listens();
    }

    fn heard(&mut self) {
        self.seat.place().heard();
    }

    fn poll_dismissed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.seat.poll_dismissed(cx)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut here = self.arrivals.lock();
        // Another connection may come from the same port before this one is quite gone.
        if here.get(&self.address).is_some_and(|arrived| Arc::ptr_eq(&arrived.place, self.seat.place())) {
            here.remove(&self.address);
        }
    }
}

fn ip(address: &Multiaddr) -> IpAddr {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => Ipv4Addr::UNSPECIFIED.into(),
    }
}

/// Refuses clients beyond their part of the places.
pub(super) struct ClientsBounded {
    gate: Arc<Gate>,
    most: usize,
    clients: BTreeSet<ConnectionId>,
}

impl ClientsBounded {
    /// At most this many.
    pub fn new(gate: Arc<Gate>, most: usize) -> Self {
        Self { gate, most, clients: BTreeSet::new() }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0} clients are connected already")]
struct TooMany(usize);

impl NetworkBehaviour for ClientsBounded {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = std::convert::Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let node = self.gate.admitted(&peer).is_some_and(|admitted| admitted.claims.role == Role::Node);
        if !node {
            if self.clients.len() >= self.most {
                return Err(ConnectionDenied::new(TooMany(self.most)));
            }
            self.clients.insert(connection);
        }
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionClosed(closed) => self.clients.remove(&closed.connection_id),
            // Another behaviour refused it after all.
            FromSwarm::ListenFailure(failed) => self.clients.remove(&failed.connection_id),
            _ => false,
        };
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}
