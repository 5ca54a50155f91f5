//! `GET /verify/{key}`: a record of the default namespace, checked by the node against the log keys of the genesis.
//!
//! A caller that does not trust the node takes the proof (`/api/v1/ledger/{ns}/{key}/proof`) and checks it with
//! `trine ledger verify`; this path is for a quick look.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use trine_protocol::reply::Reply;
use trine_protocol::request::LedgerGet;
use trine_protocol::{Request, RequestError};
use utoipa::ToSchema;

use super::ask::{Ask, Names, unexpected};
use super::problem::Problem;
use super::server::Api;
use crate::model::Record;

/// A record that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verified {
    /// Always true; a record that fails the check is answered with the problem `damaged`.
    pub verified: bool,
    /// How many records the checkpoint signs.
    pub checkpoint_size: u64,
    /// The record with its proof.
    pub record: Record,
}

/// Read and verify the latest version of a key of the default namespace
#[utoipa::path(get, path = "/verify/{key}", tag = "short", params(
    ("key" = String, Path, description = "UTF-8 of 1 byte to 1 KiB, percent-encoded"),
), responses(
    (status = 200, description = "The record is in its region's ledger, under a checkpoint that its log key signed", body = Verified),
    (status = "default", description = "Not read, or not proven", body = Problem, content_type = "application/problem+json"),
))]
pub async fn verify(State(api): State<Api>, ask: Ask, Names(key): Names<String>) -> Result<Response, Problem> {
    let Some(genesis) = &api.genesis else {
        let what = "this node was given no genesis to verify with".to_owned();
        return Err(RequestError::Unsupported { what }.into());
    };
    let request = Request::LedgerGet(LedgerGet { namespace: "default".into(), key, with_proof: true });
    let (reply, headers) = ask.node(request).await?;
    let Reply::Record(view) = reply else { return Err(unexpected()) };
    let checkpoint_size = crate::model::proof::verify_record(genesis, &view)
        .map(|verified| verified.checkpoint.size)
        .map_err(|error| RequestError::Damaged { what: error.to_string() })?;
    let verified = Verified { verified: true, checkpoint_size, record: Record::from(&view) };
    Ok((headers, Json(verified)).into_response())
}
