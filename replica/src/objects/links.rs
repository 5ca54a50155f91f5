//! The windows of the links that have something to do.
//!
//! A node is linked with every other one, thousands in a wide cluster, and at any moment few of these links carry deltas.
//! So a window exists while something is dirty or under way on it, and whoever goes through the windows at every input
//! goes through those in which something changed. Batches are numbered across all links, so that a window that was
//! forgotten and begun anew takes no late acknowledgement for its own.

use std::collections::{BTreeMap, BTreeSet};

use trine_crdt::NodeId;
use trine_gossip::link::{Config, Link, Push};

use crate::sizes::Sizes;

/// The windows of links that are not at rest.
#[derive(Debug)]
pub struct Links {
    config: Config,
    awake: BTreeMap<NodeId, Link>,
    /// Those in which something changed since they were looked at.
    changed: BTreeSet<NodeId>,
    last_batch: u64,
}

impl Links {
    /// All links are at rest.
    pub fn new(sizes: &Sizes) -> Self {
        let config = Config {
            batches_max: sizes.link_batches,
            dirty_max: sizes.link_dirty,
            ranges_max: sizes.link_batch_ranges,
            ..Config::default()
        };
        Self { config, awake: BTreeMap::new(), changed: BTreeSet::new(), last_batch: 0 }
    }

    /// The window of a link, which may have been at rest; something is about to change in it.
    pub fn wake(&mut self, node: NodeId) -> &mut Link {
        self.changed.insert(node);
        let (config, last_batch) = (self.config, self.last_batch);
        self.awake.entry(node).or_insert_with(|| Link::at_rest(config, last_batch))
    }

    /// The window of a link that is not at rest; something is about to change in it.
    pub fn awake(&mut self, node: NodeId) -> Option<&mut Link> {
        let link = self.awake.get_mut(&node)?;
        self.changed.insert(node);
        Some(link)
    }

    /// What is to be sent next on a link.
    pub fn next(&self, node: NodeId) -> Option<Push> {
        self.awake.get(&node)?.next()
    }

    /// The links that are not at rest.
    pub fn all_awake(&self) -> Vec<NodeId> {
        self.awake.keys().copied().collect()
    }

    /// The links in which something changed since this was asked last.
    pub fn take_changed(&mut self) -> BTreeSet<NodeId> {
        std::mem::take(&mut self.changed)
    }

    /// Forgets a window that has nothing more to do.
    pub fn let_rest(&mut self, node: NodeId) {
        if self.awake.get(&node).is_some_and(Link::is_at_rest) {
            self.close(node);
        }
    }

    /// The stream is gone, or another: what was dirty or under way is found again by comparing vectors.
    pub fn close(&mut self, node: NodeId) {
        self.changed.remove(&node);
        if let Some(link) = self.awake.remove(&node) {
            self.last_batch = self.last_batch.max(link.last_batch());
        }
    }
}

#[cfg(test)]
mod tests {
    use trine_crdt::{NamespaceId, PartitionId, WriterId};

    use super::*;

    fn send(links: &mut Links, node: NodeId) -> u64 {
        let partition = PartitionId { namespace: NamespaceId::default_objects(), slot: 1 };
        links.wake(node).mark_dirty(partition, WriterId([1; 16]), 0, 1);
        let push = links.next(node).expect("something is dirty");
        links.wake(node).sent(0, &push.ranges, 10)
    }

    #[test]
    fn a_window_that_was_forgotten_takes_no_late_acknowledgement() {
        let (mut links, node) = (Links::new(&Sizes::default()), NodeId(1));
        let first = send(&mut links, node);
        links.let_rest(node);
        assert_eq!(links.all_awake(), [node], "something is under way");
        assert!(links.wake(node).acked(first));
        links.let_rest(node);
        assert!(links.all_awake().is_empty() && links.take_changed().is_empty());
        let second = send(&mut links, node);
        links.close(node);
        let third = send(&mut links, node);
        assert!(!links.wake(node).acked(first) && !links.wake(node).acked(second), "they are of former windows");
        assert!(links.wake(node).acked(third));
    }

    #[test]
    fn only_windows_in_which_something_changed_are_looked_at() {
        let (mut links, one, two) = (Links::new(&Sizes::default()), NodeId(1), NodeId(2));
        send(&mut links, one);
        let batch = send(&mut links, two);
        assert_eq!(links.take_changed(), BTreeSet::from([one, two]));
        assert!(links.take_changed().is_empty(), "nothing happened since");
        assert!(links.awake(two).expect("its batch is under way").acked(batch));
        assert_eq!(links.take_changed(), BTreeSet::from([two]));
        assert!(links.awake(NodeId(3)).is_none() && links.next(NodeId(3)).is_none(), "it is at rest");
    }
}
