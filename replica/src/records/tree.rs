//! A ledger's hash tree in rows: leaves as they came together, and of the inner nodes one level in eight.
//!
//! A row for every node would be two rows an append. A proof may do some hashing instead: a node between two stored
//! levels is computed from the at most 128 stored ones below it, which stand side by side.

use std::cell::RefCell;
use std::collections::BTreeMap;

use bytes::Bytes;
use trine_crdt::RegionId;
use trine_ledger::tree::{Hash, TreeNode, node_hash};

use crate::effect::Persistence::Derived;
use crate::marks::{self, Mark};
use crate::mutants::{self, Mutant};
use crate::rows;
use crate::store::StoreError;
use crate::turn::Turn;

/// Writes the nodes that became complete with leaves that came together, the first of them at index `first`.
pub(super) fn store(turn: &mut Turn<'_>, ledger: &RegionId, first: u64, nodes: &[TreeNode], levels: u8) {
    let mut leaves = Vec::with_capacity(32 * nodes.len());
    for node in nodes {
        if node.level == 0 {
            leaves.extend_from_slice(&node.hash);
        } else if node.level % levels == 0 && !(node.level > levels && mutants::is(Mutant::LevelUnstored)) {
            if node.level > levels {
                marks::reached(Mark::TreeLevelStored);
            }
            let row = rows::tree(ledger, node.level, node.index);
            turn.put(Derived, row, Some(Bytes::copy_from_slice(&node.hash)));
        }
    }
    if !leaves.is_empty() {
        turn.put(Derived, rows::leaves(ledger, first), Some(leaves.into()));
    }
}

/// Reads nodes of a tree; remembers the stored ones that it has read.
struct Reader<'a, 'b> {
    turn: &'a mut Turn<'b>,
    ledger: &'a RegionId,
    /// One level in this many is stored.
    levels: u8,
    /// Runs of stored nodes, by level and first index.
    read: BTreeMap<(u8, u64), Vec<Hash>>,
}

impl Reader<'_, '_> {
    fn node(&mut self, level: u8, index: u64) -> Result<Option<Hash>, StoreError> {
        let above = level % self.levels;
        let (base, first, count) = (level - above, index << above, 1_u64 << above);
        if base > self.levels {
            marks::reached(Mark::TreeLevelRead);
        }
        // A run (of 256) is what proofs come back to; the last one of a ledger is shorter.
        let run = first >> self.levels << self.levels;
        if let std::collections::btree_map::Entry::Vacant(vacant) = self.read.entry((base, run)) {
            let to = run + (1 << self.levels);
            let hashes = if base == 0 {
                leaves(self.turn, self.ledger, run, to)?
            } else {
                let (from, to) = (rows::tree(self.ledger, base, run), rows::tree(self.ledger, base, to));
                let found = self.turn.scan(Derived, (&from, &to), usize::MAX, false)?;
                let next = |(place, (row, _)): &(u64, (Bytes, Bytes))| rows::last_number(row) == Some(run + place);
                let found = (0..).zip(found).take_while(next);
                found.map_while(|(_, (_, hash))| hash.as_ref().try_into().ok()).collect()
            };
            vacant.insert(hashes);
        }
        let hashes = &self.read[&(base, run)];
        let from = usize::try_from(first - run).unwrap_or(usize::MAX);
        let to = from.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
        let Some(below) = hashes.get(from..to) else { return Ok(None) };
        let mut row = below.to_vec();
        while row.len() > 1 {
            row = row.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
        }
        Ok(row.first().copied())
    }
}

/// The leaves from one index to before another, as far as they are there without a gap.
fn leaves(turn: &mut Turn<'_>, ledger: &RegionId, from: u64, to: u64) -> Result<Vec<Hash>, StoreError> {
    // The first may stand within the last row that begins at or before it.
    let (lowest, after) = (rows::leaves(ledger, 0), rows::leaves(ledger, from + 1));
    let begins = turn.scan(Derived, (&lowest, &after), 1, true)?;
    let Some(begins) = begins.into_iter().next() else { return Ok(Vec::new()) };
    let rest = turn.scan(Derived, (&after, &rows::leaves(ledger, to)), usize::MAX, false)?;
    let mut leaves = Vec::new();
    for (row, hashes) in std::iter::once(begins).chain(rest) {
        let damaged = || StoreError::Damaged(format!("leaves of {ledger}"));
        let first = rows::last_number(&row).ok_or_else(damaged)?;
        for (index, hash) in (first..to).zip(hashes.chunks(32)) {
            if index == from + leaves.len() as u64 {
                leaves.push(hash.try_into().map_err(|_| damaged())?);
            }
        }
    }
    Ok(leaves)
}

/// Calls a function of a ledger's tree with a reader of its nodes, of which one level in this many is stored.
pub(super) fn with_tree<T>(
    turn: &mut Turn<'_>,
    levels: u8,
    ledger: &RegionId,
    call: impl FnOnce(&dyn Fn(u8, u64) -> Option<Hash>) -> T,
) -> Result<T, StoreError> {
    let reader = Reader { turn, ledger, levels, read: BTreeMap::new() };
    let (reader, failed) = (RefCell::new(reader), RefCell::new(None));
    let read = |level: u8, index: u64| -> Option<Hash> {
        reader.borrow_mut().node(level, index).unwrap_or_else(|error| {
            *failed.borrow_mut() = Some(error);
            None
        })
    };
    let value = call(&read);
    match failed.into_inner() {
        Some(error) => Err(error),
        None => Ok(value),
    }
}

/// A leaf of a ledger held here.
pub(super) fn leaf(turn: &mut Turn<'_>, ledger: &RegionId, index: u64) -> Result<Option<Hash>, StoreError> {
    Ok(leaves(turn, ledger, index, index + 1)?.first().copied())
}
