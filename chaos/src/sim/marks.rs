//! The marks of all crates that the simulator runs.

#[cfg(debug_assertions)]
use std::collections::BTreeMap;

use trine_probe::marks::Marks;

const LISTS: [Marks; 4] =
    [trine_crdt::marks::ALL, trine_ledger::marks::ALL, trine_gossip::marks::ALL, trine_replica::marks::ALL];

/// Each by its name and what happens there.
pub fn all() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    LISTS.into_iter().flatten()
}

/// The marks that this thread reached since it was asked last, with how often.
#[cfg(debug_assertions)]
pub(super) fn take() -> BTreeMap<String, u64> {
    let crates =
        [trine_crdt::marks::take, trine_ledger::marks::take, trine_gossip::marks::take, trine_replica::marks::take];
    crates.into_iter().flat_map(|take| take()).map(|(name, count)| (name.to_owned(), count)).collect()
}
