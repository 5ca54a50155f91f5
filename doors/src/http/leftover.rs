//! What is left of a body when its request has been answered is read on and thrown away.
//!
//! A request may be refused by its head alone, or in the middle of a body that turns out too large. If the connection
//! then closed with bytes of the caller's in it, the system would send a reset, and the caller, still writing, would see
//! a broken pipe instead of the answer that says why. So the answer goes out while the rest is read, for a bounded time
//! and a bounded number of bytes (a lingering close, RFC 9112 section 9.6). Over HTTP/2 a stream could be reset by itself, but curl and others take the reset for
//! an error and do not look at the answer that came before.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use tokio::time::timeout;

use super::limits::{LEFTOVER_BYTES_MAX, LEFTOVER_MAX};

/// Lets the handlers have the body, and reads on what they leave.
pub async fn read_on(request: Request, next: Next) -> Response {
    let waits = request.headers().contains_key(header::EXPECT);
    next.run(request.map(|body| Body::new(Lent { body, waits, over: false }))).await
}

/// A body whose rest is read on when it is dropped.
struct Lent {
    body: Body,
    /// The caller sends nothing before it is told to (`Expect: 100-continue`), and nobody has told it to.
    waits: bool,
    over: bool,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.waits = false;
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.over = !matches!(frame, Some(Ok(_)));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.over || self.waits || self.body.is_end_stream() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(timeout(LEFTOVER_MAX, throw_away(std::mem::take(&mut self.body))));
        }
    }
}

async fn throw_away(mut body: Body) {
    let mut left = LEFTOVER_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(bytes) else { return };
        left = rest;
    }
}
