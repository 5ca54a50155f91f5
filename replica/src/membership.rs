//! Who belongs: registering this incarnation, following the roster, greeting and parting.
//!
//! A node mints no dot and takes no write before its incarnation stands in its region's ledger. It asks the leader
//! (or any node of the region, which passes it on) until it does. Whoever is retired stops.

use std::collections::BTreeSet;

use trine_crdt::mutants::{self, Mutant};
use trine_crdt::{NodeId, RegionId, Timestamp};
use trine_ledger::entry::{Command, Entry};
use trine_ledger::registry::NodeRecord;

use crate::effect::{Effect, Roster, RosterNode};
use crate::input::{Leadership, Peer};
use crate::message::{PeerMessage, Registration};
use crate::replica::Replica;
use crate::turn::Turn;

impl Replica {
    pub(crate) fn peer_up(&mut self, turn: &mut Turn<'_>, peer: Peer) {
        let node = peer.node;
        if node == self.config.node {
            return;
        }
        if self.retired(node, &peer.region) {
            self.tell_retired(turn, node, &peer.region);
            return;
        }
        // A stream in place of another: what was under way on that one is lost.
        if self.peers.contains_key(&node) {
            self.peer_down(turn, node);
        }
        let near = peer.region == self.config.region;
        self.peers.insert(node, peer);
        self.mirrors.choices_changed();
        self.metadata_up(turn, node, near);
        self.greet(turn, node);
    }

    pub(crate) fn peer_down(&mut self, turn: &mut Turn<'_>, node: NodeId) {
        self.peers.remove(&node);
        self.mirrors.choices_changed();
        self.links.close(node);
        self.forget_rounds(node);
        self.metadata_down(node);
        self.forget_follower(node);
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
        if self.registered || !self.due_to_register(turn) {
            return;
        }
        let registration = self.registration();
        if self.leadership.serving {
            self.draft_register(turn, registration);
            return;
        }
        let leader = self.leadership.leader.filter(|leader| self.peers.contains_key(leader));
        let to = leader.or_else(|| self.region_peers().first().copied());
        if let Some(to) = to {
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
            self.counters.messages_refused += 1;
            return;
        }
        if self.leadership.serving {
            self.draft_register(turn, registration);
        } else if itself && let Some(leader) = self.leadership.leader.filter(|leader| self.peers.contains_key(leader)) {
            turn.send(leader, PeerMessage::Register(registration));
        }
    }

    fn draft_register(&mut self, turn: &Turn<'_>, registration: Registration) {
        let stands = self.rostered(registration.node).is_some_and(|record| record.writer == registration.writer);
        if stands {
            return;
        }
        let Registration { node, name, peer, addresses, raft, http, writer } = registration;
        let stamp = Timestamp::ZERO;
        let command = Command::Register(NodeRecord { stamp, node, name, peer, addresses, raft, http, writer });
        // What a node says of itself may be beyond the bounds of an entry.
        if (Entry { commands: vec![command.clone()] }).to_bytes().is_err() {
            self.counters.messages_refused += 1;
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
    fn retired(&self, node: NodeId, region: &RegionId) -> bool {
        let own = (*region == self.config.region).then(|| self.ledger.state.registry());
        let mut said = own.into_iter().chain(self.metadata.registries.get(region));
        said.any(|registry| registry.retired.contains(&node))
    }

    /// This region's roster changed: who votes, who mirrors, and whether this node still belongs.
    pub(crate) fn roster_changed(&mut self, turn: &mut Turn<'_>) {
        self.choose_mirrors();
        let stands = self.rostered(self.config.node).is_some_and(|record| record.writer == self.config.writer);
        self.registered |= stands;
        if !self.rosters_changed(turn, &BTreeSet::from([self.config.region.clone()])) {
            return;
        }
        let nodes: Vec<RosterNode> = self
            .ledger
            .roster()
            .map(|record| RosterNode { node: record.node, name: record.name.clone(), raft: record.raft.clone() })
            .collect();
        if !nodes.is_empty() {
            let retired = self.ledger.state.registry().retired.clone();
            turn.effects.push(Effect::Roster(Roster { nodes, retired }));
        }
    }

    /// Rosters of these regions changed: who is to be connected with, who is gone, and whether this node still belongs,
    /// which is what it returns.
    pub(crate) fn rosters_changed(&mut self, turn: &mut Turn<'_>, regions: &BTreeSet<RegionId>) -> bool {
        if self.retired(self.config.node, &self.config.region) && !mutants::is(Mutant::RetiredGoesOn) {
            turn.effects.push(Effect::Halt {
                reason: "this node was removed from its region's roster; \
                         to join again, start with an empty data directory"
                    .to_owned(),
            });
            return false;
        }
        if let Some(peers) = self.reached_anew(regions) {
            turn.effects.push(Effect::Peers(peers));
        }
        let gone = self.peers.values().filter(|peer| self.retired(peer.node, &peer.region));
        let gone: Vec<(NodeId, RegionId)> = gone.map(|peer| (peer.node, peer.region.clone())).collect();
        for (node, region) in gone {
            // Its region's log does not reach it any more: who leaves it must say why, or it would go on alone.
            self.tell_retired(turn, node, &region);
            self.peer_down(turn, node);
        }
        true
    }
}
