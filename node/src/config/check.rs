//! What can be found wrong before anything starts: secrets that others may read, addresses that are taken.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Config;

/// Why a node may not start.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A secret that others may read is no secret.
    #[error("{} can be read by everybody (mode {mode:04o}): chmod 600 it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file that is needed cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
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
    /// The API without transport security may not leave the machine.
    #[error("listen.http: {address} is beyond loopback, and the HTTP API has no transport security yet: use 127.0.0.1")]
    Open {
        /// Where.
        address: SocketAddr,
    },
}

/// Refuses secrets that everybody may read.
///
/// # Errors
/// [`CheckError`] for the first file that is open or missing.
pub fn check_secrets(config: &Config) -> Result<(), CheckError> {
    [&config.tls.key_file, &config.tls.log_key_file].into_iter().try_for_each(|path| check_secret(path))
}

/// Refuses one file that everybody may read.
///
/// # Errors
/// [`CheckError`] when it is open or missing.
pub fn check_secret(path: &Path) -> Result<(), CheckError> {
    let metadata = std::fs::metadata(path).map_err(|error| CheckError::File { path: path.to_owned(), error })?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        return Err(CheckError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Refuses addresses that are taken, and an open HTTP API.
///
/// # Errors
/// [`CheckError`], which names the first one.
pub fn check_ports(config: &Config) -> Result<(), CheckError> {
    if !config.listen.http.ip().is_loopback() {
        return Err(CheckError::Open { address: config.listen.http });
    }
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
