//! One log entry's bytes on disk.
//!
//! ```text
//! | length u32 | checksum 8 | kind u8 | term u64 | leader u64 | index u64 | synced u32 | payload |
//! ```
//!
//! Big-endian; `length` counts what follows the checksum, the checksum is the first eight bytes of BLAKE3 over length
//! and everything after the checksum.
//!
//! `synced` says how many bytes of the file were known durable when this frame was written. It settles what a bad
//! frame in the last file means: if any good frame behind it claims that its bytes were durable, acknowledged data
//! were damaged; if none does, it belongs to the last write, which a loss of power may have torn anywhere, and which
//! nobody was told of.

use std::ops::Range;

use bytes::Bytes;

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 4 + 8 + FIXED_BYTES;
const FIXED_BYTES: usize = 1 + 8 + 8 + 8 + 4;
/// The longest payload.
pub const PAYLOAD_BYTES_MAX: usize = 24 * 1024 * 1024;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A leader's first entry.
    Blank,
    /// An application's entry.
    Entry,
    /// A membership.
    Membership,
    /// From `index` on, what stands before is void.
    Truncate,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Blank => 0,
            Self::Entry => 1,
            Self::Membership => 2,
            Self::Truncate => 3,
        }
    }

    fn of(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Blank,
            1 => Self::Entry,
            2 => Self::Membership,
            3 => Self::Truncate,
            _ => return None,
        })
    }
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// The term of the leader that appended it.
    pub term: u64,
    /// That leader.
    pub leader: u64,
    /// The entry's index.
    pub index: u64,
    /// Bytes of this file that were durable when the frame was written.
    pub synced: u32,
}

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// They end too early.
    #[error("ends in the middle")]
    Short,
    /// The length is impossible.
    #[error("impossible length")]
    Length,
    /// The checksum does not match.
    #[error("checksum does not match")]
    Checksum,
    /// The kind is unknown.
    #[error("unknown kind")]
    Kind,
}

/// Appends a frame to `out`.
pub fn write(out: &mut Vec<u8>, header: &Header, payload: &[u8]) {
    let start = out.len();
    let length = u32::try_from(FIXED_BYTES + payload.len()).expect("payloads are bounded when they are proposed");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&[0; 8]);
    out.push(header.kind.code());
    out.extend_from_slice(&header.term.to_be_bytes());
    out.extend_from_slice(&header.leader.to_be_bytes());
    out.extend_from_slice(&header.index.to_be_bytes());
    out.extend_from_slice(&header.synced.to_be_bytes());
    out.extend_from_slice(payload);
    let sum = checksum(&out[start..start + 4], &out[start + 12..]);
    out[start + 4..start + 12].copy_from_slice(&sum);
}

/// The whole length of the frame that starts with these bytes (at least four).
pub fn frame_bytes(start: &[u8]) -> Result<usize, FrameError> {
    let length = u32::from_be_bytes(start.get(..4).ok_or(FrameError::Short)?.try_into().expect("four bytes")) as usize;
    if (FIXED_BYTES..=FIXED_BYTES + PAYLOAD_BYTES_MAX).contains(&length) {
        Ok(12 + length)
    } else {
        Err(FrameError::Length)
    }
}

/// Reads the frame at the start of `bytes`: header and where its payload stands.
pub fn read(bytes: &[u8]) -> Result<(Header, Range<usize>), FrameError> {
    let whole = frame_bytes(bytes)?;
    let frame = bytes.get(..whole).ok_or(FrameError::Short)?;
    if checksum(&frame[..4], &frame[12..]) != frame[4..12] {
        return Err(FrameError::Checksum);
    }
    let number = |at: usize| u64::from_be_bytes(frame[at..at + 8].try_into().expect("eight bytes"));
    let header = Header {
        kind: Kind::of(frame[12]).ok_or(FrameError::Kind)?,
        term: number(13),
        leader: number(21),
        index: number(29),
        synced: u32::from_be_bytes(frame[37..41].try_into().expect("four bytes")),
    };
    Ok((header, HEADER_BYTES..whole))
}

/// Whether a good frame stands anywhere in `bytes` that says that more than `damaged_at` bytes were durable.
pub fn later_frame_vouches(bytes: &[u8], damaged_at: usize) -> bool {
    let mut at = damaged_at + 1;
    while at + HEADER_BYTES <= bytes.len() {
        match read(&bytes[at..]) {
            Ok((header, payload)) => {
                if header.synced as usize > damaged_at {
                    return true;
                }
                at += payload.end;
            }
            Err(_) => at += 1,
        }
    }
    false
}

/// A payload cut out of the bytes that it was read with.
pub fn payload(bytes: &Bytes, range: Range<usize>) -> Bytes {
    bytes.slice(range)
}

fn checksum(length: &[u8], rest: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(length);
    hasher.update(rest);
    hasher.finalize().as_bytes()[..8].try_into().expect("eight bytes")
}
