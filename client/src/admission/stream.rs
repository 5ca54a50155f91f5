//! The encrypted channel of a dialler, whose first read verifies the listener's certificate.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::io::{AsyncRead, AsyncWrite};
use libp2p::PeerId;

use super::{Gate, Refusal};
use crate::limits::CERTIFICATE_BYTES_MAX;

/// A channel on which nothing can be read before the other side's certificate was accepted.
pub struct AdmittedStream<S> {
    io: S,
    due: Option<Due>,
}

/// The certificate that is still to come.
struct Due {
    gate: Arc<Gate>,
    peer: PeerId,
    header: [u8; 4],
    header_bytes: usize,
    body: Vec<u8>,
    body_bytes: usize,
    refused: Option<Refusal>,
}

impl<S> AdmittedStream<S> {
    /// A channel whose other side was admitted already.
    pub(super) fn open(io: S) -> Self {
        Self { io, due: None }
    }

    /// A channel whose other side, `peer`, has yet to show its certificate: a dialler's half of admission.
    #[must_use]
    pub fn pending(io: S, gate: Arc<Gate>, peer: PeerId) -> Self {
        let due = Due { gate, peer, header: [0; 4], header_bytes: 0, body: Vec::new(), body_bytes: 0, refused: None };
        Self { io, due: Some(due) }
    }
}

impl<S: AsyncRead + Unpin> AdmittedStream<S> {
    fn poll_admission(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(due) = &mut self.due else { return Poll::Ready(Ok(())) };
        if let Some(refusal) = &due.refused {
            return Poll::Ready(Err(denied(refusal.clone())));
        }
        match ready!(due.poll_read(&mut self.io, cx)) {
            Ok(()) => {
                self.due = None;
                Poll::Ready(Ok(()))
            }
            Err(refusal) => {
                due.refused = Some(refusal.clone());
                Poll::Ready(Err(denied(refusal)))
            }
        }
    }
}

impl Due {
    fn poll_read<S: AsyncRead + Unpin>(&mut self, io: &mut S, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        while self.header_bytes < self.header.len() {
            let read = Pin::new(&mut *io).poll_read(cx, &mut self.header[self.header_bytes..]);
            match ready!(read) {
                Ok(bytes) if bytes > 0 => self.header_bytes += bytes,
                _ => return Poll::Ready(self.missing()),
            }
            if self.header_bytes == self.header.len() {
                let bytes = u32::from_be_bytes(self.header) as usize;
                if bytes == 0 || bytes > CERTIFICATE_BYTES_MAX {
                    let refusal = Refusal::TooLarge { bytes };
                    self.gate.refuse(Some(self.peer), &refusal);
                    return Poll::Ready(Err(refusal));
                }
                self.body = vec![0; bytes];
            }
        }
        while self.body_bytes < self.body.len() {
            let read = Pin::new(&mut *io).poll_read(cx, &mut self.body[self.body_bytes..]);
            match ready!(read) {
                Ok(bytes) if bytes > 0 => self.body_bytes += bytes,
                _ => return Poll::Ready(self.missing()),
            }
        }
        Poll::Ready(self.gate.admit(self.peer, &self.body, true))
    }

    fn missing(&self) -> Result<(), Refusal> {
        self.gate.refuse(Some(self.peer), &Refusal::NoCertificate);
        Err(Refusal::NoCertificate)
    }
}

fn denied(refusal: Refusal) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, refusal)
}

impl<S: AsyncRead + Unpin> AsyncRead for AdmittedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_admission(cx))?;
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for AdmittedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}
