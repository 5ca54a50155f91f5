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

use super::limits::{ADDRESSES_MAX, DIAL_INTERVAL, DIALS_PER_PEER_MAX, NODES_REMEMBERED_MAX, SEEDS_MAX};

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
    /// Names among the addresses are being looked up.
    resolving: bool,
}

/// The table.
pub(super) struct Dialler {
    own: PeerId,
    wanted: BTreeMap<Target, Wanted>,
    /// Where peers said that they are reached, when there was a link with them last.
    told: BTreeMap<PeerId, Vec<Multiaddr>>,
    dials: BTreeMap<ConnectionId, Target>,
}

impl Dialler {
    pub fn new(own: PeerId) -> Self {
        Self { own, wanted: BTreeMap::new(), told: BTreeMap::new(), dials: BTreeMap::new() }
    }

    /// A peer said where it is reached.
    pub fn told(&mut self, peer: PeerId, addresses: &[String]) {
        let addresses: Vec<Multiaddr> =
            addresses.iter().take(ADDRESSES_MAX).filter_map(|text| Some(split_peer(&text.parse().ok()?).1)).collect();
        if self.told.contains_key(&peer) || self.told.len() < NODES_REMEMBERED_MAX {
            self.told.insert(peer, addresses);
        }
    }

    /// Names of a target's addresses are to be looked up; false when they are being looked up already.
    pub fn resolve(&mut self, target: &Target) -> bool {
        self.wanted.get_mut(target).is_some_and(|wanted| !std::mem::replace(&mut wanted.resolving, true))
    }

    /// They were looked up.
    pub fn resolved(&mut self, target: &Target) {
        if let Some(wanted) = self.wanted.get_mut(target) {
            wanted.resolving = false;
        }
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
            // Only of a named target: whoever was at a nameless seed is dialled by name as well.
            let told = match target {
                Target::Peer(peer) => self.told.get(peer),
                Target::Address(_) => None,
            };
            let mut addresses: Vec<Multiaddr> = Vec::new();
            for address in told.into_iter().flatten().chain(&wanted.roster).chain(&wanted.seeds) {
                if !addresses.contains(address) {
                    addresses.push(address.clone());
                }
            }
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
    fn a_peer_is_dialled_where_it_said_last_that_it_is_and_names_are_looked_up_once_at_a_time() {
        let mut dialler = Dialler::new(PeerId::random());
        let peer = PeerId::random();
        dialler.set_peers(BTreeMap::from([(peer, vec![address(1)])]));
        let whole = |port: u16| address(port).with_p2p(peer).expect("no peer yet").to_string();
        dialler.told(peer, &[whole(2), "nonsense".to_owned()]);
        let now = Instant::now();
        assert_eq!(dialler.due(now, |_| false), [(Target::Peer(peer), vec![address(2), address(1)])]);
        dialler.told(peer, &[whole(1)]);
        assert_eq!(dialler.due(now + DIAL_INTERVAL, |_| false), [(Target::Peer(peer), vec![address(1)])]);
        assert!(dialler.resolve(&Target::Peer(peer)));
        assert!(!dialler.resolve(&Target::Peer(peer)), "the resolver hangs: one look-up is enough");
        dialler.resolved(&Target::Peer(peer));
        assert!(dialler.resolve(&Target::Peer(peer)));
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
