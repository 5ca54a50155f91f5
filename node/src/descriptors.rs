//! Open files: how many there may be, and who may have how many.
//!
//! A process that is out of descriptors cannot rotate a journal, begin a segment or answer a peer; so strangers must not
//! be able to take the last ones. The limit is raised as far as the system allows, what the node itself needs is set
//! aside, and the listeners divide the rest.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::store::limits::OPEN_FILES_MAX;

/// What databases, log, dials and the runtime may have open at once.
const OWN: u64 = 2 * OPEN_FILES_MAX as u64 + 192;
/// With less, a node is not started.
const LEAST: u64 = OWN + 64;
/// What is enough for the greatest numbers of connections.
const ENOUGH: u64 = 65_536;

/// How many connections each listener may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    /// The limit of open files.
    pub limit: u64,
    /// Connections of the HTTP API.
    pub http: usize,
    /// Incoming libp2p connections.
    pub libp2p: usize,
    /// Incoming connections of Raft.
    pub raft: usize,
}

/// Why there are too few.
#[derive(Debug, thiserror::Error)]
pub enum DescriptorsError {
    /// The system allows too few.
    #[error(
        "this process may open {limit} files, and a node needs {LEAST} (better {ENOUGH}): \
         raise the limit (`ulimit -n`, or LimitNOFILE= in a systemd unit)"
    )]
    TooFew {
        /// How many.
        limit: u64,
    },
}

impl Descriptors {
    /// Raises this process' limit as far as it may, and divides it.
    ///
    /// # Errors
    /// When there are too few for a node.
    pub fn raise() -> Result<Self, DescriptorsError> {
        let now = getrlimit(Resource::Nofile);
        // None is no limit.
        let (soft, hard) = (now.current.unwrap_or(u64::MAX), now.maximum.unwrap_or(u64::MAX));
        let wanted = hard.min(ENOUGH).max(soft);
        let raised = wanted > soft
            && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: now.maximum }).is_ok();
        Self::of(if raised { wanted } else { soft })
    }

    /// Divides a number of descriptors.
    ///
    /// # Errors
    /// When there are too few for a node.
    pub fn of(limit: u64) -> Result<Self, DescriptorsError> {
        if limit < LEAST {
            return Err(DescriptorsError::TooFew { limit });
        }
        let spare = usize::try_from(limit - OWN).unwrap_or(usize::MAX);
        Ok(Self {
            limit,
            http: (spare / 2).min(trine_doors::http::limits::HTTP_CONNECTIONS_MAX),
            libp2p: (spare / 8 * 3).min(crate::net::limits::INCOMING_MAX),
            raft: (spare / 8).min(trine_raft::net::limits::RAFT_CONNECTIONS_MAX),
        })
    }
}
