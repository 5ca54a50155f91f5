//! What can be found wrong before anything starts: addresses that are taken.

use std::net::{SocketAddr, TcpListener};

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
}

/// Refuses addresses that are taken.
///
/// # Errors
/// [`CheckError`], which names the first one.
pub fn check_ports(config: &Config) -> Result<(), CheckError> {
    check_free("listen.http", config.listen.http)?;
    check_free("listen.libp2p", config.listen.libp2p)?;
    check_free("listen.raft", config.listen.raft)
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
