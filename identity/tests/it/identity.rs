//! Certificates: what the authority issues is believed, and nothing else.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use trine_crdt::RegionId;
use trine_identity::tls::{Admit, Strangers, Trust, client_config, server_config, server_name};
use trine_identity::{Bundle, Ca, IdentityFileError, Key};
use trine_ledger::certificate::{CertificateError, CertificateRole};
use trine_protocol::Role;

fn region() -> RegionId {
    "us-east-1".parse().expect("a region")
}

#[test]
fn what_the_authority_issues_says_who_the_holder_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let ca = Ca::create(&directory.path().join("ca")).expect("an authority");
    let trust = Trust::new(ca.certificate()).expect("its certificate");

    let node = ca.issue_node(&region(), "us-east-1-a").expect("a certificate");
    let claims = trust.claims(&node.certificate).expect("believed");
    assert_eq!(claims.role, CertificateRole::Node);
    assert_eq!(claims.region, Some(region()));
    assert_eq!((claims.name.as_str(), claims.cluster.as_str()), ("us-east-1-a", ca.cluster()));
    assert_eq!(claims.peer, node.key.peer().to_string());
    assert_eq!(claims.public_key, node.key.public());

    for (role, expected) in [
        (Role::Admin, CertificateRole::Admin),
        (Role::Writer, CertificateRole::Writer),
        (Role::Reader, CertificateRole::Reader),
    ] {
        let client = ca.issue_client(role, "ada").expect("a certificate");
        let claims = trust.claims(&client.certificate).expect("believed");
        assert_eq!((claims.role, claims.region), (expected, None));
    }
    assert!(ca.issue_client(Role::Node, "ada").is_err(), "a client is no node");
    assert!(ca.issue_node(&region(), "a/b").is_err(), "a name is one part of the URI");
}

#[test]
fn a_certificate_ends_after_a_year_and_the_authority_after_ten() {
    let directory = tempfile::tempdir().expect("a directory");
    let ca = Ca::create(directory.path()).expect("an authority");
    let trust = Trust::new(ca.certificate()).expect("its certificate");
    let node = ca.issue_node(&region(), "us-east-1-a").expect("a certificate");
    let day = 24 * 3600;
    let ends = trust.claims(&node.certificate).expect("believed").not_after;
    let now = ends - 365 * day;
    assert!(trust.claims_at(&node.certificate, now + 364 * day).is_ok());
    assert!(matches!(trust.claims_at(&node.certificate, ends + 1), Err(CertificateError::Expired { .. })));
    assert!(matches!(trust.claims_at(&node.certificate, now - day), Err(CertificateError::NotYet { .. })));
    let (_, authority) = x509_parser::parse_x509_certificate(ca.certificate()).expect("a certificate");
    let years = (authority.validity().not_after.timestamp() - now) / (365 * day);
    assert_eq!(years, 10);
}

#[test]
fn another_authority_is_not_believed() {
    let directory = tempfile::tempdir().expect("a directory");
    let ours = Ca::create(&directory.path().join("ours")).expect("an authority");
    let theirs = Ca::create(&directory.path().join("theirs")).expect("an authority");
    let trust = Trust::new(ours.certificate()).expect("its certificate");
    let stranger = theirs.issue_node(&region(), "us-east-1-a").expect("a certificate");
    assert_eq!(trust.claims(&stranger.certificate), Err(CertificateError::Signature));
}

#[test]
fn files_are_read_back_and_keys_stay_private() {
    let directory = tempfile::tempdir().expect("a directory");
    let ca_path = directory.path().join("ca");
    let cluster = Ca::create(&ca_path).expect("an authority").cluster().to_owned();
    let ca = Ca::open(&ca_path).expect("the same authority");
    assert_eq!(ca.cluster(), cluster);
    assert!(Ca::create(&ca_path).is_err(), "an authority is never overwritten");

    let home = directory.path().join("node");
    let issued = ca.issue_node(&region(), "us-east-1-a").expect("a certificate");
    issued.write(&home).expect("written");
    assert!(matches!(issued.write(&home), Err(IdentityFileError::Exists { .. })));
    let read = Bundle::open(&home).expect("read back");
    assert_eq!((read.key.seed(), &read.certificate, &read.ca), (issued.key.seed(), &issued.certificate, &issued.ca));

    let key = home.join("tls.key");
    let mode = std::fs::metadata(&key).expect("the key").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("opened up");
    assert!(matches!(Bundle::open(&home), Err(IdentityFileError::Exposed { mode: 0o644, .. })));

    std::fs::remove_file(&key).expect("removed");
    Key::generate().write(&key).expect("another key");
    assert!(matches!(Bundle::open(&home), Err(IdentityFileError::Mismatch { .. })));
}

/// One echo over TLS between two holders; what each admits is a predicate on the other's claims.
async fn echo(
    server: &Bundle,
    client: &Bundle,
    strangers: Strangers,
    server_admits: Admit,
    client_admits: Admit,
) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let acceptor = TlsAcceptor::from(Arc::new(server_config(server, strangers, server_admits).expect("a server")));
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let mut stream = acceptor.accept(stream).await?;
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        stream.write_all(&byte).await?;
        stream.shutdown().await
    });
    let connector = TlsConnector::from(Arc::new(client_config(client, client_admits).expect("a client")));
    let asked = async {
        let stream = TcpStream::connect(address).await?;
        let mut stream = connector.connect(server_name(), stream).await?;
        stream.write_all(b"x").await?;
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        Ok::<_, std::io::Error>(byte == *b"x")
    };
    let echoed = asked.await.unwrap_or(false);
    let served = serving.await.expect("the server ended").is_ok();
    assert!(served || !echoed, "nothing comes back from a server that refused");
    echoed
}

#[tokio::test]
async fn tls_connects_holders_that_admit_each_other_and_nobody_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let ca = Ca::create(&directory.path().join("ca")).expect("an authority");
    let other = Ca::create(&directory.path().join("other")).expect("an authority");
    let [a, b] = ["us-east-1-a", "us-east-1-b"].map(|name| ca.issue_node(&region(), name).expect("a certificate"));
    let reader = ca.issue_client(Role::Reader, "ada").expect("a certificate");
    let stranger = other.issue_node(&region(), "us-east-1-b").expect("a certificate");
    let anybody: Admit = Arc::new(|_| Ok(()));
    let nodes: Admit = Arc::new(|claims| match claims.role {
        CertificateRole::Node => Ok(()),
        _ => Err("not a node".to_owned()),
    });

    assert!(echo(&a, &b, Strangers::Refused, nodes.clone(), nodes.clone()).await, "two nodes");
    assert!(!echo(&a, &reader, Strangers::Refused, nodes.clone(), nodes.clone()).await, "a client at Raft's door");
    assert!(!echo(&reader, &b, Strangers::Refused, anybody.clone(), nodes.clone()).await, "a client that plays server");
    assert!(!echo(&a, &stranger, Strangers::Refused, anybody.clone(), anybody.clone()).await, "another cluster's node");
    assert!(
        !echo(&stranger, &b, Strangers::Refused, anybody.clone(), anybody.clone()).await,
        "another cluster's server"
    );
}

#[tokio::test]
async fn a_certificate_without_its_key_is_worth_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let ca = Ca::create(directory.path()).expect("an authority");
    let a = ca.issue_node(&region(), "us-east-1-a").expect("a certificate");
    let b = ca.issue_node(&region(), "us-east-1-b").expect("a certificate");
    let thief = Bundle { key: Key::generate(), certificate: b.certificate.clone(), ca: b.ca.clone() };
    assert!(
        client_config(&thief, Arc::new(|_| Ok(()))).is_err() || {
            let anybody: Admit = Arc::new(|_| Ok(()));
            !echo(&a, &thief, Strangers::Refused, anybody.clone(), anybody).await
        }
    );
}
