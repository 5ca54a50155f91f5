//! What clients did and were told, as it happened.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

/// The kinds of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A record appended; unique key and value.
    Append,
    /// A register set to a unique value; each register has one writer.
    Set,
    /// A unique element added to a set.
    Add,
    /// One added to a counter.
    Increment,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Acknowledged.
    Ok {
        /// The node that answered.
        node: Option<String>,
        /// Its hybrid time then.
        time: u64,
        /// An append's place.
        record: Option<Placed>,
    },
    /// Not done.
    Fail(String),
    /// Perhaps done, perhaps yet to be.
    Unknown(String),
}

/// Where an append stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Placed {
    /// Whose ledger: another than the client's own region's when that could not be reached.
    pub region: String,
    /// The record's index.
    pub index: u64,
    /// The record's stamp.
    pub stamp: u64,
    /// The leaf hash, in hexadecimal.
    pub leaf: String,
}

/// One call.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// The client.
    pub client: usize,
    /// The region that it prefers.
    pub region: String,
    /// What it did.
    pub kind: Kind,
    /// To what.
    pub key: String,
    /// With what.
    pub value: String,
    /// When the call began, in nanoseconds of the run.
    pub invoked_ns: u64,
    /// When it ended.
    pub returned_ns: u64,
    /// How.
    pub outcome: Outcome,
}

/// All calls of a run, in the order in which they ended. Shared by clone.
#[derive(Debug, Clone)]
pub struct History {
    start: Instant,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Default for History {
    fn default() -> Self {
        Self { start: Instant::now(), events: Arc::default() }
    }
}

impl History {
    /// Nanoseconds of the run.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Writes a call down.
    pub fn push(&self, event: Event) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    /// All calls so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many calls ended so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none did.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
