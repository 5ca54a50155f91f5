//! Each request of the protocol has a route and a command; and the committed description of the API is current.

use clap::CommandFactory as _;
use trine_node::cli::Cli;
use trine_node::http::openapi;
use trine_protocol::Request;

/// The route and the command of each request: request, method, path, command.
const FACES: &str = "
append           PUT    /api/v1/ledger/{ns}/{key}          ledger append
ledger_get       GET    /api/v1/ledger/{ns}/{key}          ledger get
ledger_record    GET    /api/v1/records/{region}/{index}   ledger get --at
ledger_history   GET    /api/v1/ledger/{ns}/{key}/history  ledger history
ledger_range     GET    /api/v1/ledger/{ns}                ledger range
checkpoint       GET    /log/{region}/checkpoint           ledger checkpoint
consistency      GET    /api/v1/consistency/{region}       ledger checkpoint --extends
object_get       GET    /api/v1/objects/{ns}/{key}         object get
object_list      GET    /api/v1/objects/{ns}               object list
object_edit      POST   /api/v1/objects/{ns}/{key}         object set
namespace_create POST   /api/v1/namespaces                 namespace create
namespace_list   GET    /api/v1/namespaces                 namespace list
namespace_show   GET    /api/v1/namespaces/{ns}            namespace show
namespace_rename POST   /api/v1/namespaces/{ns}/rename     namespace rename
namespace_delete DELETE /api/v1/namespaces/{ns}            namespace delete
genesis          GET    /api/v1/genesis                    ledger genesis
region_list      GET    /api/v1/regions                    region list
region_recover   POST   /api/v1/regions/{region}/recover   region recover
node_list        GET    /api/v1/nodes                      nodes list
status           GET    /api/v1/status                     status
manifest_show    GET    /api/v1/manifest                   manifest show
node_remove      DELETE /api/v1/nodes/{node}               nodes remove
node_replace     POST   /api/v1/nodes/{node}/replace       nodes replace
node_readmit     POST   /api/v1/nodes/{node}/readmit       nodes readmit
";

/// The names of all requests, from what serde says when it is shown none of them.
fn requests() -> Vec<String> {
    let error = serde_json::from_str::<Request>("\"no such request\"").expect_err("no request").to_string();
    let (_, names) = error.split_once("expected one of ").expect("serde lists the variants");
    names.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect()
}

#[test]
fn each_request_has_a_route_and_a_command() {
    let faces: Vec<Vec<&str>> = FACES.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    let named: Vec<&str> = faces.iter().map(|face| face[0]).collect();
    let requests = requests();
    assert!(requests.len() > 10, "{requests:?}");
    for request in &requests {
        assert!(named.contains(&request.as_str()), "{request} has no route and no command");
    }
    let api = serde_json::to_value(openapi::document()).expect("JSON");
    for face in &faces {
        let [request, method, path, command @ ..] = face.as_slice() else { panic!("{face:?}") };
        assert!(requests.iter().any(|known| known == request), "{request} is no request any more");
        let described = &api["paths"][path][method.to_lowercase()];
        assert!(described.is_object(), "{method} {path} is not in the API");
        let mut at = Cli::command();
        for word in command {
            at = match word.strip_prefix("--") {
                Some(option) => {
                    assert!(at.get_arguments().any(|known| known.get_long() == Some(option)), "{command:?}");
                    continue;
                }
                None => at.find_subcommand(word).unwrap_or_else(|| panic!("no command {command:?}")).clone(),
            };
        }
    }
}

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

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}
