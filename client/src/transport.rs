//! TCP, noise, admission, yamux: the one way in which nodes and clients are connected.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, Transport as _};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, noise, tcp, yamux};

use crate::admission::{Admission, Gate};

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
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    let admission = Admission::new(noise::Config::new(keypair)?, gate);
    Ok(tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(admission)
        .multiplex(yamux::Config::default())
        .outbound_timeout(dial_timeout)
        .inbound_timeout(listen_timeout)
        .boxed())
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
    let Ok(found) = tokio::net::lookup_host((name.as_str(), 0)).await else { return Vec::new() };
    let rest: Vec<Protocol<'_>> = address.iter().skip(1).collect();
    let mut resolved: Vec<Multiaddr> = found
        .map(|socket| socket.ip())
        .filter(wanted)
        .map(|ip| std::iter::once(Protocol::from(ip)).chain(rest.iter().cloned()).collect())
        .collect();
    resolved.sort();
    resolved.dedup();
    resolved
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
