//! Which node an answer is from: the one that was asked, or the one that it handed the request on to.
//!
//! A node that is new, or whose disk is full, hands reads on, and passes the answer back as it is. Each answer about an
//! object bears the stamp of whoever made it; an edit is made where it was asked for, so edits tell whose stamps these are.

use std::collections::{BTreeMap, BTreeSet};

use trine_crdt::{Timestamp, WriterId};

use crate::history::{Call, History};

/// The nodes by the writers whose stamps they gave edits.
pub struct Answered<'a>(BTreeMap<WriterId, BTreeSet<&'a str>>);

impl<'a> Answered<'a> {
    /// As the history's edits tell. O(n log n).
    #[must_use]
    pub fn of(history: &'a History) -> Self {
        let mut nodes: BTreeMap<WriterId, BTreeSet<&str>> = BTreeMap::new();
        for call in history.calls().iter().filter(|call| call.edit().is_some()) {
            if let (Some(stamp), Some(node)) = (call.stamp(), call.node.as_deref()) {
                nodes.entry(stamp.writer).or_default().insert(node);
            }
        }
        Self(nodes)
    }

    /// Whose answer a call got. The node that was asked, where it is not known whose stamp it is; none: nobody was asked.
    #[must_use]
    pub fn by(&self, call: &'a Call) -> Option<&'a str> {
        let asked = call.node.as_deref()?;
        let stamp = call.ok().map(|seen| seen.stamp).filter(|stamp| *stamp != Timestamp::ZERO);
        let nodes = stamp.and_then(|stamp| self.0.get(&stamp.writer)).filter(|nodes| !nodes.contains(asked));
        Some(nodes.and_then(|nodes| nodes.first().copied()).unwrap_or(asked))
    }
}
