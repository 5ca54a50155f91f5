//! The cluster's certificate authority: makes itself once, issues certificates, signs the genesis.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};
use trine_crdt::RegionId;
use trine_ledger::Genesis;
use trine_ledger::genesis::GenesisError;
use trine_protocol::Role;

use super::bundle::{Bundle, CA_FILE, COMMON_NAME, cluster_of};
use super::files::{self, IdentityFileError};
use super::key::{Key, pem};
use crate::limits::COMMON_NAME_BYTES_MAX;

/// The authority's key, in its own directory only.
pub const CA_KEY_FILE: &str = "ca.key";
/// How long the authority's certificate holds.
pub(super) const CA_DAYS: i64 = 3653;
/// How long an issued certificate holds.
pub(super) const ISSUED_DAYS: i64 = 365;
/// How long before now a certificate begins, so that a clock slightly behind takes it.
const BACKDATE_HOURS: i64 = 1;

/// Why a certificate was not issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The name cannot stand in a certificate.
    #[error("`{0}` is no name: use 1 to 63 of a-z, 0-9, - and .")]
    Name(String),
    /// The name of a host cannot stand in a certificate.
    #[error("`{0}` is no host: use a DNS name or an IP address, without a port")]
    Host(String),
    /// A client may not be a node.
    #[error("a client's role is admin, writer or reader")]
    Role,
    /// The library refused.
    #[error(transparent)]
    Certificate(#[from] rcgen::Error),
    /// A file of the identity.
    #[error(transparent)]
    File(#[from] IdentityFileError),
}

/// The authority.
pub struct Ca {
    directory: PathBuf,
    cluster: String,
    key: Key,
    certificate: CertificateDer<'static>,
}

impl Ca {
    /// Makes an authority for a new cluster, with its files `ca.crt` and `ca.key` in `directory`.
    ///
    /// # Errors
    /// When there is one already or the files cannot be written.
    pub fn create(directory: &Path) -> Result<Self, IssueError> {
        let key = Key::generate();
        let cluster = draw_cluster_id();
        let certificate = params(&cluster).self_signed(&signer(&key)?)?.der().clone();
        files::make_directory(directory)?;
        key.write(&directory.join(CA_KEY_FILE))?;
        files::create_public(&directory.join(CA_FILE), pem("CERTIFICATE", &certificate).as_bytes())?;
        Ok(Self { directory: directory.into(), cluster, key, certificate })
    }

    /// Opens an authority's directory.
    ///
    /// # Errors
    /// When its files are missing, damaged, readable by others, or do not belong together.
    pub fn open(directory: &Path) -> Result<Self, IssueError> {
        let (certificate_path, key_path) = (directory.join(CA_FILE), directory.join(CA_KEY_FILE));
        let key = Key::read(&key_path)?;
        let certificate = files::read_certificate(&certificate_path)?;
        if super::bundle::public_key(&certificate) != Some(key.public()) {
            return Err(IdentityFileError::Mismatch { path: key_path }.into());
        }
        let cluster = cluster_of(&certificate)
            .ok_or(IdentityFileError::Malformed { path: certificate_path, what: "a Trine cluster's CA certificate" })?;
        Ok(Self { directory: directory.into(), cluster, key, certificate })
    }

    /// Where its files are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The cluster's id: 32 hexadecimal digits.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Its key; signs the genesis.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Issues a node's certificate with a new key.
    ///
    /// # Errors
    /// When the name cannot stand in a certificate.
    pub fn issue_node(&self, region: &RegionId, name: &str) -> Result<Bundle, IssueError> {
        self.issue("node", region.as_str(), name)
    }

    /// Issues a client's certificate with a new key.
    ///
    /// # Errors
    /// When the role is `Node` or the name cannot stand in a certificate.
    pub fn issue_client(&self, role: Role, name: &str) -> Result<Bundle, IssueError> {
        let role = match role {
            Role::Admin => "admin",
            Role::Writer => "writer",
            Role::Reader => "reader",
            Role::Node => return Err(IssueError::Role),
        };
        self.issue(role, RegionId::genesis().as_str(), name)
    }

    /// Signs the founding document of the cluster.
    ///
    /// # Errors
    /// When its contents found no cluster.
    pub fn sign_genesis(&self, genesis: &Genesis) -> Result<bytes::Bytes, GenesisError> {
        genesis.sign(self.key.signing())
    }

    /// The authority as what signs certificates.
    pub(super) fn issuer(&self) -> Result<Issuer<'static, KeyPair>, IssueError> {
        Ok(Issuer::new(params(&self.cluster), signer(&self.key)?))
    }

    fn issue(&self, role: &str, region: &str, name: &str) -> Result<Bundle, IssueError> {
        let fits = (1..=COMMON_NAME_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.');
        if !fits {
            return Err(IssueError::Name(name.to_owned()));
        }
        let key = Key::generate();
        let uri = format!("trine://{}/{role}/{region}/{name}/{}", self.cluster, key.peer());
        let mut leaf = CertificateParams::default();
        leaf.distinguished_name = common_name(name);
        leaf.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        leaf.use_authority_key_identifier_extension = true;
        (leaf.not_before, leaf.not_after) = validity(ISSUED_DAYS);
        let certificate = leaf.signed_by(&signer(&key)?, &self.issuer()?)?.der().clone();
        Ok(Bundle { key, certificate, ca: self.certificate.clone() })
    }
}

fn params(cluster: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(&format!("{COMMON_NAME}{cluster}"));
    // One authority below it: that of HTTPS.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = validity(CA_DAYS);
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

pub(super) fn validity(days: i64) -> (OffsetDateTime, OffsetDateTime) {
    let start = OffsetDateTime::now_utc() - Duration::hours(BACKDATE_HOURS);
    (start, start + Duration::days(days))
}

fn signer(key: &Key) -> Result<KeyPair, rcgen::Error> {
    KeyPair::from_pkcs8_der_and_sign_algo(&key.pkcs8(), &rcgen::PKCS_ED25519)
}

fn draw_cluster_id() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has a random source");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
