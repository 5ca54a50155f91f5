//! What HTTPS shows: a certificate and key from files, read anew when they change.
//!
//! Who asks is known by the cluster's certificates as everywhere ([`trine_identity::tls`]); what the node shows is the
//! business of ordinary tools ([`trine_identity::https_files`]), or of the operator's own authority.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use metrics::counter;
use rustls::client::verify_server_name;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;
use trine_identity::tls::{self, TlsError, Trust};
use trine_identity::{HttpsFiles, IdentityFileError, files};

use super::limits::{REFUSAL_QUIET, REFUSALS_REMEMBERED_MAX};

/// What HTTPS needs.
#[derive(Debug, Clone)]
pub struct HttpsConfig {
    /// The cluster's CA, whose certificates callers show.
    pub ca: CertificateDer<'static>,
    /// What the node shows.
    pub files: HttpsFiles,
}

impl HttpsConfig {
    /// Reads the files, and shows nothing yet.
    ///
    /// # Errors
    /// What is missing, or wrong with them.
    pub fn check(&self) -> Result<(), HttpsError> {
        certified(&self.files, &contents(&self.files)?).map(|_| ())
    }
}

/// Why HTTPS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    /// There is no certificate.
    #[error(
        "HTTPS needs a certificate, and there is no {path}: make one with `trine tls https NAME --host ADDRESS --ca CA \
         --out DIR`, name your own in http.certificate_file and http.key_file, or listen on 127.0.0.1",
        path = path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] IdentityFileError),
    /// Certificate and key are not what they should be.
    #[error("{} and {}: {what}", files.certificate.display(), files.key.display())]
    Wrong {
        /// The files.
        files: HttpsFiles,
        /// What is wrong.
        what: String,
    },
    /// The CA's certificate is none.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// TLS and whom it believes.
#[derive(Clone)]
pub(super) struct Secured {
    /// Makes handshakes.
    pub acceptor: TlsAcceptor,
    /// Reads callers' certificates.
    pub trust: Trust,
    shown: Arc<Shown>,
    refusals: Arc<Refusals>,
}

impl Secured {
    /// Reads the files.
    pub fn new(config: &HttpsConfig, names: &[String]) -> Result<Self, HttpsError> {
        let shown = Arc::new(Shown::read(config.files.clone(), names.to_vec())?);
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&shown) as _;
        let mut server = tls::https_config(&config.ca, resolver)?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(server));
        Ok(Self { acceptor, trust: Trust::new(&config.ca)?, shown, refusals: Arc::default() })
    }

    /// Looks whether the files have changed. Blocks on the disk.
    pub fn refresh(&self) {
        self.shown.refresh();
    }

    /// A handshake failed: says why, once in a while for each address and reason.
    pub fn refused(&self, from: SocketAddr, reason: &str) {
        self.refusals.note(from, reason);
    }
}

/// The certificate and key that are shown now.
#[derive(Debug)]
struct Shown {
    files: HttpsFiles,
    names: Vec<String>,
    now: RwLock<Arc<CertifiedKey>>,
    seen: Mutex<Contents>,
}

type Contents = (Vec<u8>, Vec<u8>);

impl Shown {
    fn read(files: HttpsFiles, names: Vec<String>) -> Result<Self, HttpsError> {
        let contents = contents(&files)?;
        let key = certified(&files, &contents)?;
        let shown = Self { files, names, now: RwLock::new(Arc::new(key)), seen: Mutex::new(contents) };
        shown.tell();
        Ok(shown)
    }

    fn refresh(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match contents(&self.files) {
            Ok(found) if found == *seen => return,
            // In the middle of being replaced, perhaps; what was read goes on being shown.
            Err(error) => return tracing::warn!(%error, "the HTTPS certificate cannot be read anew"),
            Ok(found) => found,
        };
        match certified(&self.files, &found) {
            Ok(key) => {
                *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                tracing::info!(file = %self.files.certificate.display(), "a new HTTPS certificate is shown");
                self.tell();
            }
            Err(error) => tracing::warn!(%error, "the new HTTPS certificate is of no use; the old one is shown"),
        }
        *seen = found;
    }

    /// Says which of the node's names the certificate does not bear.
    fn tell(&self) {
        let now = Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner));
        let Some(parsed) = now.cert.first().and_then(|certificate| ParsedCertificate::try_from(certificate).ok())
        else {
            return;
        };
        let missing = |name: &&String| {
            let server = ServerName::try_from(name.as_str());
            server.is_ok_and(|server| verify_server_name(&parsed, &server).is_err())
        };
        let missing: Vec<&str> = self.names.iter().filter(missing).map(String::as_str).collect();
        if !missing.is_empty() {
            let file = self.files.certificate.display();
            tracing::warn!(%file, ?missing, "the HTTPS certificate does not bear all names of this node");
        }
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn contents(files: &HttpsFiles) -> Result<Contents, HttpsError> {
    let missing = |path: &Path| !path.exists();
    if let Some(path) = [&files.certificate, &files.key].into_iter().find(|path| missing(path)) {
        return Err(HttpsError::Missing { path: path.clone() });
    }
    Ok((files::read(&files.certificate)?, files::read_secret(&files.key)?))
}

fn certified(files: &HttpsFiles, (certificate, key): &Contents) -> Result<CertifiedKey, HttpsError> {
    let wrong = |what: String| HttpsError::Wrong { files: files.clone(), what };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(format!("not a certificate in PEM: {error}")))?;
    if chain.is_empty() {
        return Err(wrong("no certificate in PEM".to_owned()));
    }
    let key =
        PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong(format!("not a private key in PEM: {error}")))?;
    CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| wrong(error.to_string()))
}

/// Which refusals were told lately.
#[derive(Debug, Default)]
struct Refusals(Mutex<BTreeMap<(IpAddr, String), Instant>>);

impl Refusals {
    fn note(&self, from: SocketAddr, reason: &str) {
        counter!("trine_https_handshakes_failed_total").increment(1);
        let now = Instant::now();
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| now.duration_since(*at) < REFUSAL_QUIET);
        if told.len() < REFUSALS_REMEMBERED_MAX && told.insert((from.ip(), reason.to_owned()), now).is_none() {
            tracing::info!(%from, reason, "an HTTPS handshake was refused");
        }
    }
}
