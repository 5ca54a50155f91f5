//! Which requests other nodes have handed on to this one, so that a message that comes twice is served once.

use std::collections::{BTreeSet, VecDeque};

use super::Origin;
use crate::limits::FORWARDED_REMEMBERED_MAX;

/// The requests that were handed on last.
#[derive(Debug, Default)]
pub struct Forwarded {
    known: BTreeSet<Origin>,
    /// The oldest first.
    order: VecDeque<Origin>,
}

impl Forwarded {
    /// Whether this one comes for the first time, as far as that is remembered.
    pub fn first(&mut self, origin: Origin) -> bool {
        if !self.known.insert(origin) {
            return false;
        }
        self.order.push_back(origin);
        if self.order.len() > FORWARDED_REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use trine_crdt::NodeId;

    use super::*;

    #[test]
    fn what_comes_again_is_known_and_the_oldest_is_forgotten() {
        let mut forwarded = Forwarded::default();
        let request = |number| Origin::Peer { node: NodeId(7), number };
        for number in 0..FORWARDED_REMEMBERED_MAX as u64 {
            assert!(forwarded.first(request(number)));
            assert!(!forwarded.first(request(number)));
        }
        assert!(forwarded.first(Origin::Peer { node: NodeId(8), number: 0 }), "another node's numbers are its own");
        assert!(forwarded.first(request(0)));
        assert_eq!(forwarded.order.len(), FORWARDED_REMEMBERED_MAX);
    }
}
