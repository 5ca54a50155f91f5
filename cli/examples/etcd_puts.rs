//! The other side of `trine bench append`: the same closed loop against etcd's v3 gRPC API.
//!
//! This many clients, each with one put under way, values of random bytes, all over one HTTP/2 connection for every
//! 64 of them (a single one would take the answers' many small frames for an attack). A put is one unary call: a five-byte frame header and the two fields of a
//! `PutRequest`, which are quicker written by hand than generated.
//!
//! ```text
//! cargo run --release -p trine-cli --example etcd_puts -- 127.0.0.1:2379 64 10 256
//!                                                          address        |  |  bytes of a value
//!                                                                         |  seconds
//!                                                                         clients
//! ```
//!
//! With three more arguments (the authority's certificate, the client's and its key, in PEM) over TLS, as Trine's
//! clients speak to its nodes over encrypted and authenticated connections, which have no other kind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use h2::client::SendRequest;
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// As many keys as `trine bench` uses by default.
const KEYS: u64 = 10_000;
/// Clients that share a connection.
const CLIENTS_PER_CONNECTION: usize = 64;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, clients, seconds, value_bytes, files @ ..] = &arguments[..] else {
        bail!("usage: etcd_puts ADDRESS CLIENTS SECONDS VALUE_BYTES [AUTHORITY CERTIFICATE KEY]");
    };
    let tls = match files {
        [] => None,
        [authority, certificate, key] => Some(tls(authority, certificate, key)?),
        _ => bail!("TLS needs three files: the authority's certificate, the client's, and its key"),
    };
    let clients: usize = clients.parse().context("CLIENTS")?;
    let seconds: u64 = seconds.parse().context("SECONDS")?;
    let mut value = vec![0; value_bytes.parse().context("VALUE_BYTES")?];
    getrandom::fill(&mut value).context("the system has no random source")?;
    let mut senders = Vec::new();
    for _ in 0..clients.div_ceil(CLIENTS_PER_CONNECTION) {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        senders.push(match &tls {
            None => start(stream).await?,
            Some(tls) => {
                let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
                start(tls.connect(ServerName::try_from(host.to_owned())?, stream).await?).await?
            }
        });
    }
    let (value, numbers) = (Arc::new(value), Arc::new(AtomicU64::new(0)));
    let until = Instant::now() + Duration::from_secs(seconds);
    let started = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|n| senders[n / CLIENTS_PER_CONNECTION].clone())
        .map(|sender| tokio::spawn(work(sender, address.clone(), Arc::clone(&value), Arc::clone(&numbers), until)))
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let elapsed = started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let quantile =
        |per_mille: usize| latencies.get(latencies.len() * per_mille / 1000).map_or(0.0, |d| d.as_secs_f64());
    println!(
        "{clients} clients: {:.0} puts/s, p50 {:.2} ms, p99 {:.2} ms",
        latencies.len() as f64 / elapsed,
        1e3 * quantile(500),
        1e3 * quantile(990),
    );
    Ok(())
}

/// HTTP/2 over a connection.
async fn start(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> anyhow::Result<SendRequest<Bytes>> {
    let (sender, connection) = h2::client::handshake(stream).await?;
    tokio::spawn(connection);
    Ok(sender)
}

fn tls(authority: &str, certificate: &str, key: &str) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).with_context(|| format!("reading {authority}"))?)?;
    let certificate = CertificateDer::from_pem_file(certificate).with_context(|| format!("reading {certificate}"))?;
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| format!("reading {key}"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config).into())
}

/// One client: a put, its answer, the next put.
async fn work(
    mut sender: SendRequest<Bytes>,
    address: String,
    value: Arc<Vec<u8>>,
    numbers: Arc<AtomicU64>,
    until: Instant,
) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    while Instant::now() < until {
        let key = format!("bench/{}", numbers.fetch_add(1, Ordering::Relaxed) % KEYS);
        let started = Instant::now();
        sender = put(sender, &address, &key, &value).await?;
        latencies.push(started.elapsed());
    }
    Ok(latencies)
}

async fn put(sender: SendRequest<Bytes>, address: &str, key: &str, value: &[u8]) -> anyhow::Result<SendRequest<Bytes>> {
    let mut sender = sender.ready().await?;
    let request = http::Request::builder()
        .method("POST")
        .uri(format!("http://{address}/etcdserverpb.KV/Put"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let (response, mut stream) = sender.send_request(request, false)?;
    stream.send_data(message(key.as_bytes(), value), true)?;
    let mut body = response.await?.into_body();
    while let Some(chunk) = body.data().await {
        body.flow_control().release_capacity(chunk?.len())?;
    }
    let trailers = body.trailers().await?.context("an answer without trailers")?;
    if trailers.get("grpc-status").is_none_or(|status| status != "0") {
        bail!("etcd refused: {trailers:?}");
    }
    Ok(sender)
}

/// A gRPC message (not compressed, its length) with a `PutRequest`: field 1 is the key, field 2 the value.
fn message(key: &[u8], value: &[u8]) -> Bytes {
    let mut body = Vec::with_capacity(key.len() + value.len() + 16);
    for (tag, field) in [(0x0a, key), (0x12, value)] {
        body.push(tag);
        let mut length = field.len();
        while length >= 0x80 {
            body.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        body.push(length as u8);
        body.extend_from_slice(field);
    }
    let mut message = vec![0];
    message.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    message.extend_from_slice(&body);
    message.into()
}
