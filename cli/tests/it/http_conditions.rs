//! An edit is made of what was read, or not at all.

use crate::bad_region::{Region, try_http};

const OBJECT: &str = "/api/v1/objects/objects/k";
const INCREMENT: &[u8] = br#"{"op":"increment","by":1}"#;

#[test]
fn a_real_node_makes_an_edit_only_of_what_was_read() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::started(&directory.path().join("cluster"), &[]);
    let address = region.node(0).http.clone();
    let asked = |method: &str, header: &str, body: &[u8]| {
        let headers: Vec<&str> = Some(header).filter(|header| !header.is_empty()).into_iter().collect();
        try_http(&address, method, OBJECT, &headers, body).expect("an answer")
    };
    let tag = |answer: &crate::bad_region::Answer| {
        let line = answer.head.lines().find(|line| line.to_lowercase().starts_with("etag: ")).expect("an ETag");
        line[6..].to_owned()
    };
    assert_eq!(asked("POST", "If-Match: *", INCREMENT).status, 412, "there is none");
    assert_eq!(asked("DELETE", "If-Match: *", b"").status, 412, "there is none");
    let first = asked("POST", "If-None-Match: *", INCREMENT);
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(asked("POST", "If-None-Match: *", INCREMENT).status, 412);
    // A retry of what was done is no second increment.
    let wanted = format!("If-Match: {}", tag(&first));
    let second = asked("POST", &wanted, INCREMENT);
    assert_eq!(second.status, 200, "{}", second.body);
    assert_eq!(asked("POST", &wanted, INCREMENT).status, 412);
    let read = asked("GET", "", b"");
    assert!(read.body.contains(r#""total":2"#), "{}", read.body);
    assert_eq!(tag(&read), tag(&second));
    assert_eq!(asked("GET", &format!("If-None-Match: {}", tag(&read)), b"").status, 304);
    assert_eq!(asked("DELETE", &wanted, b"").status, 412);
    assert_eq!(asked("DELETE", &format!("If-Match: {}", tag(&read)), b"").status, 204);
    assert_eq!(asked("POST", "If-None-Match: *", INCREMENT).status, 200, "what was removed is not there");
}
