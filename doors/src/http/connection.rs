//! One connection: who is at its other end, its place at the listener, its room for bodies, and how long it may be silent.

use std::sync::Arc;
use std::time::Duration;

use trine_seats::{Place, Seat};

use super::guard::Caller;
use super::limits::{FIRST_REQUEST_MAX, IDLE_MAX};
use super::room::ConnectionRoom;

/// What a request knows of the connection that it came on.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The caller.
    pub caller: Caller,
    /// Its room for bodies.
    pub room: ConnectionRoom,
    /// Its place.
    pub place: Arc<Place>,
    /// Whether the place is lent, for questions after the node's health alone.
    pub reserved: bool,
}

impl Connection {
    /// A connection at this place.
    #[must_use]
    pub fn new(caller: Caller, seat: &Seat) -> Self {
        if caller.0.is_some() {
            seat.place().note_known();
        }
        let place = Arc::clone(seat.place());
        Self { caller, room: ConnectionRoom::of(&place), place, reserved: seat.reserved() }
    }
}

/// Waits until the other side has been silent for too long while nothing is to be done for it.
pub async fn silent(place: Arc<Place>) {
    loop {
        let (silent, allowed) = match (place.is_quiet(), place.has_asked()) {
            (true, true) => (place.quiet_for(), IDLE_MAX),
            (true, false) => (place.seated_for(), FIRST_REQUEST_MAX),
            (false, false) => (Duration::ZERO, FIRST_REQUEST_MAX),
            (false, true) => (Duration::ZERO, IDLE_MAX),
        };
        match allowed.checked_sub(silent).filter(|left| !left.is_zero()) {
            Some(left) => tokio::time::sleep(left).await,
            None => return,
        }
    }
}
