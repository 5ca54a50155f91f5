//! Entries to frames and back.

use bytes::Bytes;
use openraft::EntryPayload;
use trine_ledger::frame::{FileHeader, Frame, FrameKind};

use crate::membership;
use crate::types::{self, AppData, Entry};

/// Appends an entry's frame to `out`.
pub fn write_entry(out: &mut Vec<u8>, file: &FileHeader, entry: &Entry, synced: u64) {
    let (kind, membership) = match &entry.payload {
        EntryPayload::Blank => (FrameKind::Blank, Vec::new()),
        EntryPayload::Normal(_) => (FrameKind::Entry, Vec::new()),
        EntryPayload::Membership(membership) => (FrameKind::Membership, membership::encode(membership)),
    };
    let payload = match &entry.payload {
        EntryPayload::Normal(data) => data.0.as_ref(),
        EntryPayload::Blank | EntryPayload::Membership(_) => membership.as_slice(),
    };
    let position = types::position(&entry.log_id);
    file.write_frame(&Frame { kind, position, synced, payload }, out)
        .expect("entries are bounded when they are proposed and when they are received");
}

/// The entry of a frame; `payload` are the frame's payload bytes.
///
/// # Errors
/// Why it is none: a truncation, or a membership that does not decode.
pub fn entry(frame: &Frame<'_>, payload: Bytes) -> Result<Entry, String> {
    let log_id = types::log_id(frame.position);
    let payload = match frame.kind {
        FrameKind::Blank => EntryPayload::Blank,
        FrameKind::Entry => EntryPayload::Normal(AppData(payload)),
        FrameKind::Membership => EntryPayload::Membership(membership::decode(&payload)?),
        FrameKind::Truncate => return Err("a truncation where an entry belongs".to_owned()),
    };
    Ok(Entry { log_id, payload })
}
