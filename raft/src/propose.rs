//! Proposals enter the log in the order in which they were made: one task hands them to openraft, one behind the other,
//! without waiting for any to be committed.

use std::sync::Arc;

use bytes::Bytes;
use openraft::errors::ClientWriteError;
use openraft::impls::ProgressResponder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use trine_ledger::limits::ENTRY_BYTES_MAX;
use trine_replica::input::ProposeOutcome;

use super::limits::{PROPOSALS_MAX, PROPOSED_BYTES_MAX};
use super::types::{AppData, Led, Raft};

struct Proposal {
    term: u64,
    entry: Bytes,
    outcome: oneshot::Sender<ProposeOutcome>,
    permit: OwnedSemaphorePermit,
}

/// Where proposals are made.
#[derive(Debug, Clone)]
pub struct Proposer {
    queue: mpsc::Sender<Proposal>,
    room: Arc<Semaphore>,
}

impl Proposer {
    /// The proposer, and the task that it needs.
    pub fn new(raft: Raft, node: u64) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, proposals) = mpsc::channel(PROPOSALS_MAX);
        let room = Arc::new(Semaphore::new(PROPOSED_BYTES_MAX));
        (Self { queue, room }, run(raft, node, proposals))
    }

    /// Takes its place in the order at once; the outcome comes later. What finds no room is refused.
    pub fn propose(&self, term: u64, entry: Bytes) -> impl Future<Output = ProposeOutcome> + Send + use<> {
        let (outcome, known) = oneshot::channel();
        let queued = self.enqueue(term, entry, outcome);
        async move {
            match queued {
                // The task answers unless it ended, and then the entry may have been handed over.
                true => known.await.unwrap_or(ProposeOutcome::Unknown),
                false => ProposeOutcome::Refused,
            }
        }
    }

    fn enqueue(&self, term: u64, entry: Bytes, outcome: oneshot::Sender<ProposeOutcome>) -> bool {
        if entry.len() > ENTRY_BYTES_MAX {
            return false;
        }
        let bytes = u32::try_from(entry.len()).expect("bounded above");
        let Ok(permit) = self.room.clone().try_acquire_many_owned(bytes) else { return false };
        self.queue.try_send(Proposal { term, entry, outcome, permit }).is_ok()
    }
}

async fn run(raft: Raft, node: u64, mut proposals: mpsc::Receiver<Proposal>) {
    let mut waiting = tokio::task::JoinSet::new();
    loop {
        let proposal = tokio::select! {
            Some(_) = waiting.join_next() => continue,
            proposal = proposals.recv() => match proposal {
                Some(proposal) => proposal,
                None => break,
            },
        };
        let Proposal { term, entry, outcome, permit } = proposal;
        let (responder, complete) = ProgressResponder::complete_only();
        let write = raft.write(AppData(entry)).responder(responder).with_leader(Led { term, node });
        if write.await.is_err() {
            let _ = outcome.send(ProposeOutcome::Refused);
            continue;
        }
        waiting.spawn(async move {
            let known = match complete.await {
                Ok(Ok(_)) => ProposeOutcome::Committed,
                Ok(Err(ClientWriteError::LogEntryDiscarded(_))) | Err(_) => ProposeOutcome::Unknown,
                Ok(Err(
                    ClientWriteError::ForwardToLeader(_)
                    | ClientWriteError::ChangeMembershipError(_)
                    | ClientWriteError::PreconditionFailed(_),
                )) => ProposeOutcome::Refused,
            };
            drop(permit);
            let _ = outcome.send(known);
        });
    }
    while waiting.join_next().await.is_some() {}
}
