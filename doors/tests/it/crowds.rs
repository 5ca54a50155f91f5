//! Strangers who come in numbers and say nothing do not keep the API from answering.

use futures::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::fake_node::{PATIENCE, serve_with};
use crate::http_client::{ask, get};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_do_not_keep_http_from_answering() {
    let api = serve_with(|config| config.connections_max = 8).await;
    let mut honest = tokio::net::TcpStream::connect(api.address).await.expect("connected");
    let mut silent = Vec::new();
    for round in 0..20 {
        for _ in 0..3 {
            silent.push(tokio::net::TcpStream::connect(api.address).await.expect("connected"));
        }
        let head = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", api.address);
        honest.write_all(head.as_bytes()).await.unwrap_or_else(|error| panic!("round {round}: {error}"));
        let mut answer = [0; 15];
        timeout(PATIENCE, honest.read_exact(&mut answer)).await.expect("in time").expect("answered");
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        // The rest of the answer.
        let mut rest = [0; 1024];
        while !rest.windows(3).any(|three| three == b"ok\n") {
            let read = timeout(PATIENCE, honest.read(&mut rest)).await.expect("in time").expect("answered");
            assert!(read > 0);
        }
        assert_eq!(get(api.address, "/healthz").await.status, 200, "round {round}");
    }
    let mut ended = 0;
    for mut stream in silent {
        let mut byte = [0];
        ended += usize::from(stream.read(&mut byte).now_or_never().is_some());
    }
    assert!(ended >= 50, "{ended} gave their places up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_never_asks_is_closed() {
    let api = serve_with(|config| config.connections_max = 8).await;
    let mut silent = tokio::net::TcpStream::connect(api.address).await.expect("connected");
    let mut byte = [0];
    let read = timeout(PATIENCE, silent.read(&mut byte)).await.expect("in bounded time");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_answered_while_all_places_are_at_work() {
    let api = serve_with(|config| config.connections_max = 3).await;
    api.node.stall();
    let asked: Vec<_> = (0..3).map(|_| tokio::spawn(ask(api.address, "PUT", "/k", &[], b"v"))).collect();
    let reached = async {
        while api.node.asked() < 3 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, reached).await.expect("all are under way");
    for _ in 0..40 {
        assert_eq!(get(api.address, "/healthz").await.status, 200);
        assert_eq!(get(api.address, "/readyz").await.status, 200);
        let refused = get(api.address, "/k").await;
        assert_eq!(refused.problem(), (429, "overloaded".into()));
        assert!(refused.header("retry-after").is_some());
    }
    api.node.resume();
    for answer in asked {
        assert_eq!(timeout(PATIENCE, answer).await.expect("in time").expect("answered").status, 201);
    }
}
