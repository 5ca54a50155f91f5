//! Who is let in, and what those hear who are not.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use trine_doors::http::{HttpConfig, HttpServer, ServeError};
use trine_protocol::{Conflict, Missing, RequestError, Role};

use crate::fake_node::{FakeNode, home, serve, serve_with};
use crate::http_client::{ask, exchange, get};
use crate::http_tls::Secure;

#[tokio::test]
async fn every_error_has_a_status_and_a_stable_code() {
    let api = serve().await;
    let what = || "it".to_owned();
    for (error, status, retry_after) in [
        (RequestError::Invalid { what: what() }, 400, None),
        (Missing::namespace("it").into(), 404, None),
        (RequestError::Forbidden { what: what() }, 403, None),
        (Conflict::IdempotencyKey { region: home(), index: 3 }.into(), 409, None),
        (Conflict::Version { region: home(), latest: Some(3) }.into(), 412, None),
        (Conflict::ObjectChanged.into(), 412, None),
        (RequestError::Ambiguous { what: what() }, 409, None),
        (RequestError::NotEmpty { what: what() }, 409, None),
        (RequestError::TooLarge { what: what(), bytes: 2, limit: 1 }, 413, None),
        (RequestError::WrongKind { actual: "set".into(), asked: "counter".into() }, 409, None),
        (RequestError::Overloaded { retry_after: Duration::from_millis(1500) }, 429, Some("2")),
        (RequestError::Unavailable { what: what() }, 503, Some("1")),
        (RequestError::Unknown, 504, None),
        (RequestError::DiskFull, 507, Some("1")),
        (RequestError::Damaged { what: what() }, 500, None),
        (RequestError::Stale { as_of: what() }, 503, Some("1")),
        (RequestError::Unsupported { what: what() }, 501, None),
    ] {
        api.node.refuse(error.clone());
        let answer = get(api.address, "/k").await;
        assert_eq!(answer.problem(), (status, error.code().to_owned()));
        assert_eq!(answer.header("retry-after"), retry_after, "{error:?}");
        assert_eq!(answer.json()["detail"], error.to_string());
        assert_eq!(answer.json()["type"], format!("urn:trine:problem:{}", error.code()));
        let missing = matches!(error, RequestError::NotFound { .. }).then_some("namespace");
        assert_eq!(answer.json()["missing"].as_str(), missing, "{error:?}");
    }
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let api = serve().await;
    for (path, missing) in
        [("/k", "key"), ("/api/v1/objects/objects/k", "object"), ("/api/v1/records/left/7", "record")]
    {
        assert_eq!(get(api.address, path).await.json()["missing"], missing, "{path}");
    }
}

#[tokio::test]
async fn a_foreign_host_or_origin_is_refused() {
    let api = serve_with(|config| config.hosts = vec!["trine.example".to_owned()]).await;
    let with = |name: &'static str, value: String| async move {
        ask(api.address, "GET", "/healthz", &[(name, value.as_str())], b"").await
    };
    for host in ["localhost", "127.0.0.1:7420", "[::1]:7420", "TRINE.example:80"] {
        assert_eq!(with("Host", host.to_owned()).await.status, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example"] {
        assert_eq!(with("Host", host.to_owned()).await.problem(), (421, "foreign_host".into()), "{host}");
    }
    assert_eq!(with("Origin", format!("http://{}", api.address)).await.status, 200);
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        assert_eq!(with("Origin", origin.to_owned()).await.problem(), (403, "foreign_origin".into()), "{origin}");
    }
    let stream = TcpStream::connect(api.address).await.expect("connected");
    let twice = [("Host", "localhost"), ("Host", "evil.example")];
    assert_ne!(exchange(stream, "GET", "/healthz", &twice, b"").await.status, 200);
}

#[tokio::test]
async fn health_and_readiness_are_two_things() {
    let api = serve().await;
    for path in ["/readyz", "/readyz?write"] {
        assert_eq!(get(api.address, path).await.body, b"ready\n");
    }
    api.node.full("the disk is full");
    let answer = get(api.address, "/readyz").await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"ready to read; the disk is full\n"[..]), "reads go on");
    for path in ["/readyz?write", "/readyz?write=1"] {
        assert_eq!(get(api.address, path).await.problem(), (503, "not_ready".into()), "{path}");
    }
    api.node.unready("no leader yet");
    let answer = get(api.address, "/readyz").await;
    assert_eq!(answer.problem(), (503, "not_ready".into()));
    assert_eq!((answer.header("retry-after"), &answer.json()["detail"]), (Some("1"), &"no leader yet".into()));
    assert_eq!(get(api.address, "/healthz").await.body, b"ok\n");
    assert_eq!(get(api.address, "/metrics").await.problem(), (404, "no_route".into()), "none are kept");
}

#[tokio::test]
async fn metrics_are_rendered() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || metrics::counter!("trine_test_total").increment(3));
    let api = serve_with(|config| config.metrics = Some(handle)).await;
    let answer = get(api.address, "/metrics").await;
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    assert!(String::from_utf8_lossy(&answer.body).contains("trine_test_total 3"), "{answer:?}");
}

#[tokio::test]
async fn plain_http_stays_on_this_machine() {
    let config = HttpConfig::plain("0.0.0.0:0".parse().expect("an address"));
    let bound = HttpServer::bind(config, Arc::new(FakeNode::default())).await;
    assert!(matches!(bound.err(), Some(ServeError::Exposed(_))));
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let api = serve().await;
    let bound = HttpServer::bind(HttpConfig::plain(api.address), Arc::new(FakeNode::default())).await;
    let error = bound.err().expect("the port is taken").to_string();
    assert!(error.contains(&api.address.to_string()), "{error}");
}

#[tokio::test]
async fn under_tls_the_certificate_decides() {
    let secure = Secure::serve().await;
    let asked = async |role: Option<Role>, method: &str, path: &str| {
        let bundle = role.map(|role| secure.client(role));
        secure.ask(bundle.as_ref(), method, path, &[]).await
    };
    let (reader, writer) = (Some(Role::Reader), Some(Role::Writer));
    assert_eq!(asked(writer, "PUT", "/k").await.status, 201);
    assert_eq!(secure.api.node.last().0, Role::Writer);
    assert_eq!(asked(reader, "GET", "/k").await.status, 200);
    assert_eq!(asked(reader, "PUT", "/k").await.problem(), (403, "forbidden".into()));
    let refused = asked(writer, "DELETE", "/api/v1/nodes/0000000000000005").await;
    assert_eq!(refused.problem(), (403, "forbidden".into()));
    assert_eq!(asked(None, "GET", "/healthz").await.status, 200);
    assert_eq!(asked(None, "GET", "/readyz").await.status, 200);
    for path in ["/k", "/api/v1/status", "/metrics", "/openapi.json", "/nothing/here"] {
        assert_eq!(asked(None, "GET", path).await.problem(), (401, "unauthorized".into()), "{path}");
    }
    assert_eq!(secure.api.node.asked(), 2);
}

/// Who may not write is told so before a byte of the body is waited for, and takes no room from those who may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_takes_no_room() {
    let secure = Secure::serve().await;
    let reader = secure.client(Role::Reader);
    let put = ["/k", "/api/v1/ledger/default/k"].map(|path| ("PUT", path));
    let post = ["/api/v1/objects/objects/k", "/api/v1/namespaces"].map(|path| ("POST", path));
    for (method, path) in put.into_iter().chain(post) {
        let refused = secure.ask(Some(&reader), method, path, &[("Content-Length", "16777216")]).await;
        assert_eq!(refused.problem(), (403, "forbidden".into()), "{path}");
    }
    assert_eq!(secure.api.node.asked(), 0);
}
