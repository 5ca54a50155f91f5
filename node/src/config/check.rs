//! What can be found wrong with addresses before anything starts.

use std::net::{SocketAddr, TcpListener};

use super::Config;
use super::address::{AddressError, check_told};

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
    /// What the others would be told leads nowhere.
    #[error(transparent)]
    Told(#[from] AddressError),
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
    check_told(config)?;
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
