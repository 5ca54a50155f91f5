//! An Ed25519 key, in the forms that its users want.
//!
//! X.509, libp2p, checkpoints and the genesis all sign with Ed25519; each library has a type of its own for the
//! same 32 bytes of seed. On disk a key is PKCS#8 in PEM, which openssl reads.

use std::path::Path;

use base64::Engine as _;
use libp2p::PeerId;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::files::{self, IdentityFileError};

/// What precedes the seed in a PKCS#8 (RFC 8410) private key: version 0, the algorithm, two octet strings.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// The length of an Ed25519 seed.
const SEED_BYTES: usize = 32;

/// An Ed25519 key pair.
#[derive(Clone)]
pub struct Key(ed25519_dalek::SigningKey);

impl Key {
    /// Draws a new key from the system's random source.
    ///
    /// # Panics
    /// When the system has none.
    #[must_use]
    pub fn generate() -> Self {
        let mut seed = [0; SEED_BYTES];
        getrandom::fill(&mut seed).expect("the system has a random source");
        Self::from_seed(seed)
    }

    /// The key of a seed.
    #[must_use]
    pub fn from_seed(seed: [u8; SEED_BYTES]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// The seed: whoever has it is the holder.
    #[must_use]
    pub fn seed(&self) -> [u8; SEED_BYTES] {
        self.0.to_bytes()
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The key as the ledger signs with it.
    #[must_use]
    pub fn signing(&self) -> &ed25519_dalek::SigningKey {
        &self.0
    }

    /// The key as libp2p wants it.
    #[must_use]
    pub fn libp2p(&self) -> libp2p::identity::Keypair {
        libp2p::identity::Keypair::ed25519_from_bytes(self.seed()).expect("32 bytes are a seed")
    }

    /// The libp2p peer id of the key.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.libp2p().public().to_peer_id()
    }

    /// The key as TLS and X.509 want it: PKCS#8, DER.
    #[must_use]
    pub fn pkcs8(&self) -> PrivatePkcs8KeyDer<'static> {
        let mut der = PKCS8_PREFIX.to_vec();
        der.extend_from_slice(&self.seed());
        der.into()
    }

    /// The key as TLS configurations want it.
    #[must_use]
    pub fn der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.pkcs8())
    }

    /// PKCS#8 in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        pem("PRIVATE KEY", self.pkcs8().secret_pkcs8_der())
    }

    /// Reads [`Self::pem`]; none when it is no Ed25519 key in PKCS#8.
    #[must_use]
    pub fn from_pem(text: &[u8]) -> Option<Self> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(text).ok()?;
        let seed = key.secret_pkcs8_der().strip_prefix(PKCS8_PREFIX.as_slice())?;
        Some(Self::from_seed(seed.first_chunk::<SEED_BYTES>().copied()?))
    }

    /// Writes the key to a new file that only its owner may read.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), IdentityFileError> {
        files::create_secret(path, self.pem().as_bytes())
    }

    /// Reads a key from a file that only its owner may read.
    ///
    /// # Errors
    /// When there is none, when others may read it, or when it holds something else.
    pub fn read(path: &Path) -> Result<Self, IdentityFileError> {
        Self::from_pem(&files::read_secret(path)?).ok_or_else(|| IdentityFileError::Malformed {
            path: path.into(),
            what: "an Ed25519 private key (PEM, PKCS#8)",
        })
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Key").field(&self.peer()).finish()
    }
}

/// DER in PEM (RFC 7468): base64 in lines of 64 between a header and a footer.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        out.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}
