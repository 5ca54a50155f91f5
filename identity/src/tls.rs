//! TLS both ways with the cluster's certificates: who is at the other end is what its certificate says, not its address.
//!
//! Certificates here carry no host names ([`super`] says why), so rustls' own checks of names cannot apply. Both
//! verifiers below ask `trine_ledger::certificate` instead, the one place that reads certificates, and then a
//! predicate of the caller: Raft wants a node of its own region, the HTTP API any client. Only TLS 1.3 and Ed25519.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::VerifyingKey;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ResolvesServerCert;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, ServerConfig,
    SignatureScheme,
};
use trine_ledger::certificate::{self, CertificateRole, Claims};
use trine_protocol::Role;

use super::Bundle;
use super::bundle::{cluster_of, public_key};

/// Decides whether a holder may connect, given what its certificate says; the error says why not.
pub type Admit = Arc<dyn Fn(&Claims) -> Result<(), String> + Send + Sync>;

/// Why a TLS configuration cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The authority's certificate names no cluster or has no Ed25519 key.
    #[error("the CA's certificate is not one of a Trine cluster")]
    Ca,
    /// The library refused.
    #[error(transparent)]
    Tls(#[from] Error),
}

/// Reads certificates of one cluster.
#[derive(Debug, Clone)]
pub struct Trust {
    ca: VerifyingKey,
    cluster: String,
}

impl Trust {
    /// Trusts the authority of this certificate.
    ///
    /// # Errors
    /// When it is not the certificate of a Trine cluster's authority.
    pub fn new(ca: &CertificateDer<'_>) -> Result<Self, TlsError> {
        let key = public_key(ca).and_then(|key| VerifyingKey::from_bytes(&key).ok());
        Ok(Self { ca: key.ok_or(TlsError::Ca)?, cluster: cluster_of(ca).ok_or(TlsError::Ca)? })
    }

    /// The authority's key; it also signs the genesis.
    #[must_use]
    pub fn key(&self) -> &VerifyingKey {
        &self.ca
    }

    /// The cluster's id.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// What a certificate says of its holder, if the authority signed it and it is valid now.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn claims(&self, certificate: &[u8]) -> Result<Claims, certificate::CertificateError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
        self.claims_at(certificate, i64::try_from(now).unwrap_or(i64::MAX))
    }

    /// As [`Self::claims`], at a time in seconds since 1970.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn claims_at(&self, certificate: &[u8], now_unix_s: i64) -> Result<Claims, certificate::CertificateError> {
        certificate::verify(certificate, &self.ca, &self.cluster, now_unix_s)
    }
}

/// The protocol's name of a certificate's role.
#[must_use]
pub fn role_of(claims: &Claims) -> Role {
    match claims.role {
        CertificateRole::Node => Role::Node,
        CertificateRole::Admin => Role::Admin,
        CertificateRole::Writer => Role::Writer,
        CertificateRole::Reader => Role::Reader,
    }
}

/// What a server does with callers that show no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strangers {
    /// The handshake fails.
    Refused,
    /// The handshake succeeds; the server sees that there is no certificate.
    Seen,
}

/// The configuration of a server that shows the bundle's certificate and admits whom `admit` admits.
///
/// # Errors
/// When the bundle is unusable.
pub fn server_config(bundle: &Bundle, strangers: Strangers, admit: Admit) -> Result<ServerConfig, TlsError> {
    let provider = provider();
    let verifier =
        Arc::new(Verifier { trust: Trust::new(&bundle.ca)?, strangers, admit, provider: Arc::clone(&provider) });
    Ok(ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![bundle.certificate.clone()], bundle.key.der())?)
}

/// The configuration of an HTTPS server: what it shows `shown` decides; callers may show a certificate of the cluster whose
/// CA this is, or none.
///
/// # Errors
/// When the CA's certificate is unusable.
pub fn https_config(ca: &CertificateDer<'_>, shown: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, TlsError> {
    let (provider, trust) = (provider(), Trust::new(ca)?);
    let admit: Admit = Arc::new(|_| Ok(()));
    let verifier = Verifier { trust, strangers: Strangers::Seen, admit, provider: Arc::clone(&provider) };
    Ok(ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(shown))
}

/// The configuration of a client that shows the bundle's certificate and speaks to servers that `admit` admits.
///
/// # Errors
/// When the bundle is unusable.
pub fn client_config(bundle: &Bundle, admit: Admit) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let strangers = Strangers::Refused;
    let verifier =
        Arc::new(Verifier { trust: Trust::new(&bundle.ca)?, strangers, admit, provider: Arc::clone(&provider) });
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(vec![bundle.certificate.clone()], bundle.key.der())?)
}

/// The name that a client dials; certificates carry none, so it says nothing.
///
/// # Panics
/// Never: the name is well formed.
#[must_use]
pub fn server_name() -> ServerName<'static> {
    ServerName::try_from("trine.invalid").expect("a well-formed name")
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

struct Verifier {
    trust: Trust,
    strangers: Strangers,
    admit: Admit,
    provider: Arc<CryptoProvider>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("trust", &self.trust).finish_non_exhaustive()
    }
}

impl Verifier {
    /// What comes with a certificate (the CA's own, as many tools send it) is not needed and not looked at: only the CA's
    /// key counts, and that is known.
    fn check(&self, certificate: &[u8], now: UnixTime) -> Result<(), Error> {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let claims = self.trust.claims_at(certificate, now).map_err(|error| match error {
            certificate::CertificateError::Expired { .. } => Error::InvalidCertificate(CertificateError::Expired),
            certificate::CertificateError::NotYet { .. } => Error::InvalidCertificate(CertificateError::NotValidYet),
            certificate::CertificateError::Signature => Error::InvalidCertificate(CertificateError::UnknownIssuer),
            error => Error::General(error.to_string()),
        })?;
        (self.admit)(&claims).map_err(Error::General)
    }

    fn check_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if signed.scheme != SignatureScheme::ED25519 {
            return Err(PeerIncompatible::NoSignatureSchemesInCommon.into());
        }
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(certificate, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.strangers == Strangers::Refused
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(certificate, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
