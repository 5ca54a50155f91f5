//! Whom to dial and when: a pure table, asked by the swarm's task.
//!
//! A peer that should be there and is not is dialled afresh every [`DIAL_INTERVAL`], whether earlier dials have ended or
//! not (up to [`DIALS_PER_PEER_MAX`]). After a cut, TCP's own retransmissions of an old dial come 1, 3, 7 s apart;
//! a fresh one leaves at once. It takes three and a half round trips from the first packet to the first message
//! (TCP, noise, then certificate, link and hello in one, and their answer), 770 ms across half the earth: the pause between
//! dials is what is left to save.

use std::collections::BTreeMap;
use std::time::Instant;

use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};
use trine_client::transport::split_peer;

use super::limits::{DIAL_INTERVAL, DIALS_PER_PEER_MAX, SEEDS_MAX};

/// Who is to be dialled: a known peer, or whoever is at an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Peer(PeerId),
    Address(Multiaddr),
}

#[derive(Debug, Default)]
struct Wanted {
    /// Addresses that the core named; replaced as a whole.
    roster: Vec<Multiaddr>,
    /// Addresses from configuration or discovery; they stay.
    seeds: Vec<Multiaddr>,
    /// Who turned out to be at the address.
    found: Option<PeerId>,
    next: Option<Instant>,
    under_way: usize,
}

/// The table.
pub(super) struct Dialler {
    own: PeerId,
    wanted: BTreeMap<Target, Wanted>,
    dials: BTreeMap<ConnectionId, Target>,
}

impl Dialler {
    pub fn new(own: PeerId) -> Self {
        Self { own, wanted: BTreeMap::new(), dials: BTreeMap::new() }
    }

    /// Adds an address that stays wanted; false when there are too many, or it is known.
    pub fn seed(&mut self, address: &Multiaddr) -> bool {
        let (peer, rest) = split_peer(address);
        let target = peer.map_or_else(|| Target::Address(address.clone()), Target::Peer);
        if peer == Some(self.own) || (!self.wanted.contains_key(&target) && self.wanted.len() >= SEEDS_MAX) {
            return false;
        }
        let wanted = self.wanted.entry(target).or_default();
        if wanted.seeds.contains(&rest) {
            return false;
        }
        wanted.seeds.push(rest);
        true
    }

    /// Replaces the peers that the core wants.
    pub fn set_peers(&mut self, peers: BTreeMap<PeerId, Vec<Multiaddr>>) {
        for wanted in self.wanted.values_mut() {
            wanted.roster.clear();
        }
        for (peer, addresses) in peers {
            if peer != self.own {
                let addresses = addresses.iter().map(|address| split_peer(address).1);
                self.wanted.entry(Target::Peer(peer)).or_default().roster = addresses.collect();
            }
        }
        self.wanted.retain(|_, wanted| !wanted.roster.is_empty() || !wanted.seeds.is_empty());
    }

    /// The dials to be started now.
    pub fn due(&mut self, now: Instant, linked: impl Fn(&PeerId) -> bool) -> Vec<(Target, Vec<Multiaddr>)> {
        let mut due = Vec::new();
        for (target, wanted) in &mut self.wanted {
            let peer = match target {
                Target::Peer(peer) => Some(*peer),
                Target::Address(_) => wanted.found,
            };
            let satisfied = peer.is_some_and(|peer| peer == self.own || linked(&peer));
            let early = wanted.next.is_some_and(|next| next > now);
            if satisfied || early || wanted.under_way >= DIALS_PER_PEER_MAX {
                continue;
            }
            wanted.next = Some(now + DIAL_INTERVAL);
            let mut addresses = wanted.roster.clone();
            addresses.extend(wanted.seeds.iter().filter(|seed| !wanted.roster.contains(seed)).cloned());
            due.push((target.clone(), addresses));
        }
        due
    }

    /// A dial was started.
    pub fn started(&mut self, connection: ConnectionId, target: Target) {
        if let Some(wanted) = self.wanted.get_mut(&target) {
            wanted.under_way += 1;
            self.dials.insert(connection, target);
        }
    }

    /// A dial ended; with whom, when it was answered.
    pub fn ended(&mut self, connection: ConnectionId, found: Option<PeerId>) {
        let Some(target) = self.dials.remove(&connection) else { return };
        if let Some(wanted) = self.wanted.get_mut(&target) {
            wanted.under_way = wanted.under_way.saturating_sub(1);
            wanted.found = found.or(wanted.found);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("an address")
    }

    #[test]
    fn a_missing_peer_is_dialled_afresh_while_old_dials_hang() {
        let mut dialler = Dialler::new(PeerId::random());
        let peer = PeerId::random();
        dialler.set_peers(BTreeMap::from([(peer, vec![address(1)])]));
        let start = Instant::now();
        let mut dials = 0;
        for tick in 0..40 {
            for (target, addresses) in dialler.due(start + DIAL_INTERVAL * tick, |_| false) {
                assert_eq!(addresses, [address(1)]);
                dialler.started(ConnectionId::new_unchecked(dials), target);
                dials += 1;
            }
        }
        assert_eq!(dials, DIALS_PER_PEER_MAX, "no more than that hang at a time");
        dialler.ended(ConnectionId::new_unchecked(0), None);
        assert_eq!(dialler.due(start + DIAL_INTERVAL * 40, |_| false).len(), 1);
        assert!(dialler.due(start + DIAL_INTERVAL * 40 + Duration::from_millis(1), |_| false).is_empty());
    }

    #[test]
    fn a_linked_peer_is_left_alone_also_behind_a_nameless_seed() {
        let mut dialler = Dialler::new(PeerId::random());
        let peer = PeerId::random();
        assert!(dialler.seed(&address(1)));
        let now = Instant::now();
        let (target, _) = dialler.due(now, |_| false).remove(0);
        dialler.started(ConnectionId::new_unchecked(1), target);
        dialler.ended(ConnectionId::new_unchecked(1), Some(peer));
        let later = now + Duration::from_secs(1);
        assert!(dialler.due(later, |linked| *linked == peer).is_empty());
        assert_eq!(dialler.due(later, |_| false).len(), 1, "gone again");
    }

    #[test]
    fn a_peer_that_the_core_no_longer_names_is_forgotten_unless_it_is_a_seed() {
        let mut dialler = Dialler::new(PeerId::random());
        let (one, two) = (PeerId::random(), PeerId::random());
        assert!(dialler.seed(&address(1).with_p2p(one).expect("no peer yet")));
        dialler.set_peers(BTreeMap::from([(one, vec![address(9)]), (two, vec![address(2)])]));
        assert_eq!(dialler.due(Instant::now(), |_| false).len(), 2);
        dialler.set_peers(BTreeMap::new());
        let due = dialler.due(Instant::now() + Duration::from_secs(1), |_| false);
        assert_eq!(due, [(Target::Peer(one), vec![address(1)])]);
    }
}
