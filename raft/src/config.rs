//! What a region's Raft group is started with.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use trine_crdt::{NodeId, RegionId, WriterId};
use trine_identity::Bundle;
use trine_replica::Founds;
use trine_replica::effect::Roster;

use crate::net::processes::Processes;

/// Called when this process may not go on: a write or an fsync failed, so nobody knows what the disk holds. It should
/// not return; if it does, the log refuses everything from then on.
pub type Fatal = Arc<dyn Fn(String) + Send + Sync>;

/// Everything a [`Group`](super::Group) needs to know.
#[derive(Clone)]
pub struct GroupConfig {
    /// This node's id, drawn when its data directory was first used; its Raft id.
    pub node: NodeId,
    /// This node's name, as its certificate says.
    pub name: String,
    /// The region whose group this is.
    pub region: RegionId,
    /// Where log and vote are kept; created when missing.
    pub directory: PathBuf,
    /// Where Raft connections are accepted.
    pub listen: SocketAddr,
    /// Where the others dial this node, `host:port`.
    pub advertise: String,
    /// This node's key and certificate, and whom to believe.
    pub identity: Bundle,
    /// The roster as this node's ledger has it at the start.
    pub roster: Roster,
    /// The incarnations that this disk has written under, with this one.
    pub writers: BTreeSet<WriterId>,
    /// Whether an operator released the region: then no voter is held back for what others know of it.
    pub released: bool,
    /// The nodes that found this group, when the genesis names this node among them; otherwise empty, and the node waits
    /// to be added by the leader.
    pub founders: Vec<Founder>,
    /// Whether a founder may found, as far as others tell of the region's group.
    pub founds: watch::Receiver<Founds>,
    /// Heartbeats and elections.
    pub timing: Timing,
    /// The log's sizes.
    pub log: LogConfig,
    /// Called when the process must end.
    pub fatal: Fatal,
    /// The most connections of others.
    pub connections_max: usize,
    /// This process, and which of others answer.
    pub processes: Processes,
}

impl fmt::Debug for GroupConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupConfig")
            .field("node", &self.node)
            .field("name", &self.name)
            .field("region", &self.region)
            .field("directory", &self.directory)
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

/// A node that founds the group, as the genesis names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Founder {
    /// Its name.
    pub name: String,
    /// Where its Raft connections arrive, `host:port`.
    pub raft: String,
}

/// Heartbeats and elections.
///
/// A follower stands for election after a silence of `election_max` (for as long it owes the leader its loyalty) and
/// then a random time between `election_min` and `election_max`. The defaults elect a leader 0.8 to 1.0 s after the
/// last one fell silent (two that stand at the same moment, and split the votes, half a second later), and leave eight
/// heartbeats' time to a leader on a busy machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How often a leader says that it lives.
    pub heartbeat: Duration,
    /// The shortest silence after which a follower may stand for election.
    pub election_min: Duration,
    /// The longest such silence.
    pub election_max: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(300),
            election_max: Duration::from_millis(500),
        }
    }
}

/// Sizes of the log on disk and in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// A segment file that has grown to this size is followed by a new one.
    pub segment_bytes: u64,
    /// Recent entries kept in memory, all together.
    pub cache_bytes: usize,
    /// The least room that the disk must have left; appends wait while it has less.
    pub reserve_bytes: u64,
    /// Zeros written ahead of the frames at a time, so that a sync seldom changes a file's length; 0 writes none.
    pub room_bytes: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 64 * 1024 * 1024,
            cache_bytes: 32 * 1024 * 1024,
            reserve_bytes: 256 * 1024 * 1024,
            room_bytes: 512 * 1024,
        }
    }
}
