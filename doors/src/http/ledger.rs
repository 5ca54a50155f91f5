//! Paths of ledgers.
//!
//! A value travels as it is, with its own content type; what else is known of the record stands in headers. A caller
//! that wants all of it as JSON asks with `Accept: application/vnd.trine.record+json`.

#![expect(unused_qualifications, reason = "utoipa names parameter types by path")]

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use trine_crdt::RegionId;
use trine_protocol::limits::PAGE_RECORDS_MAX;
use trine_protocol::reply::{RecordView, Reply};
use trine_protocol::request::{
    Append, CheckpointGet, ConsistencyGet, LedgerGet, LedgerHistory, LedgerRange, LedgerRecord,
};
use trine_protocol::{Request, Role};
use utoipa::IntoParams;

use super::ask::{Ask, Names, Parameters, unexpected};
use super::conditional::varies;
use super::headers;
use super::limits::PAGE_RECORDS_DEFAULT;
use super::problem::Problem;
use super::server::Api;
use crate::model::record::version_of;
use crate::model::{Appended, Record, Records};

/// The media type of a record as JSON.
pub const RECORD_JSON: &str = "application/vnd.trine.record+json";
/// The media type of a value whose writer named none.
const OCTETS: &str = "application/octet-stream";

/// Which part of a key's versions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Where to go on: `next` of the last page.
    from: Option<String>,
    /// At most this many; 100 when not given, never more than 1000.
    limit: Option<u32>,
}

/// Which part of a namespace's keys.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RangeQuery {
    /// Only keys that start so.
    #[serde(default)]
    prefix: String,
    /// Only keys after this one: `next` of the last page.
    from: Option<String>,
    /// At most this many; 100 when not given, never more than 1000.
    limit: Option<u32>,
}

/// Between which sizes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SizesQuery {
    /// The earlier size.
    from: u64,
    /// The later size.
    to: u64,
}

/// Whether a record comes with its proof.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RecordQuery {
    /// Whether the answer carries an inclusion proof.
    #[serde(default)]
    proof: bool,
}

/// Append a record
///
/// The body is the value. `If-None-Match: *` appends only a key's first version, `If-Match` only after that version.
#[utoipa::path(put, path = "/api/v1/ledger/{ns}/{key}", tag = "ledger", request_body(content = Vec<u8>, content_type = "application/octet-stream"), params(
    ("ns" = String, Path, description = "A ledger namespace: its label or id"),
    ("key" = String, Path, description = "UTF-8 of 1 byte to 1 KiB, percent-encoded"),
    ("Trine-Durability" = Option<String>, Header, description = "What the write must survive: local, region, regions=2, all"),
    ("Idempotency-Key" = Option<String>, Header, description = "The same key within ten minutes returns the first append's answer"),
    ("If-Match" = Option<String>, Header, description = "Append only when this is the key's latest version in this region"),
    ("If-None-Match" = Option<String>, Header, description = "`*`: append only when the key has no version in this region"),
), responses(
    (status = 201, description = "Appended", body = Appended),
    (status = 200, description = "Appended before under the same idempotency key", body = Appended),
    (status = 412, description = "The precondition did not hold", body = Problem, content_type = "application/problem+json"),
    (status = "default", description = "Not appended", body = Problem, content_type = "application/problem+json"),
))]
pub async fn append(
    State(api): State<Api>,
    ask: Ask,
    Names((namespace, key)): Names<(String, String)>,
    body: Body,
) -> Result<Response, Problem> {
    append_to(&api, &ask, namespace, key, body).await
}

/// Appends a request's body under a key.
pub(super) async fn append_to(
    api: &Api,
    ask: &Ask,
    namespace: String,
    key: String,
    body: Body,
) -> Result<Response, Problem> {
    let content_type = match ask.headers.get(header::CONTENT_TYPE) {
        Some(value) => value.to_str().map_err(|_| Problem::invalid("the Content-Type is not text"))?,
        None => OCTETS,
    };
    let metadata = headers::metadata(&ask.headers)?;
    let idempotency_key = headers::idempotency_key(&ask.headers)?;
    let payload = ask.body(body, Role::Writer, api.value_bytes_max).await?;
    // Last, because it may answer that the precondition does not hold, and only a well-formed request is told that.
    let if_match = headers::precondition(&ask.headers, &ask.region)?;
    let request = Request::Append(Append {
        namespace,
        key,
        value: payload.bytes.clone(),
        content_type: content_type.to_owned(),
        metadata,
        idempotency_key,
        if_match,
        with_proof: false,
    });
    let (reply, mut headers) = ask.node(request).await?;
    let Reply::Appended(view) = reply else { return Err(unexpected()) };
    let appended = Appended::from(&view);
    headers::put(&mut headers, header::ETAG, &format!("\"{}\"", appended.version));
    headers::put(&mut headers, headers::TIMESTAMP, &appended.timestamp);
    let status = if appended.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, headers, Json(appended)).into_response())
}

/// Read the latest version of a key
#[utoipa::path(get, path = "/api/v1/ledger/{ns}/{key}", tag = "ledger", params(
    ("ns" = String, Path, description = "A ledger namespace: its label or id"),
    ("key" = String, Path, description = "UTF-8 of 1 byte to 1 KiB, percent-encoded"),
    ("Trine-Consistency" = Option<String>, Header, description = "eventual, session, bounded=500ms, regional, global"),
    ("Accept" = Option<String>, Header, description = "`application/vnd.trine.record+json` for the whole record as JSON"),
), responses(
    (status = 200, description = "The value, with its own content type, or the record as JSON", content((Vec<u8> = "*/*"), (Record = "application/vnd.trine.record+json"))),
    (status = 404, description = "The key has no version", body = Problem, content_type = "application/problem+json"),
    (status = "default", description = "Not read", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get(ask: Ask, Names((namespace, key)): Names<(String, String)>) -> Result<Response, Problem> {
    get_from(&ask, namespace, key).await
}

/// Reads the latest version of a key.
pub(super) async fn get_from(ask: &Ask, namespace: String, key: String) -> Result<Response, Problem> {
    let (reply, mut headers) = ask.node(Request::LedgerGet(LedgerGet { namespace, key, with_proof: false })).await?;
    let Reply::Record(view) = reply else { return Err(unexpected()) };
    record_headers(&mut headers, &view);
    varies(&mut headers);
    let wanted = ask.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if wanted.is_some_and(|accept| accept.contains(RECORD_JSON)) {
        headers::put(&mut headers, header::CONTENT_TYPE, RECORD_JSON);
        return Ok((headers, Json(Record::from(&view))).into_response());
    }
    let content_type = HeaderValue::from_str(&view.content_type).unwrap_or(HeaderValue::from_static(OCTETS));
    headers.insert(header::CONTENT_TYPE, content_type);
    // A value is data, whatever it says it is: no browser runs it on this node's behalf.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    Ok((headers, view.value).into_response())
}

/// What a record's answer carries in its headers.
fn record_headers(headers: &mut HeaderMap, view: &RecordView) {
    headers::put(headers, header::ETAG, &format!("\"{}\"", version_of(view)));
    headers::put(headers, headers::TIMESTAMP, &view.timestamp.to_string());
    for (name, value) in &view.metadata {
        let name = HeaderName::try_from(format!("{}{name}", headers::METADATA_PREFIX));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
}

/// All versions of a key, oldest first
#[utoipa::path(get, path = "/api/v1/ledger/{ns}/{key}/history", tag = "ledger", params(
    ("ns" = String, Path, description = "A ledger namespace: its label or id"),
    ("key" = String, Path, description = "UTF-8 of 1 byte to 1 KiB, percent-encoded"),
    PageQuery,
), responses(
    (status = 200, description = "A page of versions", body = Records),
    (status = "default", description = "Not read", body = Problem, content_type = "application/problem+json"),
))]
pub async fn history(
    ask: Ask,
    Names((namespace, key)): Names<(String, String)>,
    Parameters(page): Parameters<PageQuery>,
) -> Result<Response, Problem> {
    let limit = limit(page.limit)?;
    records(&ask, Request::LedgerHistory(LedgerHistory { namespace, key, after: page.from, limit })).await
}

/// The latest versions of a namespace's keys, in key order
#[utoipa::path(get, path = "/api/v1/ledger/{ns}", tag = "ledger", params(
    ("ns" = String, Path, description = "A ledger namespace: its label or id"),
    RangeQuery,
), responses(
    (status = 200, description = "A page of records", body = Records),
    (status = "default", description = "Not read", body = Problem, content_type = "application/problem+json"),
))]
pub async fn range(
    ask: Ask,
    Names(namespace): Names<String>,
    Parameters(range): Parameters<RangeQuery>,
) -> Result<Response, Problem> {
    let limit = limit(range.limit)?;
    records(&ask, Request::LedgerRange(LedgerRange { namespace, prefix: range.prefix, after: range.from, limit })).await
}

async fn records(ask: &Ask, request: Request) -> Result<Response, Problem> {
    let (reply, headers) = ask.node(request).await?;
    let Reply::Page(page) = reply else { return Err(unexpected()) };
    Ok((headers, Json(Records::from(&page))).into_response())
}

/// How many a page may hold.
pub(super) fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked.unwrap_or(PAGE_RECORDS_DEFAULT) {
        limit @ 1..=PAGE_RECORDS_MAX => Ok(limit),
        limit => Err(Problem::invalid(format!("limit is {limit}; use 1 to {PAGE_RECORDS_MAX}"))),
    }
}

/// The latest version of a key with the proof that it is in its region's ledger
#[utoipa::path(get, path = "/api/v1/ledger/{ns}/{key}/proof", tag = "ledger", params(
    ("ns" = String, Path, description = "A ledger namespace: its label or id"),
    ("key" = String, Path, description = "UTF-8 of 1 byte to 1 KiB, percent-encoded"),
), responses(
    (status = 200, description = "The record and its proof", body = Record),
    (status = "default", description = "Not read", body = Problem, content_type = "application/problem+json"),
))]
pub async fn proof(ask: Ask, Names((namespace, key)): Names<(String, String)>) -> Result<Response, Problem> {
    record(&ask, Request::LedgerGet(LedgerGet { namespace, key, with_proof: true })).await
}

/// One record by its place
#[utoipa::path(get, path = "/api/v1/records/{region}/{index}", tag = "ledger", params(
    ("region" = String, Path, description = "Whose ledger"),
    ("index" = u64, Path, description = "The record's index there"),
    RecordQuery,
), responses(
    (status = 200, description = "The record", body = Record),
    (status = "default", description = "Not read", body = Problem, content_type = "application/problem+json"),
))]
pub async fn record_at(
    ask: Ask,
    Names((region, index)): Names<(String, u64)>,
    Parameters(query): Parameters<RecordQuery>,
) -> Result<Response, Problem> {
    let region = region_id(&region)?;
    record(&ask, Request::LedgerRecord(LedgerRecord { region, index, with_proof: query.proof })).await
}

async fn record(ask: &Ask, request: Request) -> Result<Response, Problem> {
    let (reply, mut headers) = ask.node(request).await?;
    let Reply::Record(view) = reply else { return Err(unexpected()) };
    record_headers(&mut headers, &view);
    Ok((headers, Json(Record::from(&view))).into_response())
}

/// The latest signed checkpoint known of a region's ledger
#[utoipa::path(get, path = "/log/{region}/checkpoint", tag = "ledger", params(
    ("region" = String, Path, description = "Whose ledger"),
), responses(
    (status = 200, description = "The signed note (C2SP tlog-checkpoint), byte for byte", body = String, content_type = "text/plain"),
    (status = "default", description = "Not read", body = Problem, content_type = "application/problem+json"),
))]
pub async fn checkpoint(ask: Ask, Names(region): Names<String>) -> Result<Response, Problem> {
    let (reply, mut headers) = ask.node(Request::Checkpoint(CheckpointGet { region: region_id(&region)? })).await?;
    let Reply::Checkpoint(note) = reply else { return Err(unexpected()) };
    headers::put(&mut headers, header::CONTENT_TYPE, "text/plain; charset=utf-8");
    Ok((headers, note).into_response())
}

/// Proof that a later checkpoint of a region's ledger extends an earlier one
#[utoipa::path(get, path = "/api/v1/consistency/{region}", tag = "ledger", params(
    ("region" = String, Path, description = "Whose ledger"),
    SizesQuery,
), responses(
    (status = 200, description = "The proof's hashes (RFC 9162, 2.1.4), base64", body = Vec<String>),
    (status = "default", description = "Not read", body = Problem, content_type = "application/problem+json"),
))]
pub async fn consistency(
    ask: Ask,
    Names(region): Names<String>,
    Parameters(sizes): Parameters<SizesQuery>,
) -> Result<Response, Problem> {
    let request = Request::Consistency(ConsistencyGet { region: region_id(&region)?, from: sizes.from, to: sizes.to });
    let (reply, headers) = ask.node(request).await?;
    let Reply::Consistency(hashes) = reply else { return Err(unexpected()) };
    let hashes: Vec<String> = hashes.iter().map(|hash| crate::model::value::base64(hash)).collect();
    Ok((headers, Json(hashes)).into_response())
}

/// Reads a region's name.
pub(super) fn region_id(text: &str) -> Result<RegionId, Problem> {
    text.parse().map_err(|error: trine_crdt::IdentityError| Problem::invalid(error.to_string()))
}
