//! One region's Raft group, as the driver sees it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use trine_replica::effect::RosterNode;
use trine_replica::input::{Leadership, ProposeOutcome};

use super::config::GroupConfig;
use super::log::LogReader;
use super::machine::Applied;

/// Why a group did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log on disk ends before what this node had promised to hold: it may not vote under this identity.
    #[error("the log in {directory} ends at {last:?}, before {floor}, which was durable: this node may not vote")]
    LogShorterThanFloor {
        /// The log's directory.
        directory: PathBuf,
        /// The last index that is there.
        last: Option<u64>,
        /// The index that was durable.
        floor: u64,
    },
    /// The disk failed, or its bytes are not what was written.
    #[error("the log cannot be opened: {0}")]
    Log(#[from] io::Error),
    /// Certificates or key are unusable.
    #[error("the Raft certificates are unusable: {0}")]
    Tls(String),
    /// The address is taken or not ours.
    #[error("cannot listen for Raft connections: {0}")]
    Listen(io::Error),
    /// openraft refused to start.
    #[error("Raft did not start: {0}")]
    Raft(String),
}

/// Figures of a running group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupMetrics {
    /// The current term.
    pub term: u64,
    /// The last index in the log.
    pub last_index: Option<u64>,
    /// The last index known to be committed.
    pub committed_index: Option<u64>,
    /// The last index handed over.
    pub applied_index: Option<u64>,
    /// The voters' names.
    pub voters: Vec<String>,
    /// The learners' names.
    pub learners: Vec<String>,
}

/// A running group; clones share it.
#[derive(Debug, Clone)]
pub struct Group {
    leadership: watch::Receiver<Leadership>,
}

impl Group {
    /// Opens the log, listens, and takes part. In the background it founds the group, when the genesis says so.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: GroupConfig, _applied: Arc<dyn Applied>) -> Result<Self, StartError> {
        Err(StartError::Raft(format!("{config:?}: not yet")))
    }

    /// Puts an entry into the log. Entries enter in the order in which this function is *called* (not polled).
    ///
    /// `term` is that of the last `serving` [`Leadership`] that the core was told; when this node does not lead that
    /// very term any more, the entry is refused, because others may have committed what the core did not see.
    pub fn propose(&self, _term: u64, _entry: Bytes) -> impl Future<Output = ProposeOutcome> + Send + use<> {
        async { ProposeOutcome::Refused }
    }

    /// A log index at or above everything acknowledged before the call; none when no majority answered in time or
    /// this node does not lead.
    pub async fn read_index(&self) -> Option<u64> {
        None
    }

    /// Who leads.
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }

    /// Tells which nodes the roster has. While this node leads, membership is made to follow, in the background.
    pub fn reconcile(&self, _roster: Vec<RosterNode>) {}

    /// Reads the log.
    #[must_use]
    pub fn log_reader(&self) -> LogReader {
        unreachable!("a group does not start yet")
    }

    /// Figures.
    #[must_use]
    pub fn metrics(&self) -> GroupMetrics {
        GroupMetrics::default()
    }

    /// Hands leadership over when it has it, stops, and waits until the log is closed.
    pub async fn shutdown(&self) {}
}
