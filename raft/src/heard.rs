//! When this node last heard the leader that it follows.
//!
//! openraft goes on naming a leader until another is elected; with a majority dead that is for ever. What it names is
//! true only as long as that leader speaks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::types::{Led, Vote};

/// The leader heard last; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Heard(Arc<Mutex<Option<(Led, Instant)>>>);

impl Heard {
    /// A request of a leader came. Whether it is obeyed, Raft says: what counts here is compared with whom Raft follows.
    pub fn note(&self, vote: &Vote) {
        let led = Led { term: vote.leader_id.term, node: vote.leader_id.node };
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was deposed and does not know it yet says nothing of the one that leads now.
        if heard.is_none_or(|(last, _)| last.term <= led.term) {
            *heard = Some((led, Instant::now()));
        }
    }

    /// Whether this leader was heard lately.
    #[must_use]
    pub fn lately(&self, led: Led, silence: Duration) -> bool {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.is_some_and(|(last, at)| last == led && at.elapsed() < silence)
    }
}
