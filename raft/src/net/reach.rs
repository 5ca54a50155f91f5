//! Which members answer: said once when that changes, counted in between.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::counter;
use tokio::time::Instant;

use super::limits::UNREACHABLE_AFTER;
use crate::types::Member;

/// Who does not answer, by name; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Reach(Arc<Mutex<BTreeMap<String, Silent>>>);

#[derive(Debug)]
struct Silent {
    since: Instant,
    failures: u64,
    told: bool,
}

impl Reach {
    /// A member could not be reached, or did not answer in time.
    pub fn failed(&self, member: &Member, error: &dyn Display) {
        counter!("trine_raft_peer_failures_total", "peer" => member.name.clone()).increment(1);
        let mut silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Silent { since: Instant::now(), failures: 0, told: false };
        let silent = silent.entry(member.name.clone()).or_insert_with(new);
        silent.failures += 1;
        if !silent.told && silent.since.elapsed() >= UNREACHABLE_AFTER {
            silent.told = true;
            tracing::warn!(peer = %member, %error, "a node of the region does not answer; this is said once");
        }
    }

    /// A member answered.
    pub fn answered(&self, member: &Member) {
        let silent = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&member.name);
        if let Some(Silent { since, failures, told: true }) = silent {
            let silent_ms = since.elapsed().as_millis();
            tracing::info!(peer = %member, silent_ms, failures, "a node of the region answers again");
        }
    }

    /// Forgets who is no member any more.
    pub fn retain(&self, is_member: impl Fn(&str) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| is_member(name));
    }
}
