//! Records over HTTP.

use std::time::Duration;

use trine_protocol::request::{Append, Precondition};
use trine_protocol::{Consistency, Durability, Request, Role};

use crate::fake_node::{serve, serve_with};
use crate::http_client::{ask, exchange, get};

#[tokio::test]
async fn a_value_comes_back_as_it_went_in() {
    let api = serve().await;
    let path = "/api/v1/ledger/default/order%2F17%20%C3%BC";
    let value = [0, 159, 146, 150, 13, 10];
    let headers = [
        ("Content-Type", "image/x-test"),
        ("Trine-Meta-Source", "scanner"),
        ("Trine-Durability", "regions=2"),
        ("Idempotency-Key", "once"),
    ];
    let put = ask(api.address, "PUT", path, &headers, &value).await;
    assert_eq!(put.status, 201, "{put:?}");
    assert_eq!(put.header("etag"), Some("\"us-east-1/0\""));
    assert_eq!(put.json()["version"], "us-east-1/0");
    let (role, options, Request::Append(Append { key, idempotency_key, metadata, .. })) = api.node.last() else {
        panic!("no append")
    };
    assert_eq!((key.as_str(), role, options.durability), ("order/17 ü", Role::Admin, Durability::Regions(2)));
    assert_eq!(idempotency_key.as_deref(), Some("once"));
    assert_eq!(metadata["source"], "scanner");

    let read = get(api.address, path).await;
    assert_eq!((read.status, read.body.as_slice()), (200, value.as_slice()));
    assert_eq!(read.header("content-type"), Some("image/x-test"));
    assert_eq!(read.header("trine-meta-source"), Some("scanner"));
    assert_eq!(read.header("trine-region"), Some("us-east-1"));
    assert_eq!(read.header("x-content-type-options"), Some("nosniff"));
    assert!(read.header("trine-timestamp").is_some() && read.header("trine-as-of").is_some());

    let json = ask(api.address, "GET", path, &[("Accept", "application/vnd.trine.record+json")], b"").await.json();
    assert_eq!((&json["encoding"], &json["key"]), (&"base64".into(), &"order/17 ü".into()));
}

#[tokio::test]
async fn what_lies_below_an_underscore_is_no_key_at_the_root() {
    let api = serve().await;
    for path in ["/_", "/%5F", "/_/", "/_/console", "/_/a/b"] {
        for method in ["GET", "PUT"] {
            let answer = ask(api.address, method, path, &[], b"v").await;
            assert_eq!(answer.problem(), (404, "no_route".into()), "{method} {path}");
        }
    }
    assert_eq!(api.node.asked(), 0);
    let long = "/api/v1/ledger/default/_";
    assert_eq!(
        ask(api.address, "PUT", long, &[], b"v").await.status,
        201,
        "under its whole name it is a key as others are"
    );
    assert_eq!(get(api.address, long).await.body, b"v");
    assert_eq!(ask(api.address, "PUT", "/__", &[], b"v").await.status, 201);
}

#[tokio::test]
async fn a_session_travels_in_a_header() {
    let api = serve().await;
    let put = ask(api.address, "PUT", "/k", &[], b"v").await;
    let session = put.header("trine-session").expect("a session").to_owned();
    let headers = [("Trine-Session", session.as_str()), ("Trine-Max-Staleness", "250ms"), ("Trine-Timeout", "3s")];
    assert_eq!(ask(api.address, "GET", "/k", &headers, b"").await.body, b"v");
    let (_, options, _) = api.node.last();
    assert_eq!(options.session.ledgers.values().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(options.consistency, Consistency::Bounded(Duration::from_millis(250)));
    let mut far = options.session.clone();
    far.see_ledger(&"eu-west-1".parse().expect("a region"), 9);
    let far = trine_client::Session::from(far).to_string();
    let read = ask(api.address, "GET", "/k", &[("Trine-Session", far.as_str())], b"").await;
    assert_eq!(read.header("trine-session"), Some(far.as_str()), "what the session knew already is not lost");
    assert_eq!(options.timeout, Some(Duration::from_secs(3)));
}

#[tokio::test]
async fn preconditions_hold_or_answer_412() {
    let api = serve().await;
    let put = |headers: &'static [(&'static str, &'static str)]| ask(api.address, "PUT", "/k", headers, b"v");
    assert_eq!(put(&[("If-None-Match", "*")]).await.status, 201);
    let (_, _, Request::Append(Append { if_match, .. })) = api.node.last() else { panic!("no append") };
    assert_eq!(if_match, Some(Precondition::Absent));
    assert_eq!(put(&[("If-None-Match", "*")]).await.problem(), (412, "conflict".into()));
    assert_eq!(put(&[("If-Match", "\"us-east-1/0\"")]).await.status, 201);
    assert_eq!(put(&[("If-Match", "\"us-east-1/0\"")]).await.problem(), (412, "conflict".into()));
    let asked = api.node.asked();
    assert_eq!(put(&[("If-Match", "\"eu-west-1/0\"")]).await.problem(), (412, "conflict".into()));
    assert_eq!(put(&[("If-Match", "7")]).await.problem(), (400, "invalid".into()));
    assert_eq!(api.node.asked(), asked, "what cannot hold is not asked");
}

#[tokio::test]
async fn pages_histories_and_places_are_read() {
    let api = serve().await;
    for (key, value) in [("a/1", "x"), ("a/2", "y"), ("a/1", "z"), ("b", "w")] {
        let path = format!("/api/v1/ledger/default/{}", key.replace('/', "%2F"));
        assert_eq!(ask(api.address, "PUT", &path, &[], value.as_bytes()).await.status, 201);
    }
    let history = get(api.address, "/api/v1/ledger/default/a%2F1/history").await.json();
    let values: Vec<&str> =
        history["records"].as_array().expect("records").iter().filter_map(|record| record["value"].as_str()).collect();
    assert_eq!(values, ["x", "z"]);
    let page = get(api.address, "/api/v1/ledger/default?prefix=a%2F&limit=2").await.json();
    assert_eq!((page["records"].as_array().map(Vec::len), &page["next"]), (Some(2), &"a/2".into()));
    assert_eq!(get(api.address, "/api/v1/records/us-east-1/3").await.json()["value"], "w");
    assert_eq!(get(api.address, "/log/us-east-1/checkpoint").await.body, b"trine/us-east-1\n1\n");
    assert_eq!(
        get(api.address, "/api/v1/consistency/us-east-1?from=1&to=2").await.json().as_array().map(Vec::len),
        Some(1)
    );
    for wrong in ["?limit=0", "?limit=1001", "?limit=x", "?colour=red"] {
        let path = format!("/api/v1/ledger/default{wrong}");
        assert_eq!(get(api.address, &path).await.problem(), (400, "invalid".into()), "{wrong}");
    }
}

#[tokio::test]
async fn a_value_beyond_the_limit_is_refused_by_its_length_alone_and_while_it_arrives() {
    let api = serve_with(|config| config.value_bytes_max = 1000).await;
    assert_eq!(ask(api.address, "PUT", "/k", &[], &[7; 1000]).await.status, 201);
    assert_eq!(ask(api.address, "PUT", "/k", &[], &[7; 1001]).await.problem(), (413, "too_large".into()));
    let lie = [("Content-Length", "99999999999")];
    assert_eq!(ask(api.address, "PUT", "/k", &lie, b"").await.problem(), (413, "too_large".into()));
    let mut chunked = b"800\r\n".to_vec();
    chunked.extend([7; 0x800]);
    chunked.extend(b"\r\n0\r\n\r\n");
    let stream = tokio::net::TcpStream::connect(api.address).await.expect("connected");
    let headers = [("Host", "localhost"), ("Transfer-Encoding", "chunked")];
    let answer = exchange(stream, "PUT", "/k", &headers, &chunked).await;
    assert_eq!(answer.problem(), (413, "too_large".into()));
    assert_eq!(api.node.asked(), 1);
}

#[tokio::test]
async fn wrong_headers_and_paths_are_named() {
    let api = serve().await;
    for (name, value) in [
        ("Trine-Consistency", "strong"),
        ("Trine-Durability", "everywhere"),
        ("Trine-Session", "zz"),
        ("Trine-Timeout", "soon"),
        ("Trine-Max-Staleness", "1"),
    ] {
        let answer = ask(api.address, "GET", "/k", &[(name, value)], b"").await;
        assert_eq!(answer.problem(), (400, "invalid".into()), "{name}");
    }
    assert_eq!(get(api.address, "/api/v1/ledger/default/%FF").await.problem(), (400, "invalid".into()));
    assert_eq!(get(api.address, "/api/v1/nothing/here/at/all").await.problem(), (404, "no_route".into()));
    assert_eq!(ask(api.address, "POST", "/k", &[], b"").await.problem(), (405, "method_not_allowed".into()));
    assert_eq!(get(api.address, "/missing").await.problem(), (404, "not_found".into()));
    assert_eq!(get(api.address, "/verify/k").await.problem(), (501, "unsupported".into()));
}
