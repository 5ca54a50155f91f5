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

    /// Passes on what became of a write. Who lets nobody in closes without a word, and a write may find that out before a read.
    fn unless_broken<T>(&mut self, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let (Poll::Ready(Err(_)), Some(due)) = (&wrote, &mut self.due)
            && due.refused.is_none()
        {
            due.refused = due.missing().err();
        }
        wrote
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
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.unless_broken(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.unless_broken(flushed)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::admission::{Claims, Verify};

    /// The other side has closed: nothing is read any more, and a write may find out first.
    struct Closed;

    impl AsyncRead for Closed {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(0))
        }
    }

    impl AsyncWrite for Closed {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    struct Nobody;

    impl Verify for Nobody {
        fn verify(&self, _: &[u8], _: i64) -> Result<Claims, Refusal> {
            Err(Refusal::NoCertificate)
        }
    }

    #[tokio::test]
    async fn who_closes_before_it_has_shown_a_certificate_is_told_of_once_whichever_finds_out() {
        for write_first in [true, false] {
            let told = Arc::new(Mutex::new(Vec::new()));
            let heard = Arc::clone(&told);
            let report = move |_: Option<PeerId>, refusal: &Refusal| heard.lock().unwrap().push(refusal.clone());
            let gate = Arc::new(Gate::new(bytes::Bytes::new(), Arc::new(Nobody), report));
            let mut stream = AdmittedStream::pending(Closed, gate, PeerId::random());
            if write_first {
                stream.write_all(b"hello").await.expect_err("closed");
                stream.flush().await.expect_err("closed");
            }
            let error = stream.read(&mut [0; 8]).await.expect_err("nobody was admitted");
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            let told = told.lock().unwrap();
            assert!(matches!(told[..], [Refusal::NoCertificate]), "{told:?}");
        }
    }
}
