//! No header that makes another request of a request is passed over.

use trine_protocol::request::{Append, ObjectCondition};
use trine_protocol::{Conflict, Request};

use crate::fake_node::{home, serve};
use crate::http_client::ask;

const OBJECT: &str = "/api/v1/objects/objects/k";
const INCREMENT: &[u8] = br#"{"op":"increment","by":1}"#;

#[tokio::test]
async fn what_a_route_does_not_honour_is_refused_with_a_code() {
    let api = serve().await;
    let uuid = ("Idempotency-Key", "4b1c");
    let gzip = ("Content-Encoding", "gzip");
    let part = ("Content-Range", "bytes 0-3/4");
    let since = ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT");
    let namespace = br#"{"name":"n","kind":"ledger"}"#;
    let remove = "/api/v1/nodes/0000000000000005";
    for (method, path, header, body, status, code) in [
        ("POST", OBJECT, uuid, INCREMENT, 501, "unsupported"),
        ("DELETE", OBJECT, uuid, b"", 501, "unsupported"),
        ("POST", "/api/v1/namespaces", uuid, namespace, 501, "unsupported"),
        ("DELETE", remove, ("If-Match", "*"), b"", 501, "unsupported"),
        ("POST", &format!("{remove}/replace"), ("If-None-Match", "*"), b"", 501, "unsupported"),
        ("PUT", "/k", since, b"v", 501, "unsupported"),
        ("POST", OBJECT, since, INCREMENT, 501, "unsupported"),
        ("PUT", "/k", gzip, b"v", 415, "unsupported"),
        ("POST", OBJECT, gzip, INCREMENT, 415, "unsupported"),
        ("PUT", "/k", part, b"v", 400, "invalid"),
        ("PUT", "/api/v1/ledger/default/k", part, b"v", 400, "invalid"),
        ("PUT", "/k", ("Idempotency-Key", ""), b"v", 400, "invalid"),
        ("PUT", "/k", ("Trine-Durabilty", "all"), b"v", 400, "invalid"),
        ("GET", "/k", ("Trine-Stalenes", "1s"), b"", 400, "invalid"),
        ("POST", OBJECT, ("Trine-Meta-Author", "ada"), INCREMENT, 400, "invalid"),
        ("POST", OBJECT, ("If-Match", "\"abc\""), INCREMENT, 400, "invalid"),
        ("POST", OBJECT, ("If-None-Match", "\"abc\""), INCREMENT, 400, "invalid"),
    ] {
        let answer = ask(api.address, method, path, &[header], body).await;
        assert_eq!(answer.problem(), (status, code.to_owned()), "{method} {path} {header:?}");
    }
    let both = [("If-Match", "*"), ("If-None-Match", "*")];
    for (method, path, body) in [("PUT", "/k", &b"v"[..]), ("POST", OBJECT, INCREMENT)] {
        assert_eq!(ask(api.address, method, path, &both, body).await.problem(), (400, "invalid".into()), "{path}");
    }
    // What is malformed is malformed, also where the precondition does not hold.
    let elsewhere = ("If-Match", "\"elsewhere/8\"");
    for wrong in
        [("Trine-Timeout", ""), ("Trine-Durability", "some"), ("Idempotency-Key", ""), ("Content-Encoding", "br")]
    {
        let answer = ask(api.address, "PUT", "/k", &[elsewhere, wrong], b"v").await;
        assert_ne!(answer.status, 412, "{wrong:?}: {}", answer.problem().1);
    }
    assert_eq!(ask(api.address, "PUT", "/k", &[elsewhere], b"v").await.status, 412);
    assert_eq!(api.node.asked(), 0, "nothing was done");
    assert_eq!(ask(api.address, "PUT", "/k", &[("Content-Encoding", "identity")], b"v").await.status, 201);
    assert_eq!(ask(api.address, "PUT", "/k", &[uuid], b"v").await.status, 201);
    let Request::Append(Append { idempotency_key, .. }) = api.node.last().2 else { panic!("no append") };
    assert_eq!(idempotency_key.as_deref(), Some("4b1c"));
}

#[tokio::test]
async fn an_edit_says_what_the_object_must_be() {
    let api = serve().await;
    let digest = "03".repeat(32);
    let tag = format!("\"{digest}\"");
    for (header, wanted) in [
        (("If-Match", tag.as_str()), ObjectCondition::Digest([3; 32])),
        (("If-Match", "*"), ObjectCondition::Present),
        (("If-None-Match", "*"), ObjectCondition::Absent),
    ] {
        for (method, body) in [("POST", INCREMENT), ("DELETE", b"")] {
            ask(api.address, method, OBJECT, &[header], body).await;
            assert_eq!(api.node.last().1.object, Some(wanted), "{method} {header:?}");
        }
    }
    api.node.refuse(Conflict::ObjectChanged.into());
    let refused = ask(api.address, "POST", OBJECT, &[("If-Match", &tag)], INCREMENT).await;
    assert_eq!(refused.problem(), (412, "conflict".into()));
    // What no header of the caller's stated is not answered as if one had.
    api.node.refuse(Conflict::IdempotencyKey { region: home(), index: 3 }.into());
    let once = [("If-Match", "\"us-east-1/3\""), ("Idempotency-Key", "once")];
    assert_eq!(ask(api.address, "PUT", "/k", &once, b"v").await.problem(), (409, "conflict".into()));
}

#[tokio::test]
async fn reads_know_conditions() {
    let api = serve().await;
    ask(api.address, "POST", OBJECT, &[], INCREMENT).await;
    ask(api.address, "PUT", "/k", &[], b"v").await;
    for path in [OBJECT, "/k", "/api/v1/ledger/default/k", "/api/v1/records/us-east-1/0"] {
        let get = async |header: (&str, &str)| ask(api.address, "GET", path, &[header], b"").await;
        let first = get(("Accept", "*/*")).await;
        let tag = first.header("etag").expect("an ETag").to_owned();
        for held in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let answer = get(("If-None-Match", &held)).await;
            assert_eq!((answer.status, answer.body.len()), (304, 0), "{path} {held}");
            assert_eq!(answer.header("etag"), Some(tag.as_str()), "{path}");
        }
        assert_eq!(get(("If-None-Match", "\"x\"")).await.status, 200);
        assert_eq!(get(("If-Match", &tag)).await.status, 200);
        assert_eq!(get(("If-Match", "\"x\"")).await.problem(), (412, "conflict".into()), "{path}");
    }
    // What has no ETag is none that a caller could have.
    assert_eq!(ask(api.address, "GET", "/api/v1/regions", &[("If-None-Match", "\"x\"")], b"").await.status, 200);
    assert_eq!(
        ask(api.address, "GET", "/api/v1/objects/objects/nobody", &[("If-None-Match", "*")], b"").await.status,
        404
    );
}
