//! Where what a node shows to ordinary tools lies: `https.crt` and `https.key`.

use std::path::{Path, PathBuf};

/// A node's certificate and what leads from it to the cluster's CA.
pub const HTTPS_CERTIFICATE_FILE: &str = "https.crt";
/// A node's key.
pub const HTTPS_KEY_FILE: &str = "https.key";

/// Where a node's HTTPS certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsFiles {
    /// The certificate and those that lead from it to an authority, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

impl HttpsFiles {
    /// Those of a directory.
    #[must_use]
    pub fn of(directory: &Path) -> Self {
        Self { certificate: directory.join(HTTPS_CERTIFICATE_FILE), key: directory.join(HTTPS_KEY_FILE) }
    }
}
