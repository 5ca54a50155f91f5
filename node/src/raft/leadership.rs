//! Who leads, and since when it may serve.

use openraft::async_runtime::WatchReceiver as _;
use openraft::metrics::RaftMetrics;
use tokio::sync::watch;
use trine_crdt::NodeId;
use trine_replica::input::Leadership;

use super::types::{Led, Raft, TypeConfig};

/// Keeps `told` up to date until Raft stops.
pub async fn follow(raft: Raft, node: u64, told: watch::Sender<Leadership>) {
    let mut metrics = raft.metrics();
    loop {
        let now = of(&metrics.borrow_watched(), node);
        told.send_if_modified(|before| std::mem::replace(before, now) != now);
        if metrics.changed().await.is_err() {
            break;
        }
    }
    let stopped = Leadership { leader: None, serving: false, ..*told.borrow() };
    told.send_replace(stopped);
}

/// A leader serves once it handed over its own term's first entry: then it handed over everything before.
fn of(metrics: &RaftMetrics<TypeConfig>, node: u64) -> Leadership {
    let term = metrics.current_term;
    let applied_own = metrics.last_applied.is_some_and(|applied| applied.leader_id == Led { term, node });
    Leadership {
        leader: metrics.current_leader.map(NodeId),
        term,
        serving: metrics.current_leader == Some(node) && metrics.state.is_leader() && applied_own,
    }
}
