//! Frames on a stream: a big-endian `u32` length, checked before anything is allocated, and that many bytes.
//!
//! Reading never trusts the length for more than a check: memory grows as bytes arrive, and each read has a time-out,
//! so that a peer that sends one byte a minute holds nothing for long.

use std::io;
use std::time::Duration;

use crate::limits::BODY_BYTES_FIRST;
use futures::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use trine_crdt::codec;

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The stream ended, between frames or within one.
    #[error("the stream ended")]
    Ended,
    /// No byte came in time.
    #[error("silence")]
    Silence,
    /// The stream broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The frame claims more than is allowed, or nothing.
    #[error("a frame of {bytes} bytes where 1 to {limit} are allowed")]
    Length {
        /// What it claims.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The frame is not what belongs here.
    #[error(transparent)]
    Undecodable(#[from] codec::DecodeError),
}

/// Reads the length of the next frame: its first byte may take `idle`, each further read `stall`.
///
/// # Errors
/// [`FrameError`].
pub async fn read_length(
    io: &mut (impl AsyncRead + Unpin),
    limit: usize,
    idle: Duration,
    stall: Duration,
) -> Result<usize, FrameError> {
    let mut header = [0; 4];
    let mut filled = 0;
    while filled < header.len() {
        let patience = if filled == 0 { idle } else { stall };
        filled += read_some(io, &mut header[filled..], patience).await?;
    }
    let bytes = u32::from_be_bytes(header) as usize;
    if bytes == 0 || bytes > limit { Err(FrameError::Length { bytes, limit }) } else { Ok(bytes) }
}

/// Reads a body of `length` bytes, each read within `stall`.
///
/// # Errors
/// [`FrameError`].
pub async fn read_body(
    io: &mut (impl AsyncRead + Unpin),
    length: usize,
    stall: Duration,
) -> Result<Vec<u8>, FrameError> {
    let mut body = vec![0; length.min(BODY_BYTES_FIRST)];
    let mut filled = 0;
    while filled < length {
        if filled == body.len() {
            body.resize(length.min(2 * body.len()), 0);
        }
        filled += read_some(io, &mut body[filled..], stall).await?;
    }
    Ok(body)
}

/// Reads a frame and decodes it.
///
/// # Errors
/// [`FrameError`].
pub async fn read_value<T: DeserializeOwned>(
    io: &mut (impl AsyncRead + Unpin),
    limit: usize,
    stall: Duration,
) -> Result<T, FrameError> {
    let length = read_length(io, limit, stall, stall).await?;
    Ok(codec::decode(&read_body(io, length, stall).await?)?)
}

/// A value as a whole frame, length included; none when it is longer than `limit`.
#[must_use]
pub fn frame<T: Serialize>(value: &T, limit: usize) -> Option<Vec<u8>> {
    let body = codec::encode(value);
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= limit)?;
    let mut frame = Vec::with_capacity(4 + body.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&body);
    Some(frame)
}

/// Writes a whole frame and flushes.
///
/// # Errors
/// When the stream broke, or did not take it in time.
pub async fn write_frame(io: &mut (impl AsyncWrite + Unpin), frame: &[u8], patience: Duration) -> io::Result<()> {
    let write = async {
        io.write_all(frame).await?;
        io.flush().await
    };
    timeout(patience, write).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn read_some(
    io: &mut (impl AsyncRead + Unpin),
    buffer: &mut [u8],
    patience: Duration,
) -> Result<usize, FrameError> {
    match timeout(patience, io.read(buffer)).await {
        Err(_) => Err(FrameError::Silence),
        Ok(Ok(0)) => Err(FrameError::Ended),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Err(FrameError::Ended),
        Ok(Err(error)) => Err(error.into()),
    }
}
