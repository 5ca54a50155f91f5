//! Who is to be greeted, and when: peers whose links came up.
//!
//! Those that are due come in an order of this node's own, lest all nodes that meet at once greet the same one. After a
//! long cut thousands may be waiting, so nobody looks through all of them: who is not yet due stands in order of time, who
//! is due in order of lot.

use std::collections::{BTreeMap, BTreeSet};

use trine_crdt::NodeId;

use super::scatter;

/// The peers that wait for a greeting.
#[derive(Debug)]
pub(super) struct Greetings {
    own: u64,
    /// When each is due.
    waiting: BTreeMap<NodeId, u64>,
    by_time: BTreeSet<(u64, NodeId)>,
    /// Those that were found due, by lot.
    due: BTreeSet<(u64, NodeId)>,
}

impl Greetings {
    pub fn new(own: NodeId) -> Self {
        Self { own: own.0, waiting: BTreeMap::new(), by_time: BTreeSet::new(), due: BTreeSet::new() }
    }

    /// A peer is to be greeted then, and not when it was to be before.
    pub fn at(&mut self, peer: NodeId, at_ns: u64) {
        self.cancel(peer);
        self.waiting.insert(peer, at_ns);
        self.by_time.insert((at_ns, peer));
    }

    /// A peer need not be greeted.
    pub fn cancel(&mut self, peer: NodeId) {
        if let Some(at_ns) = self.waiting.remove(&peer) {
            self.by_time.remove(&(at_ns, peer));
            self.due.remove(&(self.lot(peer), peer));
        }
    }

    /// When the first is due.
    pub fn first_ns(&self) -> Option<u64> {
        let due = self.due.first().and_then(|(_, peer)| self.waiting.get(peer)).copied();
        due.or_else(|| self.by_time.first().map(|(at_ns, _)| *at_ns))
    }

    /// The one to be greeted now, if one is due; it is not asked for again.
    pub fn next(&mut self, now_ns: u64) -> Option<NodeId> {
        while let Some((_, peer)) = self.by_time.first().copied().filter(|(at_ns, _)| *at_ns <= now_ns) {
            self.by_time.pop_first();
            self.due.insert((self.lot(peer), peer));
        }
        let (_, peer) = self.due.pop_first()?;
        self.waiting.remove(&peer);
        Some(peer)
    }

    fn lot(&self, peer: NodeId) -> u64 {
        scatter(self.own ^ scatter(peer.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(greetings: &mut Greetings, now_ns: u64) -> Vec<u64> {
        std::iter::from_fn(|| greetings.next(now_ns)).map(|peer| peer.0).collect()
    }

    #[test]
    fn each_is_greeted_once_when_it_is_due() {
        let mut greetings = Greetings::new(NodeId(9));
        for peer in 1..=4 {
            greetings.at(NodeId(peer), 100 * peer);
        }
        assert_eq!((greetings.first_ns(), greetings.next(99)), (Some(100), None));
        greetings.at(NodeId(1), 350);
        greetings.cancel(NodeId(2));
        assert_eq!(greetings.first_ns(), Some(300));
        assert_eq!(all(&mut greetings, 340), [3]);
        let mut rest = all(&mut greetings, 400);
        rest.sort_unstable();
        assert_eq!((rest, greetings.first_ns()), (vec![1, 4], None));
        // One that was found due and not greeted can be put off, or be gone.
        greetings.at(NodeId(5), 500);
        greetings.at(NodeId(6), 500);
        let first = greetings.next(500).expect("both are due");
        let other = NodeId(11 - first.0);
        greetings.at(other, 700);
        assert_eq!((greetings.next(600), greetings.next(700)), (None, Some(other)));
    }

    #[test]
    fn nodes_that_meet_the_same_peers_at_once_greet_them_in_different_orders() {
        let order = |own: u64| {
            let mut greetings = Greetings::new(NodeId(own));
            (0..50).for_each(|peer| greetings.at(NodeId(peer), 0));
            all(&mut greetings, 0)
        };
        assert_eq!(order(100), order(100));
        assert_ne!(order(100), order(101));
    }
}
