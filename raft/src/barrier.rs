//! Read barriers: one round to a majority answers everybody who asked before it began.

use openraft::raft::ReadPolicy;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::limits::{BARRIER_ROUND, BARRIER_WAITING_MAX};
use super::types::Raft;

type Asker = oneshot::Sender<Option<u64>>;

/// Where read barriers are asked for.
#[derive(Debug, Clone)]
pub struct Barrier(mpsc::Sender<Asker>);

impl Barrier {
    /// The barrier, and the task that it needs.
    pub fn new(raft: Raft) -> (Self, impl Future<Output = ()> + Send) {
        let (askers, asking) = mpsc::channel(BARRIER_WAITING_MAX);
        (Self(askers), run(raft, asking))
    }

    /// A log index at or above everything acknowledged before the call; none when no majority answered.
    pub async fn index(&self) -> Option<u64> {
        let (asker, answer) = oneshot::channel();
        self.0.try_send(asker).ok()?;
        answer.await.ok().flatten()
    }
}

async fn run(raft: Raft, mut asking: mpsc::Receiver<Asker>) {
    while let Some(first) = asking.recv().await {
        let mut askers = vec![first];
        while let Ok(asker) = asking.try_recv() {
            askers.push(asker);
        }
        let read = timeout(BARRIER_ROUND, raft.get_read_log_id(ReadPolicy::ReadIndex)).await;
        let index = match read {
            Ok(Ok((id, _))) => Some(id.index()),
            Ok(Err(_)) | Err(_) => None,
        };
        for asker in askers {
            let _ = asker.send(index);
        }
    }
}
