//! Addresses that a node is told: where it listens, and where the others find it.
//!
//! All are `host:port`, the host a name or an IP address; libp2p's may be multiaddresses as well. A name to listen at is
//! looked up once, at the start; all others anew at each dial. What others are told must lead somewhere from where *they*
//! are: "any address", which is good to listen at, leads each of them to itself.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};

use libp2p::multiaddr::Protocol;
use serde::{Deserialize as _, Deserializer, de::Error as _};
use trine_client::transport;

use super::Config;
use crate::net::limits::ADDRESSES_MAX;

/// Why others could not reach a node.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AddressError {
    /// No address at all.
    #[error("{key}: {what}")]
    Wrong {
        /// Section and field.
        key: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// What others are told is "any address".
    #[error(
        "{key} is `{address}`, where no other node can reach this one: write the name or IP address that the others \
         reach it by, such as {key} = {example}"
    )]
    Unspecified {
        /// Section and field.
        key: &'static str,
        /// What stands there.
        address: String,
        /// What could stand there.
        example: String,
    },
    /// Nothing is told, and "any address" is listened at.
    #[error(
        "{key} is not set and {listen} is `{address}`, where no other node can reach this one: write the name or IP \
         address that the others reach it by, such as {key} = {example}"
    )]
    Untold {
        /// Section and field that is to be set.
        key: &'static str,
        /// Section and field that is not enough.
        listen: &'static str,
        /// What stands there.
        address: SocketAddr,
        /// What could be written.
        example: String,
    },
}

/// Reads `host:port` to listen at.
///
/// # Errors
/// When it is no such address, or the name is not known here.
pub fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    split(&text).map_err(D::Error::custom)?;
    let found = text.to_socket_addrs().map_err(|error| D::Error::custom(format!("the host of `{text}`: {error}")))?;
    // Where a name stands for both, others more often find the older kind.
    let found = found.min_by_key(SocketAddr::is_ipv6);
    found.ok_or_else(|| D::Error::custom(format!("the host of `{text}` has no address")))
}

/// Refuses what would leave other nodes, or the people who read it, without a way to this one.
///
/// # Errors
/// [`AddressError`], which names the first key and what to write there.
pub(super) fn check_told(config: &Config) -> Result<(), AddressError> {
    let (listen, told) = (&config.listen, &config.advertise);
    let named = |port: u16| format!("\"{}.example.org:{port}\"", config.node.name);
    for (key, listen_key, told, listen) in [
        ("advertise.http", "listen.http", &told.http, listen.http),
        ("advertise.raft", "listen.raft", &told.raft, listen.raft),
    ] {
        if told.is_empty() {
            untold(key, listen_key, listen, named(listen.port()))?;
            continue;
        }
        let (host, port) = split(told).map_err(|what| AddressError::Wrong { key, what })?;
        if host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified()) {
            return Err(AddressError::Unspecified { key, address: told.clone(), example: named(port) });
        }
    }
    let key = "advertise.libp2p";
    if told.libp2p.is_empty() {
        return untold(key, "listen.libp2p", listen.libp2p, format!("[{}]", named(listen.libp2p.port())));
    }
    if told.libp2p.len() > ADDRESSES_MAX {
        let what = format!("{} addresses, where {ADDRESSES_MAX} are the most", told.libp2p.len());
        return Err(AddressError::Wrong { key, what });
    }
    for text in &told.libp2p {
        let address = transport::parse(text).map_err(|what| AddressError::Wrong { key, what })?;
        let any = match address.iter().next() {
            Some(Protocol::Ip4(ip)) => ip.is_unspecified(),
            Some(Protocol::Ip6(ip)) => ip.is_unspecified(),
            _ => false,
        };
        if any {
            let example = format!("[{}]", named(listen.libp2p.port()));
            return Err(AddressError::Unspecified { key, address: text.clone(), example });
        }
    }
    Ok(())
}

fn untold(key: &'static str, listen: &'static str, address: SocketAddr, example: String) -> Result<(), AddressError> {
    match address.ip().is_unspecified() {
        true => Err(AddressError::Untold { key, listen, address, example }),
        false => Ok(()),
    }
}

/// Host and port, the host without brackets.
fn split(text: &str) -> Result<(&str, u16), String> {
    let wrong =
        || format!("`{text}` is no address: use host:port, the host a name or an IP address (IPv6 in brackets)");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if port == 0 {
        return Err(format!("`{text}` is no address: nobody can dial port 0"));
    }
    let good = match bare.unwrap_or(host).parse::<IpAddr>() {
        Ok(ip) => ip.is_ipv6() == bare.is_some(),
        Err(_) => bare.is_none() && transport::is_host(host),
    };
    if good { Ok((bare.unwrap_or(host), port)) } else { Err(wrong()) }
}

/// An address of libp2p's as others are told it.
pub(super) fn told(text: &str) -> String {
    transport::parse(text).map_or_else(|_| text.to_owned(), |address| address.to_string())
}
