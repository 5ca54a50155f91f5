//! What HTTP brings beside the body: the query and the headers that mean something here.

use axum::extract::Query;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use trine_doors::http::cluster::ManifestQuery;
use trine_doors::http::headers;
use trine_doors::http::ledger::{PageQuery, RangeQuery, RecordQuery, SizesQuery};

use crate::target::{Memory, Sample, Target, Verdict};

/// Behind a selector that says which query it is: a line with the target, and lines of `name: value`.
pub const TARGET: Target = Target { name: "http", run, samples, memory: Memory::SERDE };

fn run(bytes: &[u8]) -> Verdict {
    let Some((selector, rest)) = bytes.split_first() else { return Verdict::Refused };
    let mut lines = rest.split(|byte| *byte == b'\n');
    let Some(uri) = lines.next().and_then(|line| Uri::try_from(line).ok()) else { return Verdict::Refused };
    let query = match selector {
        0 => Query::<PageQuery>::try_from_uri(&uri).is_ok(),
        1 => Query::<RangeQuery>::try_from_uri(&uri).is_ok(),
        2 => Query::<RecordQuery>::try_from_uri(&uri).is_ok(),
        3 => Query::<SizesQuery>::try_from_uri(&uri).is_ok(),
        4 => Query::<ManifestQuery>::try_from_uri(&uri).is_ok(),
        _ => false,
    };
    let mut map = HeaderMap::new();
    for line in lines {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { return Verdict::Refused };
        let (name, value) = (&line[..at], line[at + 1..].trim_ascii());
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) else {
            return Verdict::Refused;
        };
        // A map refuses what no server would let in either.
        if map.try_append(name, value).is_err() {
            return Verdict::Refused;
        }
    }
    let understood = headers::options(&map).is_ok()
        && headers::idempotency_key(&map).is_ok()
        && headers::precondition(&map, "us-east-1").is_ok()
        && headers::metadata(&map).is_ok();
    if query && understood { Verdict::Accepted } else { Verdict::Refused }
}

fn samples() -> Vec<Sample> {
    let all = "Trine-Consistency: bounded=500ms\nTrine-Durability: regions=2\nTrine-Timeout: 5s\nIdempotency-Key: once\n\
               If-Match: \"us-east-1/17\"\nTrine-Meta-Author: somebody";
    let headers = |name: &str, lines: &str| Sample::hostile(name, format!("/?limit=1\n{lines}")).behind(0);
    let query = |selector: u8, name: &str, text: &str| Sample::hostile(name, text).behind(selector);
    vec![
        Sample::valid("page", format!("/api/v1/ledger/default/k/history?from=a%2Fb&limit=100\n{all}")).behind(0),
        Sample::valid("range", "/api/v1/ledger/default?prefix=%C3%A4&limit=4294967295").behind(1),
        Sample::valid("record", "/api/v1/ledger/default/k?proof=true\nIf-None-Match: *").behind(2),
        Sample::valid("sizes", "/api/v1/consistency?from=0&to=18446744073709551615").behind(3),
        Sample::valid("manifest", "/api/v1/manifest\nTrine-Max-Staleness: 500ms").behind(4),
        query(0, "unknown-parameter", "/?from=a&limits=1"),
        query(0, "parameter-twice", "/?limit=1&limit=2"),
        query(1, "negative-limit", "/?limit=-1"),
        // What is no text becomes one that no key has.
        Sample::valid("not-utf-8", "/?prefix=%ff%fe").behind(1),
        query(1, "half-an-escape", "/?limit=%"),
        query(2, "neither-true-nor-false", "/?proof=maybe"),
        query(3, "number-of-2-64", "/?from=0&to=18446744073709551616"),
        query(3, "missing", "/?from=0"),
        query(4, "no-uri", "\0"),
        query(4, "spaces", "/ /"),
        headers("unknown-consistency", "Trine-Consistency: strong"),
        headers("bound-of-nothing", "Trine-Consistency: bounded="),
        headers("endless-staleness", "Trine-Max-Staleness: 99999999999999999999s"),
        headers("no-session", "Trine-Session: zz"),
        headers("odd-session", "Trine-Session: abc"),
        headers("session-that-is-none", &format!("Trine-Session: {}", "9b7fffffffffffffff".repeat(20))),
        headers("negative-timeout", "Trine-Timeout: -5s"),
        headers("another-regions-version", "If-Match: \"eu-west-1/17\""),
        headers("no-version", "If-Match: \"17\""),
        headers("version-of-2-64", "If-Match: \"us-east-1/18446744073709551616\""),
        headers("none-match-something", "If-None-Match: \"us-east-1/1\""),
        headers("no-header", "a line without a colon"),
        Sample::hostile("metadata-that-is-no-text", b"/\nTrine-Meta-A: \xff\xfe").behind(0),
    ]
}
