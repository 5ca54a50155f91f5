//! Entries to frames and back.

use bytes::Bytes;
use openraft::EntryPayload;
use trine_crdt::codec;

use super::frame::{self, Header, Kind};
use crate::raft::types::{AppData, Entry, Led, LogId};

/// Appends an entry's frame to `out`.
pub fn write_entry(out: &mut Vec<u8>, entry: &Entry, synced: u32) {
    let (kind, membership) = match &entry.payload {
        EntryPayload::Blank => (Kind::Blank, Vec::new()),
        EntryPayload::Normal(_) => (Kind::Entry, Vec::new()),
        EntryPayload::Membership(membership) => (Kind::Membership, codec::encode(membership)),
    };
    let payload = match &entry.payload {
        EntryPayload::Normal(data) => data.0.as_ref(),
        _ => membership.as_slice(),
    };
    let Led { term, node } = entry.log_id.leader_id;
    frame::write(out, &Header { kind, term, leader: node, index: entry.log_id.index, synced }, payload);
}

/// The position in a header.
pub fn log_id(header: &Header) -> LogId {
    LogId::new(Led { term: header.term, node: header.leader }, header.index)
}

/// The entry of a frame.
///
/// # Errors
/// Why it is none: a truncation, or a membership that does not decode.
pub fn entry(header: &Header, payload: Bytes) -> Result<Entry, String> {
    let payload = match header.kind {
        Kind::Blank => EntryPayload::Blank,
        Kind::Entry => EntryPayload::Normal(AppData(payload)),
        Kind::Membership => EntryPayload::Membership(codec::decode(&payload).map_err(|error| error.to_string())?),
        Kind::Truncate => return Err("a truncation where an entry belongs".to_owned()),
    };
    Ok(Entry { log_id: log_id(header), payload })
}
