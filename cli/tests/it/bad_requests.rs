//! Requests that are wrong: each is answered with a stable code and a text that says what is right, over HTTP and
//! on the command line, and the region is as well afterwards as before.

use std::process::Output;

use crate::bad_region::Region;

const LEDGER: &str = "/api/v1/ledger/default";
const OBJECTS: &str = "/api/v1/objects/objects";
const VALUE_BYTES_MAX: usize = 1024 * 1024;

fn refused(region: &Region, method: &str, path: &str, body: impl AsRef<[u8]>, status: u16, code: &str) -> String {
    let shown = if path.len() > 100 { format!("{}…", &path[..100]) } else { path.to_owned() };
    let answer = region.http(1, method, path, body);
    let body: String = answer.body.chars().take(300).collect();
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {shown}: {body}");
    let detail = answer.detail();
    assert!(!detail.is_empty() && detail.len() < 400, "{method} {shown}: {detail}");
    println!("{method} {shown} -> {status} {code}: {detail}");
    detail
}

fn told(output: &Output) -> (Option<i32>, String) {
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code(), String::from_utf8(output.stderr.clone()).unwrap())
}

#[test]
fn keys_are_utf8_of_1_byte_to_1_kib_and_nothing_else_about_them_matters() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::started(&directory.path().join("cluster"), &[]);
    let (longest, too_long) = ("k".repeat(1024), "k".repeat(1025));
    let increment = r#"{"op":"increment","by":1}"#;

    for prefix in [LEDGER, OBJECTS] {
        let (method, body) = if prefix == LEDGER { ("PUT", "v") } else { ("POST", increment) };
        let detail = refused(&region, method, &format!("{prefix}/{too_long}"), body, 400, "invalid");
        assert!(detail.contains("1 to 1024 bytes of UTF-8") && detail.contains("1025"), "{detail}");
        refused(&region, "GET", &format!("{prefix}/{too_long}"), "", 400, "invalid");
        refused(&region, "GET", &format!("{prefix}/{}", "%00".repeat(5000)), "", 400, "invalid");
        let detail = refused(&region, method, &format!("{prefix}/%ff%fe"), body, 400, "invalid");
        assert!(detail.contains("UTF-8"), "{detail}");
        refused(&region, "GET", &format!("{prefix}/%c3%28"), "", 400, "invalid");
        let nobody = region.http(1, method, &format!("{prefix}/"), body);
        assert!((400..500).contains(&nobody.status), "an empty key: {}", nobody.body);
    }
    // Whatever is UTF-8 is a key like any other, not a path, not a line of a log, not an end of a string.
    let keys = [
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..%2f",
        "a%00b",
        "%00",
        "a%0d%0aSet-Cookie:%20x",
        "%e2%80%ae%e2%80%8b",
        "%2e",
        &longest,
    ];
    for (number, key) in keys.into_iter().enumerate() {
        let value = format!("value {number}");
        assert_eq!(region.http(0, "PUT", &format!("{LEDGER}/{key}"), &value).status, 201, "{key}");
        let read = region.http(2, "GET", &format!("{LEDGER}/{key}"), "");
        assert_eq!((read.status, read.body), (200, value), "{key}");
        assert!(!read.head.to_lowercase().contains("set-cookie: x"), "{}", read.head);
        assert_eq!(region.http(0, "POST", &format!("{OBJECTS}/{key}"), increment).status, 200, "{key}");
        assert!(region.http(0, "GET", &format!("{OBJECTS}/{key}"), "").body.contains(r#""total":1"#), "{key}");
    }
    let escaped = region.directory.join("../etc/passwd");
    assert!(!escaped.exists(), "no key names a file");
    let range = region.http(0, "GET", &format!("{LEDGER}?limit=100"), "");
    let records: serde_json::Value = serde_json::from_str(&range.body).unwrap();
    assert_eq!(records["records"].as_array().map(Vec::len), Some(8), "as many keys as were written: {}", range.body);

    // The command line: the same rules, the same words.
    let (code, text) = told(&region.trine(&["ledger", "append", &too_long, "v"]));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("1 to 1024 bytes of UTF-8"), "{text}");
    let (code, text) = told(&region.trine(&["ledger", "append", "", "v"]));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("1 to 1024 bytes"), "{text}");
    let (code, text) = told(&region.trine(&["object", "incr", ""]));
    assert_eq!(code, Some(2), "{text}");
    region.is_well("after-keys");
}

#[test]
fn values_namespaces_kinds_and_the_rest_are_refused_with_their_rule() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::started(&directory.path().join("cluster"), &[("TRINE_LIMITS__VALUE_MAX", "1MiB")]);
    let (largest, too_large) = (vec![b'v'; VALUE_BYTES_MAX], vec![b'v'; VALUE_BYTES_MAX + 1]);

    // Values.
    assert_eq!(region.http(0, "PUT", &format!("{LEDGER}/large"), &largest).status, 201);
    assert_eq!(region.http(2, "GET", &format!("{LEDGER}/large"), "").body.len(), VALUE_BYTES_MAX);
    let detail = refused(&region, "PUT", &format!("{LEDGER}/larger"), &too_large, 413, "too_large");
    assert!(detail.contains("1048577 bytes") && detail.contains("1048576 are allowed"), "{detail}");
    assert_eq!(region.http(0, "GET", &format!("{LEDGER}/larger"), "").status, 404);
    let set = format!(r#"{{"op":"set","value":"{}"}}"#, "v".repeat(VALUE_BYTES_MAX + 1));
    let detail = refused(&region, "POST", &format!("{OBJECTS}/larger"), &set, 413, "too_large");
    assert!(detail.contains("at most"), "{detail}");
    let element = format!(r#"{{"op":"add","value":"{}"}}"#, "e".repeat(64 * 1024 + 1));
    refused(&region, "POST", &format!("{OBJECTS}/elements"), &element, 413, "too_large");
    let file = directory.path().join("large");
    std::fs::write(&file, &too_large).unwrap();
    let (code, text) = told(&region.trine(&["ledger", "append", "larger", "--file", file.to_str().unwrap()]));
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("has 1048577 bytes; at most 1048576 are allowed"), "{text}");
    std::fs::write(&file, vec![0; 16 * 1024 * 1024 + 1]).unwrap();
    let (code, text) = told(&region.trine(&["ledger", "append", "larger", "--file", file.to_str().unwrap()]));
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("larger than the 16 MiB that a value may have"), "{text}");

    // Namespaces.
    for name in ["", "Upper", "a/b", "../up", "a b", "ä", &"n".repeat(64)] {
        let body = serde_json::json!({ "name": name, "kind": "ledger" }).to_string();
        let detail = refused(&region, "POST", "/api/v1/namespaces", body, 400, "invalid");
        assert!(detail.contains("1 to 63 of a-z, 0-9, -, _ and ."), "{detail}");
        let (code, text) = told(&region.trine(&["namespace", "create", name, "--kind", "ledger"]));
        assert_eq!(code, Some(2), "{text}");
    }
    let body = r#"{"name":"odd","kind":"objects","slots":3}"#;
    let detail = refused(&region, "POST", "/api/v1/namespaces", body, 400, "invalid");
    assert!(detail.contains("power of two"), "{detail}");
    refused(&region, "POST", "/api/v1/namespaces", r#"{"name":"odd","kind":"blobs"}"#, 400, "invalid");
    refused(&region, "POST", "/api/v1/namespaces", r#"{"name":"default","kind":"ledger"}"#, 409, "ambiguous");
    refused(&region, "PUT", "/api/v1/ledger/nowhere/key", "v", 404, "not_found");
    refused(&region, "PUT", "/api/v1/ledger/objects/key", "v", 400, "invalid");
    let (code, text) = told(&region.trine(&["ledger", "append", "key", "v", "--namespace", "nowhere"]));
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("namespace nowhere not found"), "{text}");

    // Kinds.
    assert_eq!(region.http(0, "POST", &format!("{OBJECTS}/count"), r#"{"op":"increment","by":1}"#).status, 200);
    let detail =
        refused(&region, "POST", &format!("{OBJECTS}/count"), r#"{"op":"set","value":"x"}"#, 409, "wrong_kind");
    assert!(detail.contains("the object is a counter, not a register"), "{detail}");
    let (code, text) = told(&region.trine(&["object", "add", "count", "x"]));
    assert_eq!(code, Some(6), "{text}");
    assert!(text.contains("the object is a counter, not a set") && text.contains("hint: "), "{text}");
    assert!(region.http(0, "GET", &format!("{OBJECTS}/count"), "").body.contains(r#""total":1"#));

    // Bodies, queries, paths, methods, hosts.
    refused(&region, "POST", &format!("{OBJECTS}/count"), "{", 400, "invalid");
    refused(&region, "POST", &format!("{OBJECTS}/count"), r#"{"op":"explode"}"#, 400, "invalid");
    refused(&region, "POST", &format!("{OBJECTS}/count"), "[".repeat(100_000), 400, "invalid");
    refused(&region, "GET", &format!("{LEDGER}?limit=-1"), "", 400, "invalid");
    refused(&region, "GET", &format!("{LEDGER}?colour=red"), "", 400, "invalid");
    let detail = refused(&region, "GET", &format!("{LEDGER}?prefix=%FF"), "", 400, "invalid");
    assert!(detail.contains("`prefix`") && detail.contains("UTF-8"), "{detail}");
    let detail = refused(&region, "PUT", &format!("{LEDGER}/key?if-absent=1"), "v", 400, "invalid");
    assert!(detail.contains("`if-absent`") && detail.contains("takes no parameters"), "{detail}");
    assert_eq!(region.http(0, "GET", &format!("{LEDGER}/key"), "").status, 404, "nothing was appended");
    for name in ["a", "b"] {
        let edit = format!(r#"{{"op":"field","name":"{name}","edit":{{"op":"increment","by":1}}}}"#);
        assert_eq!(region.http(0, "POST", &format!("{OBJECTS}/mm"), &edit).status, 200);
    }
    let detail = refused(&region, "DELETE", &format!("{OBJECTS}/mm?name=a"), "", 400, "invalid");
    assert!(detail.contains("takes `field`"), "{detail}");
    assert_eq!(region.http(0, "DELETE", &format!("{OBJECTS}/mm?field=a"), "").status, 204);
    let left = region.http(0, "GET", &format!("{OBJECTS}/mm"), "");
    assert!(left.body.contains(r#"{"b":"#) && !left.body.contains(r#""a":"#), "{}", left.body);
    refused(&region, "GET", "/api/v1/nothing", "", 404, "no_route");
    refused(&region, "DELETE", &format!("{LEDGER}/key"), "", 405, "method_not_allowed");
    region.is_well("after-requests");
}
