//! Certificates and keys from PEM.

use std::path::Path;

use bytes::Bytes;
use libp2p::identity::Keypair;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use trine_ledger::Genesis;
use x509_parser::extensions::GeneralName;

use crate::Builder;
use crate::admission::{Authority, Verify as _, unix_now_s};
use crate::error::BuildError;

/// The founding document, in a directory of certificates.
const GENESIS_FILE: &str = "genesis.json";
/// What precedes the seed in a PKCS#8 (RFC 8410) Ed25519 key.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

pub(crate) fn from_pem(builder: Builder, ca: &[u8], certificate: &[u8], key: &[u8]) -> Result<Builder, BuildError> {
    let wrong = |what: &str| BuildError::Identity { what: what.to_owned() };
    let ca = CertificateDer::from_pem_slice(ca).map_err(|_| wrong("the authority's certificate is no PEM"))?;
    let certificate = CertificateDer::from_pem_slice(certificate).map_err(|_| wrong("the certificate is no PEM"))?;
    let key = PrivatePkcs8KeyDer::from_pem_slice(key).map_err(|_| wrong("the key is no PKCS#8 in PEM"))?;
    let seed = key.secret_pkcs8_der().strip_prefix(&PKCS8_PREFIX).and_then(|rest| rest.first_chunk::<32>());
    let mut seed = *seed.ok_or_else(|| wrong("the key is no Ed25519 key"))?;
    let keypair = Keypair::ed25519_from_bytes(&mut seed).map_err(|_| wrong("the key is no Ed25519 key"))?;
    let authority =
        trine_ledger::certificate::public_key(&ca).map_err(|error| wrong(&format!("the authority: {error}")))?;
    let cluster = cluster_of(&certificate).ok_or_else(|| wrong("the certificate is not one of ours"))?;
    let verify = Authority::new(authority, cluster);
    verify
        .verify(&certificate, unix_now_s())
        .map_err(|refusal| wrong(&format!("the certificate: {refusal}")))
        .and_then(|claims| {
            let own = claims.peer == keypair.public().to_peer_id();
            own.then_some(()).ok_or_else(|| wrong("the key is not the certificate's"))
        })?;
    Ok(builder.identity(keypair, Bytes::copy_from_slice(&certificate)).authority(verify))
}

/// The cluster that a certificate names in its only URI, before anything about it is verified.
fn cluster_of(certificate: &[u8]) -> Option<String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    let uri = names.value.general_names.iter().find_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix("trine://"),
        _ => None,
    })?;
    uri.split('/').next().map(str::to_owned)
}

pub(crate) fn from_directory(builder: Builder, directory: &Path) -> Result<Builder, BuildError> {
    let read = |name: &str| {
        let path = directory.join(name);
        std::fs::read(&path).map_err(|error| BuildError::File { path: path.display().to_string(), error })
    };
    let builder = from_pem(builder, &read("ca.crt")?, &read("tls.crt")?, &read("tls.key")?)?;
    match read(GENESIS_FILE) {
        Ok(document) => builder.genesis_document(&document),
        Err(BuildError::File { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => Ok(builder),
        Err(error) => Err(error),
    }
}

pub(crate) fn open_genesis(builder: Builder, document: &[u8]) -> Result<Builder, BuildError> {
    let authority = builder.authority.as_ref().ok_or(BuildError::Missing("the authority's certificate"))?;
    let genesis = Genesis::open(document, authority.key())
        .map_err(|error| BuildError::Identity { what: format!("the genesis: {error}") })?;
    if genesis.cluster != authority.cluster() {
        return Err(BuildError::Identity { what: "the genesis is of another cluster".to_owned() });
    }
    Ok(builder.genesis(genesis))
}
