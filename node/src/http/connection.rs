//! One connection: who is at its other end, its place at the listener, its room for bodies, and how long it may be silent.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::guard::Caller;
use super::limits::{FIRST_REQUEST_MAX, IDLE_MAX};
use super::room::ConnectionRoom;
use crate::seats::{Place, Seat};

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
            (false, _) => (Duration::ZERO, IDLE_MAX),
        };
        match allowed.checked_sub(silent).filter(|left| !left.is_zero()) {
            Some(left) => tokio::time::sleep(left).await,
            None => return,
        }
    }
}

/// A stream that notes when bytes come or go.
#[derive(Debug)]
pub struct Heard<S> {
    /// The stream.
    pub io: S,
    /// Whose it is.
    pub place: Arc<Place>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.place.heard();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        self.place.heard();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, bufs))?;
        self.place.heard();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
