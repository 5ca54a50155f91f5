//! A region's Raft group as its nodes meet it: who leads, what is committed, who hears of it and when.
//!
//! A node takes part while it reaches a majority of its region's voters (`voters`) in both directions. A leader that does not is
//! replaced after a while and goes on believing that it leads until it hears of the other: what it proposes meanwhile is
//! never committed, and what it asks a majority stays without an answer.

use std::rc::Rc;

use trine_replica::Input;
use trine_replica::input::{GroupId, Leadership, Payload, ProposeOutcome};

use crate::sim::event::Event;
use crate::sim::world::{MS, World};

/// The most entries that are handed over at once.
const ENTRIES_MAX: usize = 64;

impl World {
    /// A proposal reaches the log, or does not.
    pub(super) fn propose(&mut self, node: usize, life: u64, ticket: u64, entry: bytes::Bytes) {
        if self.nodes[node].life != life || self.nodes[node].replica.is_none() {
            return;
        }
        let region = self.nodes[node].region;
        let leads = self.logs[region].borrow().leader == Some(node);
        let alone = !self.takes_part(node);
        let trouble = self.chance.happens(self.faults.proposal_trouble(node));
        let (commits, outcome) = match (leads, alone, trouble) {
            (_, true, _) => (false, ProposeOutcome::Unknown),
            (false, ..) => (false, ProposeOutcome::Refused),
            (true, _, false) => (true, ProposeOutcome::Committed),
            (true, _, true) => match self.chance.below(3) {
                0 => (false, ProposeOutcome::Refused),
                1 => (false, ProposeOutcome::Unknown),
                _ => (true, ProposeOutcome::Unknown),
            },
        };
        if commits {
            let id = self.nodes[node].id;
            self.logs[region].borrow_mut().push(id, Payload::Entry(entry));
            self.announce(region);
        }
        let wait = MS + self.chance.below(if alone { 1_000 * MS } else { 3 * MS });
        self.schedule(wait, Event::Proposed { node, life, ticket, outcome });
    }

    /// A read barrier is answered.
    pub(super) fn barrier(&mut self, node: usize, life: u64, ticket: u64) {
        let alone = !self.takes_part(node);
        let log = self.logs[self.nodes[node].region].borrow();
        let index = (log.leader == Some(node) && !alone).then(|| log.end() - 1);
        drop(log);
        self.input(node, life, Input::ReadIndex { group: GroupId::Region, ticket, index });
    }

    /// Lets the nodes of a region hear of their log, each in its time.
    pub(super) fn announce(&mut self, region: usize) {
        for place in 0..self.members[region].len() {
            let node = self.members[region][place];
            let slow = if self.chance.happens(0.05) { 100 * MS } else { 4 * MS };
            let wait = MS + self.chance.below(slow);
            let life = self.nodes[node].life;
            self.schedule(wait, Event::Deliver { node, life });
        }
    }

    /// A node hears what it has not heard yet of its region's log.
    pub(super) fn deliver(&mut self, node: usize, life: u64) {
        let state = &self.nodes[node];
        if state.life != life || state.replica.is_none() {
            return;
        }
        let (region, delivered) = (state.region, state.delivered);
        let log = Rc::clone(&self.logs[region]);
        let leader = log.borrow().leader;
        let member = self.groups[region].has(self.nodes[node].id);
        let in_touch = match leader {
            _ if !member => false,
            Some(leader) => leader == node || self.reaches(node, leader),
            None => self.takes_part(node),
        };
        if !in_touch {
            self.schedule(20 * MS, Event::Deliver { node, life });
            return;
        }
        let entries = log.borrow().from(delivered, ENTRIES_MAX);
        if !entries.is_empty() {
            self.nodes[node].delivered += entries.len() as u64;
            self.input(node, life, Input::Committed { group: GroupId::Region, entries });
        }
        let (term, len) = (log.borrow().term, log.borrow().end());
        let all = self.nodes[node].delivered == len;
        let told = self.nodes[node].told;
        let serving = leader == Some(node) && (all || (told.term == term && told.serving));
        let leadership = Leadership { leader: leader.map(|leader| self.nodes[leader].id), term, serving };
        if told != leadership {
            self.nodes[node].told = leadership;
            self.input(node, life, Input::Leadership { group: GroupId::Region, leadership });
        }
        if !all {
            self.schedule(MS, Event::Deliver { node, life });
        }
    }

    /// A region chooses a leader of those that can lead.
    pub(super) fn elect(&mut self, region: usize) {
        let able: Vec<usize> = self.members[region]
            .iter()
            .copied()
            .filter(|node| self.votes(*node) && self.can_lead(*node) && self.takes_part(*node))
            .collect();
        if able.is_empty() {
            self.logs[region].borrow_mut().leader = None;
            self.schedule(300 * MS, Event::Elect { region });
            return;
        }
        let leader = able[self.chance.below(able.len() as u64) as usize];
        let id = self.nodes[leader].id;
        let mut log = self.logs[region].borrow_mut();
        (log.term, log.leader, log.voting) = (log.term + 1, Some(leader), false);
        log.push(id, Payload::Blank);
        drop(log);
        self.announce(region);
    }

    /// Makes a region look for a leader.
    pub fn unseat(&mut self, region: usize) {
        self.logs[region].borrow_mut().leader = None;
        self.announce(region);
        self.vote(region);
    }

    /// Whether each region has a leader that can lead.
    pub(super) fn all_led(&self) -> bool {
        let able = |leader: usize| self.can_lead(leader) && self.takes_part(leader);
        self.logs.iter().all(|log| log.borrow().leader.is_some_and(able))
    }

    /// Where a leader cannot lead any more, its region looks for another in time.
    pub fn watch_leaders(&mut self) {
        for region in 0..self.regions.len() {
            let leader = self.logs[region].borrow().leader;
            if leader.is_some_and(|leader| !self.can_lead(leader) || !self.takes_part(leader)) {
                self.vote(region);
            }
        }
    }

    fn vote(&mut self, region: usize) {
        if std::mem::replace(&mut self.logs[region].borrow_mut().voting, true) {
            return;
        }
        let wait = 200 * MS + self.chance.below(800 * MS);
        self.schedule(wait, Event::Elect { region });
    }

    fn can_lead(&self, node: usize) -> bool {
        self.nodes[node].awake() && !self.faults.disk_is_full(node)
    }

    fn votes(&self, node: usize) -> bool {
        self.groups[self.nodes[node].region].membership.voters.contains(&self.nodes[node].id)
    }

    pub(super) fn reaches(&self, a: usize, b: usize) -> bool {
        self.nodes[b].awake() && !self.faults.is_cut(a, b) && !self.faults.is_cut(b, a)
    }
}
