//! The API's own description: OpenAPI 3.1, made from the handlers, committed as `doors/openapi.json`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trine_protocol::limits::PAGE_RECORDS_MAX;
use utoipa::OpenApi;

use super::{cluster, health, ledger, namespaces, objects, short, verify};

/// All paths of the API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Trine",
        description = "Ledgers that prove themselves and objects that merge, in every region. Errors are RFC 9457 problem details with a stable `code`; 429 and 503 carry Retry-After.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "The node that served this document")),
    paths(
        ledger::append, ledger::get, ledger::history, ledger::range, ledger::proof, ledger::record_at,
        ledger::checkpoint, ledger::consistency,
        objects::list, objects::get, objects::edit, objects::delete,
        cluster::genesis, cluster::regions, cluster::region_recover, cluster::nodes, cluster::node_remove, cluster::node_replace,
        cluster::node_readmit, namespaces::namespaces, namespaces::namespace, namespaces::namespace_create,
        namespaces::namespace_rename, namespaces::namespace_delete, cluster::manifest, cluster::status,
        health::healthz, health::readyz, health::metrics,
        short::append, short::get, verify::verify,
    ),
    tags(
        (name = "ledger", description = "Records: append-only, provable"),
        (name = "objects", description = "Objects: written anywhere, merged"),
        (name = "cluster", description = "Regions, nodes, namespaces, the manifest"),
        (name = "health", description = "Whether the node lives, serves, and what it counts"),
        (name = "short", description = "Short forms for the default ledger namespace"),
    )
)]
struct Description;

/// The names of the parameters of one kind (`query`, `header`), by path and method.
#[must_use]
pub fn parameters(kind: &str) -> BTreeMap<(String, String), Vec<String>> {
    let document = serde_json::to_value(document()).unwrap_or_default();
    let mut known = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let names = parameters
                .filter(|parameter| parameter["in"] == kind)
                .filter_map(|parameter| parameter["name"].as_str().map(ToOwned::to_owned));
            known.insert((path.clone(), method.to_uppercase()), names.collect());
        }
    }
    known
}

/// The description.
///
/// # Panics
/// Never: what is added is described as the rest is.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = serde_json::to_value(Description::openapi()).expect("a description is JSON");
    refine(&mut document);
    serde_json::from_value(document).expect("a description is JSON")
}

/// What holds for all operations is said once, here.
fn refine(document: &mut Value) {
    let Some(paths) = document["paths"].as_object_mut() else { return };
    for (path, methods) in paths {
        for (method, operation) in methods.as_object_mut().into_iter().flatten() {
            let tag = operation["tags"][0].as_str().unwrap_or_default().to_owned();
            let id = operation["operationId"].as_str().unwrap_or_default();
            operation["operationId"] = format!("{tag}_{id}").into();
            let asks = tag != "health";
            if let Some(body) = operation.get_mut("requestBody")
                && body["content"].get("application/octet-stream").is_some()
            {
                // A value may be empty.
                body["required"] = false.into();
            }
            if asks {
                parameters_for_all(operation, method == "get");
                headers_for_all(operation, method == "get" && has_tag(path));
            }
            for parameter in operation["parameters"].as_array_mut().into_iter().flatten() {
                let bounds = bounds_of(parameter["name"].as_str().unwrap_or_default(), path);
                let schema = &mut parameter["schema"];
                if schema["type"].is_array() {
                    // A parameter is there or not, and never null.
                    schema["type"] = "string".into();
                }
                for (name, bound) in bounds.as_object().into_iter().flatten() {
                    schema[name] = bound.clone();
                }
            }
        }
    }
}

/// Whether what is read there has an entity tag.
fn has_tag(path: &str) -> bool {
    let one = ["/{key}", "/proof", "/records/{region}/{index}"];
    one.iter().any(|end| path.ends_with(end)) && !path.starts_with("/verify")
}

/// The headers that every question to the node takes.
fn parameters_for_all(operation: &mut Value, reads: bool) {
    let mut wishes = vec![
        ("Trine-Session", "What the session has seen: an answer's Trine-Session"),
        ("Trine-Timeout", "How long the node may try: 500ms, 5s, 2m"),
    ];
    if reads {
        wishes.push(("Trine-Consistency", "How fresh: eventual, session, bounded=500ms, regional, global"));
        wishes.push(("Trine-Max-Staleness", "The most that the answer may be behind, such as 500ms"));
    }
    if !operation["parameters"].is_array() {
        operation["parameters"] = json!([]);
    }
    let Some(known) = operation["parameters"].as_array_mut() else { return };
    for (name, what) in wishes {
        if !known.iter().any(|parameter| parameter["name"] == name) {
            let schema = json!({ "type": "string" });
            known.push(
                json!({ "name": name, "in": "header", "description": what, "required": false, "schema": schema }),
            );
        }
    }
}

/// The headers that answers of the node carry.
fn headers_for_all(operation: &mut Value, tagged: bool) {
    let header = |what: &str| json!({ "description": what, "schema": { "type": "string" } });
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    if tagged {
        responses.insert("304".to_owned(), json!({ "description": "Not changed: If-None-Match names its ETag" }));
        responses.insert("412".to_owned(), responses["default"].clone());
    }
    for (status, response) in responses.iter_mut() {
        if status == "default" || status.starts_with('4') || status.starts_with('5') {
            response["headers"]["Retry-After"] = header("After how many seconds to try again (429, 503, 507)");
            continue;
        }
        response["headers"]["Trine-Region"] = header("The region that answered");
        response["headers"]["Trine-As-Of"] = header("The answering node's hybrid time");
        response["headers"]["Trine-Session"] =
            header("What the session has seen now: send it back with the next request");
        if tagged {
            response["headers"]["ETag"] = header("The version or digest of what was read");
            response["headers"]["Trine-Timestamp"] = header("The hybrid-time stamp of what was read");
        }
    }
}

/// What a parameter's text must look like, as far as a schema can say it.
fn bounds_of(name: &str, path: &str) -> Value {
    match name {
        "key" => json!({ "minLength": 1 }),
        "region" => json!({ "pattern": "^[a-z0-9-]{1,63}$" }),
        "node" => json!({ "pattern": "^[0-9a-fA-F]{16}$" }),
        "limit" => json!({ "minimum": 1, "maximum": PAGE_RECORDS_MAX }),
        "from" if path.ends_with("/history") => json!({ "pattern": "^[a-z0-9-]{1,63}/[0-9]{1,18}$" }),
        "Trine-Consistency" => {
            json!({ "pattern": "^(eventual|session|regional|global|bounded=[1-9][0-9]{0,5}(ms|s|m))$" })
        }
        "Trine-Durability" => json!({ "pattern": "^(local|region|all|regions=[1-9])$" }),
        "Trine-Max-Staleness" | "Trine-Timeout" => json!({ "pattern": "^[1-9][0-9]{0,5}(ms|s|m)$" }),
        "Idempotency-Key" => json!({ "pattern": "^[!-~]{1,64}$" }),
        "If-None-Match" => json!({ "pattern": "^\\*$" }),
        "If-Match" if path.contains("/objects/") => json!({ "pattern": "^(\\*|\"[0-9a-f]{64}\")$" }),
        "If-Match" => json!({ "pattern": "^\"[a-z0-9-]{1,63}/[0-9]{1,18}\"$" }),
        _ => json!({}),
    }
}
