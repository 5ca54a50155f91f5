//! What clients do, as data: a mix of calls, how fast, over how many keys, and how sessions move.
//!
//! ```toml
//! [workload]
//! clients_per_region = 4
//! rate_per_s = 100            # over all clients, whether answers come or not; 0: each asks when it was answered
//! keys = 4                    # of each kind
//! partitions = 2              # all objects lie in this many partitions; without it wherever their keys fall
//! reuse_after = "2s"          # an idempotency key as old as this is used again, for another append
//! moves = "nodes"             # sessions move between the nodes of a region ("regions": anywhere; "stay": not at all)
//! move_share = 0.2            # of calls, before which the session moves
//! [workload.mix]              # in what proportion; what is not named is not asked, without a mix everything is
//! append = 25
//! set_add = 20
//! publish = 5                 # releases of packages and what is known of them, one call after the other: `registry`
//! find = 5
//! delete = 1                  # of objects of the kinds that the mix writes
//! ```
//!
//! Rates are open: calls begin when they are due, so that a stall of the product is seen as latency and not as silence
//! (Schroeder, Wierman, Harchol-Balter: "Open versus closed", 2006). All values written in a run differ, which is what
//! lets the checkers judge in linear time.

pub mod client;
pub mod mix;
pub mod probe;
pub mod registry;
pub mod request;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units::maybe_time;

pub use client::{Client, Next};
pub use mix::{Kind, Mix};

/// The most clients in a region.
const CLIENTS_MAX: usize = 1000;

/// What clients do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Workload {
    /// How many clients, each with a session, in each region.
    pub clients_per_region: usize,
    /// How many calls begin in a second, over all clients; 0: each client's next one when its last was answered.
    pub rate_per_s: u64,
    /// How many keys of each kind.
    pub keys: usize,
    /// Into how many partitions all objects fall; none: wherever their keys do. In a partition of its own no object
    /// ever meets another, nor a page of them its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<u32>,
    /// How old an append is when its idempotency key is used again, for another append; none: never. It must be more
    /// than the nodes remember a key for; and only what is a quarter as old is repeated.
    #[serde(with = "maybe_time", skip_serializing_if = "Option::is_none")]
    pub reuse_after: Option<Duration>,
    /// How sessions move.
    pub moves: Moves,
    /// Before which share of calls they do.
    pub move_share: f64,
    /// The share of writes that ask only for the durability of one node.
    pub local_share: f64,
    /// The share of ledger reads that must be linearizable within the region.
    pub regional_share: f64,
    /// The share of all other reads that take whatever their node has, be it behind their session.
    #[serde(skip_serializing_if = "is_none")]
    pub eventual_share: f64,
    /// The share of appends that ask for a proof.
    pub proof_share: f64,
    /// The share of appends that are conditional on the latest record that the client knows of the key.
    pub conditional_share: f64,
    /// The share of appends without an idempotency key, which nobody may try twice.
    pub keyless_share: f64,
    /// The share of appends that repeat an earlier one whose fate is unknown, or that was done.
    pub repeat_share: f64,
    /// In what proportion.
    pub mix: Mix,
}

/// How sessions move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moves {
    /// Not at all, unless their node does not answer.
    Stay,
    /// Between the nodes of their region.
    #[default]
    Nodes,
    /// Between all nodes.
    Regions,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            clients_per_region: 4,
            rate_per_s: 0,
            keys: 4,
            partitions: None,
            reuse_after: None,
            moves: Moves::default(),
            move_share: 0.2,
            local_share: 0.5,
            regional_share: 0.5,
            eventual_share: 0.0,
            proof_share: 0.1,
            conditional_share: 0.1,
            keyless_share: 0.0,
            repeat_share: 0.05,
            mix: Mix::default(),
        }
    }
}

impl Workload {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// What does not.
    pub fn validate(&self) -> Result<(), String> {
        let shares = [
            self.move_share,
            self.local_share,
            self.regional_share,
            self.eventual_share,
            self.proof_share,
            self.conditional_share,
            self.keyless_share,
            self.repeat_share,
        ];
        if shares.iter().any(|share| !(0.0..=1.0).contains(share)) {
            return Err("workload: a share is between 0 and 1".to_owned());
        }
        if !(1..=CLIENTS_MAX).contains(&self.clients_per_region) || self.keys == 0 {
            return Err(format!("workload: 1 to {CLIENTS_MAX} clients in a region, and at least one key"));
        }
        if self.partitions.is_some_and(|partitions| !(1..=client::SLOTS).contains(&partitions)) {
            return Err(format!("workload: objects fall into 1 to {} partitions", client::SLOTS));
        }
        if self.mix.total() == 0 {
            return Err("workload: the mix names nothing".to_owned());
        }
        if self.mix.delete > 0 && self.mix.written().is_empty() {
            return Err("workload: the mix deletes objects and writes none".to_owned());
        }
        Ok(())
    }
}

/// A share that came later is not written when it is nothing, so that plans without it stay the same text.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_none(share: &f64) -> bool {
    *share == 0.0
}
