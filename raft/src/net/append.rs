//! The append connection, from who dials: requests go out one behind the other without waiting; answers come back in
//! the same order.
//!
//! A session ends when every request was answered, so it counts them. The task that writes tells of each request *before*
//! its first byte leaves, yet who reads may meet an answer before that note: both lie ready when it comes to look. So an
//! answer that finds no note waiting takes the one that must be in the channel; were it left there, the session would
//! wait for an answer that is gone.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;

use futures::stream::{self, Stream, StreamExt as _};
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;

use super::dial::{Connection, Greeting};
use super::frame;
use super::limits::{APPEND_PATIENCE, APPEND_REQUESTS_MAX, CONTROL_FRAME_BYTES_MAX, IDLE_CLIENT};
use super::wire::{AppendForm, Appended};
use crate::types::TypeConfig;

/// A connection between sessions.
#[derive(Debug)]
pub struct AppendConnection<C = TlsStream<TcpStream>> {
    connection: Connection<C>,
    session: u64,
    since: Instant,
}

impl<C> AppendConnection<C> {
    /// Fresh.
    #[must_use]
    pub fn new(connection: Connection<C>) -> Self {
        Self { connection, session: 0, since: Instant::now() }
    }

    /// Whether the other end may already have closed it.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.since.elapsed() >= IDLE_CLIENT
    }

    /// What it was made with.
    #[must_use]
    pub fn greeting(&self) -> &Greeting {
        &self.connection.greeting
    }
}

/// Sends requests until `input` ends, says why one may not go, or something goes wrong. The connection is put back into
/// `slot` only when every request was answered well: otherwise it may be in the middle of a frame, or the peer in the
/// middle of a session.
pub fn session<'s, C, S>(
    slot: &'s mut Option<AppendConnection<C>>,
    connection: AppendConnection<C>,
    input: S,
) -> Pin<Box<dyn Stream<Item = io::Result<StreamAppendResult<TypeConfig>>> + Send + 's>>
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Stream<Item = io::Result<AppendEntriesRequest<TypeConfig>>> + Send + Unpin + 'static,
{
    let AppendConnection { connection: Connection { reader, writer, greeting }, session, .. } = connection;
    let session = session + 1;
    let (sent, sending) = mpsc::channel(APPEND_REQUESTS_MAX);
    let pump = Pump(tokio::spawn(send_all(writer, session, input, sent)));
    let unanswered = VecDeque::new();
    let state = Session { slot, reader, greeting, pump, sending, session, unanswered, writer: None };
    Box::pin(stream::unfold(Some(state), |state| async move {
        let mut state = state?;
        match state.next().await {
            Ok(Some(result)) => {
                let goes_on = result.is_ok();
                Some((Ok(result), goes_on.then_some(state)))
            }
            Ok(None) => {
                state.put_back();
                None
            }
            Err(error) => Some((Err(error), None)),
        }
    }))
}

struct Session<'s, C> {
    slot: &'s mut Option<AppendConnection<C>>,
    reader: frame::FrameReader<ReadHalf<C>>,
    greeting: Greeting,
    pump: Pump<C>,
    sending: mpsc::Receiver<Instant>,
    session: u64,
    unanswered: VecDeque<Instant>,
    /// Back from the pump, once all is sent.
    writer: Option<WriteHalf<C>>,
}

/// The task that writes requests; it ends with the session.
struct Pump<C>(JoinHandle<io::Result<WriteHalf<C>>>);

impl<C> Drop for Pump<C> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<'_, C> {
    async fn next(&mut self) -> io::Result<Option<StreamAppendResult<TypeConfig>>> {
        let mut progress = Instant::now();
        loop {
            if self.writer.is_some() && self.unanswered.is_empty() {
                return Ok(None);
            }
            let waits = !self.unanswered.is_empty();
            let since = self.unanswered.front().map_or(progress, |sent| progress.max(*sent));
            tokio::select! {
                biased;
                answer = self.reader.expect::<Appended>(CONTROL_FRAME_BYTES_MAX) => {
                    let Appended { session, answer } = answer?;
                    if session != self.session {
                        continue;
                    }
                    if self.unanswered.pop_front().is_none() && self.sending.try_recv().is_err() {
                        let what = "an answer to a request that was never sent";
                        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                    }
                    return Ok(Some(answer.into()));
                }
                sent = self.sending.recv(), if self.writer.is_none() => match sent {
                    Some(at) => {
                        if self.unanswered.is_empty() {
                            progress = at;
                        }
                        self.unanswered.push_back(at);
                    }
                    // The pump ends as its channel does. What kept it from sending is told at once: no answer comes to that.
                    None => self.writer = Some((&mut self.pump.0).await.map_err(io::Error::other)??),
                },
                () = tokio::time::sleep_until(since + APPEND_PATIENCE), if waits => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
    }

    fn put_back(self) {
        if let Some(writer) = self.writer {
            let connection = Connection { reader: self.reader, writer, greeting: self.greeting };
            *self.slot = Some(AppendConnection { connection, session: self.session, since: Instant::now() });
        }
    }
}

async fn send_all<C, S>(
    mut writer: WriteHalf<C>,
    session: u64,
    mut input: S,
    sent: mpsc::Sender<Instant>,
) -> io::Result<WriteHalf<C>>
where
    C: AsyncWrite,
    S: Stream<Item = io::Result<AppendEntriesRequest<TypeConfig>>> + Unpin,
{
    while let Some(request) = input.next().await {
        let request = request?;
        // The channel's bound is the pipeline's depth.
        if sent.send(Instant::now()).await.is_err() {
            break;
        }
        let form = AppendForm::new(session, request);
        timeout(APPEND_PATIENCE * 4, frame::write(&mut writer, &form)).await??;
    }
    Ok(writer)
}
