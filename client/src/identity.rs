//! Certificates and keys from PEM.

use std::path::Path;

use bytes::Bytes;
use libp2p::identity::Keypair;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::Builder;
use crate::error::BuildError;

/// What precedes the seed in a PKCS#8 (RFC 8410) Ed25519 key.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

pub(crate) fn from_pem(builder: Builder, ca: &[u8], certificate: &[u8], key: &[u8]) -> Result<Builder, BuildError> {
    let wrong = |what: &str| BuildError::Identity { what: what.to_owned() };
    let _ca = CertificateDer::from_pem_slice(ca).map_err(|_| wrong("the authority's certificate is no PEM"))?;
    let certificate = CertificateDer::from_pem_slice(certificate).map_err(|_| wrong("the certificate is no PEM"))?;
    let key = PrivatePkcs8KeyDer::from_pem_slice(key).map_err(|_| wrong("the key is no PKCS#8 in PEM"))?;
    let seed = key.secret_pkcs8_der().strip_prefix(&PKCS8_PREFIX).and_then(|rest| rest.first_chunk::<32>());
    let mut seed = *seed.ok_or_else(|| wrong("the key is no Ed25519 key"))?;
    let keypair = Keypair::ed25519_from_bytes(&mut seed).map_err(|_| wrong("the key is no Ed25519 key"))?;
    Ok(builder.identity(keypair, Bytes::copy_from_slice(&certificate)))
}

pub(crate) fn from_directory(builder: Builder, directory: &Path) -> Result<Builder, BuildError> {
    let read = |name: &str| {
        let path = directory.join(name);
        std::fs::read(&path).map_err(|source| BuildError::File { path: path.display().to_string(), source })
    };
    from_pem(builder, &read("ca.crt")?, &read("tls.crt")?, &read("tls.key")?)
}
