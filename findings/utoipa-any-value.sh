#!/usr/bin/env bash
# A document whose schema says "any JSON value" does not survive being written and read again by the library that made it.
#
# utoipa 5 describes `serde_json::Value` as a schema without a type, which JSON Schema knows as "anything goes". Written, it
# is the object with no field at all, `{}`. Read back into the library's own types the document is refused, though it is a
# valid OpenAPI document: a service that keeps its document as a file, or joins two of them, cannot have such a body.
#
# Seen with utoipa 5.5.0 and serde_json 1: writing gives `{}` for the schema; reading it back is an error. Ends with 0 while that is so,
# and with 1 when it has changed. Needs cargo and the crates' registry.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "any-value"
version = "0.0.0"
edition = "2024"

[dependencies]
utoipa = "=5.5.0"
serde_json = "=1.0.154"

[workspace]
TOML
cat >"$work/src/main.rs" <<'RUST'
use utoipa::OpenApi;

#[utoipa::path(get, path = "/any", responses((status = 200, body = serde_json::Value)))]
#[allow(dead_code)]
fn any() {}

#[derive(OpenApi)]
#[openapi(paths(any))]
struct Document;

fn main() {
    let text = Document::openapi().to_json().expect("it is written");
    let json: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let schema = &json["paths"]["/any"]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    println!("written: {schema}");
    match serde_json::from_str::<utoipa::openapi::OpenApi>(&text) {
        Ok(_) => println!("read back"),
        Err(error) => println!("not read back: {error}"),
    }
}
RUST
seen=$(cargo run --quiet --manifest-path "$work/Cargo.toml")
printf '%s\n' "$seen"
grep -qx 'written: {}' <<<"$seen" && grep -q '^not read back: ' <<<"$seen"
