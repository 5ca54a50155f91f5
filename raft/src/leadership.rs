//! Who leads, since when and until when it may serve, and who votes and answers.
//!
//! openraft's leader goes on believing in itself while it is cut off from its followers, and its followers in it while it
//! is dead. Neither is what a quorum said last. So a leader that no majority has answered for a while neither serves nor
//! says that it leads, and a follower that has not heard its leader for as long knows of none: who asks is told at once
//! instead of being sent where nobody answers.

use std::collections::BTreeSet;
use std::time::Duration;

use openraft::Instant as _;
use openraft::async_runtime::WatchReceiver as _;
use openraft::metrics::RaftMetrics;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use trine_crdt::NodeId;
use trine_replica::input::{Leadership, Voters};

use super::heard::Heard;
use super::limits::{FOLLOW_SILENCE, LEADERSHIP_LOOK};
use super::types::{Led, Raft, TypeConfig};

/// Keeps both up to date until Raft stops; a leader leads until no majority answered for `silence`, or it was not heard
/// for as long.
pub async fn follow(
    raft: Raft,
    node: u64,
    (heard, silence): (Heard, Duration),
    (told, voters): (watch::Sender<Leadership>, watch::Sender<Voters>),
) {
    let mut term = (0, tokio::time::Instant::now());
    let mut metrics = raft.metrics();
    let mut look = interval(LEADERSHIP_LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let metrics_now = metrics.borrow_watched().clone();
        if term.0 != metrics_now.current_term {
            term = (metrics_now.current_term, tokio::time::Instant::now());
        }
        if let Some(now) = voters_of(&metrics_now, node, term.1.elapsed() > FOLLOW_SILENCE) {
            voters.send_if_modified(|before| {
                before != &now && {
                    *before = now;
                    true
                }
            });
        }
        let now = of(&metrics_now, node, &heard, silence);
        told.send_if_modified(|before| std::mem::replace(before, now) != now);
        tokio::select! {
            changed = metrics.changed() => if changed.is_err() { break },
            _ = look.tick() => {}
        }
    }
    let stopped = Leadership { leader: None, serving: false, ..*told.borrow() };
    told.send_replace(stopped);
}

/// A leader serves once it handed over its own term's first entry: then it handed over everything before.
fn of(metrics: &RaftMetrics<TypeConfig>, node: u64, heard: &Heard, silence: Duration) -> Leadership {
    let term = metrics.current_term;
    let leads = metrics.current_leader == Some(node) && metrics.state.is_leader();
    let applied_own = metrics.last_applied.is_some_and(|applied| applied.leader_id == Led { term, node });
    let alone = metrics.membership_config.voter_ids().all(|voter| voter == node);
    let acked = alone || metrics.last_quorum_acked.as_ref().is_some_and(|at| at.elapsed() < silence);
    let stands = |leader: &u64| match leads {
        true => acked,
        false => *leader != node && heard.lately(Led { term, node: *leader }, silence),
    };
    let leader = metrics.current_leader.filter(stands).map(NodeId);
    Leadership { leader, term, serving: leads && applied_own && acked }
}

/// Who votes, and who answers; none at a leader that has not been one for long enough (`settled`) to know who is silent.
fn voters_of(metrics: &RaftMetrics<TypeConfig>, node: u64, settled: bool) -> Option<Voters> {
    let membership = metrics.membership_config.membership();
    let mut answering = BTreeSet::new();
    if metrics.state.is_leader() {
        for (member, at) in metrics.heartbeat.iter().flatten().filter(|(member, _)| **member != node) {
            match at.as_ref().map(|at| at.elapsed()) {
                Some(silence) if silence < FOLLOW_SILENCE => drop(answering.insert(NodeId(*member))),
                None if !settled => return None,
                _ => {}
            }
        }
        answering.insert(NodeId(node));
    }
    let set = |voters: &BTreeSet<u64>| voters.iter().copied().map(NodeId).collect();
    let sets = membership.get_joint_config().iter().map(set).collect();
    let learners = membership.learner_ids().map(NodeId).collect();
    Some(Voters { term: metrics.current_term, sets, learners, answering })
}
