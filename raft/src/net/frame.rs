//! Length-prefixed frames: four bytes big-endian, then as many bytes, never more than the reader allows.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use trine_crdt::codec;

/// Reads frames. Dropping a pending [`FrameReader::next`] loses nothing.
#[derive(Debug)]
pub struct FrameReader<R> {
    io: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Over a connection.
    pub fn new(io: R) -> Self {
        Self { io, buffer: BytesMut::new() }
    }

    /// The next frame, or none when the other end closed between frames.
    ///
    /// # Errors
    /// When the connection fails, ends inside a frame, or announces more than `bytes_max`.
    pub async fn next(&mut self, bytes_max: usize) -> io::Result<Option<Bytes>> {
        // Room is made as bytes arrive, so a lying length costs its sender the bytes.
        const STEP: usize = 64 * 1024;
        loop {
            if let Some(prefix) = self.buffer.first_chunk::<4>() {
                let length = u32::from_be_bytes(*prefix) as usize;
                if length > bytes_max {
                    let what = format!("a frame of {length} bytes where {bytes_max} are allowed");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                }
                if self.buffer.len() >= 4 + length {
                    self.buffer.advance(4);
                    return Ok(Some(self.buffer.split_to(length).freeze()));
                }
            }
            self.buffer.reserve(STEP);
            if self.io.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// The next frame, decoded; the end of the connection is an error.
    ///
    /// # Errors
    /// As [`Self::next`], or when the frame does not decode.
    pub async fn expect<T: DeserializeOwned>(&mut self, bytes_max: usize) -> io::Result<T> {
        let frame = self.next(bytes_max).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        decode(&frame)
    }
}

/// Writes one value as a frame and flushes.
///
/// # Errors
/// When the connection fails or the value is too long.
pub async fn write<W: AsyncWrite + Unpin, T: Serialize>(io: &mut W, value: &T) -> io::Result<()> {
    let mut bytes = vec![0; 4];
    bytes.extend_from_slice(&codec::encode(value));
    let length = u32::try_from(bytes.len() - 4).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    io.write_all(&bytes).await?;
    io.flush().await
}

/// Decodes a frame.
///
/// # Errors
/// `InvalidData` when it does not decode.
pub fn decode<T: DeserializeOwned>(frame: &[u8]) -> io::Result<T> {
    codec::decode(frame).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
