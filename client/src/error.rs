//! Why a call failed.

use std::time::Duration;

use trine_crdt::RegionId;
use trine_protocol::RequestError;

use crate::admission::Refusal;
use crate::proof::ProofError;

/// Why a client could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The builder lacks something.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A file could not be read.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// A certificate, key or genesis could not be understood, or does not belong to the others.
    #[error("{what}")]
    Identity {
        /// What is wrong.
        what: String,
    },
    /// The region named is none of the cluster's, or no name at all.
    #[error("{}", no_region(.region, .known))]
    Region {
        /// What was named.
        region: String,
        /// The cluster's regions; none when the text is no region's name.
        known: Vec<RegionId>,
    },
    /// A seed is no usable libp2p address.
    #[error("`{address}` is no address such as /ip4/127.0.0.1/tcp/7421")]
    Address {
        /// The text.
        address: String,
    },
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A node answered with an error.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// No node could be reached within the deadline; nothing was done.
    #[error("no node could be reached: {what}")]
    Unreachable {
        /// What was tried last.
        what: String,
    },
    /// The client prefers a region that the cluster does not have; nothing was asked of another instead.
    #[error("{}", no_region(.region.as_str(), .known))]
    UnknownRegion {
        /// The region that was named.
        region: RegionId,
        /// The cluster's regions.
        known: Vec<RegionId>,
    },
    /// A precondition or an idempotency key counts in one region's ledger only, and no region was named.
    #[error("{}", region_needed(.known))]
    RegionNeeded {
        /// The cluster's regions.
        known: Vec<RegionId>,
    },
    /// No answer within the deadline. A write may have been done or may yet be.
    #[error("no answer within {deadline:?}{}", may_be_done(.writes))]
    TimedOut {
        /// The call's deadline.
        deadline: Duration,
        /// Whether it was a write.
        writes: bool,
    },
    /// No node was reached within the deadline, and none said why; nothing was done.
    #[error("no node was reached within {deadline:?}; nothing was done")]
    TooShort {
        /// The call's deadline.
        deadline: Duration,
    },
    /// A write was to go to one region and no other, and none of that region's nodes could be reached; nothing was done.
    #[error("no node of {region} could be reached, and nothing was written elsewhere: {what}")]
    RegionUnreachable {
        /// The region that was named.
        region: RegionId,
        /// What was tried last.
        what: String,
    },
    /// The connection broke after the request was sent and it is not safe to send it again.
    #[error("the connection broke; the request may have been done or may yet be")]
    Lost,
    /// The node or this client was refused admission.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// What the node answered is not what was asked for.
    #[error("the node answered {got} to {asked}")]
    UnexpectedReply {
        /// The request's kind.
        asked: &'static str,
        /// The reply's kind.
        got: &'static str,
    },
    /// What the node answered does not prove what it claims.
    #[error("proof refused: {0}")]
    Proof(#[from] ProofError),
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

impl ClientError {
    /// The same, of a request that writes or of one that does not: of a read nothing can have been done.
    pub(crate) fn of(self, writes: bool) -> Self {
        match self {
            Self::Lost if !writes => {
                Self::Unreachable { what: "the connection broke before the answer came".to_owned() }
            }
            error => error,
        }
    }

    /// Whether nothing was done, so that the same request may be sent again.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Request(error) => error.retryable(),
            Self::Unreachable { .. } | Self::TooShort { .. } | Self::RegionUnreachable { .. } => true,
            _ => false,
        }
    }
}

fn may_be_done(writes: &bool) -> &'static str {
    if *writes { "; it may have been done or may yet be" } else { "" }
}

fn no_region(region: &str, known: &[RegionId]) -> String {
    match known {
        [] => format!("`{region}` is no region's name: use 1 to 63 of a-z, 0-9 and -"),
        known => format!("the cluster has no region `{region}`; it has {}", listed(known)),
    }
}

fn region_needed(known: &[RegionId]) -> String {
    format!(
        "a precondition or an idempotency key counts in one region's ledger only: name the region, one of {}",
        listed(known)
    )
}

fn listed(regions: &[RegionId]) -> String {
    regions.iter().map(RegionId::as_str).collect::<Vec<_>>().join(", ")
}
