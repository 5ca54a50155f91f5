//! Who may speak: certificates of the cluster's CA, read strictly.
//!
//! A node has one Ed25519 key: its libp2p identity and the key of its certificate. The CA says with it who the
//! key's holder is, in one URI:
//!
//! ```text
//! trine://<cluster>/<role>/<region>/<name>/<peer id>      role: node, admin, writer, reader; region `_` for clients
//! ```
//!
//! Most holes in certificate checks come from reading two things where one was meant. So there is exactly one subject
//! alternative name, a URI of exactly five plain parts; the peer id in it is recomputed from the certificate's
//! key; a certificate that could itself certify is refused, and so is every critical extension not known here. There
//! are no chains: the CA's key signs each certificate itself, with Ed25519 and nothing else.

use ed25519_dalek::{Signature, VerifyingKey};
use trine_crdt::RegionId;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

use crate::limits::{CERTIFICATE_BYTES_MAX, NAME_BYTES_MAX};

/// What a certificate lets its holder be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CertificateRole {
    /// A node of the cluster.
    Node,
    /// Everything.
    Admin,
    /// Reads and writes.
    Writer,
    /// Reads.
    Reader,
}

/// What the CA says of a key's holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The cluster.
    pub cluster: String,
    /// What it may be.
    pub role: CertificateRole,
    /// A node's region; none for clients.
    pub region: Option<RegionId>,
    /// Its name.
    pub name: String,
    /// Its libp2p peer id.
    pub peer: String,
    /// Its key.
    pub public_key: [u8; 32],
    /// Until when, in seconds since 1970.
    pub not_after: i64,
}

/// Why a certificate is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not one certificate, in DER, of version 3.
    #[error("not a certificate: {0}")]
    Malformed(&'static str),
    /// Not signed by the CA's key.
    #[error("the cluster's CA has not signed this certificate")]
    Signature,
    /// Its time has not come.
    #[error("the certificate is valid only from {not_before} (seconds since 1970) on")]
    NotYet {
        /// From when.
        not_before: i64,
    },
    /// Its time is over.
    #[error("the certificate ended at {not_after} (seconds since 1970)")]
    Expired {
        /// Until when.
        not_after: i64,
    },
    /// Its key is none, or not Ed25519.
    #[error("the certificate's key is not an Ed25519 key")]
    Key,
    /// It could certify others.
    #[error("the certificate is one of a CA")]
    Ca,
    /// An extension that is not known here and must not be passed over, or one that comes twice.
    #[error("the certificate has an extension that cannot be accepted: {oid}")]
    Extension {
        /// Which.
        oid: String,
    },
    /// Not exactly one subject alternative name that is a Trine URI.
    #[error("the certificate's name: {0}")]
    Name(&'static str),
    /// Another cluster's.
    #[error("the certificate is of cluster `{found}`")]
    Cluster {
        /// Whose.
        found: String,
    },
    /// The peer id in the name is not the key's.
    #[error("the certificate names a peer id that is not its key's")]
    Peer,
}

impl CertificateRole {
    /// As it stands in the URI.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Admin => "admin",
            Self::Writer => "writer",
            Self::Reader => "reader",
        }
    }

    fn of(text: &str) -> Option<Self> {
        [Self::Node, Self::Admin, Self::Writer, Self::Reader].into_iter().find(|role| role.as_str() == text)
    }
}

impl Claims {
    /// The URI of a certificate that says this.
    #[must_use]
    pub fn uri(&self) -> String {
        uri(&self.cluster, self.role, self.region.as_ref(), &self.name, &self.public_key)
    }
}

/// The URI of a certificate for this key.
#[must_use]
pub fn uri(
    cluster: &str,
    role: CertificateRole,
    region: Option<&RegionId>,
    name: &str,
    public_key: &[u8; 32],
) -> String {
    let region = region.map_or("_", RegionId::as_str);
    format!("trine://{cluster}/{}/{region}/{name}/{}", role.as_str(), peer_id(public_key))
}

/// The libp2p peer id of an Ed25519 key: base58 of the identity multihash of its protobuf form.
#[must_use]
pub fn peer_id(public_key: &[u8; 32]) -> String {
    let mut bytes = vec![0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
    bytes.extend_from_slice(public_key);
    base58(&bytes)
}

/// Reads a certificate that `ca` signed for `cluster` and that is valid at `now_unix_s`.
///
/// # Errors
/// [`CertificateError`] for anything else.
pub fn verify(der: &[u8], ca: &VerifyingKey, cluster: &str, now_unix_s: i64) -> Result<Claims, CertificateError> {
    let malformed = CertificateError::Malformed;
    if der.len() > CERTIFICATE_BYTES_MAX {
        return Err(malformed("too long"));
    }
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| malformed("not DER"))?;
    if !rest.is_empty() {
        return Err(malformed("bytes follow it"));
    }
    if certificate.version() != X509Version::V3 {
        return Err(malformed("not of version 3"));
    }
    check_signature(&certificate, ca)?;
    if enclose(&certificate) != der {
        return Err(malformed("not in the one form of DER"));
    }
    let (not_before, not_after) =
        (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    if now_unix_s < not_before {
        return Err(CertificateError::NotYet { not_before });
    }
    if now_unix_s > not_after {
        return Err(CertificateError::Expired { not_after });
    }
    let public_key = key_of(&certificate)?;
    let claims = parse_uri(only_uri(&certificate)?, public_key, not_after)?;
    if claims.cluster != cluster {
        return Err(CertificateError::Cluster { found: claims.cluster });
    }
    if claims.peer != peer_id(&public_key) {
        return Err(CertificateError::Peer);
    }
    Ok(claims)
}

/// The Ed25519 key of a certificate, before anything else about it is checked: the CA's own certificate is read so.
///
/// # Errors
/// [`CertificateError`] when it is no certificate of such a key.
pub fn public_key(der: &[u8]) -> Result<VerifyingKey, CertificateError> {
    if der.len() > CERTIFICATE_BYTES_MAX {
        return Err(CertificateError::Malformed("too long"));
    }
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| CertificateError::Malformed("not DER"))?;
    VerifyingKey::from_bytes(&key_of(&certificate)?).map_err(|_| CertificateError::Key)
}

fn check_signature(certificate: &X509Certificate<'_>, ca: &VerifyingKey) -> Result<(), CertificateError> {
    let (outer, inner) = (&certificate.signature_algorithm, &certificate.tbs_certificate.signature);
    if outer != inner || !is_ed25519(outer) {
        return Err(CertificateError::Signature);
    }
    let value = &certificate.signature_value;
    if value.unused_bits != 0 {
        return Err(CertificateError::Signature);
    }
    let signature = Signature::from_slice(&value.data).map_err(|_| CertificateError::Signature)?;
    let signed = certificate.tbs_certificate.as_ref();
    ca.verify_strict(signed, &signature).map_err(|_| CertificateError::Signature)
}

/// The one DER form of what encloses the signed part. The signature does not cover it and the parser is lenient.
fn enclose(certificate: &X509Certificate<'_>) -> Vec<u8> {
    let signed = certificate.tbs_certificate.as_ref();
    let algorithm = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
    let value = [&[0x03, 0x41, 0x00], certificate.signature_value.data.as_ref()].concat();
    let content = [signed, &algorithm, &value].concat();
    // Key and signature alone are longer than the 127 bytes that a short length can say.
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    [&[0x30, 0x80 | length.len() as u8], length, &content].concat()
}

fn key_of(certificate: &X509Certificate<'_>) -> Result<[u8; 32], CertificateError> {
    let key = certificate.public_key();
    let bits = &key.subject_public_key;
    let bytes: [u8; 32] = bits.data.as_ref().try_into().map_err(|_| CertificateError::Key)?;
    let sound = VerifyingKey::from_bytes(&bytes).is_ok_and(|key| !key.is_weak());
    if is_ed25519(&key.algorithm) && bits.unused_bits == 0 && sound { Ok(bytes) } else { Err(CertificateError::Key) }
}

fn is_ed25519(algorithm: &x509_parser::x509::AlgorithmIdentifier<'_>) -> bool {
    algorithm.algorithm == x509_parser::oid_registry::OID_SIG_ED25519 && algorithm.parameters.is_none()
}

/// Reads every extension, because what is passed over is where two readers disagree.
fn only_uri<'a>(certificate: &'a X509Certificate<'_>) -> Result<&'a str, CertificateError> {
    let (mut seen, mut uri) = (Vec::new(), None);
    for extension in certificate.extensions() {
        let refused = || CertificateError::Extension { oid: extension.oid.to_id_string() };
        if seen.contains(&&extension.oid) {
            return Err(refused());
        }
        seen.push(&extension.oid);
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                let [GeneralName::URI(name)] = names.general_names.as_slice() else {
                    return Err(CertificateError::Name("not exactly one URI"));
                };
                uri = Some(*name);
            }
            ParsedExtension::BasicConstraints(constraints) if constraints.ca => return Err(CertificateError::Ca),
            ParsedExtension::KeyUsage(usage) if usage.key_cert_sign() || usage.crl_sign() => {
                return Err(CertificateError::Ca);
            }
            ParsedExtension::BasicConstraints(_)
            | ParsedExtension::KeyUsage(_)
            | ParsedExtension::ExtendedKeyUsage(_) => {}
            ParsedExtension::ParseError { .. } => return Err(refused()),
            _ if extension.critical => return Err(refused()),
            _ => {}
        }
    }
    uri.ok_or(CertificateError::Name("no URI"))
}

fn parse_uri(uri: &str, public_key: [u8; 32], not_after: i64) -> Result<Claims, CertificateError> {
    let wrong = CertificateError::Name;
    let path = uri.strip_prefix("trine://").ok_or(wrong("not a trine:// URI"))?;
    let plain = |part: &str| {
        let fits = (1..=NAME_BYTES_MAX).contains(&part.len());
        fits && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    let parts: Vec<&str> = path.split('/').collect();
    let [cluster, role, region, name, peer] = parts.as_slice() else { return Err(wrong("not five parts")) };
    if ![cluster, region, name, peer].into_iter().all(|part| plain(part)) {
        return Err(wrong("a part is empty, too long or not plain"));
    }
    let role = CertificateRole::of(role).ok_or(wrong("an unknown role"))?;
    let region = match (role, *region) {
        (CertificateRole::Node, "_") => return Err(wrong("a node without region")),
        (CertificateRole::Node, region) => Some(region.parse().map_err(|_| wrong("no region's name"))?),
        (_, "_") => None,
        _ => return Err(wrong("a client with a region")),
    };
    let (cluster, name, peer) = ((*cluster).to_owned(), (*name).to_owned(), (*peer).to_owned());
    Ok(Claims { cluster, role, region, name, peer, public_key, not_after })
}

/// Base58 with Bitcoin's alphabet: the number in base 58, and a `1` for each zero byte in front.
fn base58(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut digits: Vec<u8> = Vec::new();
    for byte in &bytes[zeros..] {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    let ones = std::iter::repeat_n('1', zeros);
    ones.chain(digits.iter().rev().map(|digit| char::from(ALPHABET[usize::from(*digit)]))).collect()
}
