//! Paths of regions, nodes, the manifest and the node itself.

#![expect(unused_qualifications, reason = "utoipa names parameter types by path")]

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use trine_crdt::NodeId;
use trine_protocol::Request;
use trine_protocol::reply::Reply;
use trine_protocol::request::{ManifestShow, NodeReadmit, NodeRemove, NodeReplace, RegionRecover};
use utoipa::IntoParams;

use super::ask::{Ask, Names, Parameters, unexpected};
use super::headers;
use super::ledger::region_id;
use super::problem::Problem;
use crate::model::{Manifest, Node, Nodes, Recovered, Region, Regions, Status};

/// The cluster's founding document, as its authority signed it: proofs are checked with the log keys that it names
#[utoipa::path(get, path = "/api/v1/genesis", tag = "cluster", responses(
    (status = 200, description = "The signed document, byte for byte", body = Object),
    (status = "default", description = "Not read", body = Problem, content_type = "application/problem+json"),
))]
pub async fn genesis(ask: Ask) -> Result<Response, Problem> {
    let (reply, mut headers) = ask.node(Request::Genesis).await?;
    let Reply::Genesis(document) = reply else { return Err(unexpected()) };
    headers::put(&mut headers, header::CONTENT_TYPE, "application/json");
    Ok((headers, document).into_response())
}

/// The regions, as this node knows them
#[utoipa::path(get, path = "/api/v1/regions", tag = "cluster", responses(
    (status = 200, description = "The regions", body = Regions),
    (status = "default", description = "Not read", body = Problem, content_type = "application/problem+json"),
))]
pub async fn regions(ask: Ask) -> Result<Response, Problem> {
    let (reply, headers) = ask.node(Request::RegionList).await?;
    let Reply::Regions(views) = reply else { return Err(unexpected()) };
    let regions = views.iter().map(Region::from).collect();
    Ok((headers, Json(Regions { regions })).into_response())
}

/// Bring back the records that a region lost and other regions kept
#[utoipa::path(post, path = "/api/v1/regions/{region}/recover", tag = "cluster", params(
    ("region" = String, Path, description = "The region; asked of another region's node, it is handed on"),
), responses(
    (status = 200, description = "All is here", body = Recovered),
    (status = "default", description = "Not done, or not yet", body = Problem, content_type = "application/problem+json"),
))]
pub async fn region_recover(ask: Ask, Names(region): Names<String>) -> Result<Response, Problem> {
    let (reply, headers) = ask.node(Request::RegionRecover(RegionRecover { region: region_id(&region)? })).await?;
    let Reply::Recovered(all) = reply else { return Err(unexpected()) };
    Ok((headers, Json(Recovered { region, size: all.size, restored: all.restored })).into_response())
}

/// The nodes of all regions, as this node knows them
#[utoipa::path(get, path = "/api/v1/nodes", tag = "cluster", responses(
    (status = 200, description = "The nodes", body = Nodes),
    (status = "default", description = "Not read", body = Problem, content_type = "application/problem+json"),
))]
pub async fn nodes(ask: Ask) -> Result<Response, Problem> {
    let (reply, headers) = ask.node(Request::NodeList).await?;
    let Reply::Nodes(views) = reply else { return Err(unexpected()) };
    let nodes = views.iter().map(Node::from).collect();
    Ok((headers, Json(Nodes { nodes })).into_response())
}

/// Whether to look past what speaks against it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Force {
    /// `true`: also when those left could commit nothing with the nodes that answer now (it then votes on until they can),
    /// and, of a replacement, when the node answers
    #[serde(default)]
    force: bool,
}

/// Let another node register under the name of one that was removed
#[utoipa::path(post, path = "/api/v1/nodes/{node}/readmit", tag = "cluster", params(
    ("node" = String, Path, description = "The name, such as us-east-1-a"),
), responses(
    (status = 204, description = "Done"),
    (status = "default", description = "Not done", body = Problem, content_type = "application/problem+json"),
))]
pub async fn node_readmit(ask: Ask, Names(name): Names<String>) -> Result<Response, Problem> {
    let (_, headers) = ask.node(Request::NodeReadmit(NodeReadmit { name })).await?;
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

/// Take a node off its region's roster
#[utoipa::path(delete, path = "/api/v1/nodes/{node}", tag = "cluster", params(
    ("node" = String, Path, description = "The node's id: 16 hexadecimal digits"),
    Force,
), responses(
    (status = 204, description = "Done"),
    (status = "default", description = "Not done", body = Problem, content_type = "application/problem+json"),
))]
pub async fn node_remove(
    ask: Ask,
    Names(node): Names<String>,
    Parameters(how): Parameters<Force>,
) -> Result<Response, Problem> {
    let (_, headers) = ask.node(Request::NodeRemove(NodeRemove { node: node_id(&node)?, force: how.force })).await?;
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

/// Let a new node take a lost one's place under its name
#[utoipa::path(post, path = "/api/v1/nodes/{node}/replace", tag = "cluster", params(
    ("node" = String, Path, description = "The lost node's id: 16 hexadecimal digits"),
    Force,
), responses(
    (status = 204, description = "Done"),
    (status = "default", description = "Not done", body = Problem, content_type = "application/problem+json"),
))]
pub async fn node_replace(
    ask: Ask,
    Names(node): Names<String>,
    Parameters(how): Parameters<Force>,
) -> Result<Response, Problem> {
    let (_, headers) = ask.node(Request::NodeReplace(NodeReplace { node: node_id(&node)?, force: how.force })).await?;
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

fn node_id(text: &str) -> Result<NodeId, Problem> {
    text.parse().map_err(|error: trine_crdt::IdentityError| Problem::invalid(error.to_string()))
}

/// Whose segments.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ManifestQuery {
    /// Only this region's.
    region: Option<String>,
}

/// The manifest's segments
#[utoipa::path(get, path = "/api/v1/manifest", tag = "cluster", params(ManifestQuery), responses(
    (status = 200, description = "The segments", body = Manifest),
    (status = "default", description = "Not read", body = Problem, content_type = "application/problem+json"),
))]
pub async fn manifest(ask: Ask, Parameters(query): Parameters<ManifestQuery>) -> Result<Response, Problem> {
    let region = query.region.as_deref().map(region_id).transpose()?;
    let (reply, headers) = ask.node(Request::ManifestShow(ManifestShow { region })).await?;
    let Reply::Segments(views) = reply else { return Err(unexpected()) };
    let segments = views.iter().map(crate::model::cluster::Segment::from).collect();
    Ok((headers, Json(Manifest { segments })).into_response())
}

/// This node: identity, role, ledger heads, object digests
#[utoipa::path(get, path = "/api/v1/status", tag = "cluster", responses(
    (status = 200, description = "The node's state", body = Status),
    (status = "default", description = "Not read", body = Problem, content_type = "application/problem+json"),
))]
pub async fn status(ask: Ask) -> Result<Response, Problem> {
    let (reply, headers) = ask.node(Request::Status).await?;
    let Reply::Status(view) = reply else { return Err(unexpected()) };
    Ok((headers, Json(Status::from(&*view))).into_response())
}
