//! Each request of the protocol has a route and a command.

use clap::CommandFactory as _;
use trine_cli::Cli;
use trine_doors::http::openapi;
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

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}
