//! The objects of a node: what it holds of them, who is sent what of it, and how two nodes become equal.
//!
//! ```text
//!   an edit ──► partitions ──► on disk ──► delivery ──► links ──► a peer's delivery ──► its partitions
//!                    ▲                                                                        │
//!                    └─────────── repair: vectors compared, what is missing marked ◄──────────┘
//! ```
//!
//! It serves no request that waits, and wakes nobody: it says what is held now (`News`), and the door tells the rest.

mod delivery;
mod delta_log;
mod edit;
mod get;
mod links;
mod list;
mod partitions;
mod repair;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};

use trine_crdt::digest::SumDigest;
use trine_crdt::{NamespaceId, NodeId, PartitionId, VersionVector, WriterId};

use self::delivery::Fresh;
pub(crate) use self::delivery::Receipt;
pub(crate) use self::edit::Edited;
use self::links::Links;
pub(crate) use self::list::Wanted;
use self::partitions::Partitions;
use self::repair::Rounds;
use crate::config::Config;
use crate::store::{Store, StoreError};

/// The objects of a node.
#[derive(Debug)]
pub(crate) struct Objects {
    held: Partitions,
    /// Deltas on their way to the disk; bounded by what may be on its way there.
    fresh: VecDeque<Fresh>,
    links: Links,
    rounds: Rounds,
}

impl Objects {
    /// Reads what is kept in memory from the store.
    ///
    /// # Errors
    /// What the store says, and rows that cannot be read.
    pub(crate) fn open(config: &Config, store: &dyn Store) -> Result<Self, StoreError> {
        let (links, rounds) = (Links::new(&config.sizes), Rounds::new(config));
        Ok(Self { held: Partitions::open(store)?, fresh: VecDeque::new(), links, rounds })
    }

    /// A peer is gone: what was known of its link is known no more.
    pub(crate) fn peer_down(&mut self, node: NodeId) {
        self.links.close(node);
        self.forget_rounds(node);
    }

    /// What is held of a writer in a partition.
    pub(crate) fn held(&self, partition: &PartitionId, writer: WriterId) -> u64 {
        self.held.held(partition, writer)
    }

    /// Up to `count` partitions after one, with their vectors, and whether there are more.
    pub(crate) fn vectors_after(
        &self,
        after: Option<&PartitionId>,
        count: usize,
    ) -> (Vec<(PartitionId, VersionVector)>, bool) {
        self.held.vectors_after(after, count)
    }

    /// The namespaces that hold anything.
    pub(crate) fn namespaces(&self) -> BTreeSet<NamespaceId> {
        self.held.namespaces()
    }

    /// How many objects a namespace has, and the sum of their digests.
    pub(crate) fn digest(&self, namespace: &NamespaceId) -> (u64, SumDigest) {
        self.held.digest(namespace)
    }
}
