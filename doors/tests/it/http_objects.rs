//! Objects, and everything about the cluster, over HTTP.

use bytes::Bytes;
use trine_crdt::NodeId;
use trine_protocol::request::{
    NamespaceCreate, NamespaceDelete, NamespaceKind, NamespaceRename, NamespaceShow, NodeRemove, NodeReplace,
    ObjectEdit,
};
use trine_protocol::{Edit, Request};

use crate::fake_node::serve;
use crate::http_client::{ask, get};

#[tokio::test]
async fn an_object_is_changed_read_and_removed() {
    let api = serve().await;
    let path = "/api/v1/objects/objects/visits";
    let post = |body: &'static str| ask(api.address, "POST", path, &[], body.as_bytes());
    assert_eq!(post(r#"{"op":"increment","by":5}"#).await.json()["values"][0]["total"], 5);
    let after = post(r#"{"op":"increment","by":-2}"#).await;
    assert_eq!(after.json()["values"][0], serde_json::json!({ "kind": "counter", "total": 3, "exact": "3" }));
    assert_eq!(after.header("etag"), Some(format!("\"{}\"", "03".repeat(32)).as_str()));
    assert_eq!(get(api.address, path).await.json()["values"][0]["total"], 3);
    assert_eq!(ask(api.address, "DELETE", path, &[], b"").await.status, 204);
    assert_eq!(get(api.address, path).await.problem(), (404, "not_found".into()));
}

#[tokio::test]
async fn a_deletion_takes_no_more_than_was_asked() {
    let api = serve().await;
    let delete = |query: &'static str| async move {
        let path = format!("/api/v1/objects/objects/mm{query}");
        ask(api.address, "DELETE", &path, &[], b"").await
    };
    assert_eq!(delete("?field=a%20b").await.status, 204);
    let (_, _, Request::ObjectEdit(ObjectEdit { edit, .. })) = api.node.last() else { panic!("no edit") };
    assert_eq!(edit, Edit::RemoveField("a b".into()), "one field, not the object");
    for wrong in ["?fields=a", "?field=a&field=b", "?field=a&x", "?field=%FF", "?field=%zz", "?Field=a"] {
        assert_eq!(delete(wrong).await.problem(), (400, "invalid".into()), "{wrong}");
    }
    assert_eq!(api.node.asked(), 1);
    assert_eq!(delete("").await.status, 204);
    let (_, _, Request::ObjectEdit(ObjectEdit { edit, .. })) = api.node.last() else { panic!("no edit") };
    assert_eq!(edit, Edit::Delete);
}

/// Most readers of JSON keep numbers as doubles.
#[tokio::test]
async fn a_counter_beyond_2_to_53_can_be_read_exactly() {
    let api = serve().await;
    let path = "/api/v1/objects/objects/large";
    for by in [(1_i64 << 53) + 1, i64::MAX] {
        let body = format!(r#"{{"op":"increment","by":{by}}}"#);
        ask(api.address, "DELETE", path, &[], b"").await;
        let value = ask(api.address, "POST", path, &[], body.as_bytes()).await.json()["values"][0].clone();
        assert_eq!(value["exact"], by.to_string());
        assert_eq!(value["saturated"], if by == i64::MAX { true.into() } else { serde_json::Value::Null });
    }
}

#[tokio::test]
async fn objects_are_listed_page_by_page() {
    let api = serve().await;
    for key in ["a%2F1", "a%2F2", "a%2F3", "b"] {
        ask(api.address, "POST", &format!("/api/v1/objects/objects/{key}"), &[], br#"{"op":"increment"}"#).await;
    }
    let page = |query: &'static str| async move { get(api.address, &format!("/api/v1/objects/objects{query}")).await };
    let keys = |json: &serde_json::Value| -> Vec<String> {
        let objects = json["objects"].as_array().expect("a list");
        objects.iter().map(|object| object["key"].as_str().expect("a key").to_owned()).collect()
    };
    let first = page("?prefix=a%2F&limit=2").await.json();
    assert_eq!((keys(&first), &first["next"]), (vec!["a/1".into(), "a/2".into()], &"a/2".into()));
    assert_eq!(first["objects"][0]["values"][0], serde_json::json!({ "kind": "counter", "total": 1, "exact": "1" }));
    let last = page("?prefix=a%2F&limit=2&after=a%2F2").await.json();
    assert_eq!((keys(&last), &last["next"]), (vec!["a/3".into()], &serde_json::Value::Null));
    assert!(keys(&page("?kind=set").await.json()).is_empty());
    for wrong in ["?kind=sets", "?limit=0", "?limit=1001", "?from=a", "?prefix=%FF"] {
        assert_eq!(page(wrong).await.problem(), (400, "invalid".into()), "{wrong}");
    }
    let genesis = get(api.address, "/api/v1/genesis").await;
    assert_eq!((genesis.status, &genesis.body[..]), (200, &b"trine genesis\n"[..]));
}

#[tokio::test]
async fn every_change_has_a_form_in_json() {
    let api = serve().await;
    let bytes = Bytes::from_static(&[0, 255]);
    let field = Edit::Field { name: "n".into(), edit: Box::new(Edit::Increment(1)) };
    for (body, expected) in [
        (r#"{"op":"increment"}"#, Edit::Increment(1)),
        (r#"{"op":"set","value":"AP8=","encoding":"base64"}"#, Edit::Set(bytes.clone())),
        (r#"{"op":"put","value":"x"}"#, Edit::Put("x".into())),
        (r#"{"op":"add","value":"x"}"#, Edit::Add("x".into())),
        (r#"{"op":"remove","value":"x"}"#, Edit::Remove("x".into())),
        (r#"{"op":"field","name":"n","edit":{"op":"increment"}}"#, field),
        (r#"{"op":"remove_field","name":"n"}"#, Edit::RemoveField("n".into())),
        (r#"{"op":"delete"}"#, Edit::Delete),
    ] {
        ask(api.address, "POST", "/api/v1/objects/objects/k", &[], body.as_bytes()).await;
        let (_, _, Request::ObjectEdit(ObjectEdit { edit, .. })) = api.node.last() else { panic!("no edit") };
        assert_eq!(edit, expected, "{body}");
    }
    let asked = api.node.asked();
    let nested =
        format!("{}{}{}", r#"{"op":"field","name":"n","edit":"#.repeat(9), r#"{"op":"increment"}"#, "}".repeat(9));
    let slip = r#"{"op":"delete","name":"n"}"#;
    for wrong in ["", "{}", slip, r#"{"op":"fly"}"#, r#"{"op":"set","value":"?","encoding":"base64"}"#, &nested] {
        let answer = ask(api.address, "POST", "/api/v1/objects/objects/k", &[], wrong.as_bytes()).await;
        assert_eq!(answer.problem(), (400, "invalid".into()), "{wrong}");
    }
    assert_eq!(api.node.asked(), asked, "what cannot be read is not asked");
}

#[tokio::test]
async fn the_cluster_shows_itself() {
    let api = serve().await;
    assert_eq!(get(api.address, "/api/v1/regions").await.json()["regions"][0]["id"], "us-east-1");
    let node = get(api.address, "/api/v1/nodes").await.json()["nodes"][0].clone();
    assert_eq!((&node["id"], &node["raft"]), (&"0000000000000005".into(), &"leader".into()));
    assert_eq!(get(api.address, "/api/v1/namespaces").await.json()["namespaces"][0]["id"], "_/0");
    assert_eq!(get(api.address, "/api/v1/namespaces/us-east-1%2F17").await.status, 200);
    let (_, _, Request::NamespaceShow(NamespaceShow { namespace })) = api.node.last() else { panic!("not shown") };
    assert_eq!(namespace, "us-east-1/17");
    assert_eq!(get(api.address, "/api/v1/manifest?region=us-east-1").await.json()["segments"], serde_json::json!([]));
    let status = get(api.address, "/api/v1/status").await.json();
    assert_eq!((&status["term"], &status["connected"][0]), (&3.into(), &"0000000000000006".into()));

    let made = ask(api.address, "POST", "/api/v1/namespaces", &[], br#"{"name":"orders","kind":"ledger"}"#).await;
    assert_eq!((made.status, &made.json()["id"]), (201, &"us-east-1/17".into()));
    let (_, _, Request::NamespaceCreate(NamespaceCreate { kind, .. })) = api.node.last() else { panic!("not created") };
    assert_eq!(kind, NamespaceKind::Ledger);
    assert_eq!(made.json()["address"], "us-east-1%2F17");
    let at = "/api/v1/namespaces/us-east-1%2F17";
    let renamed = ask(api.address, "POST", &format!("{at}/rename"), &[], br#"{"name":"baskets"}"#).await;
    assert_eq!((renamed.status, &renamed.json()["name"]), (200, &"baskets".into()));
    let namespace = || "us-east-1/17".to_owned();
    let asked = Request::NamespaceRename(NamespaceRename { namespace: namespace(), name: "baskets".to_owned() });
    assert_eq!(api.node.last().2, asked);
    for (path, force) in [(at.to_owned(), false), (format!("{at}?force=true"), true)] {
        assert_eq!(ask(api.address, "DELETE", &path, &[], b"").await.status, 204);
        let asked = Request::NamespaceDelete(NamespaceDelete { namespace: namespace(), force, vetted: false });
        assert_eq!(api.node.last().2, asked);
    }
    assert_eq!(ask(api.address, "DELETE", "/api/v1/nodes/0000000000000005", &[], b"").await.status, 204);
    assert_eq!(api.node.last().2, Request::NodeRemove(NodeRemove { node: NodeId(5), force: false }));
    assert_eq!(ask(api.address, "POST", "/api/v1/nodes/0000000000000005/replace", &[], b"").await.status, 204);
    assert_eq!(api.node.last().2, Request::NodeReplace(NodeReplace { node: NodeId(5), force: false }));
    assert_eq!(ask(api.address, "DELETE", "/api/v1/nodes/five", &[], b"").await.problem(), (400, "invalid".into()));
}
