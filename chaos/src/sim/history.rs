//! What clients did and were told, for the checkers to judge.

use std::collections::BTreeMap;

use trine_crdt::Timestamp;
use trine_protocol::reply::Answer;
use trine_protocol::session::Position;
use trine_protocol::{Request, RequestError, SessionToken};

/// One operation of a client.
#[derive(Debug)]
pub struct Operation {
    /// The node asked.
    pub node: usize,
    /// When it was begun, in nanoseconds.
    pub begun_ns: u64,
    /// What was asked.
    pub request: Request,
    /// The session it belongs to.
    pub session: usize,
    /// What the session knew when it was begun. A token holds few object writes; older ones it forgets.
    pub token: SessionToken,
    /// When it was answered, and how; none: never.
    pub answered: Option<(u64, Result<Box<Answer>, RequestError>)>,
}

impl Operation {
    /// The answer, when it was done.
    #[must_use]
    pub fn ok(&self) -> Option<&Answer> {
        match &self.answered {
            Some((_, Ok(answer))) => Some(answer),
            _ => None,
        }
    }

    /// Whether it may have been done although nobody said so.
    #[must_use]
    pub fn unknown(&self) -> bool {
        match &self.answered {
            None | Some((_, Err(RequestError::Unknown))) => true,
            Some((_, Ok(_) | Err(_))) => false,
        }
    }

    /// Whether the session still knew, when this was begun, of an earlier write.
    #[must_use]
    pub fn knew(&self, earlier: &Answer) -> bool {
        earlier.session.positions.iter().all(|written| {
            let covers = |known: &&Position| {
                (&known.partition, known.writer) == (&written.partition, written.writer) && known.seq >= written.seq
            };
            self.token.positions.iter().any(|known| covers(&known))
        })
    }

    /// The stamp of the answer.
    #[must_use]
    pub fn stamp(&self) -> Option<Timestamp> {
        self.ok().map(|answer| answer.timestamp)
    }
}

/// All operations, by the number under which they were asked, and the sessions' tokens.
#[derive(Debug, Default)]
pub struct History {
    /// The operations.
    pub operations: BTreeMap<u64, Operation>,
    /// What each session has seen.
    pub sessions: Vec<SessionToken>,
}
