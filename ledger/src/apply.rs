//! The pure applier: a region's ledger is whatever this makes of its committed log.
//!
//! Every node of a region applies the same entries in the same order and so comes to the same ledger, to the byte. A
//! record exists once it is applied: its index counts records, not log entries; blank and membership entries,
//! repeated appends, failed conditions and seals leave no record.
//!
//! ```text
//! committed entry ──► apply(position, entry, lookup) ──► per command what became of it
//!                        │            ▲                  tree nodes that became complete
//!                     LedgerState   rows of before       rows of the idempotency table that come and go
//! ```
//!
//! The state is small: what grows with the ledger (key index, tree nodes, idempotency table) stays in the caller's
//! rows. It is read through [`Lookup`], as it was before the entry; what the entry itself changes is kept here while
//! it is applied. All reads happen before anything changes: an entry is applied whole or, when a read fails, not at
//! all. The caller persists the new state, the rows and the position in one batch; then an entry can neither be
//! missed nor applied twice.
//!
//! Idempotency keys are remembered for ten minutes of hybrid time. Their rows are numbered as they come; the oldest is
//! forgotten first, a few for each command, so that no pass over the table is ever needed. A row past its
//! time counts as forgotten whether or not it is gone already, so what nodes do never depends on how far they
//! are with cleaning up. A full table refuses keyed appends: dropping keys early would break the promise.

use std::collections::BTreeMap;

use trine_crdt::{NamespaceId, NodeId, Timestamp};

use crate::LogPosition;
use crate::entry::{AppendCommand, Command, Condition, Entry, NamespaceKind};
use crate::marks::{self, Mark};
use crate::mutants::{self, Mutant};
pub use crate::outcome::{Applied, AppliedRecord, Change, Outcome, Refusal, Remembered};
use crate::record::{RecordError, RecordHeader, digest, verify};
use crate::registry::{NamespaceRecord, Recovery};
use crate::state::LedgerState;
use crate::tree::{Hash, leaf_hash};

/// The caller's rows, as they were before the entry.
pub trait Lookup {
    /// Why a row could not be read.
    type Error;

    /// The index of a key's latest record in this region's ledger.
    ///
    /// # Errors
    /// When the row cannot be read; the entry is then not applied.
    fn latest(&mut self, namespace: &NamespaceId, key: &str) -> Result<Option<u64>, Self::Error>;

    /// What an idempotency key stands for.
    ///
    /// # Errors
    /// When the row cannot be read; the entry is then not applied.
    fn remembered(&mut self, key: &[u8; 32]) -> Result<Option<Remembered>, Self::Error>;

    /// The idempotency key whose row has this number, and the stamp of its record. Only rows that were remembered
    /// and not forgotten are asked for; that one is missing is an error of the caller's store.
    ///
    /// # Errors
    /// When the row cannot be read; the entry is then not applied.
    fn remembered_at(&mut self, number: u64) -> Result<([u8; 32], Timestamp), Self::Error>;
}

/// Why an entry was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError<E> {
    /// Not the entry after the last one: it was applied already, or one is missing.
    #[error("log entry {found} came where {expected} is due")]
    OutOfOrder {
        /// The log index that is due.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// A row could not be read.
    #[error("{0}")]
    Lookup(E),
}

impl LedgerState {
    /// Takes note of a committed entry without commands (blank, membership).
    ///
    /// # Errors
    /// [`ApplyError::OutOfOrder`] when it is not the next one.
    pub fn pass<E>(&mut self, position: LogPosition) -> Result<(), ApplyError<E>> {
        self.due(position)?;
        self.position = Some(position);
        Ok(())
    }

    /// Applies a committed entry.
    ///
    /// # Errors
    /// [`ApplyError`] when it is not the next one, or a row cannot be read; nothing has changed then.
    pub fn apply<L: Lookup + ?Sized>(
        &mut self,
        position: LogPosition,
        entry: &Entry,
        lookup: &mut L,
    ) -> Result<Outcome, ApplyError<L::Error>> {
        self.due(position)?;
        let rows = Rows::read(self, entry, lookup).map_err(ApplyError::Lookup)?;
        let mut run = Run { state: self, position, rows, outcome: Outcome::default() };
        for (number, command) in entry.commands.iter().enumerate() {
            let applied = run.command(number, command).unwrap_or_else(Applied::Refused);
            run.outcome.applied.push(applied);
        }
        let outcome = run.outcome;
        self.position = Some(position);
        Ok(outcome)
    }

    fn due<E>(&self, position: LogPosition) -> Result<(), ApplyError<E>> {
        let (expected, found) = (self.position.map_or(0, |last| last.index + 1), position.index);
        if expected == found { Ok(()) } else { Err(ApplyError::OutOfOrder { expected, found }) }
    }
}

/// The rows that an entry may need, read before it changes anything, and then kept up to date with what it changes.
struct Rows {
    latest: BTreeMap<(NamespaceId, String), Option<u64>>,
    remembered: BTreeMap<[u8; 32], Remembered>,
    /// The oldest rows of the idempotency table that are over by the entry's last stamp, by number.
    oldest: BTreeMap<u64, ([u8; 32], Timestamp)>,
}

impl Rows {
    fn read<L: Lookup + ?Sized>(state: &LedgerState, entry: &Entry, lookup: &mut L) -> Result<Self, L::Error> {
        let (mut latest, mut remembered, mut oldest) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for command in &entry.commands {
            let Command::Append(append) = command else { continue };
            if let Some(key) = &append.idempotency
                && let Some(row) = lookup.remembered(key)?
            {
                remembered.insert(*key, row);
            }
            if append.condition.is_some()
                && let Ok(header) = RecordHeader::from_bytes(&append.header)
            {
                let row = lookup.latest(&header.namespace, &append.body.key)?;
                latest.insert((header.namespace, append.body.key.clone()), row);
            }
        }
        let stamps = entry.commands.iter().filter_map(|command| command.stamp().ok());
        let now = stamps.max().unwrap_or(Timestamp::ZERO);
        let window = state.idempotency.forget_max.saturating_mul(entry.commands.len() as u64);
        let end = state.rows_next.min(state.rows_first.saturating_add(window));
        for number in state.rows_first..end {
            let row = lookup.remembered_at(number)?;
            if !state.idempotency.expired(row.1, now) {
                break;
            }
            oldest.insert(number, row);
        }
        Ok(Self { latest, remembered, oldest })
    }
}

/// An entry being applied.
struct Run<'a> {
    state: &'a mut LedgerState,
    position: LogPosition,
    rows: Rows,
    outcome: Outcome,
}

impl Run<'_> {
    fn command(&mut self, number: usize, command: &Command) -> Result<Applied, Refusal> {
        let found = command.stamp().map_err(RecordError::Form)?;
        let last = self.state.stamp;
        // What is put back keeps its stamp, which the log may have passed meanwhile.
        let restores = matches!(command, Command::Restore { .. });
        if found <= last && !restores {
            return Err(Refusal::StampNotAbove { last, found });
        }
        self.state.stamp = last.max(found);
        self.forget(self.state.stamp);
        let index = self.state.lasting(self.position.index);
        match command {
            Command::Append(append) => self.append(number, append, false),
            Command::Register(record) => {
                let (changed, displaced) = self.state.registry.register(index, record)?;
                self.outcome.registry_changed |= changed;
                Ok(Applied::Registered { node: record.node, displaced, epoch: self.state.registry.epoch })
            }
            Command::Retire { node, .. } => self.remove(*node, true),
            Command::Replace { node, .. } => self.remove(*node, false),
            Command::Recover { stamp, node, survivor } => {
                let (stamp, node, survivor, records) = (*stamp, *node, *survivor, self.state.size());
                let recovery = Recovery { index, stamp, node, survivor, records };
                self.state.registry.recover(&recovery)?;
                self.outcome.registry_changed = true;
                Ok(Applied::Recovered(recovery))
            }
            Command::CreateNamespace { stamp, name, kind, slots } => {
                let id = NamespaceRecord::id_of(&self.state.region, index);
                let (name, kind, slots, stamp) = (name.clone(), *kind, *slots, *stamp);
                let namespace = NamespaceRecord { id, name, kind, slots, stamp, altered: None, deleted: false };
                self.state.registry.create(namespace.clone())?;
                self.outcome.registry_changed = true;
                Ok(Applied::Namespace(namespace))
            }
            Command::RenameNamespace { namespace, name, .. } => {
                let (changed, renamed) = self.state.registry.rename(index, namespace, name)?;
                self.outcome.registry_changed |= changed;
                Ok(Applied::Namespace(renamed))
            }
            Command::DeleteNamespace { namespace, .. } => {
                self.state.registry.delete(index, namespace)?;
                self.outcome.registry_changed = true;
                Ok(Applied::NamespaceDeleted(namespace.clone()))
            }
            Command::Restore { index, header, body } => {
                let size = self.state.size();
                if *index != size {
                    return Err(Refusal::OtherIndex { size, found: *index });
                }
                let (header, body) = (header.clone(), (**body).clone());
                self.append(number, &AppendCommand { header, body, idempotency: None, condition: None }, true)
            }
            Command::Resume { version, registry, .. } => {
                let mut merged = self.state.registry.clone();
                merged.merge(index, registry)?;
                self.state.base = self.state.base.max(version.saturating_sub(self.position.index));
                merged.epoch = self.state.lasting(self.position.index);
                self.state.registry = merged;
                self.outcome.registry_changed = true;
                Ok(Applied::Resumed)
            }
            Command::Seal { .. } => {
                if self.state.segment.count == 0 {
                    return Err(Refusal::NothingToSeal);
                }
                marks::reached(Mark::SegmentSealed);
                let (sealed, next) = self.state.segment.seal(self.state.frontier.root());
                self.state.segment = next;
                Ok(Applied::Sealed(sealed))
            }
        }
    }

    fn remove(&mut self, node: NodeId, close: bool) -> Result<Applied, Refusal> {
        self.state.registry.remove(self.state.lasting(self.position.index), node, close)?;
        self.outcome.registry_changed = true;
        marks::reached(Mark::NodeRemoved);
        Ok(Applied::Removed { node, replaceable: !close, epoch: self.state.registry.epoch })
    }

    /// A record that is put back may be of a namespace that was deleted since.
    fn append(&mut self, number: usize, append: &AppendCommand, restores: bool) -> Result<Applied, Refusal> {
        let header = verify(&append.header, &append.body)?;
        let namespace = self.state.registry.namespaces.get(&header.namespace);
        if namespace.is_some_and(|known| known.kind != NamespaceKind::Ledger) {
            return Err(Refusal::NotLedger { id: header.namespace });
        }
        let deleted = namespace.is_some_and(|known| known.deleted);
        if let Some(key) = &append.idempotency
            && let Some(row) = self.rows.remembered.get(key)
            && !mutants::is(Mutant::ForgetIdempotency)
        {
            if !self.state.idempotency.expired(row.stamp, header.stamp) {
                marks::reached(Mark::DuplicateAppend);
                let Remembered { index, stamp, leaf, .. } = *row;
                return Ok(Applied::Duplicate { index, stamp, leaf });
            }
            // Its row is still there, but its time is over.
            marks::reached(Mark::KeyExpired);
        }
        if deleted && !restores {
            return Err(Refusal::UnknownNamespace { id: header.namespace });
        }
        // Only entries with conditions have looked up anything.
        let place = (!self.rows.latest.is_empty()).then(|| (header.namespace.clone(), append.body.key.clone()));
        if let Some(condition) = append.condition {
            let actual = place.as_ref().and_then(|place| self.rows.latest.get(place).copied().flatten());
            let holds = match condition {
                Condition::Absent => actual.is_none(),
                Condition::Index(index) => actual == Some(index),
            };
            if !holds && !mutants::is(Mutant::ConditionIgnored) {
                marks::reached(Mark::ConditionFailed);
                return Ok(Applied::ConditionFailed { actual });
            }
        }
        let full = self.state.rows_next - self.state.rows_first >= self.state.idempotency.rows_max;
        if append.idempotency.is_some() && full {
            marks::reached(Mark::KeysFull);
            return Err(Refusal::IdempotencyFull);
        }
        let (mut digest, bytes) = digest(&append.header, &append.body);
        let (mut index, leaf) = (self.state.size(), leaf_hash(&append.header));
        index += u64::from(mutants::is(Mutant::GapInIndex));
        let nodes = &mut self.outcome.nodes;
        self.state.frontier.push(leaf, |node| nodes.push(node));
        if mutants::is(Mutant::SegmentByFraming) {
            digest = leaf_hash(&[&digest[..], &number.to_be_bytes()].concat());
        }
        self.state.segment.push_digest(digest, bytes);
        if let Some(latest) = place.and_then(|place| self.rows.latest.get_mut(&place)) {
            *latest = Some(index);
        }
        if let Some(key) = append.idempotency {
            self.remember(key, index, header.stamp, leaf);
        }
        let command = u32::try_from(number).expect("an entry's commands are bounded");
        let key = append.body.key.clone();
        Ok(Applied::Record(Box::new(AppliedRecord { index, command, header, leaf, key, bytes })))
    }

    fn remember(&mut self, key: [u8; 32], index: u64, stamp: Timestamp, leaf: Hash) {
        let row = Remembered { number: self.state.rows_next, index, stamp, leaf };
        self.state.rows_next += 1;
        self.rows.remembered.insert(key, row);
        self.outcome.changes.push(Change::Remember { key, row });
    }

    /// Forgets a few of the oldest rows whose time is over at `now`.
    fn forget(&mut self, now: Timestamp) {
        for _ in 0..self.state.idempotency.forget_max {
            let number = self.state.rows_first;
            let Some((key, stamp)) = self.rows.oldest.get(&number).copied() else { return };
            if !self.state.idempotency.expired(stamp, now) {
                return;
            }
            marks::reached(Mark::KeyForgotten);
            self.rows.oldest.remove(&number);
            self.state.rows_first += 1;
            self.outcome.changes.push(Change::Forget { number, key });
        }
    }
}
