//! Who votes in the own region's Raft group, who answers, and what follows for whoever comes or goes.
//!
//! Taking a node off the roster is one entry of the log; that its vote counts no more is another one, which the driver brings
//! about afterwards. Between the two the node is still needed: it goes on voting, and stops only when the log says that
//! its vote is not missed (or a neighbour does, to a node that the log does not reach any more).
//!
//! ```text
//!   asked ──► may it go? ──► retired (roster) ──► demoted (Raft's membership) ──► it stops ──► let go
//!               │ no: with those who answer, the change or what comes after it could never be committed
//!               └──► refused, with who is missing and what to do
//! ```
//!
//! Whether it may go is judged by the leader when it proposes, against the membership that the removals before it lead to:
//! `trine_placement::voters` says where that is, by the very steps that the driver will take.

use std::collections::{BTreeMap, BTreeSet};

use trine_crdt::{NodeId, Timestamp};
use trine_ledger::entry::Command;
use trine_placement::limits::VOTERS_MAX;
use trine_placement::voters::{self, Membership};
use trine_protocol::RequestError;

use crate::cluster::Cluster;
use crate::effect::{Effect, Halt};
use crate::input::Voters;
use crate::limits::NAME_HELD_MS_MAX;
use crate::marks::{self, Mark};
use crate::message::NotAdmitted;
use crate::mutants::{self, Mutant};
use crate::not_ready::NotReady;
use crate::turn::Turn;

/// What this node knows of its region's Raft group, and of its own place in it.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The voters of the latest membership in the log; empty: none was applied.
    pub(super) voters: BTreeSet<NodeId>,
    /// The membership as the driver told it last.
    told: Option<Voters>,
    /// Removals that were proposed and not yet applied, by stamp.
    removing: BTreeMap<Timestamp, NodeId>,
    /// A neighbour said that this node's vote counts no more.
    let_go: bool,
    /// Since when nodes are not linked any more, on the monotonic clock.
    pub(super) silent_since_ns: BTreeMap<NodeId, u64>,
    /// Why this node is not registered, as it was told last, and since when it is told so.
    not_admitted: Option<(NotAdmitted, u64)>,
}

impl Standing {
    /// As the voters' row says.
    pub(super) fn open(row: Option<&bytes::Bytes>) -> Self {
        let numbers = row.map(|row| row.as_chunks::<8>().0).unwrap_or_default();
        let voters = numbers.iter().map(|number| NodeId(u64::from_be_bytes(*number))).collect();
        Self { voters, ..Self::default() }
    }

    /// Another term begins: what the log may hold of the last one is applied before anybody leads this one.
    pub(super) fn removals_over(&mut self) {
        self.removing.clear();
    }
}

impl Cluster {
    /// The voters of the latest membership in the log; empty: none was applied.
    pub(crate) fn voters(&self) -> &BTreeSet<NodeId> {
        &self.standing.voters
    }

    /// The log has another membership. Its voters' row.
    pub(crate) fn set_voters(&mut self, voters: &BTreeSet<NodeId>) -> bytes::Bytes {
        self.standing.voters.clone_from(voters);
        voters.iter().flat_map(|node| node.0.to_be_bytes()).collect::<Vec<u8>>().into()
    }

    /// Everything stamped up to here was applied, or never will be.
    pub(crate) fn removals_applied(&mut self, upto: Timestamp) {
        self.standing.removing.retain(|stamp, _| *stamp > upto);
    }

    /// A removal that was proposed did not enter the log.
    pub(crate) fn removal_refused(&mut self, stamp: &Timestamp) {
        self.standing.removing.remove(stamp);
    }

    /// The membership as the leader of the term sees it; none while that is not known yet.
    pub(crate) fn answering(&self) -> Option<&Voters> {
        self.standing.told.as_ref().filter(|told| told.term == self.leadership.term)
    }

    /// Why this node is not registered, as it was told last.
    pub(crate) fn not_admitted_for(&self) -> Option<&NotAdmitted> {
        self.standing.not_admitted.as_ref().map(|(reason, _)| reason)
    }

    /// A neighbour said that this node's vote counts no more.
    pub(crate) fn let_go(&mut self) {
        self.standing.let_go = true;
    }

    /// Whether this node was taken off the roster and its vote is still missed.
    pub(crate) fn vote_missed(&self) -> bool {
        self.standing.voters.contains(&self.config.node) && !self.standing.let_go
    }

    /// Whether this node was taken off the roster and is still needed until the others can commit without it.
    pub(crate) fn leaving(&self) -> bool {
        self.retired(self.config.node, &self.config.region)
    }

    /// Whether a node of the own region was heard of a short while ago.
    pub(crate) fn answers(&self, node: NodeId) -> bool {
        let told = self.answering();
        let member = told.is_some_and(|told| told.answering.contains(&node));
        node == self.config.node || member || self.peers.contains_key(&node)
    }

    /// Judges a change of the roster that is about to be proposed; what is proposed counts from now on.
    ///
    /// # Errors
    /// Why the region may not do without the node.
    pub(crate) fn judge_removal(
        &mut self,
        command: &Command,
        stamp: Timestamp,
        force: bool,
    ) -> Result<(), RequestError> {
        let (Command::Retire { node, .. } | Command::Replace { node, .. }) = command else { return Ok(()) };
        // A closed name is opened: nobody goes.
        if self.rostered(*node).is_none() {
            return Ok(());
        }
        if !mutants::is(Mutant::RemovalUnjudged) {
            self.may_go(*node, force).inspect_err(|_| marks::reached(Mark::RemovalRefused))?;
        }
        self.standing.removing.insert(stamp, *node);
        Ok(())
    }

    fn may_go(&self, node: NodeId, force: bool) -> Result<(), RequestError> {
        let region = &self.config.region;
        let Some(told) = self.answering() else {
            let what = "the leader does not know yet which voters answer".to_owned();
            return Err(RequestError::Unavailable { what });
        };
        let name = self.call(node);
        let registry = &self.own;
        let goes = |other: &NodeId| {
            *other == node
                || registry.retired.contains(other)
                || self.standing.removing.values().any(|going| going == other)
        };
        let members: BTreeSet<NodeId> = told.sets.iter().flatten().copied().collect();
        let known = registry.roster.keys().chain(&members).chain(&told.learners);
        let rest: BTreeSet<NodeId> = known.copied().filter(|other| !goes(other)).collect();
        if rest.is_empty() {
            let what = format!(
                "{name} is the only node of {region}, whose ledger ends with it: let another one join before it is \
                 taken away; when its disk is lost, so is what it alone held"
            );
            return Err(RequestError::Standstill { what, voters: 0, answering: 0 });
        }
        // A link that broke says so at once, where Raft's silence takes a while to be noticed.
        let broken = |node: &NodeId| !self.peers.contains_key(node) && self.standing.silent_since_ns.contains_key(node);
        let heard: BTreeSet<NodeId> = told.answering.iter().copied().filter(|node| !broken(node)).collect();
        if let Some(set) = told.sets.iter().find(|set| !voters::majority(set, &heard)) {
            let what = format!(
                "{region} can commit no change of its nodes now: {}; {}",
                self.count(set, &heard),
                self.way_out(set, &heard)
            );
            return Err(standstill(what, set, &heard));
        }
        // Who is linked can join.
        let linked = self.peers.keys().chain([&self.config.node]).filter(|node| rest.contains(*node));
        let answering: BTreeSet<NodeId> = heard.iter().chain(linked).copied().collect();
        let now = Membership { voters: members, learners: told.learners.clone() };
        let then = voters::settled(&now, &rest, &answering, VOTERS_MAX);
        let leaves = then.voters.iter().all(|voter| !goes(voter));
        if force || leaves && voters::majority(&then.voters, &answering) {
            return Ok(());
        }
        let left: BTreeSet<NodeId> = then.voters.iter().copied().filter(|voter| !goes(voter)).collect();
        let what = format!(
            "without {name}, {region} could commit nothing with the nodes that answer now: {}; {}. With --force it is \
             taken off the roster now, takes no more edits, and goes on voting until enough of the others answer",
            self.count(&left, &answering),
            self.way_out(&left, &answering)
        );
        Err(standstill(what, &left, &answering))
    }

    /// Who of these voters answers, in words.
    fn count(&self, voters: &BTreeSet<NodeId>, answering: &BTreeSet<NodeId>) -> String {
        let up = voters.intersection(answering).count();
        format!("of the voters {} only {up} of {} answer", self.call_all(voters.iter()), voters.len())
    }

    fn way_out(&self, voters: &BTreeSet<NodeId>, answering: &BTreeSet<NodeId>) -> String {
        let silent = self.call_all(voters.difference(answering));
        format!(
            "bring back {silent}, or take away first whoever of them is lost (`trine nodes remove`); where a majority is \
             lost for ever, see `trine recover region --help`"
        )
    }

    /// What is said when nobody leads: who would have to answer.
    pub(crate) fn nobody_leads(&self) -> String {
        let voters = &self.standing.voters;
        let linked: BTreeSet<NodeId> = self.peers.keys().chain([&self.config.node]).copied().collect();
        let silent = self.call_all(voters.difference(&linked));
        let up = voters.intersection(&linked).count();
        format!(
            "{} has no leader, and without one no node can be added or taken away: {up} of its {} voters can be \
             reached from here, not {silent}; bring them back, or, where a majority is lost for ever, see `trine \
             recover region --help`",
            self.config.region,
            voters.len()
        )
    }

    fn call_all<'a>(&self, nodes: impl Iterator<Item = &'a NodeId>) -> String {
        let names: Vec<String> = nodes.map(|node| self.call(*node)).collect();
        if names.is_empty() { "(none)".to_owned() } else { names.join(", ") }
    }

    /// A node's name and id.
    pub(crate) fn call(&self, node: NodeId) -> String {
        self.rostered(node).map_or_else(|| node.to_string(), |record| format!("{} ({node})", record.name))
    }

    /// The driver says who votes and who answers.
    pub(crate) fn voters_changed(&mut self, told: Voters) {
        self.standing.told = Some(told);
    }

    /// This node is told why it is not registered, or passes it on to whom it concerns.
    pub(crate) fn take_not_admitted(&mut self, turn: &mut Turn<'_>, from: NodeId, node: NodeId, reason: NotAdmitted) {
        if !self.near(from) {
            turn.counters.messages_refused += 1;
            return;
        }
        if node != self.config.node {
            if self.near(node) {
                turn.send(node, crate::message::PeerMessage::NotAdmitted { node, reason });
            }
            return;
        }
        if self.registered {
            return;
        }
        let now_ns = turn.now.monotonic_ns;
        let since_ns = match &self.standing.not_admitted {
            Some((before, since_ns)) if *before == reason => *since_ns,
            _ => now_ns,
        };
        // Two processes of one certificate take each other's links away; the one that has no place here gives way.
        if let NotAdmitted::NameHeld { .. } = &reason
            && now_ns.saturating_sub(since_ns) > NAME_HELD_MS_MAX * 1_000_000
        {
            turn.effects.push(Effect::Halt(Halt::NotAdmitted(self.waits_for(&reason))));
        }
        self.standing.not_admitted = Some((reason, since_ns));
    }

    /// Why this node is not registered and what ends that.
    pub(crate) fn waits_for(&self, reason: &NotAdmitted) -> NotReady {
        let name = self.config.name.as_str().into();
        match *reason {
            NotAdmitted::NameClosed { node } => NotReady::NameClosed { name, node },
            NotAdmitted::NameHeld { node, since } => NotReady::NameHeld { name, node, since },
            NotAdmitted::Level { cluster, node } => NotReady::Level { cluster, node },
        }
    }
}

fn standstill(what: String, voters: &BTreeSet<NodeId>, answering: &BTreeSet<NodeId>) -> RequestError {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    RequestError::Standstill {
        what,
        voters: count(voters.len()),
        answering: count(voters.intersection(answering).count()),
    }
}
