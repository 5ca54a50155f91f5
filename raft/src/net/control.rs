//! The control connection, from who dials: small calls, many at a time, each with a number.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::dial::{Connection, Dialer};
use super::frame;
use super::limits::{CONTROL_CALLS_MAX, CONTROL_FRAME_BYTES_MAX, CONTROL_PATIENCE, IDLE_CLIENT};
use super::wire::{Call, Lane, Numbered, Reply};
use crate::types::Member;

/// A handle on the control connection to one peer; it is dialled when there is something to say.
#[derive(Debug, Clone)]
pub struct Control(mpsc::Sender<Waiting>);

#[derive(Debug)]
struct Waiting {
    call: Call,
    reply: oneshot::Sender<io::Result<Reply>>,
}

impl Control {
    /// Starts the task that keeps the connection; it ends with the last handle.
    #[must_use]
    pub fn new(dialer: Dialer, to: Option<u64>, member: Member) -> Self {
        let (calls, waiting) = mpsc::channel(CONTROL_CALLS_MAX);
        tokio::spawn(keep(dialer, to, member, waiting));
        Self(calls)
    }

    /// Makes a call.
    ///
    /// # Errors
    /// When there is no answer within `patience`, or none will come.
    pub async fn call(&self, call: Call, patience: Duration) -> io::Result<Reply> {
        let (reply, answer) = oneshot::channel();
        // A full queue means a peer that does not answer; waiting in line would only make the call stale.
        self.0.try_send(Waiting { call, reply }).map_err(|_| io::Error::from(io::ErrorKind::WouldBlock))?;
        timeout(patience, answer).await?.unwrap_or_else(|_| Err(io::ErrorKind::ConnectionReset.into()))
    }
}

async fn keep(dialer: Dialer, to: Option<u64>, member: Member, mut waiting: mpsc::Receiver<Waiting>) {
    while let Some(first) = waiting.recv().await {
        if first.reply.is_closed() {
            continue;
        }
        match dialer.dial(to, &member, Lane::Control).await {
            Ok(connection) => {
                let made = connection.greeting.clone();
                tokio::select! {
                    ended = converse(connection, first, &mut waiting, (&dialer, &member)) => if let Err(error) = ended {
                        dialer.reach.failed(&member, &error);
                        tracing::debug!(peer = %member, %error, "control connection lost");
                    },
                    // Calls under way are lost with the place that they were made to; they are made anew.
                    () = dialer.outdated(&member, &made) => {}
                }
            }
            Err(error) => {
                let _ = first.reply.send(Err(error));
            }
        }
    }
}

async fn converse(
    mut connection: Connection,
    first: Waiting,
    waiting: &mut mpsc::Receiver<Waiting>,
    (dialer, member): (&Dialer, &Member),
) -> io::Result<()> {
    let mut pending: BTreeMap<u64, (oneshot::Sender<io::Result<Reply>>, Instant)> = BTreeMap::new();
    let mut number = 0;
    let mut next = Some(first);
    loop {
        if let Some(Waiting { call, reply }) = next.take()
            && !reply.is_closed()
        {
            dialer.is_current(&connection.greeting)?;
            number += 1;
            pending.insert(number, (reply, Instant::now()));
            let call = Numbered { number, body: call };
            timeout(CONTROL_PATIENCE, frame::write(&mut connection.writer, &call)).await??;
        }
        let deadline = match pending.first_key_value() {
            Some((_, (_, since))) => *since + CONTROL_PATIENCE,
            None => Instant::now() + IDLE_CLIENT,
        };
        tokio::select! {
            call = waiting.recv() => match call {
                Some(call) => next = Some(call),
                None => return Ok(()),
            },
            answer = connection.reader.expect::<Numbered<Reply>>(CONTROL_FRAME_BYTES_MAX) => {
                let Numbered { number, body } = answer?;
                dialer.is_current(&connection.greeting)?;
                dialer.reach.answered(member);
                if let Some((reply, _)) = pending.remove(&number) {
                    let _ = reply.send(Ok(body));
                }
            }
            () = tokio::time::sleep_until(deadline) => {
                return if pending.is_empty() { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) };
            }
        }
    }
}
