//! Who belongs: registering this incarnation, following the roster, greeting and parting.
//!
//! A node mints no dot and takes no write before its incarnation stands in its region's ledger. It asks the leader
//! (or any node of the region, which passes it on) until it does. Whoever is retired stops as soon as its vote is not
//! missed (`standing`).

use std::collections::BTreeSet;

use trine_crdt::marks::{self, Mark};
use trine_crdt::mutants::{self, Mutant};
use trine_crdt::{NodeId, RegionId, Timestamp};
use trine_ledger::entry::{Command, Entry};
use trine_ledger::registry::NodeRecord;

use crate::effect::Persistence::Synced;
use crate::effect::{Effect, Roster, RosterNode};
use crate::input::{Leadership, Peer};
use crate::limits::SILENT_NODES_MAX;
use crate::message::{NotAdmitted, PeerMessage, Registration};
use crate::replica::Organs;
use crate::rows;
use crate::turn::Turn;

impl Organs {
    pub(crate) fn peer_up(&mut self, turn: &mut Turn<'_>, peer: Peer) {
        let node = peer.node;
        if node == self.config.node {
            return;
        }
        if self.gone(node, &peer.region) {
            self.tell_gone(turn, node, &peer.region);
            return;
        }
        self.standing.silent_since_ns.remove(&node);
        // A stream in place of another: what was under way on that one is lost.
        if self.peers.contains_key(&node) {
            self.peer_down(turn, node);
        }
        let near = peer.region == self.config.region;
        self.peers.insert(node, peer);
        self.mirrors.choices_changed();
        turn.clock_up(node);
        self.metadata_up(turn, node, near);
        self.greet(turn, node);
        self.ask_head(turn, node);
    }

    pub(crate) fn peer_down(&mut self, turn: &mut Turn<'_>, node: NodeId) {
        if self.peers.remove(&node).is_some() && self.standing.silent_since_ns.len() < SILENT_NODES_MAX {
            self.standing.silent_since_ns.insert(node, turn.now.monotonic_ns);
        }
        turn.clock.down(node);
        self.mirrors.choices_changed();
        self.links.close(node);
        self.forget_rounds(node);
        self.metadata_down(node);
        self.forget_follower(node);
        self.signing.holders.remove(&node);
        for number in self.waiting.elsewhere(node) {
            self.send_again(number);
        }
        self.reroute(turn);
    }

    pub(crate) fn leadership_changed(&mut self, turn: &mut Turn<'_>, leadership: Leadership) {
        let before = self.leadership;
        if before.leader.is_some() && mutants::is(Mutant::LeaderRemembered) {
            return;
        }
        self.leadership = leadership;
        if leadership.term != before.term {
            self.standing.removals_over();
        }
        if !leadership.serving {
            self.release_queue();
        }
        if let Some(before) = before.leader.filter(|before| Some(*before) != leadership.leader) {
            for number in self.waiting.elsewhere(before) {
                self.send_again(number);
            }
        }
        self.reroute(turn);
    }

    /// Asks for this incarnation to be registered, until it is.
    pub(crate) fn register(&mut self, turn: &mut Turn<'_>) {
        let stands = self.rostered(self.config.node).is_some_and(|record| record.writer == self.config.writer);
        self.registered |= stands;
        // An incarnation that is on the roster and not on its disk would be taken for that of a disk that went back.
        let kept = !turn.is_under_way(Synced, &rows::own_writer(self.config.writer));
        if self.registered || self.leaving() || !kept || !self.due_to_register(turn) {
            return;
        }
        let registration = self.registration();
        if self.leadership.serving {
            self.admit_or_say(turn, registration);
            return;
        }
        let leader = self.leadership.leader.filter(|leader| self.peers.contains_key(leader));
        if let Some(to) = leader.or_else(|| self.neighbour_in_turn()) {
            turn.send(to, PeerMessage::Register(registration));
        }
    }

    /// A node of the region wants to be registered.
    pub(crate) fn take_registration(&mut self, turn: &mut Turn<'_>, from: NodeId, registration: Registration) {
        let near = self.peers.get(&from).filter(|peer| peer.region == self.config.region);
        let Some(near) = near else { return };
        // A node speaks for itself, under the name that its certificate proved; another passes it on.
        let itself = registration.node == from && *near.name == *registration.name;
        if !itself && self.rostered(from).is_none() {
            turn.counters.messages_refused += 1;
            return;
        }
        if self.leadership.serving {
            self.admit_or_say(turn, registration);
        } else if itself && let Some(leader) = self.leadership.leader.filter(|leader| self.peers.contains_key(leader)) {
            turn.send(leader, PeerMessage::Register(registration));
        }
    }

    /// Drafts a registration, or says why not.
    fn admit_or_say(&mut self, turn: &mut Turn<'_>, registration: Registration) {
        let node = registration.node;
        // A leader that has just begun does not know who answers; it is asked again soon.
        let holder = self.ledger.state.registry().named(&registration.name);
        if holder.is_some_and(|holder| holder.node != node) && self.standing.told_in(self.leadership.term).is_none() {
            return;
        }
        let Some(reason) = self.not_admitted(&registration) else { return self.draft_register(turn, registration) };
        let message = PeerMessage::NotAdmitted { node, reason };
        // Who has a name twice has its links twice: it may be reached through another node only.
        let linked = self.region_peers().into_iter().find(|peer| *peer == node);
        if let Some(to) = linked.or_else(|| self.neighbour_in_turn()).filter(|_| node != self.config.node) {
            turn.send(to, message);
        }
    }

    /// Why a node may not be registered now, though what it says makes sense.
    fn not_admitted(&self, registration: &Registration) -> Option<NotAdmitted> {
        let registry = self.ledger.state.registry();
        if let Some(node) = registry.closed_names.get(&registration.name) {
            return Some(NotAdmitted::NameClosed { node: *node });
        }
        let holder = registry.named(&registration.name).filter(|holder| holder.node != registration.node)?;
        if !self.answers(holder.node) || mutants::is(Mutant::NameTaken) {
            return None;
        }
        marks::reached(Mark::NameHeld);
        Some(NotAdmitted::NameHeld { node: holder.node, since: holder.stamp })
    }

    fn draft_register(&mut self, turn: &mut Turn<'_>, registration: Registration) {
        let stands = self.rostered(registration.node).is_some_and(|record| record.writer == registration.writer);
        if stands {
            return;
        }
        let Registration { node, name, peer, addresses, raft, http, writer } = registration;
        let stamp = Timestamp::ZERO;
        let command = Command::Register(NodeRecord { stamp, node, name, peer, addresses, raft, http, writer });
        // What a node says of itself may be beyond the bounds of an entry.
        if (Entry { commands: vec![command.clone()] }).to_bytes().is_err() {
            turn.counters.messages_refused += 1;
            return;
        }
        self.draft_own(turn, command);
    }

    fn registration(&self) -> Registration {
        let config = &self.config;
        Registration {
            node: config.node,
            name: config.name.clone(),
            peer: config.peer.clone(),
            addresses: config.addresses.clone(),
            raft: config.raft.clone(),
            http: config.http.clone(),
            writer: config.writer,
        }
    }

    /// Whether a node was retired from its region, by that region's own word: a region that lies could send all others'
    /// nodes away.
    pub(crate) fn retired(&self, node: NodeId, region: &RegionId) -> bool {
        let own = (*region == self.config.region).then(|| self.ledger.state.registry());
        let mut said = own.into_iter().chain(self.metadata.registries.get(region));
        said.any(|registry| registry.retired.contains(&node))
    }

    /// Whether a node was retired and its vote is not missed any more: there is nothing to be said to it but that.
    fn gone(&self, node: NodeId, region: &RegionId) -> bool {
        let votes = *region == self.config.region && self.standing.voters.contains(&node);
        self.retired(node, region) && !votes
    }

    /// Tells a node that it is gone: by its region's registry, and, as its neighbour, that its vote counts no more.
    fn tell_gone(&mut self, turn: &mut Turn<'_>, node: NodeId, region: &RegionId) {
        self.tell_retired(turn, node, region);
        if *region == self.config.region && !self.standing.voters.is_empty() {
            turn.send(node, PeerMessage::LetGo);
        }
    }

    /// A neighbour says that this node's vote counts no more.
    pub(crate) fn take_let_go(&mut self, turn: &mut Turn<'_>, from: NodeId) {
        let near = self.peers.get(&from).is_some_and(|peer| peer.region == self.config.region);
        if near && self.leaving() {
            self.standing.let_go = true;
            let own = self.config.region.clone();
            self.rosters_changed(turn, &BTreeSet::from([own]));
        }
    }

    /// This region's roster changed: who votes, who mirrors, and whether this node still belongs.
    pub(crate) fn roster_changed(&mut self, turn: &mut Turn<'_>) {
        self.choose_mirrors();
        let stands = self.rostered(self.config.node).is_some_and(|record| record.writer == self.config.writer);
        self.registered |= stands;
        if !self.rosters_changed(turn, &BTreeSet::from([self.config.region.clone()])) {
            return;
        }
        let roster = self.roster();
        if !roster.nodes.is_empty() {
            turn.effects.push(Effect::Roster(roster));
        }
    }

    /// This region's roster, as its ledger has it here.
    pub(crate) fn roster(&self) -> Roster {
        let node = |record: &NodeRecord| RosterNode {
            node: record.node,
            name: record.name.clone(),
            raft: record.raft.clone(),
            writer: record.writer,
        };
        let retired = self.ledger.state.registry().retired.clone();
        Roster { nodes: self.ledger.roster().map(node).collect(), retired }
    }

    /// Rosters of these regions changed: who is to be connected with, who is gone, and whether this node still belongs,
    /// which is what it returns.
    pub(crate) fn rosters_changed(&mut self, turn: &mut Turn<'_>, regions: &BTreeSet<RegionId>) -> bool {
        if self.leaving() && !mutants::is(Mutant::RetiredGoesOn) {
            let missed = self.standing.voters.contains(&self.config.node) && !self.standing.let_go;
            if !missed || mutants::is(Mutant::RetiredStopsAtOnce) {
                let reason = format!(
                    "this node was removed from its region's roster, and has left; to let its name in again, start it \
                     with an empty data directory and ask for `trine nodes readmit {}`",
                    self.config.name
                );
                turn.effects.push(Effect::Leave { reason });
                return false;
            }
            marks::reached(Mark::RetiredVotes);
        }
        if let Some(peers) = self.reached_anew(regions) {
            turn.effects.push(Effect::Peers(peers));
        }
        let gone = self.peers.values().filter(|peer| self.gone(peer.node, &peer.region));
        let gone: Vec<(NodeId, RegionId)> = gone.map(|peer| (peer.node, peer.region.clone())).collect();
        for (node, region) in gone {
            // Its region's log does not reach it any more: who leaves it must say why, or it would go on alone.
            self.tell_gone(turn, node, &region);
            self.peer_down(turn, node);
        }
        true
    }
}
