//! Paths of namespaces.

#![expect(unused_qualifications, reason = "utoipa names parameter types by path")]

use axum::Json;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use trine_protocol::reply::Reply;
use trine_protocol::request::{NamespaceCreate, NamespaceDelete, NamespaceKind, NamespaceRename, NamespaceShow};
use trine_protocol::{Request, Role};
use utoipa::{IntoParams, ToSchema};

use super::ask::{Ask, Names, Parameters, json, unexpected};
use super::limits::SMALL_BODY_BYTES_MAX;
use super::problem::Problem;
use crate::model::{Namespace, Namespaces};

/// A namespace to be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNamespace {
    /// Its label.
    pub name: String,
    /// What it holds, `ledger` or `objects`; fixed.
    pub kind: NewKind,
    /// How many partitions (objects): a power of two, fixed; 256 when not given.
    #[serde(default)]
    pub slots: Option<u32>,
}

/// What a namespace holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NewKind {
    /// Records.
    Ledger,
    /// Objects.
    Objects,
}

impl From<NewKind> for NamespaceKind {
    fn from(kind: NewKind) -> Self {
        match kind {
            NewKind::Ledger => Self::Ledger,
            NewKind::Objects => Self::Objects,
        }
    }
}

/// Create a namespace
#[utoipa::path(post, path = "/api/v1/namespaces", tag = "cluster", request_body = NewNamespace, responses(
    (status = 201, description = "Created", body = Namespace),
    (status = "default", description = "Not created", body = Problem, content_type = "application/problem+json"),
))]
pub async fn namespace_create(ask: Ask, body: Body) -> Result<Response, Problem> {
    let payload = ask.body(body, Role::Admin, SMALL_BODY_BYTES_MAX).await?;
    let new: NewNamespace = json(&payload.bytes)?;
    let request = Request::NamespaceCreate(NamespaceCreate { name: new.name, kind: new.kind.into(), slots: new.slots });
    let (reply, headers) = ask.node(request).await?;
    let Reply::Namespace(view) = reply else { return Err(unexpected()) };
    Ok((StatusCode::CREATED, headers, Json(Namespace::from(&view))).into_response())
}

/// All namespaces
#[utoipa::path(get, path = "/api/v1/namespaces", tag = "cluster", responses(
    (status = 200, description = "The namespaces", body = Namespaces),
    (status = "default", description = "Not read", body = Problem, content_type = "application/problem+json"),
))]
pub async fn namespaces(ask: Ask) -> Result<Response, Problem> {
    listed(&ask, Request::NamespaceList).await
}

/// The namespaces of a label or an id
#[utoipa::path(get, path = "/api/v1/namespaces/{ns}", tag = "cluster", params(
    ("ns" = String, Path, description = "A label, or an id such as us-east-1/17, percent-encoded"),
), responses(
    (status = 200, description = "The namespaces", body = Namespaces),
    (status = "default", description = "Not read", body = Problem, content_type = "application/problem+json"),
))]
pub async fn namespace(ask: Ask, Names(namespace): Names<String>) -> Result<Response, Problem> {
    listed(&ask, Request::NamespaceShow(NamespaceShow { namespace })).await
}

/// Another label for a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// The label from now on.
    pub name: String,
}

/// Give a namespace another label; its id stays, and what it holds with it
#[utoipa::path(post, path = "/api/v1/namespaces/{ns}/rename", tag = "cluster", params(
    ("ns" = String, Path, description = "A label, or an id such as us-east-1/17, percent-encoded"),
), request_body = Rename, responses(
    (status = 200, description = "Renamed, or of that label already", body = Namespace),
    (status = "default", description = "Not renamed", body = Problem, content_type = "application/problem+json"),
))]
pub async fn namespace_rename(ask: Ask, Names(namespace): Names<String>, body: Body) -> Result<Response, Problem> {
    let payload = ask.body(body, Role::Admin, SMALL_BODY_BYTES_MAX).await?;
    let Rename { name } = json(&payload.bytes)?;
    let (reply, headers) = ask.node(Request::NamespaceRename(NamespaceRename { namespace, name })).await?;
    let Reply::Namespace(view) = reply else { return Err(unexpected()) };
    Ok((headers, Json(Namespace::from(&view))).into_response())
}

/// Whether to look past what a namespace holds.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ForceDelete {
    /// `true`: also while it holds objects or records, which are found under it no more
    #[serde(default)]
    force: bool,
}

/// Delete a namespace: its label is free, and what it holds is found under it no more
#[utoipa::path(delete, path = "/api/v1/namespaces/{ns}", tag = "cluster", params(
    ("ns" = String, Path, description = "A label, or an id such as us-east-1/17, percent-encoded"),
    ForceDelete,
), responses(
    (status = 204, description = "Deleted"),
    (status = "default", description = "Not deleted; `not_empty`: it holds objects or records", body = Problem, content_type = "application/problem+json"),
))]
pub async fn namespace_delete(
    ask: Ask,
    Names(namespace): Names<String>,
    Parameters(how): Parameters<ForceDelete>,
) -> Result<Response, Problem> {
    let request = Request::NamespaceDelete(NamespaceDelete { namespace, force: how.force, vetted: false });
    let (_, headers) = ask.node(request).await?;
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

async fn listed(ask: &Ask, request: Request) -> Result<Response, Problem> {
    let (reply, headers) = ask.node(request).await?;
    let Reply::Namespaces(views) = reply else { return Err(unexpected()) };
    let namespaces = views.iter().map(Namespace::from).collect();
    Ok((headers, Json(Namespaces { namespaces })).into_response())
}
