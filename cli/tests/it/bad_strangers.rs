//! Who may not speak libp2p with a node: whoever shows no certificate of the cluster for the key it speaks with. A
//! stranger is hung up on before the node has said one byte beyond the handshake of noise.

use std::time::Duration;

use futures::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::core::Endpoint;
use libp2p::core::transport::{DialOpts, PortUse, Transport as _};
use libp2p::core::upgrade::OutboundConnectionUpgrade as _;
use libp2p::{Multiaddr, noise, tcp};
use tokio::time::timeout;
use trine_identity::{Bundle, Ca};
use trine_protocol::Role;

use crate::bad_region::{PATIENCE, Region};
use crate::bad_visitor::Visitor;

/// A connection on which noise is done and nothing else.
async fn after_noise(bundle: &Bundle, address: &str) -> impl AsyncRead + AsyncWrite + Unpin + use<> {
    let mut address: Multiaddr = address.parse().unwrap();
    address.pop();
    let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
    let mut socket = tcp::tokio::Transport::new(tcp::Config::new()).dial(address, options).unwrap().await.unwrap();
    socket.write_all(b"\x13/multistream/1.0.0\n\x07/noise\n").await.unwrap();
    let mut agreed = [0; 20 + 8];
    socket.read_exact(&mut agreed).await.unwrap();
    let noise = noise::Config::new(&bundle.key.libp2p()).unwrap();
    noise.upgrade_outbound(socket, "/noise").await.unwrap().1
}

/// Says something after noise; what the node says until it hangs up, and how long it took.
async fn says(bundle: &Bundle, address: &str, bytes: &[u8]) -> (Vec<u8>, Duration) {
    let began = std::time::Instant::now();
    let mut io = after_noise(bundle, address).await;
    let _ = io.write_all(bytes).await;
    let _ = io.flush().await;
    let mut heard = Vec::new();
    let _ = timeout(PATIENCE, io.read_to_end(&mut heard)).await.expect("the node hangs up");
    (heard, began.elapsed())
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_hung_up_on_before_it_can_say_anything() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::started(&directory.path().join("cluster"), &[]);
    let address = region.node(0).libp2p.clone();
    let home = region.node(0).region.clone();
    let other = Ca::create(&directory.path().join("other")).unwrap();
    let stranger = other.issue_node(&home, "us-east-1-z").unwrap();
    let known = region.ca().issue_node(&home, "us-east-1-z").unwrap();
    let client = region.ca().issue_client(Role::Admin, "eve").unwrap();

    let yamux = b"\x13/multistream/1.0.0\n\x0d/yamux/1.0.0\n".repeat(100);
    let certificates: [(&str, &Bundle, Vec<u8>, &str); 6] = [
        ("another protocol where the certificate is due", &stranger, yamux, "too_large"),
        ("a certificate of four gigabytes", &stranger, vec![0xff; 64 * 1024], "too_large"),
        ("a certificate of no bytes", &stranger, vec![0; 64], "too_large"),
        ("no certificate at all", &stranger, framed(&[0x30; 300]), "certificate"),
        ("a certificate of another cluster", &stranger, framed(&stranger.certificate), "certificate"),
        ("another's certificate", &stranger, framed(&known.certificate), "key"),
    ];
    for (what, bundle, bytes, reason) in certificates {
        let before = region.figure(0, "trine_admission_refused_total", reason);
        let (heard, took) = says(bundle, &address, &bytes).await;
        assert!(heard.is_empty(), "{what}: the node said {} bytes", heard.len());
        println!("{what}: hung up on after {took:?}");
        let after = region.figure(0, "trine_admission_refused_total", reason);
        println!("{what} -> hung up on after {took:?}, {reason}");
        assert!(after > before, "{what}: counted as {reason}");
    }
    // Whoever says nothing is hung up on too, in bounded time.
    let (heard, took) = says(&stranger, &address, &[]).await;
    println!("a silent one is hung up on after {took:?}");
    assert!(heard.is_empty());
    // The same way in with an acceptable certificate: the node shows its own. So the silence above was refusal.
    let mut io = after_noise(&client, &address).await;
    io.write_all(&framed(&client.certificate)).await.unwrap();
    io.flush().await.unwrap();
    let mut length = [0; 4];
    timeout(PATIENCE, io.read_exact(&mut length)).await.unwrap().unwrap();
    assert!((100..8192).contains(&u32::from_be_bytes(length)));
    assert!(region.log(0).contains("refused"), "{}", region.log(0));
    region.is_well("after-strangers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_opens_its_own_door_only() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::started(&directory.path().join("cluster"), &[]);
    let home = region.node(0).region.clone();
    let reader = region.ca().issue_client(Role::Reader, "reader").unwrap();
    let admin = region.ca().issue_client(Role::Admin, "admin").unwrap();
    let node = region.ca().issue_node(&home, "us-east-1-z").unwrap();
    for (who, bundle, protocol) in [
        ("an administrator on the nodes' protocol", &admin, "/trine/link/1"),
        ("a node on the clients' protocol", &node, "/trine/client/1"),
        ("a client on gossip", &reader, "/meshsub/1.2.0"),
    ] {
        let mut visitor = Visitor::connect(bundle, &region.node(0).libp2p).await;
        let heard = match visitor.open(protocol).await {
            Ok(mut stream) => {
                let _ = stream.write_all(&framed(&[0xa0; 100])).await;
                let mut heard = Vec::new();
                let _ = timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("closed");
                heard
            }
            Err(_) => Vec::new(),
        };
        assert!(heard.is_empty(), "{who}: {} bytes", heard.len());
    }
    assert!(region.figure(0, "trine_admission_refused_total", "role") >= 2.0);

    // A reader may read, and is told why it may not write.
    let identity = directory.path().join("reader");
    reader.write(&identity).unwrap();
    let identity = identity.to_str().unwrap();
    let output = region.trine(&["--identity", identity, "ledger", "append", "key", "value"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{text}");
    assert!(text.contains("needs the role writer") && text.contains("hint: "), "{text}");
    let output = region.trine(&["--identity", identity, "ledger", "get", "key"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");

    // A client of another cluster is refused by the node, and refuses the node.
    let other = Ca::create(&directory.path().join("other")).unwrap();
    let foreign = directory.path().join("foreign");
    other.issue_client(Role::Admin, "eve").unwrap().write(&foreign).unwrap();
    let output = region.trine(&["--identity", foreign.to_str().unwrap(), "ledger", "get", "key"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{text}");
    assert!(text.contains("cert") && text.contains("hint: the certificate must be of this cluster"), "{text}");
    region.is_well("after-roles");
}
