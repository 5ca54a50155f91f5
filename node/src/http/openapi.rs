//! The API's own description: OpenAPI 3.1, made from the handlers, committed as `node/openapi.json`.

use utoipa::OpenApi;

use super::{cluster, health, ledger, objects, short, verify};

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
        cluster::genesis, cluster::regions, cluster::nodes, cluster::node_remove, cluster::node_replace, cluster::node_readmit,
        cluster::namespaces,
        cluster::namespace, cluster::namespace_create, cluster::manifest, cluster::status,
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

/// The description.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    Description::openapi()
}
