//! HTTPS as ordinary tools see it: a certificate that names hosts, under an authority that they are told to trust.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use trine_doors::http::{HttpConfig, HttpServer, HttpsConfig, ServeError};
use trine_identity::https::HTTPS_CA_FILE;
use trine_identity::{Bundle, Ca, HttpsCa, HttpsFiles, files};
use trine_protocol::Role;

use crate::fake_node::{FakeNode, PATIENCE, Served, serve_with};
use crate::http_client::{Answer, exchange};

/// An authority and an API that speaks HTTPS.
pub struct Secure {
    pub ca: Ca,
    pub api: Served,
    pub address: SocketAddr,
    directory: tempfile::TempDir,
}

impl Secure {
    pub async fn serve() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let ca = Ca::create(&directory.path().join("ca")).expect("an authority");
        let at = directory.path().join("node");
        let hosts = ["node.example".to_owned(), "192.0.2.7".to_owned()];
        HttpsCa::of(&ca)
            .expect("an authority")
            .issue("us-east-1-a", &hosts)
            .expect("issued")
            .write(&at)
            .expect("written");
        let tls = HttpsConfig { ca: ca.certificate().clone(), files: HttpsFiles::of(&at) };
        let api = serve_with(|config| {
            config.listen = "0.0.0.0:0".parse().expect("an address");
            config.tls = Some(tls);
        })
        .await;
        let address = SocketAddr::from(([127, 0, 0, 1], api.address.port()));
        Self { ca, api, address, directory }
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    /// What a tool is told to trust.
    pub fn roots(path: &Path) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(files::read_certificate(path).expect("a certificate")).expect("a root");
        roots
    }

    pub fn client(&self, role: Role) -> Bundle {
        self.ca.issue_client(role, "ada").expect("a certificate")
    }

    /// Connects as a tool does; a client's certificate may come with more.
    pub async fn connect(
        &self,
        name: &str,
        roots: RootCertStore,
        shows: Option<(&Bundle, &[CertificateDer<'static>])>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let config = match shows {
            Some((bundle, more)) => {
                let chain = [std::slice::from_ref(&bundle.certificate), more].concat();
                builder.with_client_auth_cert(chain, bundle.key.der()).expect("a certificate")
            }
            None => builder.with_no_client_auth(),
        };
        let stream = TcpStream::connect(self.address).await.expect("connected");
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// Asks as a client with this certificate, or none.
    pub async fn ask(&self, shows: Option<&Bundle>, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let roots = Self::roots(&self.path("ca").join(HTTPS_CA_FILE));
        let stream =
            self.connect("127.0.0.1", roots, shows.map(|bundle| (bundle, &[][..]))).await.expect("a handshake");
        let headers = [&[("Host", "127.0.0.1")], headers].concat();
        exchange(stream, method, path, &headers, b"v").await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_names_the_node_and_its_hosts() {
    let secure = Secure::serve().await;
    // The authority of its own, and the cluster's, which vouches for it.
    for root in [HTTPS_CA_FILE, "ca.crt"] {
        let roots = Secure::roots(&secure.path("ca").join(root));
        for name in ["localhost", "127.0.0.1", "::1", "us-east-1-a", "node.example", "192.0.2.7"] {
            let stream = secure.connect(name, roots.clone(), None).await;
            let mut stream = stream.unwrap_or_else(|error| panic!("{root}, {name}: {error}"));
            let shown = stream.get_mut().1.peer_certificates().and_then(<[_]>::first).expect("a certificate").clone();
            let (_, parsed) = x509_parser::parse_x509_certificate(&shown).expect("a certificate");
            assert_eq!(parsed.public_key().subject_public_key.data.len(), 65, "a point of P-256");
        }
        for name in ["other.example", "192.0.2.8"] {
            assert!(secure.connect(name, roots.clone(), None).await.is_err(), "{root}, {name}");
        }
    }
    let stranger = tempfile::tempdir().expect("a directory");
    let other = Ca::create(stranger.path()).expect("an authority");
    HttpsCa::of(&other).expect("an authority");
    let roots = Secure::roots(&stranger.path().join(HTTPS_CA_FILE));
    assert!(secure.connect("localhost", roots, None).await.is_err(), "another cluster's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_may_send_its_authority_along() {
    let secure = Secure::serve().await;
    let roots = Secure::roots(&secure.path("ca").join(HTTPS_CA_FILE));
    let client = secure.client(Role::Writer);
    let chain = [secure.ca.certificate().clone()];
    let stream = secure.connect("localhost", roots, Some((&client, &chain))).await.expect("a handshake");
    assert_eq!(exchange(stream, "PUT", "/k", &[("Host", "127.0.0.1")], b"v").await.status, 201);
    assert_eq!(secure.api.node.last().0, Role::Writer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_changes_is_shown_anew() {
    let secure = Secure::serve().await;
    let roots = Secure::roots(&secure.path("ca").join(HTTPS_CA_FILE));
    assert!(secure.connect("new.example", roots.clone(), None).await.is_err());
    let (at, next) = (secure.path("node"), secure.path("next"));
    let https = HttpsCa::of(&secure.ca).expect("an authority");
    https.issue("us-east-1-a", &["new.example".to_owned()]).expect("issued").write(&next).expect("written");
    // The certificate without its key is of no use: the old one is shown meanwhile.
    std::fs::rename(next.join("https.crt"), at.join("https.crt")).expect("moved");
    let host = "node.example";
    assert!(secure.connect(host, roots.clone(), None).await.is_ok());
    std::fs::rename(next.join("https.key"), at.join("https.key")).expect("moved");
    let shown = async { while secure.connect("new.example", roots.clone(), None).await.is_err() {} };
    timeout(PATIENCE, shown).await.expect("in time");
    assert!(secure.connect(host, roots, None).await.is_err(), "the old one is gone");
}

#[tokio::test]
async fn without_a_certificate_the_way_out_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let ca = Ca::create(&directory.path().join("ca")).expect("an authority");
    let tls = HttpsConfig { ca: ca.certificate().clone(), files: HttpsFiles::of(directory.path()) };
    let config = |tls: &HttpsConfig| HttpConfig {
        tls: Some(tls.clone()),
        ..HttpConfig::plain("0.0.0.0:0".parse().expect("an address"))
    };
    let refused = |config| async move {
        let bound = HttpServer::bind(config, Arc::new(FakeNode::default())).await;
        let Some(ServeError::Tls(error)) = bound.err() else { panic!("bound") };
        error.to_string()
    };
    let missing = refused(config(&tls)).await;
    assert!(missing.contains("https.crt") && missing.contains("trine tls https"), "{missing}");
    // Files that do not belong together.
    let https = HttpsCa::of(&ca).expect("an authority");
    for name in ["one", "two"] {
        https.issue(name, &[]).expect("issued").write(&directory.path().join(name)).expect("written");
    }
    let at = |name: &str, file: &str| directory.path().join(name).join(file);
    let files = HttpsFiles { certificate: at("one", "https.crt"), key: at("two", "https.key") };
    let wrong = refused(config(&HttpsConfig { files, ..tls.clone() })).await;
    assert!(wrong.contains("one/https.crt") && wrong.contains("two/https.key"), "{wrong}");
    let exposed = HttpsFiles { certificate: at("one", "https.crt"), key: at("one", "https.crt") };
    let wrong = refused(config(&HttpsConfig { files: exposed, ..tls })).await;
    assert!(wrong.contains("chmod 600"), "{wrong}");
}

#[test]
fn an_authority_for_https_is_made_once_and_hosts_are_names_or_addresses() {
    let directory = tempfile::tempdir().expect("a directory");
    let ca = Ca::create(directory.path()).expect("an authority");
    HttpsCa::of(&ca).expect("made");
    let first = std::fs::read(directory.path().join(HTTPS_CA_FILE)).expect("written");
    let https = HttpsCa::of(&ca).expect("opened");
    assert_eq!(std::fs::read(directory.path().join(HTTPS_CA_FILE)).expect("there"), first);
    for host in ["", "a b", "host:1", "http://host", &"x".repeat(64)] {
        let Err(error) = https.issue("us-east-1-a", &[host.to_owned()]) else { panic!("{host}") };
        assert!(error.to_string().contains("DNS name or an IP address"), "{error}");
    }
    let issued = https.issue("us-east-1-a", &["*.example.org".into(), "[2001:db8::1]".into()]).expect("issued");
    let chain: Vec<_> = CertificateDer::pem_slice_iter(issued.chain.as_bytes()).collect::<Result<_, _>>().expect("PEM");
    assert_eq!(chain.len(), 2);
    assert!(PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).is_ok());
    assert!(
        trine_ledger::certificate::verify(&chain[1], &ca.key().signing().verifying_key(), ca.cluster(), now()).is_err()
    );
}

fn now() -> i64 {
    trine_identity::admission::unix_now_s()
}
