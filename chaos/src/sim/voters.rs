//! Who votes in a simulated region's Raft group, and how that follows the roster.
//!
//! As in the daemon: the leader compares Raft's membership with the roster that its core told, and takes one step of
//! `trine_placement::voters` at a time. Whoever is no member gets no log; whoever is no voter counts for no majority,
//! and a voter that is gone goes on counting until it is let go.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use trine_crdt::NodeId;
use trine_placement::limits::VOTERS_MAX;
use trine_placement::voters::{self, Health, Membership, MembershipStep, voters_wanted};
use trine_replica::Input;
use trine_replica::input::{Payload, Voters};

use crate::sim::event::Event;
use crate::sim::world::{MS, World};

/// How often membership is compared with the roster.
const FOLLOW_NS: u64 = 500 * MS;
/// How long a node may be silent and still counts as answering.
const SILENCE_NS: u64 = 1_000 * MS;
/// How far behind a learner may be to become a voter, in entries.
const CLOSE_BEHIND: u64 = 256;

/// A region's Raft membership.
#[derive(Debug, Default)]
pub struct Group {
    /// Who votes and who learns.
    pub membership: Membership,
    /// When the leader of this term heard of members.
    heard_ns: BTreeMap<NodeId, u64>,
    term: u64,
}

impl Group {
    /// The founders: as many of them vote as are wanted, the others learn.
    #[must_use]
    pub fn founded(nodes: &[NodeId]) -> Self {
        let wanted = voters_wanted(nodes.len(), VOTERS_MAX);
        let voters = nodes[..wanted].iter().copied().collect();
        let learners = nodes[wanted..].iter().copied().collect();
        Self::of(Membership { voters, learners })
    }

    /// These, of whom nobody was heard yet.
    #[must_use]
    pub fn of(membership: Membership) -> Self {
        Self { membership, ..Self::default() }
    }

    /// Whether a node gets the log.
    #[must_use]
    pub fn has(&self, node: NodeId) -> bool {
        self.membership.voters.contains(&node) || self.membership.learners.contains(&node)
    }
}

impl World {
    /// The leader of a region looks who answers, tells its core, and lets membership follow the roster.
    pub fn follow(&mut self, region: usize) {
        self.schedule(FOLLOW_NS, Event::Follow { region });
        let (leader, term) = {
            let log = self.logs[region].borrow();
            (log.leader, log.term)
        };
        let Some(leader) = leader.filter(|leader| self.nodes[*leader].awake() && self.takes_part(*leader)) else {
            return;
        };
        let now_ns = self.now_ns;
        let members: Vec<NodeId> = {
            let Membership { voters, learners } = &self.groups[region].membership;
            voters.union(learners).copied().collect()
        };
        let up: Vec<NodeId> = members.iter().copied().filter(|member| self.hears(leader, *member)).collect();
        let group = &mut self.groups[region];
        if std::mem::replace(&mut group.term, term) != term {
            group.heard_ns.clear();
        }
        group.heard_ns.extend(up.into_iter().map(|member| (member, now_ns)));
        let heard = |(node, at): (&NodeId, &u64)| (now_ns - at <= SILENCE_NS).then_some(*node);
        let answering: BTreeSet<NodeId> = group.heard_ns.iter().filter_map(heard).collect();
        let Membership { voters, learners } = group.membership.clone();
        let told = Voters { term, sets: vec![voters.clone()], learners, answering: answering.clone() };
        self.tell_voters(leader, told);
        self.step(region, leader, &answering);
    }

    fn tell_voters(&mut self, leader: usize, told: Voters) {
        if self.nodes[leader].told_voters.as_ref() != Some(&told) {
            self.nodes[leader].told_voters = Some(told.clone());
            let life = self.nodes[leader].life;
            self.input(leader, life, Input::Voters(told));
        }
    }

    fn step(&mut self, region: usize, leader: usize, answering: &BTreeSet<NodeId>) {
        let Some(roster) = self.nodes[leader].roster.clone() else { return };
        let membership = self.groups[region].membership.clone();
        let known: BTreeSet<NodeId> = membership.voters.union(&membership.learners).copied().collect();
        let mut wanted: BTreeSet<NodeId> = roster.nodes.iter().map(|node| node.node).collect();
        wanted.extend(known.iter().filter(|node| !roster.retired.contains(node)));
        let end = self.logs[region].borrow().end();
        let mut health: BTreeMap<NodeId, Health> = BTreeMap::new();
        for node in &wanted | &known {
            let reachable = if known.contains(&node) { answering.contains(&node) } else { self.hears(leader, node) };
            let at = self.by_id.get(&node).map(|number| self.nodes[*number].delivered);
            let caught_up = at.is_some_and(|at| at + CLOSE_BEHIND >= end);
            health.insert(node, Health { reachable, caught_up });
        }
        let id = self.nodes[leader].id;
        let Some(step) = voters::plan(id, &membership, &wanted, &health, VOTERS_MAX) else { return };
        // It is the leader of the old voters that puts it into the log, and the new ones that must have it.
        let group = &mut self.groups[region];
        group.membership.take(step);
        let voters = group.membership.voters.clone();
        let bytes = Bytes::from(voters.iter().flat_map(|node| node.0.to_be_bytes()).collect::<Vec<u8>>());
        self.logs[region].borrow_mut().push(id, Payload::Membership { bytes, voters });
        self.announce(region);
        if step == MembershipStep::Demote(id) {
            self.unseat(region);
        }
    }

    /// Whether a node of a leader's region answers it now.
    fn hears(&self, leader: usize, node: NodeId) -> bool {
        self.by_id.get(&node).is_some_and(|node| *node == leader || self.reaches(leader, *node))
    }

    /// Whether a node's region can do without what its disk holds: the other voters whose disks are their own and as new as
    /// they were are a majority without it. An operator who took away more would need the way back of a lost majority.
    pub(super) fn can_spare(&self, node: usize) -> bool {
        let voters = &self.groups[self.nodes[node].region].membership.voters;
        let sound = |voter: &&NodeId| {
            let other = self.by_id.get(voter).copied();
            other.is_some_and(|other| {
                other != node && self.nodes[other].halted.is_none() && !self.faults.loses_or_lost(other)
            })
        };
        voters.iter().filter(sound).count() * 2 > voters.len()
    }

    /// Whether a node reaches a majority of its region's voters.
    pub(super) fn takes_part(&self, node: usize) -> bool {
        let voters = &self.groups[self.nodes[node].region].membership.voters;
        let reached = voters.iter().filter(|voter| self.hears(node, **voter)).count();
        reached * 2 > voters.len() && self.nodes[node].awake()
    }
}
