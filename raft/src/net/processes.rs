//! Which process of a node Raft is spoken with.
//!
//! A copy of a running node's files has its id, its name and its key. Raft counts on each voter once: what the copy acknowledges
//! would count for the node, which holds nothing of it. So where a link with a node stands, no other process is spoken with.

use std::fmt;
use std::sync::Arc;

/// The process of a node that answers on its link; none where no link stands with it, or it is silent.
pub type Answering = Arc<dyn Fn(u64) -> Option<u64> + Send + Sync>;

/// This process, and those that answer.
#[derive(Clone)]
pub struct Processes {
    /// This one, as links name it.
    pub own: u64,
    /// Those of others.
    pub answering: Answering,
}

impl Processes {
    /// Why nothing is said to this process of a node, and nothing taken from it.
    #[must_use]
    pub fn refuses(&self, node: u64, process: u64) -> Option<String> {
        let another = (self.answering)(node).is_some_and(|answers| answers != process);
        another.then(|| format!("node {node:016x} answers from another process"))
    }
}

impl fmt::Debug for Processes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processes").field("own", &self.own).finish_non_exhaustive()
    }
}
