//! Each described path is routed, and the committed description of the API is current.

use trine_doors::http::openapi;

/// Every described path is routed: a description of something else would be worse than none.
#[tokio::test]
async fn each_described_path_is_routed() {
    let api = crate::fake_node::serve().await;
    let document = serde_json::to_value(openapi::document()).expect("JSON");
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            let path = path.replace("{index}", "0").replace("{region}", "us-east-1").replace("{node}", &"0".repeat(16));
            let path = path.replace(['{', '}'], "");
            let answer = crate::http_client::ask(api.address, &method.to_uppercase(), &path, &[], b"").await;
            let code = serde_json::from_slice::<serde_json::Value>(&answer.body).map(|json| json["code"].clone());
            let metrics = path == "/metrics";
            assert!(metrics || !code.is_ok_and(|code| code == "no_route"), "{method} {path}: {answer:?}");
            assert_ne!(answer.status, 405, "{method} {path}");
        }
    }
}

/// A parameter that is passed over makes another request of it: a deletion of one field would take the whole object.
#[tokio::test]
async fn no_route_passes_over_a_parameter_that_it_does_not_know() {
    let api = crate::fake_node::serve().await;
    let document = serde_json::to_value(openapi::document()).expect("JSON");
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            let path = path.replace("{index}", "0").replace("{region}", "us-east-1").replace("{node}", &"0".repeat(16));
            let path = path.replace(['{', '}'], "");
            for query in ["if-absent=1", "nobody-knows-this", "%66ield%20=a", "%FF=1"] {
                let path = format!("{path}?{query}");
                let answer = crate::http_client::ask(api.address, &method.to_uppercase(), &path, &[], b"").await;
                assert_eq!(answer.problem(), (400, "invalid".to_owned()), "{method} {path}");
            }
        }
    }
    let answer = crate::http_client::get(api.address, "/openapi.json?x").await;
    assert_eq!(answer.problem(), (400, "invalid".to_owned()));
    assert_eq!(api.node.asked(), 0, "and the node is not asked");
}

/// Schemas share one room of names: two of one name, and one of them describes the other's answers.
#[test]
fn each_schema_describes_its_own() {
    let document = serde_json::to_value(openapi::document()).expect("JSON");
    let has = |schema: &str, field: &str| {
        assert!(document["components"]["schemas"][schema]["properties"][field].is_object(), "{schema} has no {field}");
    };
    for (schema, field) in [
        ("Problem", "status"),
        ("StatusProblem", "what"),
        ("Objects", "digest"),
        ("ObjectPage", "next"),
        ("Status", "problems"),
    ] {
        has(schema, field);
    }
}

/// `UPDATE_EXPECT=1 cargo test` writes it anew.
#[test]
fn the_committed_description_is_current() {
    let document = openapi::document().to_pretty_json().expect("JSON");
    expect_test::expect_file!["../../openapi.json"].assert_eq(&format!("{document}\n"));
    assert!(document.contains("\"openapi\": \"3.1.0\""));
}
