//! The append connection, from who dials: requests go out one behind the other without waiting; answers come back in
//! the same order.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;

use futures::stream::{self, Stream, StreamExt as _};
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};
use tokio::io::WriteHalf;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;

use super::dial::Connection;
use super::frame;
use super::limits::{APPEND_PATIENCE, APPEND_REQUESTS_MAX, CONTROL_FRAME_BYTES_MAX, IDLE_CLIENT};
use super::wire::{AppendForm, Appended};
use crate::raft::types::TypeConfig;

type Writer = WriteHalf<TlsStream<TcpStream>>;

/// A connection between sessions.
#[derive(Debug)]
pub struct AppendConnection {
    connection: Connection,
    session: u64,
    since: Instant,
}

impl AppendConnection {
    /// Fresh.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self { connection, session: 0, since: Instant::now() }
    }

    /// Whether the other end may already have closed it.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.since.elapsed() >= IDLE_CLIENT
    }
}

/// Sends requests until `input` ends or something goes wrong. The connection is put back into `slot` only when every
/// request was answered well: else it may be in the middle of a frame, or the peer in the middle of a session.
pub fn session<'s, S>(
    slot: &'s mut Option<AppendConnection>,
    connection: AppendConnection,
    input: S,
) -> Pin<Box<dyn Stream<Item = io::Result<StreamAppendResult<TypeConfig>>> + Send + 's>>
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
{
    let AppendConnection { connection: Connection { reader, writer }, session, .. } = connection;
    let session = session + 1;
    let (sent, sending) = mpsc::channel(APPEND_REQUESTS_MAX);
    let pump = Pump(tokio::spawn(send_all(writer, session, input, sent)));
    let state = Session { slot, reader, pump, sending, session, unanswered: VecDeque::new(), all_sent: false };
    Box::pin(stream::unfold(Some(state), |state| async move {
        let mut state = state?;
        match state.next().await {
            Ok(Some(result)) => {
                let goes_on = result.is_ok();
                Some((Ok(result), goes_on.then_some(state)))
            }
            Ok(None) => {
                state.put_back().await;
                None
            }
            Err(error) => Some((Err(error), None)),
        }
    }))
}

struct Session<'s> {
    slot: &'s mut Option<AppendConnection>,
    reader: frame::FrameReader<tokio::io::ReadHalf<TlsStream<TcpStream>>>,
    pump: Pump,
    sending: mpsc::Receiver<Instant>,
    session: u64,
    unanswered: VecDeque<Instant>,
    all_sent: bool,
}

/// The task that writes requests; it ends with the session.
struct Pump(JoinHandle<io::Result<Writer>>);

impl Drop for Pump {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Session<'_> {
    async fn next(&mut self) -> io::Result<Option<StreamAppendResult<TypeConfig>>> {
        let mut progress = Instant::now();
        loop {
            if self.all_sent && self.unanswered.is_empty() {
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
                    self.unanswered.pop_front();
                    return Ok(Some(answer.into()));
                }
                sent = self.sending.recv(), if !self.all_sent => match sent {
                    Some(at) => {
                        if self.unanswered.is_empty() {
                            progress = at;
                        }
                        self.unanswered.push_back(at);
                    }
                    None => self.all_sent = true,
                },
                () = tokio::time::sleep_until(since + APPEND_PATIENCE), if waits => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
    }

    async fn put_back(mut self) {
        // The pump has nothing left to send, so this is no wait.
        if let Ok(Ok(writer)) = (&mut self.pump.0).await {
            let connection = Connection { reader: self.reader, writer };
            *self.slot = Some(AppendConnection { connection, session: self.session, since: Instant::now() });
        }
    }
}

async fn send_all<S>(mut writer: Writer, session: u64, mut input: S, sent: mpsc::Sender<Instant>) -> io::Result<Writer>
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Unpin,
{
    while let Some(request) = input.next().await {
        // The channel's bound is the pipeline's depth.
        if sent.send(Instant::now()).await.is_err() {
            break;
        }
        let form = AppendForm::new(session, request);
        timeout(APPEND_PATIENCE * 4, frame::write(&mut writer, &form)).await??;
    }
    Ok(writer)
}
