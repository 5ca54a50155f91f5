//! Why a request was not done, as a closed list with stable codes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Conflict, Missing};

/// Why a request was not done. The code ([`Self::code`]) is stable; the text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "code")]
#[non_exhaustive]
pub enum RequestError {
    /// The request itself is wrong; sending it again will not help.
    #[error("{what}")]
    Invalid {
        /// What is wrong and what would be right.
        what: String,
    },
    /// There is nothing under that name.
    #[error("{what} not found")]
    NotFound {
        /// What was asked for.
        what: Missing,
    },
    /// The caller's role does not allow it.
    #[error("refused: {what}")]
    Forbidden {
        /// What the caller may not do.
        what: String,
    },
    /// A condition did not hold.
    #[error("conflict: {what}")]
    Conflict {
        /// Which one.
        what: Conflict,
    },
    /// The change would leave a region that commits nothing more with the nodes that answer now; nothing was done.
    #[error("refused: {what}")]
    Standstill {
        /// Which region, who is missing, and what to do.
        what: String,
        /// How many votes count then.
        voters: u32,
        /// How many of those answer now.
        answering: u32,
    },
    /// A name stands for several things, or is taken: regions that could not hear each other gave it away more than once.
    #[error("{what}")]
    Ambiguous {
        /// The name, and the ids that it may stand for.
        what: String,
    },
    /// What is to be deleted holds something; nothing was done.
    #[error("refused: {what}")]
    NotEmpty {
        /// What holds what, and how to delete it all the same.
        what: String,
    },
    /// A value is larger than the limit.
    #[error("{what} has {bytes} bytes; at most {limit} are allowed")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The object exists with another kind.
    #[error("the object is a {actual}, not a {asked}")]
    WrongKind {
        /// What it is.
        actual: String,
        /// What the request took it for.
        asked: String,
    },
    /// The node has no room for more; nothing was done.
    #[error("overloaded; try again in {retry_after:?}")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// This cannot be served now (starting, no leader, no majority); nothing was done.
    #[error("unavailable: {what}")]
    Unavailable {
        /// Why.
        what: String,
    },
    /// No answer in time. The request may have been done or may yet be.
    #[error("no answer in time; it may have been done or may yet be")]
    Unknown,
    /// The node's disk is full; writes are refused, reads go on.
    #[error("the disk is full: writes are refused until there is room, reads go on")]
    DiskFull,
    /// Bytes on this node's disk are damaged; it does not serve them.
    #[error("damaged data on this node: {what}")]
    Damaged {
        /// Which bytes.
        what: String,
    },
    /// The local state is older than asked for.
    #[error("stale: known up to {as_of}")]
    Stale {
        /// The stamp up to which the state is complete.
        as_of: String,
    },
    /// The request is known but this version does not serve it.
    #[error("not supported: {what}")]
    Unsupported {
        /// What.
        what: String,
    },
}

impl RequestError {
    /// The stable code, as problem+json shows it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid",
            Self::NotFound { .. } => "not_found",
            Self::Forbidden { .. } => "forbidden",
            Self::Conflict { .. } => "conflict",
            Self::Standstill { .. } => "standstill",
            Self::Ambiguous { .. } => "ambiguous",
            Self::NotEmpty { .. } => "not_empty",
            Self::TooLarge { .. } => "too_large",
            Self::WrongKind { .. } => "wrong_kind",
            Self::Overloaded { .. } => "overloaded",
            Self::Unavailable { .. } => "unavailable",
            Self::Unknown => "unknown",
            Self::DiskFull => "disk_full",
            Self::Damaged { .. } => "damaged",
            Self::Stale { .. } => "stale",
            Self::Unsupported { .. } => "unsupported",
        }
    }

    /// Whether nothing was done, so that the same request may be sent again, here or elsewhere.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Overloaded { .. } | Self::Unavailable { .. } | Self::DiskFull)
    }
}
