//! Who belongs: registering this incarnation, following the roster, greeting and parting.
//!
//! A node mints no dot and takes no write before its incarnation stands in its region's ledger. It asks the leader
//! (or any node of the region, which passes it on) until it does. Whoever is retired stops as soon as its vote is not
//! missed (`standing`).

use std::collections::BTreeSet;

use trine_crdt::{NodeId, RegionId, Timestamp};
use trine_ledger::entry::{Command, Entry};
use trine_ledger::registry::NodeRecord;

use super::Organs;
use crate::effect::Effect;
use crate::effect::Persistence::Synced;
use crate::input::{GroupId, Leadership, Peer};
use crate::marks::{self, Mark};
use crate::message::{PeerMessage, Registration};
use crate::mutants::{self, Mutant};
use crate::rows;
use crate::turn::Turn;

impl Organs {
    /// A stream to a peer stands.
    pub(super) fn peer_up(&mut self, turn: &mut Turn<'_>, peer: Peer) {
        let node = peer.node;
        if node == self.cluster.config().node {
            return;
        }
        if self.cluster.gone(node, &peer.region) {
            self.tell_gone(turn, node, &peer.region);
            return;
        }
        self.cluster.heard(node);
        // A stream in place of another: what was under way on that one is lost.
        if self.cluster.linked(node) {
            self.peer_down(turn, node);
        }
        let near = self.cluster.is_own(&peer.region);
        self.cluster.link(peer);
        self.mirrors.choices_changed();
        turn.clock_up(node);
        self.metadata.peer_up(turn, node, near);
        self.objects.greet(turn, &self.cluster, node);
        self.ledger.ask_head(turn, &self.cluster, node);
    }

    /// The stream to a peer is gone.
    pub(super) fn peer_down(&mut self, turn: &mut Turn<'_>, node: NodeId) {
        self.cluster.unlink(node, turn.now.monotonic_ns);
        turn.clock.down(node);
        self.objects.peer_down(node);
        self.metadata.peer_down(node);
        self.mirrors.peer_down(node);
        self.ledger.peer_down(node);
        self.waiting.send_again(node);
        self.reroute(turn);
    }

    /// The driver says who leads.
    pub(super) fn leadership_changed(&mut self, turn: &mut Turn<'_>, leadership: Leadership) {
        let before = *self.cluster.leadership();
        if before.leader.is_some() && mutants::is(Mutant::LeaderRemembered) {
            return;
        }
        self.cluster.set_leadership(leadership);
        if !leadership.serving {
            self.release_queue_of(|_| true);
        }
        if let Some(before) = before.leader.filter(|before| Some(*before) != leadership.leader) {
            self.waiting.send_again(before);
        }
        self.reroute(turn);
    }

    /// Asks for this incarnation to be registered, until it is.
    pub(super) fn register(&mut self, turn: &mut Turn<'_>) {
        let registered = self.cluster.look_registered();
        // An incarnation that is on the roster and not on its disk would be taken for that of a disk that went back.
        let kept = !turn.is_under_way(Synced, &rows::own_writer(self.cluster.config().writer));
        if registered || self.cluster.leaving() || !kept || !self.due_to_register(turn) {
            return;
        }
        let registration = self.cluster.registration();
        if self.cluster.serving() {
            self.admit_or_say(turn, registration);
            return;
        }
        let leader = self.cluster.leadership().leader.filter(|leader| self.cluster.linked(*leader));
        if let Some(to) = leader.or_else(|| self.cluster.neighbour_in_turn()) {
            turn.send(to, PeerMessage::Register(registration));
        }
    }

    /// A node of the region wants to be registered.
    pub(super) fn take_registration(&mut self, turn: &mut Turn<'_>, from: NodeId, registration: Registration) {
        let near = self.cluster.peers().get(&from).filter(|peer| peer.region == self.cluster.config().region);
        let Some(near) = near else { return };
        // A node speaks for itself, under the name that its certificate proved; another passes it on.
        let itself = registration.node == from && *near.name == *registration.name;
        // One that is linked here would say it itself: what comes by another is said by a second process on a copy of its disk.
        if !itself && (self.cluster.rostered(from).is_none() || self.cluster.linked(registration.node)) {
            turn.counters.messages_refused += 1;
            return;
        }
        if self.cluster.serving() {
            self.admit_or_say(turn, registration);
        } else if itself
            && let Some(leader) = self.cluster.leadership().leader.filter(|leader| self.cluster.linked(*leader))
        {
            turn.send(leader, PeerMessage::Register(registration));
        }
    }

    /// Drafts a registration, or says why not.
    fn admit_or_say(&mut self, turn: &mut Turn<'_>, registration: Registration) {
        let node = registration.node;
        // A leader that has just begun does not know who answers; it is asked again soon.
        let holder = self.cluster.own().named(&registration.name);
        if holder.is_some_and(|holder| holder.node != node) && self.cluster.answering().is_none() {
            return;
        }
        let Some(reason) = self.cluster.not_admitted(&registration) else {
            return self.draft_register(turn, registration);
        };
        let message = PeerMessage::NotAdmitted { node, reason };
        // Who has a name twice has its links twice: it may be reached through another node only.
        let linked = self.cluster.region_peers().into_iter().find(|peer| *peer == node);
        if let Some(to) =
            linked.or_else(|| self.cluster.neighbour_in_turn()).filter(|_| node != self.cluster.config().node)
        {
            turn.send(to, message);
        }
    }

    fn draft_register(&mut self, turn: &mut Turn<'_>, registration: Registration) {
        let stands =
            self.cluster.rostered(registration.node).is_some_and(|record| record.writer == registration.writer);
        if stands {
            return;
        }
        let Registration { node, name, peer, addresses, raft, http, writer, levels } = registration;
        let stamp = Timestamp::ZERO;
        let command = Command::Register(NodeRecord { stamp, node, name, peer, addresses, raft, http, writer, levels });
        // What a node says of itself may be beyond the bounds of an entry.
        if (Entry { commands: vec![command.clone()] }).to_bytes().is_err() {
            turn.counters.messages_refused += 1;
            return;
        }
        self.draft_own(turn, command);
    }

    /// Tells a node that it is gone: by its region's registry, and, as its neighbour, that its vote counts no more.
    fn tell_gone(&mut self, turn: &mut Turn<'_>, node: NodeId, region: &RegionId) {
        self.metadata.tell_retired(turn, &self.cluster, node, region);
        if self.cluster.is_own(region) && !self.cluster.voters().is_empty() {
            turn.send(node, PeerMessage::LetGo);
        }
    }

    /// A neighbour says that this node's vote counts no more.
    pub(super) fn take_let_go(&mut self, turn: &mut Turn<'_>, from: NodeId) {
        let near = self.cluster.near(from);
        if near && self.cluster.leaving() {
            self.cluster.let_go();
            let own = self.cluster.config().region.clone();
            self.rosters_changed(turn, &BTreeSet::from([own]));
        }
    }

    /// This region's roster changed: who votes, who mirrors, and whether this node still belongs.
    pub(super) fn roster_changed(&mut self, turn: &mut Turn<'_>) {
        self.cluster.choose_mirrors();
        self.mirrors.choices_changed();
        self.cluster.look_registered();
        if !self.rosters_changed(turn, &BTreeSet::from([self.cluster.config().region.clone()])) {
            return;
        }
        let roster = self.cluster.roster();
        if !roster.nodes.is_empty() {
            turn.effects.push(Effect::Roster { group: GroupId::Region, roster });
        }
    }

    /// Rosters of these regions changed: who is to be connected with, who is gone, and whether this node still belongs,
    /// which is what it returns.
    pub(super) fn rosters_changed(&mut self, turn: &mut Turn<'_>, regions: &BTreeSet<RegionId>) -> bool {
        if self.cluster.leaving() && !mutants::is(Mutant::RetiredGoesOn) {
            let missed = self.cluster.vote_missed();
            if !missed || mutants::is(Mutant::RetiredStopsAtOnce) {
                let reason = format!(
                    "this node was removed from its region's roster, and has left; to let its name in again, start it \
                     with an empty data directory and ask for `trine nodes readmit {}`",
                    self.cluster.config().name
                );
                turn.effects.push(Effect::Leave { reason });
                return false;
            }
            marks::reached(Mark::RetiredVotes);
        }
        if let Some(peers) = self.cluster.reached_anew(regions) {
            turn.effects.push(Effect::Peers(peers));
        }
        let gone = self.cluster.peers().values().filter(|peer| self.cluster.gone(peer.node, &peer.region));
        let gone: Vec<(NodeId, RegionId)> = gone.map(|peer| (peer.node, peer.region.clone())).collect();
        for (node, region) in gone {
            // Its region's log does not reach it any more: who leaves it must say why, or it would go on alone.
            self.tell_gone(turn, node, &region);
            self.peer_down(turn, node);
        }
        true
    }
}
