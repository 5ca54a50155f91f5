//! Certificates for HTTPS, as ordinary tools want them.
//!
//! The cluster's own certificates name identities, not hosts, and bear Ed25519 keys, which no browser takes. So HTTPS has
//! a key of its own, ECDSA P-256, with a certificate that names hosts and addresses, under an authority of the same kind.
//! Nobody's role comes from these: they say that this is the host that was dialled, and nothing else.
//!
//! ```text
//! https-ca.crt   the P-256 authority, signed by itself: what browsers and tools are told to trust
//!   └ https.crt  the node: its name, `localhost`, its addresses. With it in the file, for those who trust `ca.crt`:
//!                the same authority, signed by the cluster's CA, which vouches for it
//! ```
//!
//! The authority's key lies beside the cluster's. An authority's directory that has none yet is given one when it is
//! first needed.

use std::net::IpAddr;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls_pki_types::CertificateDer;

use super::authority::{CA_DAYS, Ca, ISSUED_DAYS, IssueError, validity};
use super::files::{self, IdentityFileError};
use super::https_files::{HTTPS_CERTIFICATE_FILE, HTTPS_KEY_FILE};
use super::key::pem;
use crate::limits::HOST_BYTES_MAX;

/// The authority's certificate, in every identity's directory.
pub const HTTPS_CA_FILE: &str = "https-ca.crt";
/// The authority's key, in its own directory only.
pub const HTTPS_CA_KEY_FILE: &str = "https-ca.key";

/// The authority for HTTPS.
pub struct HttpsCa {
    cluster: String,
    key: KeyPair,
    certificate: String,
    /// The same authority, signed by the cluster's CA.
    vouched: CertificateDer<'static>,
}

/// A node's key and certificate for HTTPS, in PEM.
#[derive(Clone)]
pub struct HttpsIdentity {
    /// The certificate, and its authority's as the cluster's CA signed it.
    pub chain: String,
    /// The key. Secret.
    pub key: String,
    /// The authority's certificate, signed by itself.
    pub ca: String,
}

impl HttpsCa {
    /// Opens the one beside the cluster's authority, or makes it there.
    ///
    /// # Errors
    /// When its files are damaged, readable by others or cannot be written.
    pub fn of(ca: &Ca) -> Result<Self, IssueError> {
        let (certificate_path, key_path) = (ca.directory().join(HTTPS_CA_FILE), ca.directory().join(HTTPS_CA_KEY_FILE));
        if !key_path.exists() {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
            let certificate = params(ca.cluster(), false).self_signed(&key)?;
            files::create_secret(&key_path, key.serialize_pem().as_bytes())?;
            files::create_public(&certificate_path, pem("CERTIFICATE", certificate.der()).as_bytes())?;
        }
        let text = String::from_utf8(files::read_secret(&key_path)?).unwrap_or_default();
        let malformed = |path: &Path, what| IdentityFileError::Malformed { path: path.into(), what };
        let key = KeyPair::from_pem(&text).map_err(|_| malformed(&key_path, "a private key (PEM, PKCS#8)"))?;
        let certificate = files::read_certificate(&certificate_path)?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate)
            .map_err(|_| malformed(&certificate_path, "a certificate (PEM)"))?;
        if parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            return Err(IdentityFileError::Mismatch { path: key_path }.into());
        }
        let vouched = params(ca.cluster(), true).signed_by(&key, &ca.issuer()?)?.der().clone();
        Ok(Self { cluster: ca.cluster().to_owned(), key, certificate: pem("CERTIFICATE", &certificate), vouched })
    }

    /// Issues a node's certificate with a new key, for its name, `localhost`, loopback and these hosts: names or IP
    /// addresses.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn issue(&self, name: &str, hosts: &[String]) -> Result<HttpsIdentity, IssueError> {
        let mut leaf = CertificateParams::default();
        leaf.distinguished_name = common_name(name);
        let usual = [name, "localhost", "127.0.0.1", "::1"].map(ToOwned::to_owned);
        for host in usual.iter().chain(hosts) {
            let alternative = alternative(host)?;
            if !leaf.subject_alt_names.contains(&alternative) {
                leaf.subject_alt_names.push(alternative);
            }
        }
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        (leaf.not_before, leaf.not_after) = validity(ISSUED_DAYS);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let issuer = Issuer::new(params(&self.cluster, false), &self.key);
        let certificate = leaf.signed_by(&key, &issuer)?;
        let chain = pem("CERTIFICATE", certificate.der()) + &pem("CERTIFICATE", &self.vouched);
        Ok(HttpsIdentity { chain, key: key.serialize_pem(), ca: self.certificate.clone() })
    }

    /// Writes its certificate into an identity's directory, where it tells whom to trust.
    ///
    /// # Errors
    /// When there is one or it cannot be written.
    pub fn tell(&self, directory: &Path) -> Result<(), IdentityFileError> {
        files::create_public(&directory.join(HTTPS_CA_FILE), self.certificate.as_bytes())
    }
}

impl HttpsIdentity {
    /// Writes `https.crt` and `https.key` into a directory, and `https-ca.crt` when it is not there.
    ///
    /// # Errors
    /// When one of the former exists, or one cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), IdentityFileError> {
        files::make_directory(directory)?;
        files::create_secret(&directory.join(HTTPS_KEY_FILE), self.key.as_bytes())?;
        files::create_public(&directory.join(HTTPS_CERTIFICATE_FILE), self.chain.as_bytes())?;
        let ca = directory.join(HTTPS_CA_FILE);
        if ca.exists() { Ok(()) } else { files::create_public(&ca, self.ca.as_bytes()) }
    }
}

fn params(cluster: &str, vouched: bool) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(&format!("trine https {cluster}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    if vouched {
        // The cluster's CA vouches for servers of HTTPS, nothing else.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
    }
    (params.not_before, params.not_after) = validity(CA_DAYS);
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn alternative(host: &str) -> Result<SanType, IssueError> {
    if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let fits = host.len() <= HOST_BYTES_MAX && host.strip_prefix("*.").unwrap_or(host).split('.').all(label);
    if fits { Ok(SanType::DnsName(host.to_owned().try_into()?)) } else { Err(IssueError::Host(host.to_owned())) }
}
