//! Positional reads of entries, each checked against its checksum and its index.

use std::os::unix::fs::FileExt as _;

use bytes::Bytes;

use super::convert;
use super::error::LogError;
use super::frame;
use super::index::Extent;
use crate::raft::types::Entry;

/// Reads every entry of a piece.
pub fn entries(extent: &Extent) -> Result<Vec<Entry>, LogError> {
    let length = (extent.end - extent.start) as usize;
    let mut buffer = vec![0; length];
    extent
        .file
        .file
        .read_exact_at(&mut buffer, u64::from(extent.start))
        .map_err(LogError::io("reading", &extent.file.path))?;
    let bytes = Bytes::from(buffer);
    let mut entries = Vec::new();
    let mut at = 0;
    let mut expected = extent.first;
    while at < length {
        let damaged = |reason: String| LogError::Damaged {
            file: extent.file.path.clone(),
            offset: u64::from(extent.start) + at as u64,
            reason,
        };
        let (header, payload) = frame::read(&bytes[at..]).map_err(|error| damaged(error.to_string()))?;
        if header.index != expected {
            return Err(damaged(format!("holds entry {} where {expected} belongs", header.index)));
        }
        let end = at + payload.end;
        let entry = convert::entry(&header, bytes.slice(at + payload.start..end)).map_err(damaged)?;
        entries.push(entry);
        at = end;
        expected += 1;
    }
    Ok(entries)
}
