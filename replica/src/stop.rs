//! What ends a request before it has its answer: it is refused, or something that it needs cannot be read.
//!
//! Whoever asked hears of both in the same way, so what serves a request returns one error and goes on with `?`. What nobody asked
//! for returns [`StoreError`] instead: at the door that one halts the node, and must not become an answer by the way.

use trine_protocol::{Conflict, Missing, RequestError};

use crate::not_ready::NotReady;
use crate::store::StoreError;

/// Why a request is not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    /// It is refused.
    #[error(transparent)]
    Refused(#[from] RequestError),
    /// A row that it needs cannot be read.
    #[error(transparent)]
    Unread(#[from] StoreError),
}

impl From<NotReady> for Stop {
    fn from(why: NotReady) -> Self {
        Self::Refused(why.into())
    }
}

impl From<Conflict> for Stop {
    fn from(what: Conflict) -> Self {
        Self::Refused(what.into())
    }
}

impl From<Missing> for Stop {
    fn from(what: Missing) -> Self {
        Self::Refused(what.into())
    }
}

/// What whoever asked is told.
impl From<Stop> for RequestError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refused(error) => error,
            Stop::Unread(StoreError::Damaged(what)) => Self::Damaged { what },
            Stop::Unread(StoreError::Failed(what)) => Self::Unavailable { what },
        }
    }
}
