//! One call of a client: what it asked, what its session knew, what it was told.

use serde::{Deserialize, Serialize};
use trine_crdt::Timestamp;
use trine_protocol::{Consistency, Durability};

use crate::history::seen::{Known, Seen};

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Its number, unique in its history.
    pub id: u64,
    /// The client.
    pub client: usize,
    /// The session, which may move between clients, nodes and regions.
    pub session: usize,
    /// The region that the client was in.
    pub region: String,
    /// The node that answered or, where nobody did, was asked; none: not known.
    pub node: Option<String>,
    /// The key of the record or object.
    pub key: String,
    /// What was asked.
    pub action: Action,
    /// How fresh a read had to be.
    #[serde(default, with = "crate::history::text::maybe", skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    /// What a write had to survive.
    #[serde(default, with = "crate::history::text::maybe", skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,
    /// The same for all attempts at one thing (the idempotency key).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What the session knew when the call began. A session forgets its oldest object writes.
    #[serde(default, skip_serializing_if = "Known::is_empty")]
    pub knew: Known,
    /// When it began, in nanoseconds of the run.
    pub invoked_ns: u64,
    /// When it ended; none: never.
    pub returned_ns: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
}

/// What a call asks. All values written in a run differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// Appends a record under the key to the ledger of the client's region.
    Append {
        /// The value.
        value: String,
        /// What the key's latest record in that ledger must be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        only_after: Option<After>,
    },
    /// Reads the key's latest record over all ledgers.
    Latest,
    /// Reads all the key's records, of all ledgers.
    Versions,
    /// Changes an object.
    Edit(Edit),
    /// Reads an object.
    Read,
}

/// What must come before a conditional append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum After {
    /// No record of the key.
    Nothing,
    /// The record of this index.
    Record(u64),
}

/// A change of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edit {
    /// Adds to a counter.
    Increment(i64),
    /// Sets a register.
    Set(String),
    /// Puts into a multi-value register.
    Put(String),
    /// Adds an element to a set.
    Add(String),
    /// Removes an element from a set.
    Remove(String),
    /// Changes what stands under a name of a map.
    Field(String, Box<Edit>),
    /// Removes a name of a map.
    RemoveField(String),
    /// Removes the object.
    Delete,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Done, and this was seen.
    Ok(Box<Seen>),
    /// Not done, and never will be.
    Fail(String),
    /// Perhaps done, perhaps yet to be, perhaps never.
    Unknown(String),
}

impl Call {
    /// What was seen, when it was done.
    #[must_use]
    pub fn ok(&self) -> Option<&Seen> {
        match &self.outcome {
            Outcome::Ok(seen) => Some(seen),
            _ => None,
        }
    }

    /// Whether it may have been done although nobody said so.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self.outcome, Outcome::Unknown(_))
    }

    /// Whether it was or may have been done.
    #[must_use]
    pub fn may_be_done(&self) -> bool {
        !matches!(self.outcome, Outcome::Fail(_))
    }

    /// Whether it had been answered before another began. What was given up may yet be done: a request that lies in a
    /// cut is sent again by the system's own TCP, long after its client has gone.
    #[must_use]
    pub fn precedes(&self, other: &Self) -> bool {
        let answered = !self.is_unknown();
        answered && self.returned_ns.is_some_and(|returned| returned < other.invoked_ns)
    }

    /// The edit that it asks for.
    #[must_use]
    pub fn edit(&self) -> Option<&Edit> {
        match &self.action {
            Action::Edit(edit) => Some(edit),
            _ => None,
        }
    }

    /// Whether it changes anything.
    #[must_use]
    pub fn writes(&self) -> bool {
        matches!(self.action, Action::Append { .. } | Action::Edit(_))
    }

    /// The stamp of an acknowledged write: the record's, or the edit's.
    #[must_use]
    pub fn stamp(&self) -> Option<Timestamp> {
        let seen = self.ok().filter(|_| self.writes())?;
        Some(seen.record.as_ref().map_or(seen.stamp, |record| record.stamp))
    }
}
