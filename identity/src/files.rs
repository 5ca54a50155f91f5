//! Files of keys and certificates: written once, and a secret that others may read is refused.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::limits::IDENTITY_FILE_BYTES_MAX;

/// Why a file of an identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityFileError {
    /// The system refused.
    #[error("{path}: {error}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is a file already; identities are never overwritten.
    #[error("{path} exists already; identities are not overwritten: choose another directory or move it away", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error("{path} does not hold {what}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// A secret that others than its owner may read.
    #[error("{path} holds a secret and others may read it (mode {mode:o}); run: chmod 600 {path}", path = path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The key does not belong to the certificate.
    #[error("{path} does not belong to the certificate beside it", path = path.display())]
    Mismatch {
        /// The key's file.
        path: PathBuf,
    },
    /// The certificate does not say what its holder is, or the authority did not sign it.
    #[error("{path}: {why}", path = path.display())]
    Refused {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// Turns an error of the system into one that names the file.
pub(super) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> IdentityFileError + '_ {
    move |error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            IdentityFileError::Exists { path: path.into() }
        } else {
            IdentityFileError::Io { path: path.into(), error }
        }
    }
}

/// Writes a new file that everybody may read.
///
/// # Errors
/// When it exists or cannot be written.
pub fn create_public(path: &Path, bytes: &[u8]) -> Result<(), IdentityFileError> {
    create(path, bytes, 0o644)
}

/// Writes a new file that only its owner may read.
///
/// # Errors
/// When it exists or cannot be written.
pub fn create_secret(path: &Path, bytes: &[u8]) -> Result<(), IdentityFileError> {
    create(path, bytes, 0o600)
}

fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<(), IdentityFileError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(io_error(path))
}

/// Makes a directory that only its owner may enter; one that exists is left as it is.
///
/// # Errors
/// When it cannot be made.
pub fn make_directory(path: &Path) -> Result<(), IdentityFileError> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error(path))
}

/// Reads a file of bounded size.
///
/// # Errors
/// When it cannot be read or is too large.
pub fn read(path: &Path) -> Result<Vec<u8>, IdentityFileError> {
    let file = File::open(path).map_err(io_error(path))?;
    read_open(path, &file)
}

/// Reads a file of bounded size that only its owner may read.
///
/// # Errors
/// As [`read`], and when others may read it.
pub fn read_secret(path: &Path) -> Result<Vec<u8>, IdentityFileError> {
    let file = File::open(path).map_err(io_error(path))?;
    let mode = file.metadata().map_err(io_error(path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(IdentityFileError::Exposed { path: path.into(), mode });
    }
    read_open(path, &file)
}

fn read_open(path: &Path, file: &File) -> Result<Vec<u8>, IdentityFileError> {
    let mut bytes = Vec::new();
    file.take(IDENTITY_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(io_error(path))?;
    if bytes.len() as u64 > IDENTITY_FILE_BYTES_MAX {
        return Err(IdentityFileError::Malformed { path: path.into(), what: "at most 16 MiB" });
    }
    Ok(bytes)
}

/// Reads one certificate in PEM.
///
/// # Errors
/// When there is none.
pub fn read_certificate(path: &Path) -> Result<CertificateDer<'static>, IdentityFileError> {
    CertificateDer::from_pem_slice(&read(path)?)
        .map_err(|_| IdentityFileError::Malformed { path: path.into(), what: "a certificate (PEM)" })
}
