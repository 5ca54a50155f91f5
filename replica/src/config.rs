//! What a core is told when it is made.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use trine_crdt::{FORMAT_LEVELS, NodeId, RegionId, VersionRange, WriterId};
use trine_ledger::Genesis;

use crate::limits::CLOCK_DRIFT_MS_MAX;
use crate::sizes::Sizes;

/// Identity and settings of one node's core.
#[derive(Debug, Clone)]
pub struct Config {
    /// The founding document, verified.
    pub genesis: Arc<Genesis>,
    /// The same as the authority signed it, for clients that verify proofs; empty: this node gives none.
    pub genesis_document: Bytes,
    /// This node's disk.
    pub node: NodeId,
    /// This node's name, as its certificate says.
    pub name: String,
    /// This node's region.
    pub region: RegionId,
    /// This incarnation: drawn by the driver at this start.
    pub writer: WriterId,
    /// The format levels that this node reads.
    pub levels: VersionRange,
    /// This node's libp2p peer id.
    pub peer: String,
    /// The libp2p addresses that others reach it at.
    pub addresses: Vec<String>,
    /// Where its Raft connections arrive, `host:port`.
    pub raft: String,
    /// Where its HTTP API listens.
    pub http: Option<String>,
    /// The Ed25519 seed of the region's log key.
    pub log_key: Option<[u8; 32]>,
    /// A number drawn by the driver at this start, from which salts are derived.
    pub salt_seed: [u8; 32],
    /// The largest value accepted, in bytes.
    pub value_bytes_max: usize,
    /// Stamps further ahead of the wall clock than this are held, in milliseconds; see
    /// [`CLOCK_DRIFT_MS_MAX`] for what it must exceed.
    pub clock_drift_ms_max: u64,
    /// Regions whose ledgers are followed on although evidence of a fork was found; see `mirrors::forks`.
    pub forks_released: BTreeSet<RegionId>,
    /// Whether the region's ledger goes on when no other region could be asked what it holds of it; see
    /// `ledger::signing`.
    pub unasked_goes_on: bool,
    /// How often a round of repair is started, in milliseconds.
    pub repair_interval_ms: u64,
    /// How many nodes of a region mirror the other regions' ledgers.
    pub mirrors_per_region: usize,
    /// A segment is sealed when its records have this many bytes.
    pub segment_bytes: u64,
    /// How many delta rows are kept per partition and writer; older ones are served as whole objects.
    pub delta_rows_max: u64,
    /// What is damaged on this node's disk and being healed, in words.
    pub damage: Vec<String>,
    /// Whether rumors are published; repair alone suffices, only later.
    pub gossip: bool,
    /// What bounds the core. Only the simulator has others than the usual ones.
    pub sizes: Sizes,
}

impl Config {
    /// The settings' defaults, for an identity.
    #[must_use]
    pub fn new(genesis: impl Into<Arc<Genesis>>, node: NodeId, name: &str, region: RegionId, writer: WriterId) -> Self {
        Self {
            genesis: genesis.into(),
            genesis_document: Bytes::new(),
            node,
            name: name.to_owned(),
            region,
            writer,
            levels: FORMAT_LEVELS,
            peer: String::new(),
            addresses: Vec::new(),
            raft: String::new(),
            http: None,
            log_key: None,
            salt_seed: [0; 32],
            value_bytes_max: trine_protocol::limits::VALUE_BYTES_MAX,
            clock_drift_ms_max: CLOCK_DRIFT_MS_MAX,
            forks_released: BTreeSet::new(),
            unasked_goes_on: false,
            repair_interval_ms: 500,
            mirrors_per_region: 2,
            segment_bytes: 64 * 1024 * 1024,
            delta_rows_max: crate::limits::DELTA_ROWS_MAX,
            damage: Vec::new(),
            gossip: true,
            sizes: Sizes::default(),
        }
    }
}
