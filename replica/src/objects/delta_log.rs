//! The delta log: what of each writer can still be sent as deltas, and when it need not be kept any longer.
//!
//! A row is an interval. A node that lacks a writer's last edits is sent the rows that follow what it has; one that
//! lacks more than is kept pulls whole objects. So rows may be dropped at any time without harm to anybody but the
//! network. They are dropped when every node of all regions is known to hold them, which vectors and acknowledgements
//! say; while some node is away they are kept up to a bound. Who left the roster is not waited for.
//!
//! How many rows there are and where they begin stands beside the writer's place in the vector's row, written by the
//! same batch, so that opening need not read the log. Who holds what is not on disk: it is learned again. What has no
//! rows takes no memory, so that writers of earlier incarnations cost one entry of a vector.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use trine_crdt::{Delta, NodeId, PartitionId, WriterId};

use super::partitions::Partitions;
use crate::effect::Persistence::Synced;
use crate::marks::{self, Mark};
use crate::mutants::{self, Mutant};
use crate::rows;
use crate::sizes::Sizes;
use crate::store::StoreError;
use crate::turn::Turn;

/// How many rows that nobody needs any more are dropped at a time.
const SKIP_ROWS: usize = 2048;

/// What is kept of one writer's deltas in a partition.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// How many rows.
    rows: u64,
    /// No row that ends at or below this number is kept.
    trimmed: u64,
    /// Up to where other nodes have this writer's deltas on their disks, as far as they said.
    holders: BTreeMap<NodeId, u64>,
}

impl Log {
    /// A place's row: what is held, and what the log has of it.
    pub(crate) fn write(held: u64, log: Option<&Self>) -> Bytes {
        let kept = log.map(|log| [log.trimmed, log.rows]);
        let numbers = std::iter::once(held).chain(kept.into_iter().flatten());
        numbers.flat_map(u64::to_be_bytes).collect::<Vec<u8>>().into()
    }

    /// Reads it back.
    pub(crate) fn read(row: &[u8]) -> Option<(u64, Option<Self>)> {
        let (numbers, []) = row.as_chunks::<8>() else { return None };
        match numbers {
            [held] => Some((u64::from_be_bytes(*held), None)),
            [held, trimmed, rows] => {
                let [trimmed, rows] = [trimmed, rows].map(|number| u64::from_be_bytes(*number));
                Some((u64::from_be_bytes(*held), Some(Self { rows, trimmed, holders: BTreeMap::new() })))
            }
            _ => None,
        }
    }

    /// Up to where all these nodes have the deltas; what is held here when there are none.
    fn held_by(&self, nodes: &BTreeSet<NodeId>, held: u64) -> u64 {
        // In a wide cluster most have not said anything for a long while.
        if self.holders.len() < nodes.len() {
            return 0;
        }
        nodes.iter().map(|node| self.holders.get(node).copied().unwrap_or(0)).min().unwrap_or(held).min(held)
    }
}

/// A row of the delta log: an interval, which its key's `upto` closes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, Vec<(Bytes, Bytes)>)", into = "(u64, Vec<(Bytes, Bytes)>)")]
pub struct DeltaRow {
    /// Where the interval begins, this number excluded.
    pub after: u64,
    /// Keys and encoded deltas, in key order.
    pub deltas: Vec<(Bytes, Bytes)>,
}

impl From<(u64, Vec<(Bytes, Bytes)>)> for DeltaRow {
    fn from((after, deltas): (u64, Vec<(Bytes, Bytes)>)) -> Self {
        Self { after, deltas }
    }
}

impl From<DeltaRow> for (u64, Vec<(Bytes, Bytes)>) {
    fn from(row: DeltaRow) -> Self {
        (row.after, row.deltas)
    }
}

impl Partitions {
    /// Keeps an interval in the delta log. The writer's place is to be advanced to its end in the same turn.
    pub fn keep(&mut self, turn: &mut Turn<'_>, partition: &PartitionId, writer: WriterId, upto: u64, row: &DeltaRow) {
        let log = self.logs.entry((partition.clone(), writer)).or_insert_with(|| {
            // Before it nothing is kept: it is as if all of that was dropped.
            Log { trimmed: row.after, ..Log::default() }
        });
        log.rows += 1;
        let bytes = trine_crdt::codec::encode(row);
        turn.put(Synced, rows::delta(partition, writer, upto), Some(bytes.into()));
    }

    /// The writer's deltas up to here are held as part of whole objects only. Rows from before do not connect to what
    /// comes next, and serve nobody.
    ///
    /// # Errors
    /// What the store says.
    pub fn skip(
        &mut self,
        turn: &mut Turn<'_>,
        partition: &PartitionId,
        writer: WriterId,
        upto: u64,
    ) -> Result<(), StoreError> {
        let before = self.held(partition, writer);
        while self.trim(turn, (partition, writer), before, SKIP_ROWS)? > 0 {}
        self.advance(turn, partition, writer, upto);
        Ok(())
    }

    /// A node has a writer's deltas up to here on its disk.
    pub fn note_holder(&mut self, partition: &PartitionId, writer: WriterId, node: NodeId, upto: u64) {
        if let Some(log) = self.logs.get_mut(&(partition.clone(), writer)) {
            let known = log.holders.entry(node).or_default();
            *known = upto.max(*known);
        }
    }

    /// A node says in its vector up to where it has a writer's deltas. It is believed also when it said more before: its
    /// disk may have been set back, and then it lacks what would not be sent to it again otherwise.
    pub fn set_holder(&mut self, partition: &PartitionId, writer: WriterId, node: NodeId, upto: u64) {
        if let Some(log) = self.logs.get_mut(&(partition.clone(), writer)) {
            log.holders.insert(node, upto);
        }
    }

    /// Up to where a node is known to have a writer's deltas; 0 when nothing is known.
    #[must_use]
    pub fn holder(&self, partition: &PartitionId, writer: WriterId, node: NodeId) -> u64 {
        let log = self.logs.get(&(partition.clone(), writer));
        log.and_then(|log| log.holders.get(&node)).copied().unwrap_or(0)
    }

    /// The writers of whom a partition has rows.
    #[must_use]
    pub fn logged(&self, partition: &PartitionId) -> Vec<WriterId> {
        let (first, last) = (WriterId([0; 16]), WriterId([0xff; 16]));
        let range = (partition.clone(), first)..=(partition.clone(), last);
        self.logs.range(range).map(|((_, writer), _)| *writer).collect()
    }

    /// Looks at some parts of the log, each in its turn, and drops what all of `nodes` have (none: it is not
    /// known who there is) and what is beyond `rows_max`. Returns how many rows were dropped.
    ///
    /// # Errors
    /// What the store says.
    pub fn trim_some(
        &mut self,
        turn: &mut Turn<'_>,
        nodes: Option<&BTreeSet<NodeId>>,
        (rows_max, sizes): (u64, &Sizes),
    ) -> Result<usize, StoreError> {
        let from = self.trim_from.take().map_or(Bound::Unbounded, Bound::Excluded);
        let (mut looked, mut last, mut found) = (0, None, Vec::new());
        let count = sizes.trim_logs;
        for (place, log) in self.logs.range((from, Bound::Unbounded)).take(count) {
            (looked, last) = (looked + 1, Some(place));
            let held = self.held(&place.0, place.1);
            let everywhere = nodes.map_or(0, |nodes| log.held_by(nodes, held));
            let excess = if log.rows > rows_max { log.rows - rows_max / 2 } else { 0 };
            // A few at a time cost as much as many: it waits for some, or for the last.
            let due = everywhere >= log.trimmed.saturating_add(sizes.trim_stride) || everywhere == held;
            if due || excess > 0 {
                found.push((place.clone(), due, (everywhere, held), excess));
            }
        }
        // At the end of the log it begins again.
        let last = last.filter(|_| looked == count).cloned();
        if last.is_some() {
            marks::reached(Mark::TrimContinued);
        }
        let mut dropped = 0;
        for ((partition, writer), due, (everywhere, held), excess) in found {
            let row = (&partition, writer);
            let mut here = 0;
            if due {
                here = self.trim(turn, row, everywhere, sizes.trim_rows)?;
                if here > 0 {
                    marks::reached(Mark::LogTrimmed);
                }
            }
            if here == 0 && excess > 0 {
                let excess = usize::try_from(excess).unwrap_or(usize::MAX).min(sizes.trim_rows);
                here = self.trim(turn, row, held, excess)?;
                marks::reached(Mark::LogCut);
            }
            dropped += here;
            if dropped >= sizes.trim_rows {
                marks::reached(Mark::TrimCut);
                self.trim_from = Some((partition, writer));
                return Ok(dropped);
            }
        }
        self.trim_from = last;
        Ok(dropped)
    }

    /// Drops up to `count` of the oldest rows of a writer in a partition that end at `upto` or before.
    fn trim(
        &mut self,
        turn: &mut Turn<'_>,
        (partition, writer): (&PartitionId, WriterId),
        upto: u64,
        count: usize,
    ) -> Result<usize, StoreError> {
        let place = (partition.clone(), writer);
        let Some(log) = self.logs.get(&place) else { return Ok(0) };
        // From where rows begin: before it a database may have to pass over many that were deleted.
        let first = rows::delta(partition, writer, log.trimmed.saturating_add(1));
        let behind = rows::delta(partition, writer, upto.saturating_add(1));
        let oldest = turn.scan(Synced, (&first, &behind), count, false)?;
        let whole = oldest.len() < count && upto >= self.held(partition, writer);
        for (key, _) in &oldest {
            turn.put(Synced, key.clone(), None);
        }
        let log = self.logs.get_mut(&place).expect("just seen");
        log.rows = log.rows.saturating_sub(oldest.len() as u64);
        if let Some((key, _)) = oldest.last() {
            log.trimmed = u64::from_be_bytes(*key.last_chunk().expect("a delta row's key ends in a number"));
        }
        if whole || log.rows == 0 {
            self.logs.remove(&place);
        }
        if whole || !oldest.is_empty() {
            self.put_place(turn, partition, writer);
        }
        Ok(oldest.len())
    }

    /// Joins the delta rows of `(after, upto]` into one interval of at most about `bytes_max` bytes: the keys with
    /// their deltas, where it begins (at or below `after`), where it ends, and its size. None: not kept any more.
    ///
    /// # Errors
    /// What the store says; `Damaged` when a row cannot be read.
    #[allow(clippy::type_complexity, reason = "one caller unpacks it at once")]
    pub fn read_interval(
        &self,
        turn: &mut Turn<'_>,
        (partition, writer): (&PartitionId, WriterId),
        (after, upto): (u64, u64),
        (bytes_max, rows_per_read): (usize, usize),
    ) -> Result<Option<(BTreeMap<Bytes, Delta>, u64, u64, usize)>, StoreError> {
        let Some(log) = self.logs.get(&(partition.clone(), writer)) else { return Ok(None) };
        let (mut begins, mut ends, mut bytes) = (None, after, 0);
        let mut deltas: BTreeMap<Bytes, Delta> = BTreeMap::new();
        while ends < upto && bytes < bytes_max {
            if begins.is_some() {
                marks::reached(Mark::DeltaRowsContinued);
            }
            let page = match alone(turn, (partition, writer), (ends, upto))? {
                Some(row) => vec![row],
                None => {
                    let from = rows::delta(partition, writer, ends.max(log.trimmed) + 1);
                    // Not beyond: what came later may not be on disk yet, and would make this wait for it.
                    let to = rows::delta(partition, writer, upto.saturating_add(1));
                    let page = turn.scan(Synced, (&from, &to), rows_per_read, false)?;
                    let read = page.iter().map(|(key, value)| read_row(partition, writer, key, value));
                    read.collect::<Result<Vec<_>, _>>()?
                }
            };
            if page.is_empty() {
                break;
            }
            for (end, row, row_bytes) in page {
                if row.after > ends && !mutants::is(Mutant::CollectDeltasEarly) {
                    return Ok(None);
                }
                if begins.is_some() && (bytes + row_bytes > bytes_max || ends >= upto) {
                    return Ok(begins.map(|begins| (deltas, begins, ends, bytes)));
                }
                // Rows may overlap, because a peer coalesced what had come in part before; a later one may even begin
                // before an earlier one, and what it says by leaving things out holds from there on.
                if row.after < ends {
                    marks::reached(Mark::IntervalsOverlap);
                }
                begins = Some(begins.map_or(row.after.min(ends), |begins: u64| begins.min(row.after)));
                bytes += row_bytes;
                ends = end;
                for (key, delta) in row.deltas {
                    let delta = Delta::from_bytes(&delta).map_err(|_| damaged(partition, writer))?;
                    match deltas.get_mut(&key) {
                        Some(earlier) => earlier.then_overlapping(row.after, delta),
                        None => {
                            deltas.insert(key, delta);
                        }
                    }
                }
            }
        }
        Ok(begins.map(|begins| (deltas, begins, ends, bytes)))
    }
}

/// A row of the delta log: where it ends, what it says, how many bytes it has.
type Read = (u64, DeltaRow, usize);

/// The row that ends at `upto`, when it begins at `after` or below: most intervals are one edit, and a row that is asked for
/// by its name costs less than a look through a range.
fn alone(
    turn: &mut Turn<'_>,
    (partition, writer): (&PartitionId, WriterId),
    (after, upto): (u64, u64),
) -> Result<Option<Read>, StoreError> {
    let key = rows::delta(partition, writer, upto);
    let Some(value) = turn.get(Synced, &key)? else { return Ok(None) };
    let read = read_row(partition, writer, &key, &value)?;
    Ok((read.1.after <= after).then_some(read))
}

fn read_row(partition: &PartitionId, writer: WriterId, key: &[u8], value: &[u8]) -> Result<Read, StoreError> {
    let end = key.last_chunk().ok_or_else(|| damaged(partition, writer))?;
    let row = trine_crdt::codec::decode(value).map_err(|_| damaged(partition, writer))?;
    Ok((u64::from_be_bytes(*end), row, value.len()))
}

fn damaged(partition: &PartitionId, writer: WriterId) -> StoreError {
    StoreError::Damaged(format!("delta log of {partition}, writer {writer}"))
}
