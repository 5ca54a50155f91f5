//! From openraft's state machine to the core: committed entries, in order, each handed over once.

use bytes::Bytes;
use futures::future::BoxFuture;
use trine_ledger::LogPosition;
use trine_replica::input::CommittedEntry;

/// Who takes what the group commits: the driver, on behalf of the core.
///
/// The core keeps position and membership in the same batch as what it derived from the entries, so a crash
/// between two batches replays from the log exactly what was lost.
pub trait Applied: Send + Sync + 'static {
    /// The last position whose effects are in the store, and the latest membership handed over up to it, as the core
    /// keeps them. Asked once, at the start; entries after this position follow.
    fn last_applied(&self) -> (Option<LogPosition>, Option<Bytes>);

    /// Takes entries in log order, without gaps. Ready when they are taken over (queued in order towards the
    /// core); waiting here is how a slow core slows the log down.
    fn committed(&self, entries: Vec<CommittedEntry>) -> BoxFuture<'_, ()>;
}
