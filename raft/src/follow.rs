//! While this node leads, Raft's membership follows the roster, one step of `trine_placement::voters` at a time.
//!
//! The roster fills while nodes register, so a voter that it does not name is not yet a retired one: only those go that
//! the ledger retired. It keeps them for ever, so that a leader that has just started knows them too.
//!
//! A retired voter is made a learner first, so that it hears by the log that its vote is not missed any more; then it stops,
//! and only then is it no member. A leader that is to go hands leadership over before.

use std::collections::{BTreeMap, BTreeSet};

use openraft::async_runtime::WatchReceiver as _;
use openraft::{ChangeMembers, Instant as _, RaftMetrics};
use tokio::sync::watch;
use tokio::time::Instant;
use trine_crdt::NodeId;
use trine_placement::limits::VOTERS_MAX;
use trine_placement::voters::{self, Health, MembershipStep};
use trine_replica::effect::{Roster, RosterNode};

use super::group::hand_over;
use super::limits::{FOLLOW_CLOSE_BEHIND, FOLLOW_PARTING, FOLLOW_ROUND, FOLLOW_SILENCE, FOLLOW_STEP};
use super::net::peer::Network;
use super::types::{Member, Raft, TypeConfig};

/// Makes membership follow.
pub struct Follower {
    /// This node's id.
    pub node: u64,
    /// Whose membership.
    pub raft: Raft,
    /// Reaches nodes that are no members yet.
    pub network: Network,
    /// The roster.
    pub roster: watch::Receiver<Roster>,
    /// Since when nodes that were retired vote no more.
    pub parting: BTreeMap<NodeId, Instant>,
}

impl Follower {
    /// Runs until the roster's sender is gone.
    pub async fn run(mut self) {
        let mut round = tokio::time::interval(FOLLOW_ROUND);
        round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = round.tick() => {}
                changed = self.roster.changed() => if changed.is_err() { return },
            }
            let roster = self.roster.borrow_and_update().clone();
            let metrics = self.raft.metrics().borrow_watched().clone();
            if roster.nodes.is_empty() || !metrics.state.is_leader() {
                continue;
            }
            self.note_parting(&metrics, &roster);
            let step = self.step(&metrics, &roster);
            match tokio::time::timeout(FOLLOW_STEP, step).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::info!(error, "a change of Raft membership did not happen"),
                Err(_) => tracing::info!("a change of Raft membership takes long"),
            }
        }
    }

    /// Notes since when retired nodes are learners.
    fn note_parting(&mut self, metrics: &RaftMetrics<TypeConfig>, roster: &Roster) {
        let learners = metrics.membership_config.membership().learner_ids().map(NodeId);
        let parting: BTreeSet<NodeId> = learners.filter(|node| roster.retired.contains(node)).collect();
        self.parting.retain(|node, _| parting.contains(node));
        for node in parting {
            self.parting.entry(node).or_insert_with(Instant::now);
        }
    }

    async fn step(
        &self,
        metrics: &RaftMetrics<TypeConfig>,
        Roster { nodes: roster, retired }: &Roster,
    ) -> Result<(), String> {
        let membership = metrics.membership_config.membership();
        let known: BTreeMap<u64, &Member> = membership.nodes().map(|(node, member)| (*node, member)).collect();
        self.network.retain(&known);
        if let Some(moved) = moved(roster, &known) {
            return self.change(ChangeMembers::SetNodes(moved), true).await;
        }
        let members = voters::Membership {
            voters: membership.voter_ids().map(NodeId).collect(),
            learners: membership.learner_ids().map(NodeId).collect(),
        };
        let mut wanted: BTreeSet<NodeId> = roster.iter().map(|node| node.node).collect();
        wanted.extend(known.keys().map(|node| NodeId(*node)).filter(|node| !retired.contains(node)));
        let mut health = health(metrics, self.node);
        let overdue = |since: &Instant| since.elapsed() > FOLLOW_PARTING;
        self.parting.iter().filter(|(_, since)| overdue(since)).for_each(|(node, _)| _ = health.remove(node));
        for new in roster.iter().filter(|on| !known.contains_key(&on.node.0)) {
            let there = self.network.ask_empty(&member(new), FOLLOW_ROUND).await;
            let reachable = there.is_ok_and(|(node, _)| node == new.node.0);
            health.insert(new.node, Health { reachable, caught_up: false });
        }
        let step = voters::plan(NodeId(self.node), &members, &wanted, &health, VOTERS_MAX);
        let Some(step) = step else { return Ok(()) };
        tracing::info!(?step, "changing Raft membership");
        let only = |node: NodeId| BTreeSet::from([node.0]);
        match step {
            MembershipStep::AddLearner(node) => {
                let new = roster.iter().find(|on| on.node == node).map(member).ok_or("not on the roster")?;
                self.raft.add_learner(node.0, new, false).await.map(drop).map_err(|error| error.to_string())
            }
            MembershipStep::Promote(node) => self.change(ChangeMembers::AddVoterIds(only(node)), true).await,
            MembershipStep::Demote(node) => {
                if node.0 == self.node
                    && let Some(heir) = heir(&members, &wanted, &health, node)
                {
                    hand_over(&self.raft, self.node, heir.0).await;
                    if !self.raft.metrics().borrow_watched().state.is_leader() {
                        return Ok(());
                    }
                }
                self.change(ChangeMembers::RemoveVoters(only(node)), true).await
            }
            MembershipStep::Remove(node) => self.change(ChangeMembers::RemoveNodes(only(node)), false).await,
        }
    }

    async fn change(&self, change: ChangeMembers<u64, Member>, retain: bool) -> Result<(), String> {
        self.raft.change_membership(change, retain).await.map(drop).map_err(|error| error.to_string())
    }
}

/// Who can lead in the place of a voter that goes.
fn heir(
    members: &voters::Membership,
    wanted: &BTreeSet<NodeId>,
    health: &BTreeMap<NodeId, Health>,
    going: NodeId,
) -> Option<NodeId> {
    let able = |node: &&NodeId| health.get(node).is_some_and(|health| health.reachable && health.caught_up);
    members.voters.iter().filter(|node| **node != going && wanted.contains(node)).find(able).copied()
}

fn member(node: &RosterNode) -> Member {
    Member { address: node.raft.clone(), name: node.name.clone() }
}

/// Members whose address changed.
fn moved(roster: &[RosterNode], known: &BTreeMap<u64, &Member>) -> Option<BTreeMap<u64, Member>> {
    let changed = |on: &&RosterNode| known.get(&on.node.0).is_some_and(|member| member.address != on.raft);
    let moved: BTreeMap<_, _> = roster.iter().filter(changed).map(|on| (on.node.0, member(on))).collect();
    (!moved.is_empty()).then_some(moved)
}

fn health(metrics: &RaftMetrics<TypeConfig>, leader: u64) -> BTreeMap<NodeId, Health> {
    let last = metrics.last_log_index.unwrap_or(0);
    let mut health = BTreeMap::from([(NodeId(leader), Health { reachable: true, caught_up: true })]);
    for (node, heard) in metrics.heartbeat.iter().flatten().filter(|(node, _)| **node != leader) {
        let reachable = heard.as_ref().is_some_and(|at| at.elapsed() < FOLLOW_SILENCE);
        let matched = metrics.replication.as_ref().and_then(|matched| matched.get(node).copied().flatten());
        let caught_up = matched.is_some_and(|matched| matched.index + FOLLOW_CLOSE_BEHIND >= last);
        health.insert(NodeId(*node), Health { reachable, caught_up });
    }
    health
}
