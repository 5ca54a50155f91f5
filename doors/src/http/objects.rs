//! Paths of objects.

#![expect(unused_qualifications, reason = "utoipa names parameter types by path")]

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use trine_protocol::reply::Reply;
use trine_protocol::request::{ObjectGet, ObjectList};
use trine_protocol::{Edit, ObjectKind, ObjectView, Request, Role};
use utoipa::IntoParams;

use super::ask::{Ask, Names, Parameters, json, unexpected};
use super::headers;
use super::problem::Problem;
use super::server::Api;
use crate::model::{Object, ObjectEdit, Objects};

/// Which of a namespace's objects.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only keys that start so.
    #[serde(default)]
    prefix: String,
    /// Only objects of this kind: counter, register, multi_value, set or map.
    #[param(value_type = Option<String>, pattern = "^(counter|register|multi_value|set|map)$")]
    kind: Option<ObjectKind>,
    /// Only keys after this one: `next` of the last page.
    after: Option<String>,
    /// At most this many; 100 when not given, never more than 1000.
    limit: Option<u32>,
}

/// The objects of a namespace, in key order
#[utoipa::path(get, path = "/api/v1/objects/{ns}", tag = "objects", params(
    ("ns" = String, Path, description = "An objects namespace: its label or id"),
    ListQuery,
    ("Trine-Consistency" = Option<String>, Header, description = "eventual, session"),
    ("Trine-Session" = Option<String>, Header, description = "What the session has seen: an answer's Trine-Session"),
), responses(
    (status = 200, description = "A page of objects; without `next` it is the last", body = Objects),
    (status = "default", description = "Not read", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list(
    ask: Ask,
    Names(namespace): Names<String>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Response, Problem> {
    let ListQuery { prefix, kind, after, limit } = query;
    let limit = super::ledger::limit(limit)?;
    let (reply, headers) =
        ask.node(Request::ObjectList(ObjectList { namespace: namespace.clone(), prefix, kind, after, limit })).await?;
    let Reply::Objects(page) = reply else { return Err(unexpected()) };
    Ok((headers, Json(Objects::of(&namespace, &page))).into_response())
}

/// Read an object
#[utoipa::path(get, path = "/api/v1/objects/{ns}/{key}", tag = "objects", params(
    ("ns" = String, Path, description = "An objects namespace: its label or id"),
    ("key" = String, Path, description = "UTF-8 of 1 byte to 1 KiB, percent-encoded"),
    ("Trine-Consistency" = Option<String>, Header, description = "eventual, session, bounded=500ms, regional, global"),
    ("Trine-Max-Staleness" = Option<String>, Header, description = "The most that the answer may be behind, such as 500ms"),
    ("Trine-Session" = Option<String>, Header, description = "What the session has seen: an answer's Trine-Session"),
), responses(
    (status = 200, description = "The object", body = Object),
    (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    (status = "default", description = "Not read", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get(ask: Ask, Names((namespace, key)): Names<(String, String)>) -> Result<Response, Problem> {
    let request = Request::ObjectGet(ObjectGet { namespace: namespace.clone(), key: key.clone() });
    let (reply, headers) = ask.node(request).await?;
    let Reply::Object(view) = reply else { return Err(unexpected()) };
    Ok(shown(&namespace, &key, &view, headers))
}

/// Change an object
///
/// A precondition is one node's check, not a lock: another node may edit the object at the same time.
#[utoipa::path(post, path = "/api/v1/objects/{ns}/{key}", tag = "objects", request_body = ObjectEdit, params(
    ("ns" = String, Path, description = "An objects namespace: its label or id"),
    ("key" = String, Path, description = "UTF-8 of 1 byte to 1 KiB, percent-encoded"),
    ("Trine-Durability" = Option<String>, Header, description = "What the write must survive: local, region, regions=2, all"),
    ("If-Match" = Option<String>, Header, description = "Only when the object has this ETag at the answering node, or `*`: when there is one"),
    ("If-None-Match" = Option<String>, Header, description = "`*`: only when the answering node holds no such object"),
), responses(
    (status = 200, description = "The object after the change", body = Object),
    (status = 412, description = "The precondition did not hold", body = Problem, content_type = "application/problem+json"),
    (status = "default", description = "Not changed", body = Problem, content_type = "application/problem+json"),
))]
pub async fn edit(
    State(api): State<Api>,
    ask: Ask,
    Names((namespace, key)): Names<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    // Base64 makes four bytes of three, and JSON adds a little around it.
    let limit = api.value_bytes_max.div_ceil(3) * 4 + super::limits::SMALL_BODY_BYTES_MAX;
    let object = headers::object_condition(&ask.headers)?;
    let payload = ask.body(body, Role::Writer, limit).await?;
    let edit = json::<ObjectEdit>(&payload.bytes)?.edit().map_err(|error| Problem::invalid(error.to_string()))?;
    let request = Request::ObjectEdit(trine_protocol::request::ObjectEdit {
        namespace: namespace.clone(),
        key: key.clone(),
        edit,
    });
    let (reply, headers) = ask.edit(request, object).await?;
    let Reply::Object(view) = reply else { return Err(unexpected()) };
    Ok(shown(&namespace, &key, &view, headers))
}

/// Which part of an object.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PartQuery {
    /// Remove only what stands under this name of a map, not the whole object
    field: Option<String>,
}

/// Remove an object, or what stands under a name of a map
#[utoipa::path(delete, path = "/api/v1/objects/{ns}/{key}", tag = "objects", params(
    ("ns" = String, Path, description = "An objects namespace: its label or id"),
    ("key" = String, Path, description = "UTF-8 of 1 byte to 1 KiB, percent-encoded"),
    ("Trine-Durability" = Option<String>, Header, description = "What the write must survive: local, region, regions=2, all"),
    ("If-Match" = Option<String>, Header, description = "Only when the object has this ETag at the answering node, or `*`: when there is one"),
    ("If-None-Match" = Option<String>, Header, description = "`*`: only when the answering node holds no such object"),
    PartQuery,
), responses(
    (status = 204, description = "Removed, as far as the node had seen it"),
    (status = 412, description = "The precondition did not hold", body = Problem, content_type = "application/problem+json"),
    (status = "default", description = "Not removed", body = Problem, content_type = "application/problem+json"),
))]
pub async fn delete(
    ask: Ask,
    Names((namespace, key)): Names<(String, String)>,
    Parameters(part): Parameters<PartQuery>,
) -> Result<Response, Problem> {
    let edit = part.field.map_or(Edit::Delete, Edit::RemoveField);
    let object = headers::object_condition(&ask.headers)?;
    let (_, headers) =
        ask.edit(Request::ObjectEdit(trine_protocol::request::ObjectEdit { namespace, key, edit }), object).await?;
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

fn shown(namespace: &str, key: &str, view: &ObjectView, mut headers: HeaderMap) -> Response {
    let object = Object::of(namespace, key, view);
    headers::put(&mut headers, header::ETAG, &format!("\"{}\"", object.digest));
    headers::put(&mut headers, headers::TIMESTAMP, &object.timestamp);
    (headers, Json(object)).into_response()
}
