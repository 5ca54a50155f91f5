//! What is answered, now or later.

use trine_ledger::entry::NamespaceKind as LedgerKind;
use trine_ledger::registry::NamespaceRecord;
use trine_protocol::reply::{Answer, NamespaceView};
use trine_protocol::request::NamespaceKind;
use trine_protocol::{Reply, RequestError, SessionToken};

use crate::turn::Turn;
use crate::waiting::Cause;

/// What serving a request led to: an answer now, or something to wait for.
#[allow(clippy::large_enum_variant, reason = "is taken apart at once by its one caller")]
pub(crate) enum Served {
    /// The answer.
    Now(Answer),
    /// It waits for this.
    Waits(Cause),
}

/// What is answered when an earlier try may have been done: that nothing was done now is not the whole truth then.
pub(crate) fn settled(tried: bool, answer: Result<Answer, RequestError>) -> Result<Answer, RequestError> {
    match answer {
        Err(
            RequestError::Overloaded { .. }
            | RequestError::Unavailable { .. }
            | RequestError::DiskFull
            | RequestError::NotFound { .. },
        ) if tried => Err(RequestError::Unknown),
        answer => answer,
    }
}

/// An answer with nothing for the session to remember.
pub(crate) fn plain(turn: &Turn<'_>, reply: Reply) -> Answer {
    Answer { reply, session: SessionToken::default(), timestamp: turn.latest() }
}

/// A namespace as clients see it.
pub(crate) fn namespace_view(record: &NamespaceRecord) -> NamespaceView {
    let kind = if record.kind == LedgerKind::Ledger { NamespaceKind::Ledger } else { NamespaceKind::Objects };
    NamespaceView { id: record.id.clone(), name: record.name.clone(), kind, slots: record.slots }
}

pub(crate) fn too_large(what: &str, bytes: usize, limit: usize) -> RequestError {
    RequestError::TooLarge { what: what.to_owned(), bytes: bytes as u64, limit: limit as u64 }
}
