//! Which node an answer is from: the one that was asked, or the one that it handed the request on to.
//!
//! A node that is new, or whose disk is full, hands reads on, and passes the answer back as it is. So what one node shows does
//! not bind the other that it was asked of, and it is judged as the word of the one that gave it. Each answer about an
//! object bears the stamp of whoever made it. Whose stamps these are the arena knows, or edits tell: an edit is made where it
//! was asked for.

use std::collections::{BTreeMap, BTreeSet};

use trine_crdt::{Timestamp, WriterId};

use crate::check::Evidence;
use crate::history::{Action, Call, History};

/// The evidence with each read of an object as one of the node that answered it; none: all answered for themselves.
/// O(n log n).
#[must_use]
pub fn settle(evidence: &Evidence) -> Option<Evidence> {
    let mut nodes: BTreeMap<WriterId, BTreeSet<&str>> = BTreeMap::new();
    for call in evidence.history.calls().iter().filter(|call| call.edit().is_some()) {
        if let (Some(stamp), Some(node)) = (call.stamp(), call.node.as_deref()) {
            nodes.entry(stamp.writer).or_default().insert(node);
        }
    }
    let runs = evidence.uptimes.iter().map(|uptime| (uptime.writer.as_str(), uptime.node.as_str()));
    let known: BTreeMap<&str, &str> = runs.filter(|(writer, _)| !writer.is_empty()).collect();
    let another = |call: &Call| {
        let (asked, stamp) = (call.node.as_deref()?, call.ok()?.stamp);
        if call.action != Action::Read || stamp == Timestamp::ZERO {
            return None;
        }
        if let Some(by) = known.get(stamp.writer.to_string().as_str()) {
            return Some(*by).filter(|by| *by != asked);
        }
        let by = nodes.get(&stamp.writer)?;
        by.first().copied().filter(|_| !by.contains(asked))
    };
    let handed_on: BTreeMap<u64, String> =
        evidence.history.calls().iter().filter_map(|call| Some((call.id, another(call)?.to_owned()))).collect();
    if handed_on.is_empty() {
        return None;
    }
    let mut calls = evidence.history.calls().to_vec();
    for call in &mut calls {
        if let Some(by) = handed_on.get(&call.id) {
            call.node = Some(by.clone());
        }
    }
    Some(Evidence { history: History::new(calls), ..evidence.clone() })
}
