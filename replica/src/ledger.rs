//! The own region's ledger on this node: what is proposed, what was applied, what is answered.
//!
//! The leader batches: while a few proposals are under way, what comes in meanwhile waits and leaves as one entry.
//! It stamps as it proposes, so that stamps rise along the log. Every node applies what the log commits, with the
//! pure applier of `trine_ledger`, and the leader answers whoever waits for a command, known by its stamp.

mod draft;
mod founding;
mod log_time;
mod recovery;
mod remembered;
mod signing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use trine_crdt::Timestamp;
use trine_ledger::LogPosition;
use trine_ledger::apply::{Applied, ApplyError};
use trine_ledger::checkpoint::{self, Checkpoint};
use trine_ledger::entry::{AppendCommand, Command, Entry};
use trine_ledger::registry::Registry;
use trine_ledger::state::LedgerState;
use trine_ledger::tree::Hash;

pub(crate) use self::draft::{AppendDraft, Draft, DraftCommand, Drafted, Entered};
use self::founding::Founding;
pub use self::founding::Founds;
use self::log_time::LogTime;
pub(crate) use self::recovery::LostTail;
use self::recovery::Recovery;
use self::remembered::{Numbered, Rows};
use self::signing::Signing;
pub use self::signing::Withheld;
pub(crate) use self::signing::makes_record;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::effect::Persistence::Derived;
use crate::input::{CommittedEntry, Payload};
use crate::records::Records;
use crate::rows;
use crate::sizes::Sizes;
use crate::store::{Store, StoreError};
use crate::turn::Turn;

/// The own region's ledger.
#[derive(Debug)]
pub struct OwnLedger {
    state: LedgerState,
    /// The log index at which the registry last changed: its version in the metadata.
    registry_epoch: u64,
    origin: String,
    signing: Option<SigningKey>,
    /// Whether this node may sign what the ledger says; see [`self::signing`].
    signs: bool,
    queue: VecDeque<Draft>,
    queued_bytes: usize,
    proposals: BTreeMap<u64, Vec<Timestamp>>,
    /// The latest stamp of a proposal that was committed, or may have been: below it, what is applied is not all.
    unsettled: Timestamp,
    next_ticket: u64,
    numbered: Option<Numbered>,
    note: Option<(u64, Bytes)>,
    registry_dirty: bool,
    /// The latest stamp in the log, as far as it was applied here or proposed from here.
    time: LogTime,
    /// The latest seal of this node's own, by its number among what waits.
    sealing: u64,
    /// What is known of it elsewhere.
    asked: Signing,
    /// What is known of who founds it, while this node holds nothing of it.
    founding: Founding,
    recovery: Recovery,
    /// The region's key signed two histories of it.
    forked: bool,
    sizes: Sizes,
}

impl OwnLedger {
    /// Reads the state from the store.
    ///
    /// # Errors
    /// What the store says, and rows that cannot be read.
    pub fn open(config: &Config, store: &dyn Store) -> Result<Self, StoreError> {
        let damaged = |what: &str| StoreError::Damaged(format!("the own ledger's {what}"));
        let (mut registry_epoch, mut state) = (0, LedgerState::new(config.region.clone()));
        if let Some(head) = store.get(Derived, rows::LEDGER_STATE)? {
            let registry = store.get(Derived, rows::REGISTRY)?.ok_or_else(|| damaged("registry"))?;
            registry_epoch = u64::from_be_bytes(*registry.first_chunk().ok_or_else(|| damaged("registry"))?);
            state = LedgerState::from_bytes(&head, &registry.slice(8..)).map_err(|_| damaged("state"))?;
        }
        let state = state.bounded(config.sizes.idempotency);
        let stamped = state.stamp().time;
        Ok(Self {
            state,
            registry_epoch,
            origin: checkpoint::origin(&config.genesis.cluster, &config.region),
            signing: config.log_key.as_ref().map(SigningKey::from_bytes),
            signs: false,
            queue: VecDeque::new(),
            queued_bytes: 0,
            proposals: BTreeMap::new(),
            unsettled: Timestamp::ZERO,
            next_ticket: 0,
            numbered: None,
            note: None,
            registry_dirty: false,
            time: LogTime::new(stamped),
            sealing: 0,
            asked: Signing::default(),
            founding: Founding::default(),
            recovery: Recovery::default(),
            forked: false,
            sizes: config.sizes,
        })
    }

    /// How many records were applied.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.state.size()
    }

    /// The signed checkpoint of the applied size.
    pub fn note(&mut self) -> Option<Bytes> {
        let size = self.state.size();
        if !self.signs {
            return None;
        }
        if self.note.as_ref().is_none_or(|(signed, _)| *signed != size) {
            let note = self.sign(size, self.state.root())?;
            self.note = Some((size, note));
        }
        self.note.as_ref().map(|(_, note)| note.clone())
    }

    /// The checkpoint that was signed last.
    #[must_use]
    pub fn last_signed(&self) -> Option<Bytes> {
        self.note.as_ref().map(|(_, note)| note.clone())
    }

    /// Signs a size that was applied, when this node may sign.
    #[must_use]
    pub fn sign(&self, size: u64, root: Hash) -> Option<Bytes> {
        let key = self.signing.as_ref().filter(|_| self.signs)?;
        Some(Checkpoint { origin: self.origin.clone(), size, root }.sign(key))
    }

    /// What the ledger says at a size: signed, where it may be.
    pub(crate) fn statement(&self, size: u64, root: Hash) -> Bytes {
        self.sign(size, root).unwrap_or_else(|| self.unsigned(size, root))
    }

    /// Size and root.
    pub(crate) fn head(&self) -> (u64, Hash) {
        (self.state.size(), self.state.root())
    }

    /// Whether this node may sign what the ledger says.
    pub(crate) fn may_sign(&self) -> bool {
        self.signs
    }

    /// What [`Self::sign`] would sign, for the eye.
    #[must_use]
    pub fn unsigned(&self, size: u64, root: Hash) -> Bytes {
        Checkpoint { origin: self.origin.clone(), size, root }.text().into()
    }

    /// The position of the last entry that was applied.
    pub(crate) fn position(&self) -> Option<LogPosition> {
        self.state.position()
    }

    /// The version of the own region's registry in the metadata.
    pub(crate) fn registry_version(&self) -> u64 {
        // It counts from 1, so that even the first log entry's registry is above nothing at all.
        self.registry_epoch.saturating_add(1)
    }
}

/// What became of a command that the log committed.
#[derive(Debug)]
pub(crate) struct Became {
    /// Its stamp.
    pub stamp: Timestamp,
    /// What became of it.
    pub applied: Applied,
}

impl OwnLedger {
    /// Applies one committed entry; what became of its commands, in order.
    ///
    /// # Errors
    /// What the store says; an entry out of order.
    pub(crate) fn apply(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &mut Cluster,
        records: &mut Records,
        committed: CommittedEntry,
    ) -> Result<Vec<Became>, StoreError> {
        let CommittedEntry { position, payload } = committed;
        if self.state.position().is_some_and(|last| position.index <= last.index) {
            return Ok(Vec::new());
        }
        let entry = match &payload {
            // Bytes that are no entry are the same bytes on every node: all pass over them alike.
            Payload::Entry(bytes) => Entry::from_bytes(bytes).unwrap_or_default(),
            Payload::Blank | Payload::Membership { .. } => Entry::default(),
        };
        if entry.commands.is_empty() {
            self.state.pass::<StoreError>(position).map_err(from_apply)?;
            return Ok(Vec::new());
        }
        // What stands in the log is not under way any more: the next entry need not wait for the driver to say so.
        if let Some(stamp) = entry.commands.first().and_then(|command| command.stamp().ok()) {
            self.proposals.retain(|_, stamps| stamps.first() != Some(&stamp));
        }
        let (region, first) = (cluster.config().region.clone(), self.size());
        let OwnLedger { state, numbered, .. } = self;
        let mut lookup = Rows { turn, records, numbered };
        let outcome = state.apply(position, &entry, &mut lookup).map_err(from_apply)?;
        lookup.change(&outcome.changes)?;
        if outcome.registry_changed {
            cluster.set_own(self.state.registry());
        }
        let stamp = self.state.stamp();
        cluster.removals_applied(stamp);
        self.time.note(turn.now, stamp.time);
        // The log stands as it is; the clock does not follow it ahead.
        let _ = turn.observe(&stamp);
        records.grow(turn, &region, first, &outcome.nodes);
        if outcome.registry_changed {
            self.registry_epoch = self.state.lasting(position.index);
            self.registry_dirty = true;
        }
        if self.size() > first {
            let mut places = position.index.to_be_bytes().to_vec();
            for applied in &outcome.applied {
                if let Applied::Record(record) = applied {
                    places.extend_from_slice(&record.command.to_be_bytes());
                }
            }
            turn.put(Derived, rows::own_records(first), Some(places.into()));
        }
        let mut became = Vec::with_capacity(entry.commands.len());
        for (command, applied) in entry.commands.into_iter().zip(outcome.applied) {
            let stamp = command.stamp().unwrap_or_default();
            let append = match command {
                Command::Append(append) => Some(append),
                Command::Restore { header, body, .. } => {
                    self.recovery.restored += u64::from(matches!(applied, Applied::Record(_)));
                    Some(Box::new(AppendCommand { header, body: *body, idempotency: None, condition: None }))
                }
                _ => None,
            };
            if let (Applied::Record(record), Some(append)) = (&applied, append) {
                records.index(turn, &region, record.index, &record.header, &record.key, record.leaf);
                records.keep_recent(record.index, append);
            }
            became.push(Became { stamp, applied });
        }
        Ok(became)
    }

    /// Ends a run of applied entries: the state's row. Whether the registry changed.
    pub(crate) fn applied(&mut self, turn: &mut Turn<'_>) -> bool {
        turn.put(Derived, rows::LEDGER_STATE, Some(self.state.head_to_bytes()));
        let changed = std::mem::take(&mut self.registry_dirty) || self.registry_epoch == 0;
        if changed {
            let bytes = self.state.registry().to_bytes().expect("what was applied is within its bounds");
            let row = [self.registry_epoch.to_be_bytes().as_slice(), &bytes].concat();
            turn.put(Derived, rows::REGISTRY, Some(row.into()));
        }
        changed
    }

    /// Whether the open segment is large enough to be sealed, and the last seal that was asked for is over.
    pub(crate) fn seal_due(&self, cluster: &Cluster, waits: impl Fn(u64) -> bool) -> bool {
        let open = self.state.segment();
        let due = cluster.serving() && open.count > 0 && open.bytes >= cluster.config().segment_bytes;
        // One at a time: what was proposed before is committed, or given up.
        due && self.withheld(cluster).is_none() && !waits(self.sealing)
    }

    /// A seal is asked for, by this number among what waits.
    pub(crate) fn sealing(&mut self, wait: u64) {
        self.sealing = wait;
    }

    /// The region's registry, as it was applied.
    pub(crate) fn registry(&self) -> &Registry {
        self.state.registry()
    }
}

fn from_apply(error: ApplyError<StoreError>) -> StoreError {
    match error {
        ApplyError::Lookup(error) => error,
        error @ ApplyError::OutOfOrder { .. } => StoreError::Damaged(error.to_string()),
    }
}
