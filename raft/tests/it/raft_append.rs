//! One append session over a pair of pipes: every answer is counted, whenever it comes.

use std::io;

use futures::StreamExt as _;
use futures::stream;
use openraft::raft::AppendEntriesRequest;
use tokio::io::{DuplexStream, ReadHalf, WriteHalf};
use tokio::time::timeout;
use trine_raft::net::append::{self, AppendConnection};
use trine_raft::net::dial::{Connection, Greeting};
use trine_raft::net::frame::{self, FrameReader};
use trine_raft::net::limits::{APPEND_PATIENCE, BULK_FRAME_BYTES_MAX};
use trine_raft::net::wire::{AppendForm, Appended, AppendedForm};
use trine_raft::types::{TypeConfig, Vote};

/// The follower's end.
struct Follower {
    reader: FrameReader<ReadHalf<DuplexStream>>,
    writer: WriteHalf<DuplexStream>,
}

impl Follower {
    /// Takes one request and answers it.
    async fn answer(&mut self) {
        let form: AppendForm = self.reader.expect(BULK_FRAME_BYTES_MAX).await.expect("a request");
        self.say(form.session).await;
    }

    async fn say(&mut self, session: u64) {
        let answer = Appended { session, answer: AppendedForm::Upto(None) };
        frame::write(&mut self.writer, &answer).await.expect("taken");
    }
}

fn pair() -> (AppendConnection<DuplexStream>, Follower) {
    let (near, far) = tokio::io::duplex(BULK_FRAME_BYTES_MAX);
    let (reader, writer) = tokio::io::split(near);
    let near = AppendConnection::new(Connection {
        reader: FrameReader::new(reader),
        writer,
        greeting: Greeting { address: String::new(), origin: None, node: 1, process: 1 },
    });
    let (reader, writer) = tokio::io::split(far);
    (near, Follower { reader: FrameReader::new(reader), writer })
}

fn request() -> AppendEntriesRequest<TypeConfig> {
    AppendEntriesRequest {
        vote: Vote::new_committed(1, 1),
        prev_log_id: None,
        leader_commit: None,
        entries: Vec::new(),
    }
}

#[tokio::test]
async fn a_session_whose_answers_lie_ready_before_it_looks_ends_at_once() {
    for requests in [1, 2, 10] {
        let (near, mut follower) = pair();
        let mut slot = None;
        let mut session = append::session(&mut slot, near, stream::iter((0..requests).map(|_| Ok(request()))));
        // All is sent and answered before the session is polled for the first time.
        for _ in 0..requests {
            follower.answer().await;
        }
        for _ in 0..requests {
            assert!(matches!(session.next().await, Some(Ok(Ok(None)))), "an answer");
        }
        let end = timeout(APPEND_PATIENCE * 4, session.next()).await.expect("an end");
        assert!(end.is_none(), "nothing is owed after {requests} answers, yet: {end:?}");
        drop(session);
        assert!(slot.is_some(), "the connection serves the next session");
    }
}

#[tokio::test]
async fn an_answer_that_lay_ready_does_not_make_a_quiet_session_time_out() {
    let (near, mut follower) = pair();
    let mut slot = None;
    let (mut requests, input) = futures::channel::mpsc::channel(4);
    let mut session = append::session(&mut slot, near, input);
    requests.try_send(Ok(request())).expect("open");
    follower.answer().await;
    assert!(matches!(session.next().await, Some(Ok(Ok(None)))), "an answer");
    let quiet = timeout(APPEND_PATIENCE * 2, session.next()).await;
    assert!(quiet.is_err(), "nothing is under way, so nothing can be late: {quiet:?}");
    requests.try_send(Ok(request())).expect("open");
    follower.answer().await;
    assert!(matches!(session.next().await, Some(Ok(Ok(None)))), "an answer");
}

#[tokio::test]
async fn a_request_without_an_answer_ends_its_session() {
    let (near, _follower) = pair();
    let mut slot = None;
    let mut session = append::session(&mut slot, near, stream::iter([Ok(request())]));
    let end = timeout(APPEND_PATIENCE * 4, session.next()).await.expect("an end");
    assert!(end.is_some_and(|end| end.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut)));
    drop(session);
    assert!(slot.is_none(), "a connection that owes an answer is not used again");
}

#[tokio::test]
async fn an_answer_to_nothing_ends_its_session() {
    let (near, mut follower) = pair();
    let mut slot = None;
    let (_requests, input) = futures::channel::mpsc::channel::<io::Result<_>>(4);
    let mut session = append::session(&mut slot, near, input);
    follower.say(1).await;
    let end = timeout(APPEND_PATIENCE * 4, session.next()).await.expect("an end");
    assert!(end.is_some_and(|end| end.is_err_and(|error| error.kind() == io::ErrorKind::InvalidData)));
}

#[tokio::test]
async fn a_request_that_may_not_go_ends_its_session_unsent() {
    let (near, follower) = pair();
    let mut slot = None;
    let (mut requests, input) = futures::channel::mpsc::channel(4);
    let mut session = append::session(&mut slot, near, input);
    requests.try_send(Err(io::ErrorKind::ConnectionRefused.into())).expect("open");
    requests.try_send(Ok(request())).expect("open");
    let end = session.next().await;
    assert!(end.is_some_and(|end| end.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)));
    drop(session);
    assert!(slot.is_none(), "a connection that may not be used is not kept");
    let Follower { mut reader, .. } = follower;
    let sent = reader.next(BULK_FRAME_BYTES_MAX).await.expect("an end");
    assert!(sent.is_none(), "nothing was sent: {sent:?}");
}
