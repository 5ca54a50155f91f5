//! What the log's writer is asked to do.

use std::io;

use openraft::storage::IOFlushed;
use tokio::sync::oneshot;

use crate::types::{Entry, LogId, Types, Vote};

/// One thing for the writer to do.
pub enum Job<C: Types> {
    /// Write entries; call back when they are durable.
    Append(Vec<Entry>, IOFlushed<C>),
    /// Void all entries from this index on.
    Truncate(u64, oneshot::Sender<io::Result<()>>),
    /// Keep a vote.
    Vote(Vote, oneshot::Sender<io::Result<()>>),
    /// Hide entries up to here from Raft.
    Purge(LogId, oneshot::Sender<io::Result<()>>),
}
