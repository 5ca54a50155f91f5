//! What stopped nodes hold, for the checkers; what cannot be read is damage, and for them to judge.

use crate::arena::cluster::{Layout, NodeLayout};
use crate::arena::digest::{self, Place};
use crate::arena::program::evidence;
use crate::check::{ClockMark, Held};

/// Reads what nodes hold, and the marks that their clocks left.
#[must_use]
pub fn read(nodes: &[NodeLayout], at_ns: u64) -> (Vec<Held>, Vec<ClockMark>) {
    let mut marks = Vec::new();
    let mut all = Vec::new();
    for node in nodes {
        let place = Place { name: node.name.clone(), region: node.region.clone(), data: Layout::data(node) };
        match digest::clock_mark(&place.data) {
            Ok(Some(stamp)) => marks.push(ClockMark { node: node.name.clone(), at_ns, stamp }),
            Ok(None) => {}
            Err(error) => tracing::debug!("{}: {error:#}", node.name),
        }
        all.push(evidence::held(&place).unwrap_or_else(|error| Held {
            node: node.name.clone(),
            region: node.region.clone(),
            damage: vec![format!("{error:#}")],
            ..Held::default()
        }));
    }
    (all, marks)
}
