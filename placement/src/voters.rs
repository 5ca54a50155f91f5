//! Making a region's Raft membership follow its roster, one safe step at a time.
//!
//! The roster says which nodes belong to the region; Raft's membership says whose votes count. Between them stand
//! rules that are easy to break in a script and are therefore one pure function, [`plan`], called again after each step:
//!
//! - A node votes only after it caught up as a learner.
//! - No step is taken without a reachable majority of the present voters (it could not be committed), nor into a set
//!   without a reachable majority of its own (it would be the last).
//! - Who is added comes before who is taken away, so that a replacement never thins out the copies.
//! - A node that is silent but on the roster stays a voter unless a spare takes its place: who is away comes back.
//! - The leader goes last, and only when the roster no longer names it or there are too many.
//! - Whoever leaves is made a learner first, so that it hears by the log itself that its vote counts no more, and is let
//!   go when it has stopped: a voter that stopped before would be missed by the very change that lets it go.
//!
//! How many vote: all of up to three nodes, three of four, five of five or more (below the bound the caller sets).
//! An even number tolerates no more losses than the odd one below it and waits for one more disk. Two are the
//! exception: with one voter of two, the loss of one disk would lose what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use trine_crdt::NodeId;

use crate::mutants::{self, Mutant};

/// Raft's membership.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// Whose votes count.
    pub voters: BTreeSet<NodeId>,
    /// Who gets the log only.
    pub learners: BTreeSet<NodeId>,
}

/// What the leader knows of a node. Both should hold for a while before they are said, lest membership follow every
/// hiccup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health {
    /// It answers.
    pub reachable: bool,
    /// Its log is close behind the leader's.
    pub caught_up: bool,
}

/// One change of membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembershipStep {
    /// Let it have the log.
    AddLearner(NodeId),
    /// Make a learner a voter.
    Promote(NodeId),
    /// Make a voter a learner.
    Demote(NodeId),
    /// Let a learner go entirely.
    Remove(NodeId),
}

/// How many of `nodes` should vote.
#[must_use]
pub fn voters_wanted(nodes: usize, voters_max: usize) -> usize {
    match nodes.min(voters_max) {
        few @ 0..=2 => few,
        more => more - (more + 1) % 2,
    }
}

/// The next step towards the roster, or none when membership is as it should be or no step is safe now. `health`
/// knows the leader too; whom it does not know is unreachable.
#[must_use]
pub fn plan(
    leader: NodeId,
    membership: &Membership,
    roster: &BTreeSet<NodeId>,
    health: &BTreeMap<NodeId, Health>,
    voters_max: usize,
) -> Option<MembershipStep> {
    let view = View { leader, membership, roster, health, wanted: voters_wanted(roster.len(), voters_max) };
    if roster.is_empty() || !view.can_decide(&membership.voters) {
        return None;
    }
    view.retire_learner().or_else(|| view.welcome()).or_else(|| view.shed()).or_else(|| view.promote())
}

/// Where the steps lead when the nodes of `answering` go on answering and catch up, and nobody else does. It takes for
/// granted that whoever has left stops.
#[must_use]
pub fn settled(
    membership: &Membership,
    roster: &BTreeSet<NodeId>,
    answering: &BTreeSet<NodeId>,
    voters_max: usize,
) -> Membership {
    let mut now = membership.clone();
    let sound = Health { reachable: true, caught_up: true };
    // Each node is welcomed, promoted, demoted and let go once at most.
    for _ in 0..4 * (now.voters.len() + now.learners.len() + roster.len()) {
        let left = |node: &NodeId| now.learners.contains(node) && !roster.contains(node);
        let health = answering.iter().filter(|node| !left(node)).map(|node| (*node, sound)).collect();
        let mut able = now.voters.intersection(answering);
        let leader = able.clone().find(|node| roster.contains(node)).or_else(|| able.next());
        let Some(step) = leader.and_then(|leader| plan(*leader, &now, roster, &health, voters_max)) else { break };
        now.take(step);
    }
    now
}

impl Membership {
    /// Takes a step.
    pub fn take(&mut self, step: MembershipStep) {
        match step {
            MembershipStep::AddLearner(node) => drop(self.learners.insert(node)),
            MembershipStep::Promote(node) => {
                self.learners.remove(&node);
                self.voters.insert(node);
            }
            MembershipStep::Demote(node) => {
                self.voters.remove(&node);
                self.learners.insert(node);
            }
            MembershipStep::Remove(node) => drop(self.learners.remove(&node)),
        }
    }
}

/// Whether more than half of these voters answer.
#[must_use]
pub fn majority(voters: &BTreeSet<NodeId>, answering: &BTreeSet<NodeId>) -> bool {
    voters.intersection(answering).count() > voters.len() / 2
}

struct View<'a> {
    leader: NodeId,
    membership: &'a Membership,
    roster: &'a BTreeSet<NodeId>,
    health: &'a BTreeMap<NodeId, Health>,
    wanted: usize,
}

impl View<'_> {
    fn health(&self, node: NodeId) -> Health {
        self.health.get(&node).copied().unwrap_or_default()
    }

    fn can_decide(&self, voters: &BTreeSet<NodeId>) -> bool {
        let reachable = voters.iter().filter(|node| self.health(**node).reachable).count();
        reachable > voters.len() / 2 || mutants::is(Mutant::VotersWithoutMajority)
    }

    /// Lets a learner go that the roster does not name, once it is silent: until then it may not have heard that it
    /// has left.
    fn retire_learner(&self) -> Option<MembershipStep> {
        let mut gone = self.membership.learners.difference(self.roster).filter(|node| !self.health(**node).reachable);
        gone.next().copied().map(MembershipStep::Remove)
    }

    fn welcome(&self) -> Option<MembershipStep> {
        let known = |node: &NodeId| self.membership.voters.contains(node) || self.membership.learners.contains(node);
        let mut new = self.roster.iter().filter(|node| !known(node) && self.health(**node).reachable);
        new.next().copied().map(MembershipStep::AddLearner)
    }

    /// Lets a voter go when there are more than wanted, or one that the roster does not name any more.
    fn shed(&self) -> Option<MembershipStep> {
        let voters = &self.membership.voters;
        // Best to go: who is off the roster, then who is silent, then who is behind; of each the leader last.
        let value = |node: &NodeId| {
            let Health { reachable, caught_up } = self.health(*node);
            (self.roster.contains(node), *node == self.leader, reachable, caught_up, std::cmp::Reverse(*node))
        };
        let node = voters.iter().min_by_key(|node| value(node)).copied()?;
        let off_roster = !self.roster.contains(&node);
        let too_many = voters.len() > self.wanted;
        if !too_many && (!off_roster || self.spare_coming()) {
            return None;
        }
        let mut rest = voters.clone();
        rest.remove(&node);
        if rest.is_empty() || !self.can_decide(&rest) {
            return None;
        }
        Some(MembershipStep::Demote(node))
    }

    /// Whether a learner will take a leaving voter's place, now or once it caught up.
    fn spare_coming(&self) -> bool {
        self.membership.learners.iter().any(|node| self.roster.contains(node) && self.health(*node).reachable)
    }

    /// Makes a learner a voter when fewer than wanted are on the roster and answer.
    fn promote(&self) -> Option<MembershipStep> {
        let voters = &self.membership.voters;
        let sound = voters.iter().filter(|node| self.roster.contains(node) && self.health(**node).reachable).count();
        if sound >= self.wanted || voters.len() > self.wanted {
            return None;
        }
        let ready = |node: &&NodeId| {
            let Health { reachable, caught_up } = self.health(**node);
            self.roster.contains(node) && reachable && caught_up
        };
        let node = self.membership.learners.iter().find(ready).copied()?;
        let mut more = voters.clone();
        more.insert(node);
        self.can_decide(&more).then_some(MembershipStep::Promote(node))
    }
}
