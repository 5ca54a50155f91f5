//! A fault that goes on, and what it needs to end.

use crate::arena::control::Reshape;
use crate::arena::disk::fault::Fault as DiskFault;
use crate::units::Offset;

/// A fault that goes on.
#[derive(Debug)]
pub enum Happening {
    /// This cut stands.
    Cut(u64),
    /// These directions behave in another way.
    Link {
        /// From place to place.
        pairs: Vec<(usize, usize)>,
        /// How.
        change: Reshape,
    },
    /// These nodes are down.
    Down(Vec<String>),
    /// There is an image of these nodes' disks, which will be put in their place.
    Old(Vec<String>),
    /// These nodes sleep.
    Asleep(Vec<String>),
    /// This region's leader sleeps until another leads.
    Deposed {
        /// The region.
        region: String,
        /// Its leader.
        node: String,
        /// Since when, in nanoseconds of the run.
        since_ns: u64,
    },
    /// These nodes' clocks are off.
    Skew {
        /// The nodes.
        nodes: Vec<String>,
        /// By how much.
        by: Offset,
    },
    /// These nodes' clocks run fast or slow.
    Drift(Vec<String>),
    /// These nodes' disks fail.
    Disk {
        /// The nodes.
        nodes: Vec<String>,
        /// How.
        fault: DiskFault,
    },
    /// Nothing needs to end.
    Once,
}

impl Happening {
    /// The nodes that it touches, of which each runs again when it is over.
    pub fn nodes(&self) -> &[String] {
        match self {
            Self::Down(nodes) | Self::Old(nodes) | Self::Asleep(nodes) | Self::Drift(nodes) => nodes,
            Self::Skew { nodes, .. } | Self::Disk { nodes, .. } => nodes,
            Self::Deposed { node, .. } => std::slice::from_ref(node),
            Self::Cut(_) | Self::Link { .. } | Self::Once => &[],
        }
    }
}
