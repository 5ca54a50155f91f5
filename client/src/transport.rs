//! TCP, noise, admission, yamux: the one way in which nodes and clients are connected.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::io::{AsyncRead, AsyncWrite};
use futures::{FutureExt as _, TryFutureExt as _};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, Transport, TransportError, TransportEvent};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, noise, tcp, yamux};

use crate::admission::{Admission, Gate};
use crate::limits::LISTEN_BACKLOG;

/// A place that an incoming connection has at its listener, for as long as it stands.
pub trait Place: Send + 'static {
    /// Ready when the place was given to another: the connection ends.
    fn poll_dismissed(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// The connection was listened to, and nothing had come.
    fn listens(&mut self);

    /// Bytes came.
    fn heard(&mut self);
}

/// Seats incoming connections.
pub trait Usher: Send + Sync + 'static {
    /// Ready when the next one may come in; it waits in the system's queue until then.
    fn room(&self) -> BoxFuture<'static, ()>;

    /// Seats a connection by its address; none: there is no place for it.
    fn seat(&self, address: &Multiaddr) -> Option<Box<dyn Place>>;
}

/// Builds the transport. Both timeouts include the handshakes; the dialler's ends before it has seen the listener's
/// certificate, because it does not wait for it.
///
/// # Errors
/// When noise refuses the key.
pub fn transport(
    keypair: &Keypair,
    gate: Arc<Gate>,
    dial_timeout: Duration,
    listen_timeout: Duration,
    usher: Option<Arc<dyn Usher>>,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    let admission = Admission::new(noise::Config::new(keypair)?, gate);
    let tcp = tcp::Config::new().nodelay(true).listen_backlog(LISTEN_BACKLOG);
    let seating = Seating { tcp: tcp::tokio::Transport::new(tcp), usher, room: None };
    Ok(seating
        .upgrade(Version::V1Lazy)
        .authenticate(admission)
        .multiplex(yamux::Config::default())
        .outbound_timeout(dial_timeout)
        .inbound_timeout(listen_timeout)
        .boxed())
}

/// TCP whose listeners take a connection only when there is room, and seat it at once.
struct Seating {
    tcp: tcp::tokio::Transport,
    usher: Option<Arc<dyn Usher>>,
    /// What is waited for before the next one comes in; none: there is room.
    room: Option<BoxFuture<'static, ()>>,
}

type Connecting = BoxFuture<'static, io::Result<Seated<<tcp::tokio::Transport as Transport>::Output>>>;

impl Transport for Seating {
    type Output = Seated<<tcp::tokio::Transport as Transport>::Output>;
    type Error = io::Error;
    type ListenerUpgrade = Connecting;
    type Dial = Connecting;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        self.tcp.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.tcp.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, how: DialOpts) -> Result<Connecting, TransportError<io::Error>> {
        let dialled = self.tcp.dial(address, how)?;
        Ok(dialled.map_ok(|io| Seated { io, seat: Seat::NotNeeded }).boxed())
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        if let Some(room) = &mut self.room {
            ready!(room.poll_unpin(cx));
            self.room = None;
        }
        let event = ready!(Pin::new(&mut self.tcp).poll(cx));
        let seat = match (&event, &self.usher) {
            (TransportEvent::Incoming { send_back_addr, .. }, Some(usher)) => {
                let seat = usher.seat(send_back_addr).map_or(Seat::None, Seat::At);
                self.room = Some(usher.room());
                seat
            }
            _ => Seat::NotNeeded,
        };
        Poll::Ready(event.map_upgrade(|upgrade| upgrade.map_ok(|io| Seated { io, seat }).boxed()))
    }
}

enum Seat {
    NotNeeded,
    At(Box<dyn Place>),
    None,
}

impl Seat {
    fn lost(&mut self, cx: &mut Context<'_>) -> bool {
        match self {
            Self::NotNeeded => false,
            Self::At(place) => place.poll_dismissed(cx).is_ready(),
            Self::None => true,
        }
    }
}

/// A socket that breaks when its place at the listener was given to another.
struct Seated<T> {
    io: T,
    seat: Seat,
}

impl<T: AsyncRead + Unpin> AsyncRead for Seated<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.seat.lost(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if let Seat::At(place) = &mut self.seat {
            match &read {
                Poll::Pending => place.listens(),
                Poll::Ready(Ok(1..)) => place.heard(),
                Poll::Ready(_) => {}
            }
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Seated<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}

/// An address with names replaced by the IP addresses they stand for now; an address without names is itself.
pub async fn resolve(address: &Multiaddr) -> Vec<Multiaddr> {
    let Some(first) = address.iter().next() else { return Vec::new() };
    let (name, wanted): (String, fn(&IpAddr) -> bool) = match first {
        Protocol::Dns(name) => (name.into_owned(), |_| true),
        Protocol::Dns4(name) => (name.into_owned(), IpAddr::is_ipv4),
        Protocol::Dns6(name) => (name.into_owned(), IpAddr::is_ipv6),
        _ => return vec![address.clone()],
    };
    let Ok(found) = crate::names::lookup(&name).await else { return Vec::new() };
    let rest: Vec<Protocol<'_>> = address.iter().skip(1).collect();
    let with_rest = |ip| std::iter::once(Protocol::from(ip)).chain(rest.iter().cloned()).collect();
    found.into_iter().filter(wanted).map(with_rest).collect()
}

/// An address as people write it: a multiaddress, or `host:port` with a name or an IP address.
///
/// # Errors
/// What is wrong with it, for a person.
pub fn parse(text: &str) -> Result<Multiaddr, String> {
    let wrong =
        || format!("`{text}` is no address: use host:port or a multiaddress such as /dns/node.example.org/tcp/7421");
    if text.starts_with('/') {
        let address: Multiaddr = text.parse().map_err(|_| wrong())?;
        return if tcp_port(&address).is_some() { Ok(address) } else { Err(wrong()) };
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let first = match bare.unwrap_or(host).parse::<IpAddr>() {
        Ok(ip) if ip.is_ipv6() == bare.is_some() => Protocol::from(ip),
        Err(_) if bare.is_none() && is_host(host) => Protocol::Dns(host.into()),
        _ => return Err(wrong()),
    };
    Ok(Multiaddr::from(first).with(Protocol::Tcp(port)))
}

/// The TCP port of an address that begins with a host and its port.
fn tcp_port(address: &Multiaddr) -> Option<u16> {
    let mut parts = address.iter();
    let host = parts.next()?;
    let is_host =
        matches!(host, Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_));
    match parts.next()? {
        Protocol::Tcp(port) if is_host => Some(port),
        _ => None,
    }
}

/// Whether a text may be a host's name.
#[must_use]
pub fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    // Four numbers are an IP address, or nothing.
    let numbers = text.split('.').all(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= 253 && !numbers && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

/// Whether an address begins with a name that must be resolved before it can be dialled.
#[must_use]
pub fn is_name(address: &Multiaddr) -> bool {
    matches!(address.iter().next(), Some(Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_)))
}

/// The peer id at an address's end, and the address without it.
#[must_use]
pub fn split_peer(address: &Multiaddr) -> (Option<PeerId>, Multiaddr) {
    let mut rest = address.clone();
    match rest.pop() {
        Some(Protocol::P2p(peer)) => (Some(peer), rest),
        _ => (None, address.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let good = [
            ("127.0.0.1:7421", "/ip4/127.0.0.1/tcp/7421"),
            ("[::1]:7421", "/ip6/::1/tcp/7421"),
            ("node-a.example.org:7421", "/dns/node-a.example.org/tcp/7421"),
            ("localhost:1", "/dns/localhost/tcp/1"),
            ("/dns4/node/tcp/7421", "/dns4/node/tcp/7421"),
            ("/ip4/10.0.0.1/tcp/7421", "/ip4/10.0.0.1/tcp/7421"),
        ];
        for (text, address) in good {
            assert_eq!(parse(text).map(|address| address.to_string()), Ok(address.to_owned()));
        }
        let bad = [
            "",
            "node",
            "node:",
            ":7421",
            "node:x",
            "::1:7421",
            "10.0.0:1",
            "a b:1",
            "-a:1",
            "/ip4/10.0.0.1",
            "/tcp/1",
        ];
        for text in bad {
            assert!(parse(text).is_err_and(|what| what.contains("host:port")), "{text}");
        }
    }
}
