//! The own region's ledger on this node: what is proposed, what was applied, what is answered.
//!
//! The leader batches: while a few proposals are under way, what comes in meanwhile waits and leaves as one entry.
//! It stamps as it proposes, so that stamps rise along the log. Every node applies what the log commits, with the
//! pure applier of `trine_ledger`, and the leader answers whoever waits for a command, known by its stamp.

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
use trine_crdt::clock::ntp_of_ns;
use trine_crdt::marks::{self, Mark};
use trine_crdt::{NamespaceId, Timestamp};
use trine_ledger::LogPosition;
use trine_ledger::apply::{Applied, ApplyError};
use trine_ledger::checkpoint::{self, Checkpoint};
use trine_ledger::entry::{AppendCommand, Command, Entry};
use trine_ledger::record::{Body, RecordHeader};
use trine_ledger::registry::{NodeRecord, Registry};
use trine_ledger::state::LedgerState;
use trine_ledger::tree::Hash;
use trine_protocol::RequestError;

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
use crate::effect::Effect;
use crate::effect::Persistence::Derived;
use crate::input::{CommittedEntry, Payload, ProposeOutcome};
use crate::records::Records;
use crate::rows;
use crate::sizes::Sizes;
use crate::store::{Store, StoreError};
use crate::turn::Turn;
use crate::waiting::Asked;

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

/// A command to be, and the request that waits for it.
#[derive(Debug)]
pub struct Draft {
    /// The waiting request's number.
    pub wait: u64,
    /// What to propose.
    pub command: DraftCommand,
    /// Whether the answer carries a proof.
    pub with_proof: bool,
    /// The request, to be handed on when it never enters the log.
    pub asked: Option<Box<Asked>>,
}

impl Draft {
    fn bytes(&self) -> usize {
        let body = match &self.command {
            DraftCommand::Append(append) => append.body.value.len() + append.body.key.len(),
            DraftCommand::Other(command) | DraftCommand::Removal { command, .. } => command.bytes_max(),
            DraftCommand::Deletion { namespace, .. } => namespace.region.as_str().len(),
        };
        body + 512
    }

    /// Whether all that was proposed before it must be applied first: it is judged by what the namespace holds then.
    fn comes_first(&self) -> bool {
        matches!(self.command, DraftCommand::Deletion { force: false, .. })
    }
}

/// A command without its stamp.
#[derive(Debug)]
pub enum DraftCommand {
    /// A record.
    Append(Box<AppendDraft>),
    /// A change of the roster, to be judged when it is proposed.
    Removal {
        /// The command, made of its stamp.
        command: Command,
        /// Whether it may leave a region that has to wait for others.
        force: bool,
    },
    /// The deletion of a namespace, to be judged when it is proposed.
    Deletion {
        /// Which.
        namespace: NamespaceId,
        /// Whether it may hold something.
        force: bool,
    },
    /// Anything else: the command, made of its stamp.
    Other(Command),
}

/// A record to be appended, checked but not stamped.
#[derive(Debug)]
pub struct AppendDraft {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The value's media type.
    pub content_type: String,
    /// Key, metadata and value; its salts are drawn when it is stamped.
    pub body: Body,
    /// The name under which it is remembered.
    pub idempotency: Option<[u8; 32]>,
    /// What the key's latest version must be.
    pub condition: Option<trine_ledger::entry::Condition>,
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

    /// Puts a draft behind the others.
    pub fn enqueue(&mut self, draft: Draft) {
        self.queued_bytes += draft.bytes();
        self.queue.push_back(draft);
    }

    /// About how many bytes are queued.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// A number for a proposal of commands with these stamps.
    pub(crate) fn ticket(&mut self, stamps: Vec<Timestamp>) -> u64 {
        self.next_ticket += 1;
        self.proposals.insert(self.next_ticket, stamps);
        self.next_ticket
    }

    /// Drops the drafts that nobody waits for any more.
    pub(crate) fn drop_abandoned(&mut self, waits: impl Fn(u64) -> bool) {
        self.queue.retain(|draft| waits(draft.wait));
        self.queued_bytes = self.queue.iter().map(Draft::bytes).sum();
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

    /// Whether an entry is to be proposed now. The first goes at once, so that one client never waits for others; further
    /// ones while it is under way only when they are worth an entry of their own.
    fn may_propose(&self) -> bool {
        let under_way = self.proposals.len();
        let Sizes { entry_commands_min, entry_bytes, proposals_in_flight, .. } = self.sizes;
        let worth = self.queue.len() >= entry_commands_min || self.queued_bytes >= entry_bytes;
        if worth && under_way > 0 {
            let full = under_way >= proposals_in_flight;
            marks::reached(if full { Mark::ProposalsFull } else { Mark::EntryAhead });
        }
        let alone = self.queue.front().is_none_or(Draft::comes_first);
        !self.queue.is_empty() && (under_way == 0 || worth && !alone && under_way < proposals_in_flight)
    }

    /// Whether the next draft may enter an entry that is empty so far, or is not.
    fn may_enter(&self, empty: bool) -> bool {
        let alone = self.queue.front().is_none_or(Draft::comes_first);
        !alone || empty && self.proposals.is_empty()
    }

    fn dequeue(&mut self) -> Option<Draft> {
        let draft = self.queue.pop_front()?;
        self.queued_bytes -= draft.bytes();
        Some(draft)
    }
}

/// The next entry: what it holds, who waits for it, and what of the queue does not enter it.
#[derive(Debug, Default)]
pub(crate) struct Drafted {
    /// The entry's bytes and the stamps of its commands; none: no draft came to a command.
    pub entry: Option<(Bytes, Vec<Timestamp>)>,
    /// Who waits for what is in it.
    pub entered: Vec<Entered>,
    /// Who waits, whether it was tried before, and why it is refused.
    pub refused: Vec<(u64, bool, RequestError)>,
}

/// A command in an entry, and who waits for it.
#[derive(Debug)]
pub(crate) struct Entered {
    /// The command's stamp.
    pub stamp: Timestamp,
    /// The waiting request's number.
    pub wait: u64,
    /// Whether the answer carries a proof.
    pub with_proof: bool,
    /// The request.
    pub asked: Option<Box<Asked>>,
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
    /// Makes the next entry of what is queued, as far as proposals under way allow. `waits` says whether anybody waits for
    /// a draft by its number, `empty` whether a namespace may be deleted for all that is held here.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn next_entry(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &mut Cluster,
        records: &mut Records,
        waits: impl Fn(u64) -> bool,
        empty: impl Fn(&mut Turn<'_>, &NamespaceId) -> Result<Result<(), RequestError>, StoreError>,
    ) -> Result<Option<Drafted>, StoreError> {
        if !self.may_propose() {
            return Ok(None);
        }
        let (mut drafted, mut commands, mut stamps, mut bytes) = (Drafted::default(), Vec::new(), Vec::new(), 0);
        let Sizes { entry_commands, entry_bytes, .. } = self.sizes;
        while commands.len() < entry_commands && bytes < entry_bytes && self.may_enter(commands.is_empty()) {
            let Some(Draft { wait, command, with_proof, asked }) = self.dequeue() else { break };
            // Given up meanwhile: nothing was done, and nothing will be.
            if !waits(wait) {
                continue;
            }
            let namespace = matches!(&command, DraftCommand::Other(Command::CreateNamespace { .. }));
            let stamp = self.next_stamp(turn)?;
            // What of the indexes cannot be read is for whoever asked; the leader goes on.
            let command = Self::command(turn, cluster, records, stamp, command, &empty);
            match command.unwrap_or_else(|error| Err(crate::answers::storage(&error))) {
                Ok(command) => {
                    bytes += command.bytes_max();
                    commands.push(command);
                    stamps.push(stamp);
                    drafted.entered.push(Entered { stamp, wait, with_proof, asked });
                }
                Err(error) => {
                    let tried = asked.is_some_and(|asked| asked.tried);
                    drafted.refused.push((wait, tried, error));
                }
            }
            // A namespace's id is its entry's index, so an entry creates one at most.
            if namespace {
                break;
            }
        }
        if !commands.is_empty() {
            if commands.len() >= entry_commands || bytes >= entry_bytes {
                marks::reached(Mark::EntryFull);
            }
            let entry = Entry { commands }.to_bytes().expect("each command was checked against its bounds");
            drafted.entry = Some((entry, stamps));
        }
        Ok(Some(drafted))
    }

    /// Proposes an entry of commands with these stamps.
    pub(crate) fn propose(&mut self, turn: &mut Turn<'_>, entry: Bytes, stamps: Vec<Timestamp>) {
        let ticket = self.ticket(stamps);
        turn.effects.push(Effect::Propose { ticket, entry });
    }

    /// A stamp above every stamp in the log. Where the log is far ahead of this node's clock it counts on by itself, and the
    /// clock, whose stamps other regions judge, stays with the wall. It counts at half the wall's pace: so the wall comes up
    /// to it, and what is remembered for a time of the log's own (an idempotency key) is not remembered for ever. A node
    /// whose own mark is ahead of its wall does not lead the log there.
    ///
    /// Nor does a wall that leaps: the log's time goes on at about the pace of monotonic time, or what is remembered for a
    /// while would be forgotten at once. Only a node that has just started does not know how much time went by, and
    /// believes its wall when most of the cluster confirms it.
    fn next_stamp(&mut self, turn: &mut Turn<'_>) -> Result<Timestamp, StoreError> {
        let mut stamp = turn.stamp()?;
        if turn.is_ahead(stamp.time) {
            stamp.time = ntp_of_ns(turn.now.wall_ns);
        }
        let time = &self.time;
        if time.leaps(turn.now, stamp.time) && (time.live || !turn.clock.confirmed()) {
            marks::reached(Mark::LogHeldBack);
            stamp.time = time.stamped.saturating_add(time.elapsed(turn.now));
        }
        if stamp.time <= time.stamped {
            let ended = || StoreError::Failed("the ledger's time is at the end of its range".to_owned());
            let ahead = turn.is_ahead(time.stamped);
            let count = if ahead { (time.elapsed(turn.now) / 2).max(1) } else { 1 };
            stamp.time = time.stamped.checked_add(count).ok_or_else(ended)?;
        }
        self.time.note(turn.now, stamp.time);
        Ok(stamp)
    }

    /// Makes a command of a draft and its stamp.
    fn command(
        turn: &mut Turn<'_>,
        cluster: &mut Cluster,
        records: &mut Records,
        stamp: Timestamp,
        draft: DraftCommand,
        empty: impl Fn(&mut Turn<'_>, &NamespaceId) -> Result<Result<(), RequestError>, StoreError>,
    ) -> Result<Result<Command, RequestError>, StoreError> {
        let mut append = match draft {
            DraftCommand::Append(append) => append,
            DraftCommand::Other(command) => return Ok(Ok(stamped(command, stamp))),
            DraftCommand::Removal { command, force } => {
                return Ok(cluster.judge_removal(&command, stamp, force).map(|()| stamped(command, stamp)));
            }
            DraftCommand::Deletion { namespace, force } => {
                let may = if force { Ok(()) } else { empty(turn, &namespace)? };
                return Ok(may.map(|()| Command::DeleteNamespace { stamp, namespace }));
            }
        };
        for (number, salt) in append.body.salts.iter_mut().enumerate() {
            let mut input = stamp.to_bytes().to_vec();
            input.push(u8::try_from(number).expect("there are three"));
            *salt = *blake3::keyed_hash(&cluster.config().salt_seed, &input).as_bytes();
        }
        let seen = records.latest(turn, &append.namespace, &append.body.key)?;
        let seen = seen.into_iter().map(|version| version.leaf).collect();
        let AppendDraft { namespace, content_type, body, idempotency, condition } = *append;
        let header =
            RecordHeader::of(namespace, stamp, content_type, seen, None, &body).and_then(|header| header.to_bytes());
        Ok(match header {
            Ok(header) => Ok(Command::Append(Box::new(AppendCommand { header, body, idempotency, condition }))),
            Err(error) => Err(RequestError::Invalid { what: error.to_string() }),
        })
    }

    /// The driver says what became of a proposal: the stamps of the commands that may yet be, or were not, committed.
    pub(crate) fn proposed(&mut self, ticket: u64, outcome: ProposeOutcome) -> Option<Vec<Timestamp>> {
        let stamps = self.proposals.remove(&ticket)?;
        match outcome {
            ProposeOutcome::Committed => return None,
            ProposeOutcome::Refused => marks::reached(Mark::ProposalRefused),
            ProposeOutcome::Unknown => marks::reached(Mark::ProposalUnknown),
        }
        Some(stamps)
    }

    /// Takes what is such a command out of the queue, to be handed on.
    pub(crate) fn release(&mut self, such: impl Fn(&DraftCommand) -> bool) -> Vec<Draft> {
        let mut released = Vec::new();
        for _ in 0..self.queue.len() {
            let Some(draft) = self.dequeue() else { break };
            if such(&draft.command) {
                marks::reached(Mark::QueueReleased);
                released.push(draft);
            } else {
                self.enqueue(draft);
            }
        }
        released
    }

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

fn stamped(command: Command, at: Timestamp) -> Command {
    match command {
        Command::Register(record) => Command::Register(NodeRecord { stamp: at, ..record }),
        Command::Retire { node, .. } => Command::Retire { stamp: at, node },
        Command::Replace { node, .. } => Command::Replace { stamp: at, node },
        Command::CreateNamespace { name, kind, slots, .. } => Command::CreateNamespace { stamp: at, name, kind, slots },
        Command::RenameNamespace { namespace, name, .. } => Command::RenameNamespace { stamp: at, namespace, name },
        Command::DeleteNamespace { namespace, .. } => Command::DeleteNamespace { stamp: at, namespace },
        Command::Seal { .. } => Command::Seal { stamp: at },
        Command::Recover { node, survivor, .. } => Command::Recover { stamp: at, node, survivor },
        Command::Resume { version, registry, .. } => Command::Resume { stamp: at, version, registry },
        command @ (Command::Append(_) | Command::Restore { .. }) => command,
    }
}

fn from_apply(error: ApplyError<StoreError>) -> StoreError {
    match error {
        ApplyError::Lookup(error) => error,
        error @ ApplyError::OutOfOrder { .. } => StoreError::Damaged(error.to_string()),
    }
}
