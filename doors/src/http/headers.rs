//! The headers of requests and answers.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::time::Duration;
use trine_client::Session;
use trine_protocol::reply::Answer;
use trine_protocol::request::{ObjectCondition, Options, Precondition};
use trine_protocol::{Consistency, Durability};

use super::limits::{TIMEOUT_DEFAULT, TIMEOUT_MAX};
use super::problem::Problem;

/// How fresh a read must be: `eventual`, `session`, `bounded=500ms`, `regional`, `global`.
pub const CONSISTENCY: HeaderName = HeaderName::from_static("trine-consistency");
/// The most that a read may be behind: `500ms`; the same as `Trine-Consistency: bounded=500ms`.
pub const MAX_STALENESS: HeaderName = HeaderName::from_static("trine-max-staleness");
/// What a write must survive: `local`, `region`, `regions=2`, `all`.
pub const DURABILITY: HeaderName = HeaderName::from_static("trine-durability");
/// What the session has seen: send back what the last answer brought.
pub const SESSION: HeaderName = HeaderName::from_static("trine-session");
/// How long the node may try: `500ms`, `5s`, `2m`.
pub const TIMEOUT: HeaderName = HeaderName::from_static("trine-timeout");
/// The same key within ten minutes returns the first append's answer.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The hybrid-time stamp of what was read or written.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("trine-timestamp");
/// The region that answered.
pub const REGION: HeaderName = HeaderName::from_static("trine-region");
/// The answering node's hybrid time.
pub const AS_OF: HeaderName = HeaderName::from_static("trine-as-of");
/// Names and values that travel with a record: `Trine-Meta-<name>`.
pub const METADATA_PREFIX: &str = "trine-meta-";

/// The headers by which callers say how they want to be served.
pub const OPTIONS: [HeaderName; 5] = [CONSISTENCY, MAX_STALENESS, DURABILITY, SESSION, TIMEOUT];
/// The headers that answers carry; a caller may send them back, and they say nothing then.
pub const TOLD: [HeaderName; 3] = [TIMESTAMP, REGION, AS_OF];

/// How the caller wants to be served.
///
/// # Errors
/// When a header is there and cannot be understood.
pub fn options(headers: &HeaderMap) -> Result<Options, Problem> {
    let mut options = Options { timeout: Some(TIMEOUT_DEFAULT), ..Options::default() };
    if let Some(text) = text(headers, &CONSISTENCY)? {
        options.consistency = text.parse::<Consistency>()?;
    }
    if let Some(text) = text(headers, &MAX_STALENESS)? {
        options.consistency = Consistency::Bounded(duration(&MAX_STALENESS, text)?);
    }
    if let Some(text) = text(headers, &DURABILITY)? {
        options.durability = text.parse::<Durability>()?;
    }
    if let Some(text) = text(headers, &SESSION)? {
        let session: Session = text.parse().map_err(|_| {
            Problem::invalid("Trine-Session is no session: send back what an answer's Trine-Session brought")
        })?;
        options.session = session.token();
    }
    if let Some(text) = text(headers, &TIMEOUT)? {
        options.timeout = Some(duration(&TIMEOUT, text)?.min(TIMEOUT_MAX));
    }
    Ok(options)
}

/// The idempotency key, when there is one.
///
/// # Errors
/// When it is empty or not text.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    match text(headers, &IDEMPOTENCY_KEY)? {
        Some("") => Err(Problem::invalid("the Idempotency-Key is empty: all that send none would share it")),
        key => Ok(key.map(ToOwned::to_owned)),
    }
}

/// What an object must be for an edit: `If-Match: "DIGEST"` (the ETag that was read) or `*`, or `If-None-Match: *`.
///
/// # Errors
/// When it is something else, or both.
pub fn object_condition(headers: &HeaderMap) -> Result<Option<ObjectCondition>, Problem> {
    let (wanted, unwanted) = (text(headers, &header::IF_MATCH)?, text(headers, &header::IF_NONE_MATCH)?);
    match (wanted, unwanted) {
        (None, None) => Ok(None),
        (None, Some("*")) => Ok(Some(ObjectCondition::Absent)),
        (Some("*"), None) => Ok(Some(ObjectCondition::Present)),
        (Some(tag), None) => {
            let digest = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(unhex);
            let wrong = "If-Match must be the ETag of the object as it was read, in quotes, or `*`";
            digest.map(|digest| Some(ObjectCondition::Digest(digest))).ok_or_else(|| Problem::invalid(wrong))
        }
        (Some(_), Some(_)) => Err(Problem::invalid("If-Match and If-None-Match exclude each other")),
        (None, Some(_)) => Err(Problem::invalid("If-None-Match must be `*`: edit only when there is no object")),
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(digest)
}

/// The precondition of an append: `If-None-Match: *` (no version yet) or `If-Match: "us-east-1/17"`.
///
/// # Errors
/// When it is neither, or names a version of another region, which no append here can follow.
pub fn precondition(headers: &HeaderMap, region: &str) -> Result<Option<Precondition>, Problem> {
    if headers.contains_key(header::IF_MATCH) && headers.contains_key(header::IF_NONE_MATCH) {
        return Err(Problem::invalid("If-Match and If-None-Match exclude each other"));
    }
    if let Some(text) = text(headers, &header::IF_NONE_MATCH)? {
        if text != "*" {
            return Err(Problem::invalid("If-None-Match must be `*`: append only when the key has no version"));
        }
        return Ok(Some(Precondition::Absent));
    }
    let Some(text) = text(headers, &header::IF_MATCH)? else { return Ok(None) };
    let version = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let (home, index) = version
        .split_once('/')
        .and_then(|(home, index)| Some((home, index.parse().ok()?)))
        .ok_or_else(|| Problem::invalid(format!("If-Match must be a version such as \"{region}/17\", not `{text}`")))?;
    if home != region {
        let what = format!(
            "the version {version} stands in the ledger of {home}, and this node appends to that of {region}; \
             append at a node of {home}"
        );
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED, "conflict", what));
    }
    Ok(Some(Precondition::Index(index)))
}

/// The names and values that travel with a record.
///
/// # Errors
/// When a value is not text.
pub fn metadata(headers: &HeaderMap) -> Result<std::collections::BTreeMap<String, String>, Problem> {
    let mut metadata = std::collections::BTreeMap::new();
    for (name, value) in headers {
        if let Some(name) = name.as_str().strip_prefix(METADATA_PREFIX) {
            let value = std::str::from_utf8(value.as_bytes())
                .map_err(|_| Problem::invalid(format!("{METADATA_PREFIX}{name} is not UTF-8")))?;
            metadata.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(metadata)
}

/// What every answer of a node carries.
#[must_use]
pub fn of_answer(answer: &Answer, region: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    put(&mut headers, REGION, region);
    put(&mut headers, AS_OF, &answer.timestamp.to_string());
    put(&mut headers, SESSION, &Session::from(answer.session.clone()).to_string());
    headers
}

/// Sets a header, unless the value cannot stand in one.
pub fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// A header's text. One that comes twice says two things, and neither is taken.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::invalid(format!("the header {name} is given twice")));
    }
    std::str::from_utf8(value.as_bytes())
        .map(|text| Some(text.trim()))
        .map_err(|_| Problem::invalid(format!("the header {name} is not text")))
}

/// Reads `500ms`, `5s`, `2m` as the protocol does.
fn duration(name: &HeaderName, text: &str) -> Result<Duration, Problem> {
    match format!("bounded={text}").parse() {
        Ok(Consistency::Bounded(duration)) => Ok(duration),
        _ => Err(Problem::invalid(format!("{name} must be a duration such as 500ms, 5s or 2m, not `{text}`"))),
    }
}
