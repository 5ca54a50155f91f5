//! One name that three regions gave away while they could not hear each other, on real nodes: told apart by ids, renamed
//! and deleted over HTTP, by the command line and by the library.

use std::process::Output;
use std::time::Instant;

use serde_json::Value;
use trine_protocol::Role;

use crate::bad_region::{PATIENCE, Region};

const NODES: [usize; 3] = [0, 1, 2];

fn json(region: &Region, at: usize, path: &str) -> Value {
    serde_json::from_str(&region.http(at, "GET", path, "").body).unwrap()
}

fn ids(region: &Region, at: usize, name: &str) -> Vec<String> {
    let list = json(region, at, &format!("/api/v1/namespaces/{name}"));
    list["namespaces"].as_array().into_iter().flatten().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// Waits until each node knows this many namespaces of a name; their ids.
fn known(region: &Region, name: &str, count: usize) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    while NODES.iter().any(|at| ids(region, *at, name).len() != count) {
        assert!(Instant::now() < deadline, "{name}: {:?}", NODES.map(|at| ids(region, at, name)));
    }
    ids(region, 0, name)
}

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn done(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn one_name_of_three_regions_gets_three_names() {
    let directory = tempfile::tempdir().unwrap();
    let alone = [("TRINE_CLUSTER__UNASKED", "go-on")];
    let mut region = Region::prepared_as(&directory.path().join("cluster"), (3, 1), &alone);
    // Each is alone in the world when it creates it.
    for at in NODES {
        region.start(at);
        region.ready(at);
        let made = region.http(at, "POST", "/api/v1/namespaces", r#"{"name":"carts","kind":"objects"}"#);
        assert_eq!(made.status, 201, "{made:?}");
        region.stop(at);
    }
    let region = region.all_ready();
    let several = known(&region, "carts", 3);

    // The refusal names the ids, and the command that ends it; ids stand for one each.
    let increment = r#"{"op":"increment"}"#;
    for at in NODES {
        let refused = region.http(at, "POST", "/api/v1/objects/carts/visits", increment);
        assert_eq!((refused.status, refused.code().as_str()), (409, "ambiguous"));
        let detail = refused.detail();
        assert!(several.iter().all(|id| detail.contains(id)), "{detail}");
        assert!(detail.contains("`trine namespace rename "), "{detail}");
    }
    let listed = json(&region, 0, "/api/v1/namespaces/carts");
    for (number, one) in listed["namespaces"].as_array().unwrap().iter().enumerate() {
        let path = format!("/api/v1/objects/{}/visits", one["address"].as_str().unwrap());
        for _ in 0..=number {
            assert_eq!(region.http(number, "POST", &path, increment).status, 200, "{path}");
        }
    }
    let list = region.trine(&["namespace", "list"]);
    assert!(said(&list).1.contains("several namespaces are named carts"), "{list:?}");
    let table = done(list);
    assert!(several.iter().all(|id| table.contains(id)), "{table}");
    let (code, text) = said(&region.trine(&["namespace", "rename", "carts", "mine"]));
    assert_eq!((code, several.iter().all(|id| text.contains(id))), (Some(6), true), "{text}");

    // Two of them are renamed, each asked for where it was not made.
    let [first, second, third] = &several[..] else { panic!("three") };
    let elsewhere = third.split('/').next().unwrap();
    let renamed = region.trine(&["--region", elsewhere, "namespace", "rename", first, "carts-one", "-o", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&done(renamed)).unwrap()["id"], first.as_str());
    let path = format!("/api/v1/namespaces/{}/rename", second.replace('/', "%2F"));
    let far = NODES.into_iter().find(|at| !second.starts_with(json_region(&region, *at).as_str())).unwrap();
    let renamed = region.http(far, "POST", &path, r#"{"name":"carts-two"}"#);
    assert_eq!(renamed.status, 200, "{renamed:?}");
    for (number, (name, id)) in ["carts-one", "carts-two", "carts"].into_iter().zip(&several).enumerate() {
        assert_eq!(known(&region, name, 1), std::slice::from_ref(id));
        let path = format!("/api/v1/objects/{name}/visits");
        let deadline = Instant::now() + PATIENCE;
        for at in NODES {
            while json(&region, at, &path)["values"][0]["total"] != number as u64 + 1 {
                assert!(Instant::now() < deadline, "{name} at {at}: {}", json(&region, at, &path));
            }
        }
    }
    let taken = region.http(0, "POST", "/api/v1/namespaces/carts-one/rename", r#"{"name":"carts-two"}"#);
    assert_eq!((taken.status, taken.code().as_str()), (409, "ambiguous"), "{taken:?}");
    assert!(taken.detail().contains(second.as_str()), "{taken:?}");

    deleted(&region, second);
}

/// The region of a node.
fn json_region(region: &Region, at: usize) -> String {
    json(region, at, "/api/v1/status")["node"]["region"].as_str().unwrap().to_owned()
}

/// `carts-one` goes by force, `carts-two` once it is empty.
fn deleted(region: &Region, second: &str) {
    region.ca().issue_client(Role::Writer, "ada").unwrap().write(&region.directory.join("ada")).unwrap();
    let ada = region.directory.join("ada").display().to_string();
    let words = ["namespace", "delete", "carts-one", "--force", "--yes"];
    assert_eq!(
        said(&region.trine(&[&["--identity", ada.as_str()], &words[..]].concat())).0,
        Some(5),
        "it takes an admin"
    );
    // Nobody who could be asked is there to say yes.
    assert_eq!(said(&region.trine(&words[..4])).0, Some(2));
    let (code, text) = said(&region.trine(&["namespace", "delete", "carts-one", "--yes"]));
    assert_eq!((code, text.contains("holds 1 object;") && text.contains("--force")), (Some(5), true), "{text}");
    let refused = region.http(1, "DELETE", "/api/v1/namespaces/carts-one", "");
    assert_eq!((refused.status, refused.code().as_str()), (409, "not_empty"), "{refused:?}");
    let dry = done(region.trine(&["namespace", "delete", "carts-one", "--force", "--dry-run"]));
    assert!(dry.starts_with("would delete the namespace carts-one ("), "{dry}");
    assert_eq!(known(region, "carts-one", 1).len(), 1, "and nothing was done");
    done(region.trine(&words));
    known(region, "carts-one", 0);
    for at in NODES {
        let gone = region.http(at, "GET", "/api/v1/objects/carts-one/visits", "");
        assert_eq!((gone.status, gone.code().as_str()), (404, "not_found"));
    }
    assert_eq!(said(&region.trine(&words)).0, Some(3), "it is gone");

    // What the object was deleted from is empty, as soon as the region that made it has heard of that.
    assert_eq!(region.http(0, "DELETE", "/api/v1/objects/carts-two/visits", "").status, 204);
    let path = format!("/api/v1/namespaces/{}", second.replace('/', "%2F"));
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = region.http(0, "DELETE", &path, "");
        match answer.status {
            204 => break,
            status => assert!(status == 409 && Instant::now() < deadline, "{answer:?}"),
        }
    }
    known(region, "carts-two", 0);
    let made = region.http(2, "POST", "/api/v1/namespaces", r#"{"name":"carts-two","kind":"ledger"}"#);
    assert_eq!(made.status, 201, "the name is free: {made:?}");
}
