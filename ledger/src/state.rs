//! What a node keeps in memory of its region's ledger: a few hundred bytes and the registry.
//!
//! Two values are stored: the head, which changes with every entry, and the registry, which rarely does. Both
//! belong into the batch that carries the entry's rows.

use bytes::Bytes;
use trine_crdt::{NodeId, RegionId, Timestamp};

use serde::{Deserialize, Serialize};

use crate::LogPosition;
use crate::form::{FormError, Reader, put_short};
use crate::limits::{IDEMPOTENCY_FORGET_MAX, IDEMPOTENCY_ROWS_MAX, IDEMPOTENCY_WINDOW_S};
use crate::registry::Registry;
use crate::segment::OpenSegment;
use crate::tree::{Frontier, Hash};

const VERSION: u8 = 1;

/// What bounds the table of idempotency keys. It decides what a log comes to: all nodes of a region have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Idempotency {
    /// How long a key is remembered, in milliseconds of hybrid time.
    pub window_ms: u64,
    /// The most keys remembered at once.
    pub rows_max: u64,
    /// The most keys that one command's application forgets.
    pub forget_max: u64,
}

impl Default for Idempotency {
    fn default() -> Self {
        let window_ms = IDEMPOTENCY_WINDOW_S * 1000;
        Self { window_ms, rows_max: IDEMPOTENCY_ROWS_MAX, forget_max: IDEMPOTENCY_FORGET_MAX }
    }
}

impl Idempotency {
    /// Whether a key remembered at `stamp` is forgotten at `now`; the upper 32 bits of a stamp's time are seconds.
    pub(crate) fn expired(&self, stamp: Timestamp, now: Timestamp) -> bool {
        let window = ((self.window_ms / 1000) << 32) + ((self.window_ms % 1000) << 32) / 1000;
        now.time.saturating_sub(stamp.time) > window
    }
}

/// The state of a region's ledger after a log position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerState {
    pub(crate) region: RegionId,
    pub(crate) position: Option<LogPosition>,
    pub(crate) stamp: Timestamp,
    pub(crate) frontier: Frontier,
    pub(crate) segment: OpenSegment,
    /// The number of the oldest row of the idempotency table.
    pub(crate) rows_first: u64,
    /// The number of its next row.
    pub(crate) rows_next: u64,
    /// What log indexes count from where they outlast the log: as ids of namespaces, and versions of the registry. 0,
    /// unless the log began anew, or went back, and [`crate::entry::Command::Resume`] said where it had been.
    pub(crate) base: u64,
    pub(crate) registry: Registry,
    /// What bounds the idempotency table; not part of what is stored.
    pub(crate) idempotency: Idempotency,
}

impl LedgerState {
    /// The state before the region's first entry.
    #[must_use]
    pub fn new(region: RegionId) -> Self {
        Self {
            region,
            position: None,
            stamp: Timestamp::ZERO,
            frontier: Frontier::default(),
            segment: OpenSegment::default(),
            rows_first: 0,
            rows_next: 0,
            base: 0,
            registry: Registry::default(),
            idempotency: Idempotency::default(),
        }
    }

    /// The same with another bound of its idempotency table.
    #[must_use]
    pub fn bounded(self, idempotency: Idempotency) -> Self {
        Self { idempotency, ..self }
    }

    /// Whose ledger.
    #[must_use]
    pub fn region(&self) -> &RegionId {
        &self.region
    }

    /// The last entry applied.
    #[must_use]
    pub fn position(&self) -> Option<LogPosition> {
        self.position
    }

    /// The last stamp applied; the next command's must be above it.
    #[must_use]
    pub fn stamp(&self) -> Timestamp {
        self.stamp
    }

    /// How many records.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The tree's root.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// The edge of the tree, to be grown elsewhere.
    #[must_use]
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// A log index as it is counted where that outlasts the log.
    #[must_use]
    pub fn lasting(&self, index: u64) -> u64 {
        self.base.saturating_add(index)
    }

    /// The segment that still grows.
    #[must_use]
    pub fn segment(&self) -> &OpenSegment {
        &self.segment
    }

    /// Roster and namespaces.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The bytes of everything but the registry: a few hundred at most.
    #[must_use]
    pub fn head_to_bytes(&self) -> Bytes {
        let mut out = vec![VERSION];
        put_short(&mut out, self.region.as_str().as_bytes());
        out.push(u8::from(self.position.is_some()));
        if let Some(position) = self.position {
            for number in [position.term, position.leader.0, position.index] {
                out.extend_from_slice(&number.to_be_bytes());
            }
        }
        out.extend_from_slice(&self.stamp.to_bytes());
        out.extend_from_slice(&self.base.to_be_bytes());
        out.extend_from_slice(&self.frontier.to_bytes());
        self.segment.write(&mut out);
        out.extend_from_slice(&self.rows_first.to_be_bytes());
        out.extend_from_slice(&self.rows_next.to_be_bytes());
        out.into()
    }

    /// Puts a state together from [`Self::head_to_bytes`] and [`Registry::to_bytes`].
    ///
    /// # Errors
    /// [`FormError`] for anything else.
    pub fn from_bytes(head: &Bytes, registry: &Bytes) -> Result<Self, FormError> {
        let mut reader = Reader::new(head);
        reader.version("ledger state", VERSION)?;
        let region = reader.text("region", trine_crdt::limits::REGION_NAME_BYTES_MAX)?;
        let region = region.parse().map_err(|_| FormError::Malformed { field: "region" })?;
        let position = if reader.flag("position")? {
            let (term, leader) = (reader.u64("position")?, NodeId(reader.u64("position")?));
            Some(LogPosition { term, leader, index: reader.u64("position")? })
        } else {
            None
        };
        let stamp = Timestamp::from_bytes(&reader.array("stamp")?);
        let base = reader.u64("base")?;
        let frontier = Frontier::read(&mut reader)?;
        let segment = OpenSegment::read(&mut reader)?;
        let (rows_first, rows_next) = (reader.u64("idempotency rows")?, reader.u64("idempotency rows")?);
        reader.end()?;
        let whole = segment.first.checked_add(segment.count) == Some(frontier.size());
        if rows_first > rows_next || !whole {
            return Err(FormError::Malformed { field: "ledger state" });
        }
        let registry = Registry::from_bytes(registry)?;
        let idempotency = Idempotency::default();
        Ok(Self { region, position, stamp, frontier, segment, rows_first, rows_next, base, registry, idempotency })
    }
}
