//! How Raft ends: because it was asked to, or because it must not go on.
//!
//! openraft's core is a task. When it panics or its storage fails, the process around it would live on, answer reads from
//! what it had, and never take part again, while its supervisor believes that all is well. So its end, unless it was
//! asked for, is the process' end.

use openraft::async_runtime::WatchReceiver as _;

use super::config::Fatal;
use super::types::Raft;

/// Tells `fatal` when Raft ends by itself.
pub async fn watch(raft: Raft, fatal: Fatal) {
    let mut metrics = raft.metrics();
    while metrics.borrow_watched().running_state.is_ok() && metrics.changed().await.is_ok() {}
    match &metrics.borrow_watched().running_state {
        Err(openraft::errors::Fatal::Stopped) => return,
        Err(error) => return fatal(format!("Raft ended: {error}")),
        Ok(()) => {}
    }
    // A core that panicked cannot say so; whoever calls it is told.
    match raft.is_initialized().await {
        Ok(_) | Err(openraft::errors::Fatal::Stopped) => {}
        Err(error) => fatal(format!("Raft ended: {error}")),
    }
}
