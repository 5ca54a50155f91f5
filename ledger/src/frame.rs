//! The bytes of the Raft log's files on disk. Pure: the node writes them, the node and the offline checker read them.
//!
//! ```text
//! file:   "TRINELOG" │ version u32 │ first index u64 │ salt 32 │ checksum u64             60 bytes
//!         frame │ frame │ …
//!
//! frame:  0        4      5        13     21       29      37            45           53
//!         │ length │ kind │ synced │ term │ leader │ index │ payload sum │ header sum │ payload …
//!           u32      u8     u64      u64    u64      u64     u64           u64          length bytes
//! ```
//!
//! All big-endian. A sum is the first 8 bytes of BLAKE3, keyed with the file's salt; the header's covers all that
//! stands before it. The salt is drawn for each file: bytes that a client stores, or a recycled block of another
//! file, can never pass for a frame. The header has a sum of its own so that looking for frames in arbitrary bytes
//! costs one short hash a byte, whatever lengths those bytes pretend.
//!
//! Files are append-only, so a suffix that Raft takes back is not cut off: a `Truncate` frame says that everything from
//! its index on, here and in earlier files, is void. Entries carry consecutive indexes; a jump is damage.
//!
//! **Torn or damaged?** A crash leaves a bad tail that nobody was told of; it is cut off and forgotten. A bad frame
//! that was once synced is lost data, and going on without it would break the vote that it stood for: the node
//! must stop. Looking for a valid frame behind the bad one is not enough, because one unsynced write of many frames
//! may reach the disk in any order. So each frame says how many bytes of its file were `synced` when it was
//! written: the bad frame is damage exactly when a later frame proves that it had been on disk. What lies behind a
//! bad frame is searched byte by byte, since the bad frame's length means nothing.
//!
//! Zeros behind the last frame are room that was made ahead, and no damage: a length of zero and a kind of zero are no
//! frame's.
//!
//! In a log of several files only the last may be torn: a file is begun after the one before it was synced whole.

use trine_crdt::NodeId;

use crate::LogPosition;
use crate::form::{FormError, bounded};
use crate::limits::FRAME_PAYLOAD_BYTES_MAX;

const MAGIC: &[u8; 8] = b"TRINELOG";
const VERSION: u32 = 1;
/// The length of a file's header, in bytes.
pub const FILE_HEADER_BYTES: usize = 60;
/// The length of a frame without its payload, in bytes.
pub const FRAME_HEADER_BYTES: usize = 53;

/// What stands at the start of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileHeader {
    /// The log index that was next when the file was begun.
    pub first: u64,
    /// 32 random bytes, the file's own.
    pub salt: [u8; 32],
}

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// A leader's first entry, without payload.
    Blank,
    /// An encoded [`crate::Entry`].
    Entry,
    /// Raft membership, in the node's own encoding.
    Membership,
    /// Everything from this index on is void. Term and leader are those of whoever took it back; no payload.
    Truncate,
}

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it holds.
    pub kind: FrameKind,
    /// Where the entry stands in the log.
    pub position: LogPosition,
    /// How many bytes of the file were known to be on disk when this was written.
    pub synced: u64,
    /// The contents.
    pub payload: &'a [u8],
}

/// A frame and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed<'a> {
    /// The offset of its first byte in the file.
    pub at: u64,
    /// The frame.
    pub frame: Frame<'a>,
}

/// How a file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TailState {
    /// With its last frame, and perhaps zeros.
    Clean,
    /// With bytes that were never known to be on disk: cut the file off here and go on.
    Torn {
        /// Where they begin.
        at: u64,
    },
    /// A frame that had been on disk is bad: stop.
    Damaged {
        /// Where it begins.
        at: u64,
    },
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan<'a> {
    /// Its header.
    pub header: FileHeader,
    /// Its frames up to the first bad one, in order.
    pub frames: Vec<Placed<'a>>,
    /// Where the frames end.
    pub end: u64,
    /// What comes then.
    pub tail: TailState,
}

/// Why there is no frame here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The file ends inside its header: it was just being begun.
    #[error("the file ends inside its header")]
    TornHeader,
    /// The file's header is not one, or of another version.
    #[error("the file's header is damaged or of another version")]
    DamagedHeader,
    /// The bytes are no frame of this file.
    #[error("the frame at {at} is damaged")]
    Damaged {
        /// The offset.
        at: u64,
    },
}

impl FileHeader {
    /// The first bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; FILE_HEADER_BYTES] {
        let mut out = [0; FILE_HEADER_BYTES];
        out[..8].copy_from_slice(MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_be_bytes());
        out[12..20].copy_from_slice(&self.first.to_be_bytes());
        out[20..52].copy_from_slice(&self.salt);
        let sum = checksum(&self.salt, &out[..52]);
        out[52..].copy_from_slice(&sum);
        out
    }

    /// Reads the first bytes of a file.
    ///
    /// # Errors
    /// [`FrameError::TornHeader`] or [`FrameError::DamagedHeader`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrameError> {
        let bytes = bytes.first_chunk::<FILE_HEADER_BYTES>().ok_or(FrameError::TornHeader)?;
        let header = Self { first: u64_at(bytes, 12), salt: array_at(bytes, 20) };
        if header.to_bytes() == *bytes { Ok(header) } else { Err(FrameError::DamagedHeader) }
    }

    /// Writes a frame behind what `out` holds.
    ///
    /// # Errors
    /// [`FormError`] when the payload is beyond its bound.
    pub fn write_frame(&self, frame: &Frame<'_>, out: &mut Vec<u8>) -> Result<(), FormError> {
        bounded("payload", frame.payload.len(), FRAME_PAYLOAD_BYTES_MAX)?;
        let at = out.len();
        let length = u32::try_from(frame.payload.len()).expect("bounded above");
        out.extend_from_slice(&length.to_be_bytes());
        out.push(frame.kind.code());
        let LogPosition { term, leader, index } = frame.position;
        for number in [frame.synced, term, leader.0, index] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&checksum(&self.salt, frame.payload));
        let sum = checksum(&self.salt, &out[at..]);
        out.extend_from_slice(&sum);
        out.extend_from_slice(frame.payload);
        Ok(())
    }

    /// Reads the frame that begins at offset `at` of the file; `bytes` are the file's from there on.
    ///
    /// # Errors
    /// [`FrameError::Damaged`] when there is none.
    pub fn read_frame<'a>(&self, at: u64, bytes: &'a [u8]) -> Result<Frame<'a>, FrameError> {
        self.frame(bytes).ok_or(FrameError::Damaged { at })
    }

    fn frame<'a>(&self, bytes: &'a [u8]) -> Option<Frame<'a>> {
        let (length, frame) = self.frame_header(bytes)?;
        let payload = bytes.get(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + length)?;
        let sum: [u8; 8] = array_at(bytes, 37);
        (checksum(&self.salt, payload) == sum).then_some(Frame { payload, ..frame })
    }

    /// A frame's header, and how long its payload is.
    fn frame_header<'a>(&self, bytes: &'a [u8]) -> Option<(usize, Frame<'a>)> {
        let header = bytes.first_chunk::<FRAME_HEADER_BYTES>()?;
        let kind = FrameKind::of(header[4])?;
        let length = u32::from_be_bytes(array_at(header, 0)) as usize;
        if length > FRAME_PAYLOAD_BYTES_MAX || checksum(&self.salt, &header[..45]) != array_at(header, 45) {
            return None;
        }
        let (term, leader) = (u64_at(header, 13), NodeId(u64_at(header, 21)));
        let position = LogPosition { term, leader, index: u64_at(header, 29) };
        Some((length, Frame { kind, position, synced: u64_at(header, 5), payload: &[] }))
    }
}

/// Reads a whole file.
///
/// # Errors
/// [`FrameError`] when its header is none.
pub fn scan(bytes: &[u8]) -> Result<Scan<'_>, FrameError> {
    let header = FileHeader::from_bytes(bytes)?;
    let (mut at, mut next, mut frames) = (FILE_HEADER_BYTES, header.first, Vec::new());
    while at < bytes.len() {
        let follows = |frame: &Frame<'_>| match frame.kind {
            FrameKind::Truncate => frame.position.index <= next,
            _ => frame.position.index == next,
        };
        let Some(frame) = header.frame(&bytes[at..]).filter(follows) else { break };
        next = if frame.kind == FrameKind::Truncate { frame.position.index } else { frame.position.index + 1 };
        frames.push(Placed { at: at as u64, frame });
        at += FRAME_HEADER_BYTES + frame.payload.len();
    }
    let (end, rest) = (at as u64, &bytes[at..]);
    let tail = match rest.iter().all(|byte| *byte == 0) {
        true => TailState::Clean,
        false if was_synced(&header, end, rest) => TailState::Damaged { at: end },
        false => TailState::Torn { at: end },
    };
    Ok(Scan { header, frames, end, tail })
}

/// Whether the header of a frame in `rest`, which begins at offset `at`, says that more than `at` bytes had been on
/// disk. A whole frame right at `at` is at the wrong place by no crash, but by our error: damage as well.
fn was_synced(header: &FileHeader, at: u64, rest: &[u8]) -> bool {
    let proves = |start: usize| header.frame_header(&rest[start..]).is_some_and(|(_, frame)| frame.synced > at);
    header.frame(rest).is_some() || (0..rest.len()).any(proves)
}

impl FrameKind {
    fn code(self) -> u8 {
        match self {
            Self::Blank => 1,
            Self::Entry => 2,
            Self::Membership => 3,
            Self::Truncate => 4,
        }
    }

    fn of(code: u8) -> Option<Self> {
        [Self::Blank, Self::Entry, Self::Membership, Self::Truncate].into_iter().find(|kind| kind.code() == code)
    }
}

fn checksum(salt: &[u8; 32], bytes: &[u8]) -> [u8; 8] {
    array_at(blake3::keyed_hash(salt, bytes).as_bytes(), 0)
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the slice has this length")
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(array_at(bytes, at))
}
