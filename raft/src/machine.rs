//! From openraft's state machine to the core: committed entries, in order, each handed over once.
//!
//! The state machine proper is the core, elsewhere and asynchronous; here is only the position up to which entries
//! were handed over. An entry is handed over when it is committed *and* durable on this node's own disk: otherwise the
//! core's rows could outlive the log that they were derived from.
//!
//! A snapshot is the log's prefix itself: [`Prefix`] names it on the node that has it and carries it, spooled to a
//! file, to one that lacks it. Since no log is ever purged, a leader replicates from entry 0 and needs none; the
//! path exists because Raft asks for it and an operator may trigger it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{Stream, StreamExt as _};
use openraft::EntryPayload;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use trine_crdt::NodeId;
use trine_ledger::LogPosition;
use trine_replica::input::{CommittedEntry, Payload};

use super::limits::{APPLY_BYTES_MAX, APPLY_ENTRIES_MAX};
use super::log::{Disk, FileSystem, LogStore};
use super::membership;
use super::prefix::Prefix;
use super::types::{self, Entry, LogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig, Types};
use crate::mutants::{self, Mutant};

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

/// openraft's state machine.
pub struct Machine<D: Disk = FileSystem, C: Types = TypeConfig> {
    applied: Arc<dyn Applied>,
    log: LogStore<D, C>,
    position: Option<LogId>,
    membership: StoredMembership,
    snapshot: Option<SnapshotMeta>,
}

impl<D: Disk, C: Types> Machine<D, C> {
    /// Starts where the core is.
    ///
    /// # Errors
    /// When the membership that the core kept does not decode.
    pub fn new(applied: Arc<dyn Applied>, log: LogStore<D, C>) -> Result<Self, String> {
        let (position, membership) = applied.last_applied();
        let membership = membership.filter(|_| !mutants::is(Mutant::MembershipForgotten));
        let membership = membership.map(|bytes| membership::decode_stored(&bytes)).transpose()?.unwrap_or_default();
        Ok(Self { applied, log, position: position.map(types::log_id), membership, snapshot: None })
    }

    async fn hand_over(&mut self, entries: Vec<Entry>) -> io::Result<()> {
        let Some(last) = entries.last().map(|entry| entry.log_id) else { return Ok(()) };
        if !mutants::is(Mutant::ApplyBeforeDurable) {
            self.log.wait_durable(last).await?;
        }
        let mut batch = Vec::with_capacity(entries.len());
        for entry in entries {
            let position = types::position(&entry.log_id);
            let payload = match entry.payload {
                EntryPayload::Blank => Payload::Blank,
                EntryPayload::Normal(data) => Payload::Entry(data.0),
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), membership);
                    let voters = self.membership.voter_ids().map(NodeId).collect();
                    Payload::Membership { bytes: membership::encode_stored(&self.membership).into(), voters }
                }
            };
            batch.push(CommittedEntry { position, payload });
        }
        self.applied.committed(batch).await;
        self.position = Some(last);
        Ok(())
    }
}

impl<D: Disk, C: Types> RaftStateMachine<C> for Machine<D, C> {
    type SnapshotData = Prefix;
    type SnapshotBuilder = Builder<D, C>;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.position, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<C>>> + Unpin + Send,
    {
        let (mut batch, mut responders, mut bytes) = (Vec::new(), Vec::new(), 0);
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            bytes += super::log::recent::weight(&entry);
            batch.push(entry);
            responders.extend(responder);
            if batch.len() >= APPLY_ENTRIES_MAX || bytes >= APPLY_BYTES_MAX {
                self.hand_over(std::mem::take(&mut batch)).await?;
                responders.drain(..).for_each(|responder| responder.send(()));
                bytes = 0;
            }
        }
        self.hand_over(batch).await?;
        responders.into_iter().for_each(|responder| responder.send(()));
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder<D, C> {
        let meta = SnapshotMeta { last_log_id: self.position, last_membership: self.membership.clone() };
        self.snapshot = Some(meta.clone());
        Builder { meta, log: self.log.clone() }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Prefix) -> io::Result<()> {
        let mut frames = snapshot.entries();
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = frames.next().await {
            let entry = entry?;
            if !mutants::is(Mutant::PrefixNotKept) {
                self.log.restore(&entry).await?;
            }
            if self.position.is_none_or(|position| entry.log_id.index > position.index) {
                bytes += super::log::recent::weight(&entry);
                batch.push(entry);
            }
            if batch.len() >= APPLY_ENTRIES_MAX || bytes >= APPLY_BYTES_MAX {
                self.hand_over(std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
        }
        self.hand_over(batch).await?;
        self.position = self.position.max(meta.last_log_id);
        self.membership = meta.last_membership.clone();
        self.snapshot = Some(meta.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let log = &self.log;
        Ok(self.snapshot.clone().map(|meta| {
            let upto = meta.last_log_id;
            Snapshot { meta, snapshot: Prefix::of_log(log, upto) }
        }))
    }
}

/// Makes the snapshot that is the log's prefix: nothing is copied.
pub struct Builder<D: Disk = FileSystem, C: Types = TypeConfig> {
    meta: SnapshotMeta,
    log: LogStore<D, C>,
}

impl<D: Disk, C: Types> RaftSnapshotBuilder<C> for Builder<D, C> {
    type SnapshotData = Prefix;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let snapshot = Prefix::of_log(&self.log, self.meta.last_log_id);
        Ok(Snapshot { meta: self.meta.clone(), snapshot })
    }
}
