//! What one holder needs to prove who it is and to know whom to believe.

use std::path::Path;

use rustls_pki_types::CertificateDer;

use super::files::{self, IdentityFileError};
use super::key::{Key, pem};

/// The authority's certificate, in every identity's directory.
pub const CA_FILE: &str = "ca.crt";
/// The holder's certificate.
pub const CERTIFICATE_FILE: &str = "tls.crt";
/// The holder's key.
pub const KEY_FILE: &str = "tls.key";
/// What an authority's common name starts with; the cluster's id follows.
pub(super) const COMMON_NAME: &str = "trine cluster ";

/// A key, the certificate that names its holder, and the authority's certificate.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The holder's key.
    pub key: Key,
    /// The holder's certificate.
    pub certificate: CertificateDer<'static>,
    /// The authority's certificate.
    pub ca: CertificateDer<'static>,
}

impl Bundle {
    /// Writes the three files into a directory, which is made when missing.
    ///
    /// # Errors
    /// When one of them exists or cannot be written; the key comes first, so that no certificate is left without one.
    pub fn write(&self, directory: &Path) -> Result<(), IdentityFileError> {
        files::make_directory(directory)?;
        self.key.write(&directory.join(KEY_FILE))?;
        files::create_public(&directory.join(CERTIFICATE_FILE), pem("CERTIFICATE", &self.certificate).as_bytes())?;
        files::create_public(&directory.join(CA_FILE), pem("CERTIFICATE", &self.ca).as_bytes())
    }

    /// Reads the three files of a directory.
    ///
    /// # Errors
    /// When one is missing, damaged or readable by others, or when they do not belong together.
    pub fn open(directory: &Path) -> Result<Self, IdentityFileError> {
        Self::read(&directory.join(CA_FILE), &directory.join(CERTIFICATE_FILE), &directory.join(KEY_FILE))
    }

    /// Reads the three files.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn read(ca: &Path, certificate: &Path, key: &Path) -> Result<Self, IdentityFileError> {
        let bundle = Self {
            key: Key::read(key)?,
            certificate: files::read_certificate(certificate)?,
            ca: files::read_certificate(ca)?,
        };
        if public_key(&bundle.certificate) != Some(bundle.key.public()) {
            return Err(IdentityFileError::Mismatch { path: key.into() });
        }
        Ok(bundle)
    }
}

/// The Ed25519 public key in a certificate.
#[must_use]
pub fn public_key(certificate: &CertificateDer<'_>) -> Option<[u8; 32]> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    parsed.public_key().subject_public_key.data.as_ref().try_into().ok()
}

/// The cluster's id as its authority's certificate names it.
#[must_use]
pub fn cluster_of(ca: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(ca).ok()?;
    let name = parsed.subject().iter_common_name().next()?.as_str().ok()?;
    let cluster = name.strip_prefix(COMMON_NAME)?;
    (cluster.len() == 32 && cluster.bytes().all(|b| b.is_ascii_hexdigit())).then(|| cluster.to_owned())
}
