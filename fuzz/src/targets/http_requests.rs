//! Whole HTTP requests, through the API's own routes to a node: paths, headers and bodies.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request as HttpRequest, Response, Uri, header};
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tower::Service as _;
use trine_client::Session;
use trine_crdt::{NamespaceId, NodeId, RegionId};
use trine_doors::http::guard::{Caller, OPEN_PATHS};
use trine_doors::http::namespaces::{NewNamespace, Rename};
use trine_doors::http::problem::{PROBLEM_JSON, Problem};
use trine_doors::http::server::Api;
use trine_doors::http::{Backend, HttpConfig, headers, routes};
use trine_doors::model::ObjectEdit;
use trine_protocol::reply::{
    Answer, Appended, Health, LedgerHead, NamespaceView, NodeView, ObjectsView, Page, RaftRole, Recovered, Reply,
    StatusView,
};
use trine_protocol::request::{
    Append, CheckpointGet, ConsistencyGet, LedgerGet, LedgerHistory, LedgerRange, LedgerRecord, NamespaceCreate,
    NamespaceDelete, NamespaceKind, NamespaceRename, NamespaceShow, NodeRemove, NodeReplace, ObjectGet, ObjectList,
    Options, RegionRecover,
};
use trine_protocol::{Edit, ObjectEntry, ObjectPage, ObjectView, Request, RequestError, Role, View};

use super::client_frames::{answered, options};
use crate::fixture::{CLUSTER, at, genesis, ledger, region, writer};
use crate::target::{Memory, Sample, Target, Verdict};

/// Behind a byte that says the caller's role: a line with method and target, lines of `name: value`, an empty line and the
/// body. What is refused is a problem and never reaches the node; what reaches it is what path and body say.
pub const TARGET: Target = Target { name: "http_requests", run, samples, memory: Memory::SERDE };

/// The longest value here, in bytes.
const VALUE_BYTES_MAX: usize = 16 * 1024;
/// An answer is no longer, in bytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;

fn run(bytes: &[u8]) -> Verdict {
    let Some((role, rest)) = bytes.split_first() else { return Verdict::Refused };
    let role = [Some(Role::Admin), Some(Role::Writer), Some(Role::Reader), None][usize::from(*role % 4)];
    let Some((request, body)) = parsed(rest, role) else { return Verdict::Refused };
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let (asked, answer) = served(request);
    let (parts, shown) = answer.into_parts();
    assert!(asked.len() <= 1, "one request became {} of them", asked.len());
    assert_ne!(parts.status, 500, "{}", String::from_utf8_lossy(&shown));
    let problem = parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM_JSON);
    if problem {
        // A read is judged by the conditions of its caller once it was read.
        let judged = parts.status == 412 && matches!(method, Method::GET | Method::HEAD);
        assert!(judged || asked.is_empty(), "the node never refuses here, and something was refused behind it");
        if method != Method::HEAD {
            let problem: Problem = serde_json::from_slice(&shown).expect("a problem is JSON");
            assert!(problem.status == parts.status.as_u16() && problem.title != "Failed", "{problem:?}");
        }
        return Verdict::Refused;
    }
    if parts.status == 304 {
        assert!(matches!(method, Method::GET | Method::HEAD) && asked.len() == 1, "{method} was not modified");
        return Verdict::Accepted;
    }
    assert!(parts.status.is_success(), "{} without a problem", parts.status);
    let Some((as_role, options, asked)) = asked.into_iter().next() else {
        let open = OPEN_PATHS.contains(&uri.path()) || (uri.path() == "/openapi.json" && role.is_some());
        assert!(open, "{uri} was answered by nobody");
        return Verdict::Accepted;
    };
    assert_eq!(Some(as_role), role, "the node was told another role");
    assert!(as_role >= asked.role(), "a {as_role:?} was let do {asked:?}");
    let session: Session =
        parts.headers[headers::SESSION].to_str().expect("text").parse().expect("an answer's session");
    assert_eq!(session.token(), merged(&options), "a session lost what it knew");
    says(&asked, &uri, &body);
    Verdict::Accepted
}

/// What a session must know after an answer.
fn merged(asked: &Options) -> trine_protocol::SessionToken {
    let mut token = asked.session.clone();
    token.merge(&options().session);
    token
}

/// The node was asked what the path, decoded once, and the body say.
fn says(asked: &Request, uri: &Uri, body: &[u8]) {
    let names: Vec<String> = uri.path().split('/').skip(1).map(decoded).collect();
    let name = |at: usize| names.get(at).map(String::as_str);
    let (namespace, key) = match (name(0), names.len()) {
        (_, 1) => (Some("default"), name(0)),
        (_, 2) => (Some("default"), name(1)),
        _ => (name(3), name(4)),
    };
    let is = |of: &str, at: &str| assert_eq!((Some(of), Some(at)), (namespace, key), "{uri} became another name");
    match asked {
        Request::Append(Append { namespace, key, value, .. }) => {
            is(namespace, key);
            assert_eq!(value, body, "another value was appended");
        }
        Request::LedgerGet(LedgerGet { namespace, key, .. })
        | Request::LedgerHistory(LedgerHistory { namespace, key, .. })
        | Request::ObjectGet(ObjectGet { namespace, key }) => is(namespace, key),
        Request::LedgerRange(LedgerRange { namespace: of, .. })
        | Request::ObjectList(ObjectList { namespace: of, .. })
        | Request::NamespaceShow(NamespaceShow { namespace: of }) => {
            assert_eq!(Some(of.as_str()), namespace);
        }
        Request::ObjectEdit(trine_protocol::request::ObjectEdit { namespace, key, edit }) => {
            is(namespace, key);
            if let Ok(told) = serde_json::from_slice::<ObjectEdit>(body) {
                let json = serde_json::to_vec(&told).expect("JSON");
                assert_eq!(serde_json::from_slice::<ObjectEdit>(&json).expect("our own JSON"), told);
                assert_eq!(told.edit().as_ref(), Ok(edit), "another change was made");
            } else {
                let named = uri.query().is_some_and(|query| query.contains('='));
                let removes = if named { matches!(edit, Edit::RemoveField(_)) } else { *edit == Edit::Delete };
                assert!(removes, "a change out of nothing");
            }
        }
        Request::NamespaceCreate(NamespaceCreate { name, kind, slots }) => {
            let told: NewNamespace = serde_json::from_slice(body).expect("it was read");
            assert_eq!((name, *kind, *slots), (&told.name, NamespaceKind::from(told.kind), told.slots));
        }
        Request::NamespaceRename(NamespaceRename { namespace: of, name: to }) => {
            let told: Rename = serde_json::from_slice(body).expect("it was read");
            assert_eq!((Some(of.as_str()), to), (namespace, &told.name));
        }
        Request::NamespaceDelete(NamespaceDelete { namespace: of, force, vetted }) => {
            assert_eq!((Some(of.as_str()), *vetted), (namespace, false));
            assert!(!force || uri.query().is_some(), "it was forced by nobody");
        }
        Request::LedgerRecord(LedgerRecord { region, index, .. }) => {
            assert_eq!((name(3), name(4).and_then(|text| text.parse().ok())), (Some(region.as_str()), Some(*index)));
        }
        Request::Consistency(ConsistencyGet { region, .. }) => assert_eq!(name(3), Some(region.as_str())),
        Request::Checkpoint(CheckpointGet { region }) => assert_eq!(name(1), Some(region.as_str())),
        Request::RegionRecover(RegionRecover { region }) => assert_eq!(name(3), Some(region.as_str())),
        Request::NodeRemove(NodeRemove { node, .. }) | Request::NodeReplace(NodeReplace { node, .. }) => {
            assert_eq!(name(3).map(str::to_ascii_lowercase), Some(node.to_string()));
        }
        _ => {}
    }
}

/// A part of a path: `%` and two digits are a byte, everything else is itself.
fn decoded(part: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let (mut rest, mut bytes) = (part.as_bytes(), Vec::new());
    while let Some((byte, after)) = rest.split_first() {
        match (byte, digit(after.first()), digit(after.get(1))) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high << 4 | low) as u8);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).expect("what is no text was refused")
}

/// The request, and its body once more.
fn parsed(bytes: &[u8], role: Option<Role>) -> Option<(HttpRequest<Body>, Bytes)> {
    let (line, mut rest) = cut(bytes)?;
    let space = line.iter().position(|byte| *byte == b' ')?;
    let mut request = HttpRequest::builder().method(&line[..space]).uri(&line[space + 1..]);
    loop {
        let (line, after) = cut(rest)?;
        rest = after;
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        request = request.header(&line[..colon], line[colon + 1..].trim_ascii());
    }
    let body = Bytes::copy_from_slice(rest);
    let mut request = request.body(Body::from(body.clone())).ok()?;
    request.extensions_mut().insert(Caller(role));
    Some((request, body))
}

/// The first line, and what follows.
fn cut(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

thread_local! {
    /// The API's routes, made once a thread, and the one node that they ask.
    static API: (Recorder, Router) = {
        let mut config = HttpConfig::plain("127.0.0.1:0".parse().expect("an address"));
        config.hosts.push("db.example".to_owned());
        config.value_bytes_max = VALUE_BYTES_MAX;
        config.genesis = Some(Arc::new(genesis()));
        let node = Recorder::default();
        (node.clone(), routes::router(Api::new(&config, Arc::new(node))))
    };
}

/// What the node was asked, and the answer.
fn served(request: HttpRequest<Body>) -> (Vec<Asked>, Response<Bytes>) {
    let (node, mut router) = API.with(Clone::clone);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let answer = runtime.block_on(async {
        let answer = router.call(request).await.unwrap_or_else(|never| match never {});
        let (parts, body) = answer.into_parts();
        Response::from_parts(parts, to_bytes(body, ANSWER_BYTES_MAX).await.expect("a whole answer"))
    });
    let asked = std::mem::take(&mut *node.0.lock().expect("one thread"));
    (asked, answer)
}

type Asked = (Role, Options, Request);

/// A node that remembers what it is asked and has an answer to everything.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Asked>>>);

impl Backend for Recorder {
    fn request(&self, role: Role, options: Options, request: Request) -> BoxFuture<'_, Result<Answer, RequestError>> {
        let reply = reply(&request);
        self.0.lock().expect("one thread").push((role, options, request));
        let session = self::options().session;
        async move { Ok(Answer { reply, session, timestamp: at(9) }) }.boxed()
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn region(&self) -> RegionId {
        region()
    }
}

fn reply(request: &Request) -> Reply {
    let namespace = |kind| NamespaceView { id: NamespaceId::default_objects(), name: "n".to_owned(), kind, slots: 1 };
    match request {
        Request::Append(_) => Reply::Appended(Appended {
            region: region(),
            index: 3,
            timestamp: at(3),
            duplicate: false,
            leaf: [3; 32],
            proof: None,
            header: None,
        }),
        Request::LedgerGet(_) | Request::LedgerRecord(_) => Reply::Record(answered(3, 13)),
        Request::LedgerHistory(_) | Request::LedgerRange(_) => {
            Reply::Page(Page { records: vec![answered(3, 13)], next: Some("k".to_owned()) })
        }
        Request::Checkpoint(_) => Reply::Checkpoint(ledger().note(13)),
        Request::Consistency(_) => Reply::Consistency(vec![vec![7; 32].into()]),
        Request::ObjectList(_) => {
            let object = ObjectView { views: vec![View::Counter(1)], timestamp: at(1), digest: [7; 32] };
            Reply::Objects(ObjectPage { objects: vec![ObjectEntry { key: "k".to_owned(), object }], next: None })
        }
        Request::Genesis => Reply::Genesis(Bytes::from_static(b"genesis")),
        Request::ObjectGet(_) | Request::ObjectEdit(_) => {
            let views = vec![View::Counter(1), View::Register(Bytes::from_static(&[0xff]))];
            Reply::Object(ObjectView { views, timestamp: at(1), digest: [7; 32] })
        }
        Request::NamespaceCreate(NamespaceCreate { kind, .. }) => Reply::Namespace(namespace(*kind)),
        Request::NamespaceRename(_) => Reply::Namespace(namespace(NamespaceKind::Ledger)),
        Request::NamespaceList | Request::NamespaceShow(_) => {
            Reply::Namespaces(vec![namespace(NamespaceKind::Objects)])
        }
        Request::RegionRecover(_) => Reply::Recovered(Recovered { size: 70, restored: 50 }),
        Request::RegionList => Reply::Regions(Vec::new()),
        Request::NodeList => Reply::Nodes(vec![node_view()]),
        Request::ManifestShow(_) => Reply::Segments(Vec::new()),
        Request::Status => Reply::Status(Box::new(StatusView {
            cluster: CLUSTER.to_owned(),
            format_level: Some(1),
            node: node_view(),
            ready: true,
            reason: None,
            edits: None,
            appends: None,
            leader: Some(NodeId(1)),
            term: 1,
            ledgers: [(region(), LedgerHead { size: 13, root: [7; 32] })].into(),
            objects: [(NamespaceId::default_objects(), ObjectsView { count: 1, digest: [7; 32] })].into(),
            timestamp: at(9),
            stamps_held: 0,
            standing: "there is no other region to ask".to_owned(),
            forked: Vec::new(),
            connected: vec![NodeId(2)],
            mirrors: true,
            problems: Vec::new(),
            clock: trine_protocol::reply::ClockView::default(),
        })),
        _ => Reply::Done,
    }
}

fn node_view() -> NodeView {
    NodeView {
        id: NodeId(1),
        name: "us-east-1-a".to_owned(),
        region: region(),
        peer: "peer".to_owned(),
        addresses: Vec::new(),
        http: None,
        writer: Some(writer(1)),
        health: Health::Healthy,
        raft: RaftRole::Leader,
        since: None,
        silent_ms: None,
    }
}

const ADMIN: u8 = 0;
const WRITER: u8 = 1;
const READER: u8 = 2;
const NOBODY: u8 = 3;

fn samples() -> Vec<Sample> {
    let mut samples = paths();
    samples.extend(bodies());
    samples.extend(doors());
    samples
}

fn text(line: &str, body: &[u8]) -> Vec<u8> {
    [format!("{line}\nHost: localhost:7420\n\n").as_bytes(), body].concat()
}

fn paths() -> Vec<Sample> {
    let valid = |name: &str, line: &str| Sample::valid(name, text(line, b"")).behind(ADMIN);
    let hostile = |name: &str, line: &str| Sample::hostile(name, text(line, b"")).behind(ADMIN);
    let mut samples = Vec::new();
    for (name, target) in [
        ("key", "/order-17"),
        ("key-named-api", "/api"),
        ("key-with-a-slash", "/a%2Fb"),
        ("key-of-two-dots", "/.."),
        ("key-escaped-twice", "/a%252Fb"),
        ("key-with-plus", "/a+b"),
        ("key-with-nul", "/a%00b"),
        ("key-with-half-an-escape", "/a%2"),
        ("key-in-cyrillic", "/%D0%B0"),
        ("verify", "/verify/order-17"),
        ("ledger-range", "/api/v1/ledger/default?prefix=%C3%A4&limit=1000"),
        ("ledger-get", "/api/v1/ledger/default/k"),
        ("ledger-history", "/api/v1/ledger/default/k/history?limit=1"),
        ("ledger-proof", "/api/v1/ledger/us-east-1%2F17/k/proof"),
        ("record", "/api/v1/records/us-east-1/18446744073709551615?proof=true"),
        ("consistency", "/api/v1/consistency/us-east-1?from=1&to=2"),
        ("checkpoint", "/log/us-east-1/checkpoint"),
        ("object", "/api/v1/objects/objects/k"),
        ("regions", "/api/v1/regions"),
        ("nodes", "/api/v1/nodes"),
        ("namespaces", "/api/v1/namespaces"),
        ("namespace", "/api/v1/namespaces/us-east-1%2F17"),
        ("manifest", "/api/v1/manifest?region=us-east-1"),
        ("status", "/api/v1/status"),
        ("openapi", "/openapi.json"),
        ("whole-target", "http://localhost:7420/api/v1/status"),
    ] {
        samples.push(valid(name, &format!("GET {target}")));
    }
    samples.extend([
        valid("head", "HEAD /order-17"),
        valid("delete-object", "DELETE /api/v1/objects/objects/k"),
        valid("delete-node", "DELETE /api/v1/nodes/00000000000000AF"),
        valid("replace-node", "POST /api/v1/nodes/00000000000000af/replace"),
        valid("delete-namespace", "DELETE /api/v1/namespaces/us-east-1%2F17?force=true"),
        hostile("delete-namespace-perhaps", "DELETE /api/v1/namespaces/us-east-1%2F17?force=1"),
        hostile("nothing", "GET /"),
        hostile("no-such-path", "GET /api/v1/ledgers/default/k"),
        hostile("no-such-method", "PATCH /order-17"),
        hostile("a-slash-more", "GET /api/v1/status/"),
        hostile("key-that-is-no-text", "GET /%ff%fe"),
        hostile("namespace-that-is-no-text", "GET /api/v1/objects/%ff/k"),
        hostile("record-beyond-64-bits", "GET /api/v1/records/us-east-1/18446744073709551616"),
        hostile("record-above", "GET /api/v1/records/..%2Fus-east-1/1"),
        hostile("region-in-capitals", "GET /log/US-EAST-1/checkpoint"),
        hostile("node-that-is-none", "DELETE /api/v1/nodes/five"),
        hostile("limit-of-nothing", "GET /api/v1/ledger/default?limit=0"),
        hostile("asterisk", "OPTIONS *"),
        hostile("authority", "CONNECT localhost:7420"),
        hostile("a-key-long", &format!("GET /{}", "%".repeat(70_000))),
    ]);
    samples
}

fn bodies() -> Vec<Sample> {
    let object = |body: &[u8]| text("POST /api/v1/objects/objects/k", body);
    let create = |body: &[u8]| text("POST /api/v1/namespaces", body);
    let edits = |name: &str, body: &str| Sample::valid(name, object(body.as_bytes())).behind(WRITER);
    let no_edit = |name: &str, body: &str| Sample::hostile(name, object(body.as_bytes())).behind(WRITER);
    let creates = |name: &str, body: &str| Sample::valid(name, create(body.as_bytes())).behind(ADMIN);
    let no_namespace = |name: &str, body: &str| Sample::hostile(name, create(body.as_bytes())).behind(ADMIN);
    let rename = |body: &str| text("POST /api/v1/namespaces/us-east-1%2F17/rename", body.as_bytes());
    let renames = |name: &str, body: &str| Sample::valid(name, rename(body)).behind(ADMIN);
    let no_name = |name: &str, body: &str| Sample::hostile(name, rename(body)).behind(ADMIN);
    let nested = |levels: usize, innermost: &str| {
        format!("{}{innermost}{}", r#"{"op":"field","name":"n","edit":"#.repeat(levels), "}".repeat(levels))
    };
    let increment = r#"{"op":"increment"}"#;
    vec![
        Sample::valid("append", text("PUT /order-17", b"\0\xffpaid")).behind(WRITER),
        Sample::valid("append-nothing", text("PUT /api/v1/ledger/default/k", b"")).behind(WRITER),
        Sample::hostile("append-too-much", text("PUT /order-17", &[7; VALUE_BYTES_MAX + 1])).behind(WRITER),
        edits("increment", increment),
        edits("increment-by", r#"{"op":"increment","by":-9223372036854775808}"#),
        edits("set", r#"{"op":"set","value":"AP8=","encoding":"base64"}"#),
        edits("put", r#"{"op":"put","value":"\u0000\ud83d\ude00"}"#),
        edits("add", r#"{"value":"x","op":"add"}"#),
        edits("remove", r#"{"op":"remove","value":""}"#),
        edits("remove-field", r#"{"op":"remove_field","name":"n"}"#),
        edits("delete", r#"{"op":"delete"}"#),
        edits("as-deep-as-may-be", &nested(8, increment)),
        no_edit("deeper", &nested(9, increment)),
        no_edit("deep-without-end", &nested(2000, increment)),
        no_edit("edit-of-nothing", ""),
        no_edit("edit-twice", &increment.repeat(2)),
        no_edit("edit-of-another-kind", r#"{"op":"fly"}"#),
        no_edit("edit-with-more", r#"{"op":"delete","by":1}"#),
        no_edit("edit-named-twice", r#"{"op":"set","value":"a","value":"b"}"#),
        no_edit("edit-beyond-64-bits", r#"{"op":"increment","by":9223372036854775808}"#),
        no_edit("edit-by-a-half", r#"{"op":"increment","by":0.5}"#),
        no_edit("edit-that-is-no-base64", r#"{"op":"set","value":"AP8","encoding":"base64"}"#),
        no_edit("edit-with-half-a-letter", r#"{"op":"set","value":"\ud83d"}"#),
        no_edit("edit-in-lists", &"[".repeat(4096)),
        Sample::hostile("edit-that-is-no-text", object(b"{\"op\":\"set\",\"value\":\"\xff\"}")).behind(WRITER),
        creates("create-ledger", r#"{"name":"orders","kind":"ledger"}"#),
        creates("create-objects", r#"{"name":"","kind":"objects","slots":4294967295}"#),
        renames("rename", r#"{"name":"carts"}"#),
        no_name("rename-to-nothing", "{}"),
        no_name("rename-with-more", r#"{"name":"carts","kind":"ledger"}"#),
        no_namespace("create-another-kind", r#"{"name":"orders","kind":"Ledger"}"#),
        no_namespace("create-with-more", r#"{"name":"orders","kind":"ledger","region":"us-east-1"}"#),
        no_namespace("create-beyond-32-bits", r#"{"name":"orders","kind":"objects","slots":4294967296}"#),
        no_namespace("create-too-much", &format!(r#"{{"name":"{}","kind":"ledger"}}"#, "n".repeat(65_536))),
    ]
}

fn doors() -> Vec<Sample> {
    let with = |name: &str, lines: &str| Sample::hostile(name, format!("GET /k\n{lines}\n\n")).behind(ADMIN);
    let put = |lines: &str| format!("PUT /k\nHost: localhost\n{lines}\n\nvalue");
    let session = Session::from(options().session);
    vec![
        Sample::valid("open", text("GET /healthz", b"")).behind(NOBODY),
        Sample::valid("named-host", "GET /k\nHost: DB.example:7420\n\n").behind(READER),
        Sample::valid("own-origin", "GET /k\nHost: [::1]:7420\nOrigin: http://[::1]:7420\n\n").behind(READER),
        Sample::valid("session", put(&format!("Trine-Session: {session}"))).behind(WRITER),
        Sample::valid("once", put("Idempotency-Key: once\nIf-None-Match: *\nTrine-Meta-A: b")).behind(WRITER),
        Sample::hostile("nobody", text("GET /k", b"")).behind(NOBODY),
        Sample::hostile("a-reader-writes", text("PUT /k", b"value")).behind(READER),
        Sample::hostile("a-writer-creates", text("POST /api/v1/namespaces", br#"{"name":"a","kind":"ledger"}"#))
            .behind(WRITER),
        Sample::hostile("a-writer-deletes-a-namespace", text("DELETE /api/v1/namespaces/orders", b"")).behind(WRITER),
        Sample::hostile("a-length-that-lies", put("Content-Length: 18446744073709551615")).behind(WRITER),
        Sample::hostile("a-session-of-nothing", put("Trine-Session: ")).behind(WRITER),
        with("no-host", "Accept: */*"),
        with("two-hosts", "Host: localhost\nHost: localhost"),
        with("foreign-host", "Host: evil.example"),
        with("foreign-origin", "Host: localhost\nOrigin: http://evil.example"),
        with("origin-of-no-form", "Host: localhost\nOrigin: localhost"),
        with("host-that-is-no-text", "Host: \u{7f}"),
        with("no-header", "a line without a colon"),
        Sample::hostile("unended", "GET /k\nHost: localhost\n").behind(ADMIN),
        Sample::hostile("no-method", text(" /k", b"")).behind(ADMIN),
    ]
}
