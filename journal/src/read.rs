//! Positional reads of frames, each checked against its checksums and its index.

use bytes::Bytes;
use trine_ledger::frame::{FRAME_HEADER_BYTES, Frame};

use super::disk::{Disk, DiskFile as _};
use super::error::LogError;
use super::index::Extent;

/// Reads every frame of a piece, and what it means, which `meant` says of it and its payload.
///
/// # Errors
/// [`LogError`]: damage, named, or a disk that does not answer.
pub fn entries<D: Disk, E>(
    extent: &Extent<D>,
    meant: impl Fn(&Frame<'_>, Bytes) -> Result<E, String>,
) -> Result<Vec<E>, LogError> {
    let length = (extent.end - extent.start) as usize;
    let mut buffer = vec![0; length];
    let mut read = || extent.file.file()?.read_exact_at(&mut buffer, u64::from(extent.start));
    read().map_err(LogError::io("reading", &extent.file.path))?;
    let bytes = Bytes::from(buffer);
    let mut entries = Vec::new();
    let mut at = 0;
    let mut expected = extent.first;
    while at < length {
        let offset = u64::from(extent.start) + at as u64;
        let damaged = |reason: String| LogError::Damaged { file: extent.file.path.clone(), offset, reason };
        let frame = extent.file.header.read_frame(offset, &bytes[at..]).map_err(|error| damaged(error.to_string()))?;
        if frame.position.index != expected {
            return Err(damaged(format!("holds entry {} where {expected} belongs", frame.position.index)));
        }
        let end = at + FRAME_HEADER_BYTES + frame.payload.len();
        let payload = bytes.slice(at + FRAME_HEADER_BYTES..end);
        entries.push(meant(&frame, payload).map_err(damaged)?);
        at = end;
        expected += 1;
    }
    Ok(entries)
}
