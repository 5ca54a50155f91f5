//! Bodies take room as they come, whatever their callers say of them; and whoever is refused hears why.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use trine_protocol::limits::VALUE_BYTES_MAX;

use crate::fake_node::{FakeNode, PATIENCE, serve, serve_with};
use crate::http_client::{ask, parse};

const MIB: usize = 1024 * 1024;
/// More than all bodies may hold together, each stating the largest value.
const TOO_MANY: usize = 17;

/// Begins a write and sends this many bytes of its value, in chunks when no length is stated.
async fn begun(to: SocketAddr, stated: Option<usize>, sent: usize) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.expect("connected");
    let length = match stated {
        Some(length) => format!("Content-Length: {length}"),
        None => "Transfer-Encoding: chunked".to_owned(),
    };
    let head = format!("PUT /slow HTTP/1.1\r\nHost: {to}\r\n{length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let value = vec![b'v'; sent];
    if stated.is_some() {
        stream.write_all(&value).await.expect("sent");
    } else if sent > 0 {
        stream.write_all(format!("{sent:x}\r\n").as_bytes()).await.expect("sent");
        stream.write_all(&value).await.expect("sent");
        stream.write_all(b"\r\n").await.expect("sent");
    }
    stream
}

async fn heard(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("answered and closed");
    bytes
}

async fn until(node: &FakeNode, asked: usize) {
    let reached = async {
        while node.asked() < asked {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, reached).await.expect("asked in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_uploads_deny_nobody_a_write() {
    let api = serve().await;
    for stated in [Some(VALUE_BYTES_MAX), None] {
        let mut slow = Vec::new();
        for _ in 0..TOO_MANY {
            slow.push(begun(api.address, stated, 3).await);
        }
        assert_eq!(ask(api.address, "PUT", "/k", &[], b"v").await.status, 201, "{stated:?}");
        let large = vec![b'v'; VALUE_BYTES_MAX];
        assert_eq!(ask(api.address, "PUT", "/k", &[], &large).await.status, 201, "{stated:?}");
        let chunked = [("Transfer-Encoding", "chunked")];
        assert_eq!(ask(api.address, "PUT", "/k", &chunked, b"1\r\nv\r\n0\r\n\r\n").await.status, 201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_writes_are_served_when_large_ones_hold_all_room() {
    let api = serve().await;
    let mut slow = Vec::new();
    // Whoever holds a body of 15 MiB and does not end it, until no room is left for another.
    let refused = loop {
        assert!(slow.len() < TOO_MANY, "there is a bound");
        slow.push(begun(api.address, Some(15 * MIB + 1), 15 * MIB).await);
        let answer = ask(api.address, "PUT", "/large", &[], &vec![b'v'; VALUE_BYTES_MAX]).await;
        if answer.status != 201 {
            break answer;
        }
    };
    assert_eq!(refused.problem(), (429, "overloaded".into()));
    assert!(refused.header("retry-after").is_some());
    for size in [1, 1024, 32 * 1024] {
        assert_eq!(ask(api.address, "PUT", "/small", &[], &vec![b'v'; size]).await.status, 201, "{size}");
    }
    // They end, and there is room again.
    let asked = api.node.asked();
    let held = slow.len();
    for stream in &mut slow {
        stream.write_all(b"v").await.expect("sent");
    }
    until(&api.node, asked + held).await;
    drop(slow);
    assert_eq!(ask(api.address, "PUT", "/large", &[], &vec![b'v'; VALUE_BYTES_MAX]).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_stops_coming_is_given_up() {
    let api = serve().await;
    let mut slow = begun(api.address, Some(10), 3).await;
    let answer = parse(&heard(&mut slow).await);
    assert_eq!(answer.problem(), (408, "slow_body".into()));
    assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.contains("no byte")), "{answer:?}");
    assert_eq!(api.node.asked(), 0);
}

/// A caller that writes all of it before it reads: no broken pipe, the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_too_much_hears_so() {
    let api = serve_with(|config| config.hosts = Vec::new()).await;
    let large = vec![b'v'; VALUE_BYTES_MAX + 1];
    let mut chunked = format!("{:x}\r\n", large.len()).into_bytes();
    chunked.extend_from_slice(&large);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    let stated = format!("Content-Length: {}", large.len());
    let host = format!("Host: {}", api.address);
    for (head, body, status) in [
        (format!("PUT /k HTTP/1.1\r\n{host}\r\n{stated}"), &large, 413),
        (format!("PUT /k HTTP/1.1\r\n{host}\r\nTransfer-Encoding: chunked"), &chunked, 413),
        (format!("PUT /k HTTP/1.1\r\nHost: evil.example\r\n{stated}"), &large, 421),
        (format!("PUT /k?x HTTP/1.1\r\n{host}\r\n{stated}"), &large, 400),
        (format!("POST /k HTTP/1.1\r\n{host}\r\n{stated}"), &large, 405),
    ] {
        let mut stream = TcpStream::connect(api.address).await.expect("connected");
        let head = format!("{head}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("the head is sent");
        stream.write_all(body).await.unwrap_or_else(|error| panic!("{head}: {error}"));
        let answer = parse(&heard(&mut stream).await);
        assert_eq!(answer.status, status, "{head}");
    }
    assert_eq!(api.node.asked(), 0);
    // Who waits for leave to send is refused without a byte of the body.
    let mut stream = TcpStream::connect(api.address).await.expect("connected");
    let head = format!("PUT /k HTTP/1.1\r\n{host}\r\n{stated}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let heard = heard(&mut stream).await;
    assert!(heard.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&heard));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_of_a_body_is_read_for_a_bounded_time() {
    let api = serve().await;
    let mut slow = begun(api.address, Some(VALUE_BYTES_MAX + 1), 3).await;
    let heard = heard(&mut slow).await;
    assert_eq!(parse(&heard).problem(), (413, "too_large".into()), "and the connection ended");
}
