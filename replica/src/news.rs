//! What one organ did that concerns another: told to the door, which alone knows whom it concerns.

use std::collections::BTreeSet;

use trine_crdt::{NodeId, PartitionId, RegionId, WriterId};

/// Something that happened in an organ.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A writer's deltas in a partition are held up to a number.
    Held {
        /// Which partition.
        partition: PartitionId,
        /// Whose deltas.
        writer: WriterId,
        /// Up to where.
        upto: u64,
    },
    /// A node has this node's own writes in a partition on its disk, up to a number.
    Copied {
        /// Which node.
        node: NodeId,
        /// Which partition.
        partition: PartitionId,
        /// Up to where.
        upto: u64,
    },
    /// More records of a region's ledger are held.
    Grew {
        /// Which region.
        region: RegionId,
        /// How many there are now.
        size: u64,
    },
    /// A peer has proven that its head of the own region's ledger extends what is held here.
    Extended {
        /// How many records were held here.
        from: u64,
        /// The size of its head.
        size: u64,
    },
    /// The own region's key signed its ledger up to a size.
    Signed {
        /// How many records.
        size: u64,
    },
    /// What is known of these regions' rosters changed.
    RostersChanged {
        /// Which regions.
        regions: BTreeSet<RegionId>,
    },
    /// This disk is older than what it acknowledged: going on would reuse or lose dots.
    DiskIsOld {
        /// The partition that shows it.
        partition: PartitionId,
        /// Which of this disk's writers wrote there.
        writer: WriterId,
        /// Up to where a peer has those writes.
        theirs: u64,
        /// Up to where this disk has them.
        here: u64,
    },
}
