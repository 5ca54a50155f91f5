//! Frames on a stream: a big-endian `u32` length, then as many bytes.
//!
//! The length is a claim of whoever is at the other end, so it is checked against a limit before anything is
//! allocated for it.

use crate::mutants::{self, Mutant};

/// The length of a frame's head, in bytes.
pub const FRAME_HEAD_BYTES: usize = 4;

/// A frame is longer than its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {bytes} bytes is longer than the {bytes_max} allowed")]
pub struct FrameTooLong {
    /// How long it is, or claims to be.
    pub bytes: usize,
    /// How long it may be.
    pub bytes_max: usize,
}

/// Puts a payload into a frame.
///
/// # Errors
/// [`FrameTooLong`] for a payload longer than `bytes_max`, or than a head can say.
pub fn frame(payload: &[u8], bytes_max: usize) -> Result<Vec<u8>, FrameTooLong> {
    let head = head(payload.len(), bytes_max)?;
    let mut bytes = Vec::with_capacity(FRAME_HEAD_BYTES + payload.len());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(payload);
    Ok(bytes)
}

/// The head of a frame of `bytes` bytes, for those who write the payload themselves.
///
/// # Errors
/// [`FrameTooLong`] for more than `bytes_max`, or than a head can say.
pub fn head(bytes: usize, bytes_max: usize) -> Result<[u8; FRAME_HEAD_BYTES], FrameTooLong> {
    match u32::try_from(bytes) {
        Ok(length) if bytes <= bytes_max => Ok(length.to_be_bytes()),
        _ => Err(FrameTooLong { bytes, bytes_max }),
    }
}

/// How many bytes follow a head.
///
/// # Errors
/// [`FrameTooLong`] when it claims more than `bytes_max`: drop the stream, nothing on it can be trusted any more.
pub fn length(head: [u8; FRAME_HEAD_BYTES], bytes_max: usize) -> Result<usize, FrameTooLong> {
    let bytes = u32::from_be_bytes(head) as usize;
    if bytes > bytes_max && !mutants::is(Mutant::LengthBelieved) {
        return Err(FrameTooLong { bytes, bytes_max });
    }
    Ok(bytes)
}

/// A frame's payload, and what was received after it.
pub type Unframed<'a> = (&'a [u8], &'a [u8]);

/// Takes the first frame off what has been received so far: its payload and the rest, or `None` while it is not
/// complete.
///
/// # Errors
/// [`FrameTooLong`] as soon as the head has come and claims more than `bytes_max`.
pub fn unframe(received: &[u8], bytes_max: usize) -> Result<Option<Unframed<'_>>, FrameTooLong> {
    let Some((head, rest)) = received.split_first_chunk::<FRAME_HEAD_BYTES>() else { return Ok(None) };
    let bytes = length(*head, bytes_max)?;
    Ok(rest.split_at_checked(bytes))
}
