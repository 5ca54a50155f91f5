//! Nodes that repair their metadata over a network that loses, repeats and reorders, in virtual time.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use trine_crdt::NodeId;
use trine_gossip::limits::REPAIR_MESSAGE_BYTES_MAX;
use trine_gossip::repair::{Config, Proximity};
use trine_gossip::{Entry, Repair, RepairMessage, Versioned};

use crate::chance::Chance;

pub const MS: u64 = 1_000_000;

/// How badly messages fare.
#[derive(Clone, Copy)]
pub struct Weather {
    pub lost_percent: u64,
    pub repeated_percent: u64,
    pub delay_ns: (u64, u64),
}

pub const FAIR: Weather = Weather { lost_percent: 0, repeated_percent: 0, delay_ns: (MS, 2 * MS) };

pub struct Network {
    pub now_ns: u64,
    pub states: Vec<Versioned>,
    repairs: Vec<Repair>,
    /// Region of each node: two nodes of one are near.
    regions: Vec<u64>,
    pub weather: Weather,
    cut: BTreeSet<(usize, usize)>,
    under_way: BTreeMap<(u64, u64), (usize, usize, Bytes)>,
    sent: u64,
    pub bytes: u64,
    pub messages: u64,
    pub entries: u64,
    pub chance: Chance,
}

impl Network {
    /// All nodes connected.
    pub fn new(regions: &[u64], weather: Weather, seed: u64) -> Self {
        let nodes = regions.len();
        let repair = |node| Repair::new(NodeId(node as u64 + 1), Config::default());
        let mut network = Self {
            now_ns: 0,
            states: vec![Versioned::default(); nodes],
            repairs: (0..nodes).map(repair).collect(),
            regions: regions.to_vec(),
            weather,
            cut: BTreeSet::new(),
            under_way: BTreeMap::new(),
            sent: 0,
            bytes: 0,
            messages: 0,
            entries: 0,
            chance: Chance::new(seed),
        };
        for a in 0..nodes {
            for b in (0..nodes).filter(|b| *b != a) {
                network.up(a, b);
            }
        }
        network
    }

    fn up(&mut self, at: usize, peer: usize) {
        let proximity = if self.regions[at] == self.regions[peer] { Proximity::Near } else { Proximity::Far };
        let peer = NodeId(peer as u64 + 1);
        let messages = self.repairs[at].on_peer_up(self.now_ns, peer, proximity, &self.states[at]);
        self.send(at, messages);
    }

    /// Cuts the links between nodes that `between` names, and what is under way on them.
    pub fn split(&mut self, between: impl Fn(usize, usize) -> bool) {
        let nodes = self.states.len();
        for a in 0..nodes {
            for b in (0..nodes).filter(|b| *b != a && (between(a, *b) || between(*b, a))) {
                self.cut.insert((a, b));
                self.repairs[a].on_peer_down(NodeId(b as u64 + 1));
            }
        }
        let cut = &self.cut;
        self.under_way.retain(|_, (from, to, _)| !cut.contains(&(*from, *to)));
    }

    pub fn heal(&mut self) {
        for (a, b) in std::mem::take(&mut self.cut) {
            self.up(a, b);
        }
    }

    fn send(&mut self, from: usize, messages: Vec<(NodeId, RepairMessage)>) {
        for (to, message) in messages {
            let to = usize::try_from(to.0).expect("small") - 1;
            let bytes = message.to_bytes();
            assert!(bytes.len() <= REPAIR_MESSAGE_BYTES_MAX, "a message of {} bytes", bytes.len());
            self.messages += 1;
            self.bytes += bytes.len() as u64;
            if let RepairMessage::Entries(entries) = &message {
                self.entries += entries.len() as u64;
            }
            let copies = 1 + u64::from(self.chance.percent(self.weather.repeated_percent));
            for _ in 0..copies {
                if self.chance.percent(self.weather.lost_percent) || self.cut.contains(&(from, to)) {
                    continue;
                }
                let (least, most) = self.weather.delay_ns;
                let at = self.now_ns + least + self.chance.below(most - least);
                self.sent += 1;
                self.under_way.insert((at, self.sent), (from, to, bytes.clone()));
            }
        }
    }

    pub fn write(&mut self, node: usize, entry: Entry) {
        self.states[node].put(entry.key, entry.version, entry.value).expect("fits");
    }

    /// Lets time pass.
    pub fn run_until(&mut self, end_ns: u64) {
        loop {
            let arrival = self.under_way.first_key_value().map(|((at, _), _)| *at);
            let timer = self.repairs.iter().filter_map(Repair::deadline).min();
            let Some(next) = arrival.into_iter().chain(timer).min().filter(|next| *next <= end_ns) else { break };
            self.now_ns = self.now_ns.max(next);
            if arrival == Some(next) {
                let (_, (from, to, bytes)) = self.under_way.pop_first().expect("it is due");
                let message = RepairMessage::from_bytes(&bytes).expect("well formed");
                let from = NodeId(from as u64 + 1);
                let outcome = self.repairs[to].on_message(self.now_ns, from, message, &mut self.states[to], |_| true);
                self.send(to, outcome.send);
            } else {
                for node in 0..self.states.len() {
                    let messages = self.repairs[node].on_tick(self.now_ns, &self.states[node]);
                    self.send(node, messages);
                }
            }
        }
        self.now_ns = self.now_ns.max(end_ns);
    }

    pub fn agree(&self) -> bool {
        self.states.iter().all(|state| state.root() == self.states[0].root())
    }

    /// Lets time pass until all agree; how long it took.
    pub fn run_until_agreed(&mut self, most_ns: u64) -> Option<u64> {
        let start_ns = self.now_ns;
        while self.now_ns < start_ns + most_ns {
            if self.agree() {
                return Some(self.now_ns - start_ns);
            }
            self.run_until(self.now_ns + 10 * MS);
        }
        None
    }
}
