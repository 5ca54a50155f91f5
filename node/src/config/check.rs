//! What can be found wrong with addresses before anything starts.

use std::net::{SocketAddr, TcpListener};

use libp2p::Multiaddr;

use super::Config;

/// Why a node may not start.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// Somebody listens there already.
    #[error("{purpose}: {address} is already in use")]
    PortInUse {
        /// What for, such as `listen.http`.
        purpose: String,
        /// Where.
        address: SocketAddr,
    },
    /// It cannot be listened there at all.
    #[error("{purpose}: cannot listen at {address}: {error}")]
    Address {
        /// What for.
        purpose: String,
        /// Where.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// Two purposes, one port.
    #[error("{first} and {second} are both {address}: each needs a port of its own")]
    Equal {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// Where.
        address: SocketAddr,
    },
    /// What the others would be told is no address.
    #[error("{purpose} `{text}` is {what}")]
    Advertised {
        /// Which key.
        purpose: &'static str,
        /// What stands there.
        text: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Refuses addresses that cannot be listened at together, and those that nobody could dial.
///
/// # Errors
/// [`CheckError`], which names the first one.
pub fn check_addresses(config: &Config) -> Result<(), CheckError> {
    let listen = listened(config);
    for (at, (first, address)) in listen.iter().enumerate() {
        let clashes = |other: &SocketAddr| {
            let any = address.ip().is_unspecified() || other.ip().is_unspecified();
            // The system gives each who asks for port 0 another.
            address.port() != 0 && address.port() == other.port() && (any || address.ip() == other.ip())
        };
        if let Some((second, _)) = listen[at + 1..].iter().find(|(_, other)| clashes(other)) {
            return Err(CheckError::Equal { first, second, address: *address });
        }
    }
    let advertise = &config.advertise;
    for (purpose, text) in [("advertise.http", &advertise.http), ("advertise.raft", &advertise.raft)] {
        let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse().ok());
        if !text.is_empty() && port.is_none_or(|port: u16| port == 0) {
            return Err(CheckError::Advertised { purpose, text: text.clone(), what: "not HOST:PORT" });
        }
    }
    let no_multiaddr = |text: &&String| text.parse::<Multiaddr>().is_err();
    if let Some(text) = advertise.libp2p.iter().find(no_multiaddr) {
        let what = "no libp2p address such as /ip4/10.0.0.1/tcp/7421";
        return Err(CheckError::Advertised { purpose: "advertise.libp2p", text: text.clone(), what });
    }
    Ok(())
}

fn listened(config: &Config) -> [(&'static str, SocketAddr); 3] {
    let listen = &config.listen;
    [("listen.http", listen.http), ("listen.libp2p", listen.libp2p), ("listen.raft", listen.raft)]
}

/// Which addresses somebody listens at now: this node itself, while it runs.
///
/// # Errors
/// [`CheckError`] when an address can be listened at by nobody here.
pub fn ports_in_use(config: &Config) -> Result<Vec<String>, CheckError> {
    let mut taken = Vec::new();
    for (purpose, address) in listened(config) {
        match check_free(purpose, address) {
            Ok(()) => {}
            Err(CheckError::PortInUse { .. }) => taken.push(format!("{purpose} {address}")),
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}

/// Refuses addresses that are taken.
///
/// # Errors
/// [`CheckError`], which names the first one.
pub fn check_ports(config: &Config) -> Result<(), CheckError> {
    listened(config).into_iter().try_for_each(|(purpose, address)| check_free(purpose, address))
}

/// Refuses one address that is taken.
///
/// # Errors
/// [`CheckError`], which names it.
pub fn check_free(purpose: &str, address: SocketAddr) -> Result<(), CheckError> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Err(CheckError::PortInUse { purpose: purpose.to_owned(), address })
        }
        Err(error) => Err(CheckError::Address { purpose: purpose.to_owned(), address, error }),
    }
}
