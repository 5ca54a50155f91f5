//! The window of one link: which deltas a peer is to be sent next, and how many may be under way.
//!
//! A writer's deltas in a partition are a growing row of numbers, and what is kept of them per peer is only where
//! the part not yet sent begins and ends: *dirty*. While the window is full the end moves on and nothing queues;
//! when it opens one longer interval leaves. What was sent moves to the batches under way until it is
//! acknowledged, and then is forgotten, so memory follows what is dirty or under way, never what exists.
//!
//! ```text
//!   mark_dirty ──► dirty ──next──► (caller reads the delta log) ──sent──► under way ──acked──► forgotten
//!                                                                            │ time-out, reset
//!                                                  compare vectors ◄─────────┘ everything forgotten
//! ```
//!
//! A receiver ignores an interval that does not connect to what it has, so once a batch is lost everything behind
//! it is in vain. Then the window forgets all of it and asks for a comparison of vectors ([`crate::vectors`]),
//! whose gaps come back through [`Link::mark_dirty`]: repair is bounded by the same window, and what is already
//! under way is not sent twice.

use std::collections::BTreeMap;
use std::ops::Bound;

use trine_crdt::{PartitionId, WriterId};

use crate::limits::{LINK_BATCH_RANGES_MAX, LINK_DIRTY_MAX};
use crate::marks::{self, Mark};
use crate::mutants::{self, Mutant};

/// The window's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How many batches may be under way.
    pub batches_max: usize,
    /// How many bytes may be under way; a batch that began below it may end above.
    pub window_bytes_max: usize,
    /// How many bytes a batch should have; a single delta may have more.
    pub batch_bytes_max: usize,
    /// How long an acknowledgement may take before the batch counts as lost, in nanoseconds.
    pub timeout_ns: u64,
    /// How many pairs of partition and writer may be dirty.
    pub dirty_max: usize,
    /// How many ranges one batch may name.
    pub ranges_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            batches_max: 64,
            window_bytes_max: 8 * 1024 * 1024,
            batch_bytes_max: 512 * 1024,
            timeout_ns: 5_000_000_000,
            dirty_max: LINK_DIRTY_MAX,
            ranges_max: LINK_BATCH_RANGES_MAX,
        }
    }
}

/// Deltas of one writer in one partition: everything after `after` up to `upto`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The partition.
    pub partition: PartitionId,
    /// The writer.
    pub writer: WriterId,
    /// Where the deltas begin, this one excluded.
    pub after: u64,
    /// Where they end, this one included.
    pub upto: u64,
}

/// What to send next: read these ranges from the delta log, in order, until the bytes are used up, but at least
/// one delta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The ranges.
    pub ranges: Vec<Range>,
    /// How many bytes the batch should have at most.
    pub bytes_max: usize,
}

type Row = (PartitionId, WriterId);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    after: u64,
    upto: u64,
}

#[derive(Debug)]
struct Batch {
    sent_at_ns: u64,
    bytes: usize,
    rows: Vec<Row>,
}

/// What of a row is under way: one unbroken span, and how many batches carry parts of it.
#[derive(Debug)]
struct UnderWay {
    span: Span,
    batches: usize,
}

/// The window of one link.
#[derive(Debug)]
pub struct Link {
    config: Config,
    dirty: BTreeMap<Row, Span>,
    /// Where the next batch begins its round, so that no row starves another.
    turn: Option<Row>,
    batches: BTreeMap<u64, Batch>,
    under_way: BTreeMap<Row, UnderWay>,
    bytes_under_way: usize,
    last_batch: u64,
    needs_repair: bool,
    /// A row found no room and is to be found again by comparing vectors, once there is room.
    overflowed: bool,
}

impl Link {
    /// A link that just came up: it needs a comparison first.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            dirty: BTreeMap::new(),
            turn: None,
            batches: BTreeMap::new(),
            under_way: BTreeMap::new(),
            bytes_under_way: 0,
            last_batch: 0,
            needs_repair: true,
            overflowed: false,
        }
    }

    /// A link that has nothing to do, and whose batches are numbered behind this one: who keeps only the links that have
    /// something to do takes up the others where they were.
    #[must_use]
    pub fn at_rest(config: Config, last_batch: u64) -> Self {
        Self { last_batch, needs_repair: false, ..Self::new(config) }
    }

    /// Forgets everything, because the stream went or came back. Batch numbers go on, so that a late
    /// acknowledgement frees nothing.
    pub fn reset(&mut self) {
        self.dirty.clear();
        self.batches.clear();
        self.under_way.clear();
        self.bytes_under_way = 0;
        self.needs_repair = true;
        self.overflowed = false;
    }

    /// There are deltas after `after` up to `upto` that the peer is not known to have: a write just made (then
    /// `after` is the one before it), or a gap that comparing vectors found (then `after` is what the peer has).
    /// What is under way is not sent again.
    pub fn mark_dirty(&mut self, partition: PartitionId, writer: WriterId, after: u64, upto: u64) {
        let row = (partition, writer);
        let mut span = Span { after, upto };
        if let Some(under_way) = self.under_way.get(&row)
            && (under_way.span.after..=under_way.span.upto).contains(&span.after)
            && !mutants::is(Mutant::SentTwice)
        {
            span.after = under_way.span.upto;
        }
        if span.after >= span.upto {
            return;
        }
        if let Some(dirty) = self.dirty.get_mut(&row) {
            dirty.after = dirty.after.min(span.after);
            dirty.upto = dirty.upto.max(span.upto);
            return;
        }
        if self.dirty.len() >= self.config.dirty_max {
            marks::reached(Mark::DirtyOverflow);
            self.overflowed = true;
            return;
        }
        self.dirty.insert(row, span);
    }

    /// What to send next, or none while the window is full or nothing is dirty. Asking changes nothing: what is
    /// sent of it is said with [`Self::sent`].
    #[must_use]
    pub fn next(&self) -> Option<Push> {
        let left = self.config.window_bytes_max.saturating_sub(self.bytes_under_way);
        let full = left == 0 || self.batches.len() >= self.config.batches_max;
        if full && !mutants::is(Mutant::WindowWithoutEnd) {
            marks::reached(Mark::WindowClosed);
            return None;
        }
        let turn = self.turn.as_ref().or_else(|| self.dirty.keys().next())?;
        let behind = self.dirty.range((Bound::Included(turn), Bound::Unbounded));
        let before = self.dirty.range((Bound::Unbounded, Bound::Excluded(turn)));
        let ranges: Vec<Range> = behind.chain(before).take(self.config.ranges_max).map(range).collect();
        if ranges.is_empty() {
            return None;
        }
        Some(Push { ranges, bytes_max: left.min(self.config.batch_bytes_max) })
    }

    /// The caller sends a batch: these ranges, which may be fewer than [`Self::next`] named and end earlier, and
    /// have this many bytes. Returns the batch's number.
    pub fn sent(&mut self, now_ns: u64, ranges: &[Range], bytes: usize) -> u64 {
        self.last_batch += 1;
        let mut rows = Vec::with_capacity(ranges.len());
        for Range { partition, writer, after, upto } in ranges {
            let row = (partition.clone(), *writer);
            self.clean(&row, *upto);
            self.under_way
                .entry(row.clone())
                .and_modify(|under_way| {
                    under_way.span.after = under_way.span.after.min(*after);
                    under_way.span.upto = under_way.span.upto.max(*upto);
                    under_way.batches += 1;
                })
                .or_insert(UnderWay { span: Span { after: *after, upto: *upto }, batches: 1 });
            rows.push(row);
        }
        self.turn = rows.last().and_then(|last| {
            let mut behind = self.dirty.range((Bound::Excluded(last), Bound::Unbounded));
            behind.next().map(|(row, _)| row.clone())
        });
        self.bytes_under_way += bytes;
        self.batches.insert(self.last_batch, Batch { sent_at_ns: now_ns, bytes, rows });
        self.last_batch
    }

    /// The deltas of this row are not kept any more and cannot be sent; the peer will pull the partition.
    pub fn forget(&mut self, partition: &PartitionId, writer: WriterId) {
        self.dirty.remove(&(partition.clone(), writer));
    }

    /// The peer has taken care of a batch. False when the batch is not under way (repeated, late, unknown).
    pub fn acked(&mut self, batch: u64) -> bool {
        let Some(Batch { bytes, rows, .. }) = self.batches.remove(&batch) else { return false };
        self.bytes_under_way -= bytes;
        for row in rows {
            if let Some(under_way) = self.under_way.get_mut(&row) {
                under_way.batches -= 1;
                if under_way.batches == 0 {
                    self.under_way.remove(&row);
                }
            }
        }
        true
    }

    /// The peer has everything of this writer up to here, from whomever: that much need not be sent.
    pub fn has(&mut self, partition: &PartitionId, writer: WriterId, upto: u64) {
        self.clean(&(partition.clone(), writer), upto);
    }

    /// Time has passed. True when a batch timed out and the window was given up.
    pub fn on_tick(&mut self, now_ns: u64) -> bool {
        let late = self.deadline().is_some_and(|deadline| deadline <= now_ns);
        if late {
            marks::reached(Mark::WindowGivenUp);
            self.reset();
        }
        late
    }

    /// When [`Self::on_tick`] is wanted, in monotonic nanoseconds.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        // Batches are numbered as they are sent, so the first is the oldest.
        let (_, oldest) = self.batches.first_key_value()?;
        Some(oldest.sent_at_ns.saturating_add(self.config.timeout_ns))
    }

    /// Whether vectors must be compared with this peer; asking clears it. After there was too much to be dirty it
    /// says so once half of that is gone, so that what is compared then has room.
    pub fn take_repair(&mut self) -> bool {
        if self.overflowed && self.dirty.len() <= self.config.dirty_max / 2 {
            self.overflowed = false;
            self.needs_repair = true;
        }
        std::mem::take(&mut self.needs_repair)
    }

    /// Vectors should be compared: the peer acknowledged less than it was sent, or it is time to.
    pub fn want_repair(&mut self) {
        self.needs_repair = true;
    }

    /// How many pairs of partition and writer are dirty.
    #[must_use]
    pub fn dirty(&self) -> usize {
        self.dirty.len()
    }

    /// How many batches and bytes are under way.
    #[must_use]
    pub fn under_way(&self) -> (usize, usize) {
        (self.batches.len(), self.bytes_under_way)
    }

    /// Nothing is dirty and nothing under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.dirty.is_empty() && self.batches.is_empty()
    }

    /// It has nothing to do: it may be forgotten, but for the number of its last batch.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.is_idle() && !self.needs_repair && !self.overflowed
    }

    /// The number of the last batch that was sent.
    #[must_use]
    pub fn last_batch(&self) -> u64 {
        self.last_batch
    }

    /// What is dirty of a row begins at `upto` at the earliest.
    fn clean(&mut self, row: &Row, upto: u64) {
        if let Some(dirty) = self.dirty.get_mut(row) {
            dirty.after = dirty.after.max(upto);
            if dirty.after >= dirty.upto {
                self.dirty.remove(row);
            }
        }
    }
}

fn range((row, span): (&Row, &Span)) -> Range {
    Range { partition: row.0.clone(), writer: row.1, after: span.after, upto: span.upto }
}
