//! The own region's ledger on this node: what is proposed, what was applied, what is answered.
//!
//! The leader batches: while a few proposals are under way, what comes in meanwhile waits and leaves as one entry.
//! It stamps as it proposes, so that stamps rise along the log. Every node applies what the log commits, with the
//! pure applier of `trine_ledger`, and the leader answers whoever waits for a command, known by its stamp.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use trine_crdt::clock::ntp_of_ns;
use trine_crdt::marks::{self, Mark};
use trine_crdt::mutants::{self, Mutant};
use trine_crdt::{NamespaceId, NodeId, Timestamp};
use trine_ledger::apply::{Applied, ApplyError};
use trine_ledger::checkpoint::{self, Checkpoint};
use trine_ledger::entry::{AppendCommand, Command, Entry};
use trine_ledger::record::{Body, RecordHeader};
use trine_ledger::registry::NodeRecord;
use trine_ledger::state::LedgerState;
use trine_ledger::tree::Hash;

use crate::config::Config;
use crate::effect::Effect;
use crate::effect::Persistence::Derived;
use crate::input::{CommittedEntry, Payload, ProposeOutcome};
use crate::log_time::LogTime;
use crate::remembered::{Numbered, Rows};
use crate::replica::Replica;
use crate::requests::settled;
use crate::sizes::Sizes;
use crate::store::{Store, StoreError};
use crate::turn::Turn;
use crate::versions::LatestKept;
use crate::waiting::{Asked, Cause, Wait, Waiting};
use crate::{rows, tree};

/// The own region's ledger.
#[derive(Debug)]
pub struct OwnLedger {
    pub(crate) state: LedgerState,
    /// The log index at which the registry last changed: its version in the metadata.
    pub(crate) registry_epoch: u64,
    pub(crate) origin: String,
    signing: Option<SigningKey>,
    /// Whether this node may sign what the ledger says; see [`crate::signing`].
    pub(crate) signs: bool,
    queue: VecDeque<Draft>,
    queued_bytes: usize,
    proposals: BTreeMap<u64, Vec<Timestamp>>,
    next_ticket: u64,
    recent: VecDeque<(u64, Box<AppendCommand>)>,
    recent_bytes: usize,
    pub(crate) latest: LatestKept,
    numbered: Option<Numbered>,
    note: Option<(u64, Bytes)>,
    registry_dirty: bool,
    /// The latest stamp in the log, as far as it was applied here or proposed from here.
    time: LogTime,
    /// The latest seal of this node's own, by its number among what waits.
    sealing: u64,
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
            recent: VecDeque::new(),
            recent_bytes: 0,
            latest: LatestKept::new(config.sizes.latest_kept),
            numbered: None,
            note: None,
            registry_dirty: false,
            time: LogTime::new(stamped),
            sealing: 0,
            sizes: config.sizes,
        })
    }

    /// The nodes of the region's roster.
    pub fn roster(&self) -> impl Iterator<Item = &NodeRecord> {
        self.state.registry().roster.values()
    }

    /// How many records were applied.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.state.size()
    }

    /// A recently applied record.
    #[must_use]
    pub fn recent(&self, index: u64) -> Option<Bytes> {
        let (first, _) = self.recent.front()?;
        let place = usize::try_from(index.checked_sub(*first)?).ok()?;
        let (_, append) = self.recent.get(place)?;
        append.record().to_bytes().ok()
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
    pub(crate) fn drop_abandoned(&mut self, waiting: &Waiting) {
        self.queue.retain(|draft| waiting.get(draft.wait).is_some());
        self.queued_bytes = self.queue.iter().map(Draft::bytes).sum();
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

    /// Whether the next draft may stand in an entry behind others.
    fn may_follow(&self) -> bool {
        self.queue.front().is_some_and(|draft| !draft.comes_first())
    }

    fn dequeue(&mut self) -> Option<Draft> {
        let draft = self.queue.pop_front()?;
        self.queued_bytes -= draft.bytes();
        Some(draft)
    }

    fn keep_recent(&mut self, index: u64, append: Box<AppendCommand>) {
        let bytes =
            |append: &AppendCommand| append.header.len() + append.body.key.len() + append.body.value.len() + 256;
        self.recent_bytes += bytes(&append);
        self.recent.push_back((index, append));
        while self.recent_bytes > self.sizes.recent_records_bytes
            && let Some((_, oldest)) = self.recent.pop_front()
        {
            self.recent_bytes -= bytes(&oldest);
        }
    }
}

impl Replica {
    /// Proposes what is queued, as far as proposals under way allow.
    pub(crate) fn propose_queued(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        if !self.leadership.serving || self.stamps().is_err() {
            return Ok(());
        }
        if self.withheld().is_some() {
            self.release_records();
        }
        while self.ledger.may_propose() {
            let (mut commands, mut stamps, mut bytes) = (Vec::new(), Vec::new(), 0);
            let Sizes { entry_commands, entry_bytes, .. } = self.config.sizes;
            while commands.len() < entry_commands
                && bytes < entry_bytes
                && (commands.is_empty() || self.ledger.may_follow())
            {
                let Some(draft) = self.ledger.dequeue() else { break };
                // Given up meanwhile: nothing was done, and nothing will be.
                if self.waiting.get(draft.wait).is_none() {
                    continue;
                }
                let namespace = matches!(&draft.command, DraftCommand::Other(Command::CreateNamespace { .. }));
                let stamp = self.ledger_stamp(turn)?;
                // What of the indexes cannot be read is for whoever asked; the leader goes on.
                let command = self.command(turn, stamp, draft.command);
                match command.unwrap_or_else(|error| Err(crate::requests::storage(&error))) {
                    Ok(command) => {
                        bytes += command.bytes_max();
                        commands.push(command);
                        stamps.push(stamp);
                        let cause = Cause::Commit { stamp, with_proof: draft.with_proof, asked: draft.asked };
                        self.waiting.change(draft.wait, cause);
                    }
                    Err(error) => {
                        let tried = draft.asked.is_some_and(|asked| asked.tried);
                        if let Some(wait) = self.waiting.take(draft.wait) {
                            self.answer(turn, wait.origin, settled(tried, Err(error)));
                        }
                    }
                }
                // A namespace's id is its entry's index, so an entry creates one at most.
                if namespace {
                    break;
                }
            }
            if commands.is_empty() {
                continue;
            }
            if commands.len() >= entry_commands || bytes >= entry_bytes {
                marks::reached(Mark::EntryFull);
            }
            let entry = Entry { commands }.to_bytes().expect("each command was checked against its bounds");
            let ticket = self.ledger.ticket(stamps);
            turn.effects.push(Effect::Propose { ticket, entry });
        }
        Ok(())
    }

    /// A stamp above every stamp in the log. Where the log is far ahead of this node's clock it counts on by itself, and the
    /// clock, whose stamps other regions judge, stays with the wall. It counts at half the wall's pace: so the wall comes up
    /// to it, and what is remembered for a time of the log's own (an idempotency key) is not remembered for ever. A node
    /// whose own mark is ahead of its wall does not lead the log there.
    ///
    /// Nor does a wall that leaps: the log's time goes on at about the pace of monotonic time, or what is remembered for a
    /// while would be forgotten at once. Only a node that has just started does not know how much time went by, and
    /// believes its wall when most of the cluster confirms it.
    fn ledger_stamp(&mut self, turn: &Turn<'_>) -> Result<Timestamp, StoreError> {
        let mut stamp = self.stamp(turn)?;
        if self.is_ahead(turn, stamp.time) {
            stamp.time = ntp_of_ns(turn.now.wall_ns);
        }
        let time = &self.ledger.time;
        if time.leaps(turn.now, stamp.time) && (time.live || !self.judge.confirmed()) {
            marks::reached(Mark::LogHeldBack);
            stamp.time = time.stamped.saturating_add(time.elapsed(turn.now));
        }
        if stamp.time <= time.stamped {
            let ended = || StoreError::Failed("the ledger's time is at the end of its range".to_owned());
            let ahead = self.is_ahead(turn, time.stamped);
            let count = if ahead { (time.elapsed(turn.now) / 2).max(1) } else { 1 };
            stamp.time = time.stamped.checked_add(count).ok_or_else(ended)?;
        }
        self.ledger.time.note(turn.now, stamp.time);
        Ok(stamp)
    }

    /// Makes a command of a draft and its stamp.
    fn command(
        &mut self,
        turn: &Turn<'_>,
        stamp: Timestamp,
        draft: DraftCommand,
    ) -> Result<Result<Command, trine_protocol::RequestError>, StoreError> {
        let mut append = match draft {
            DraftCommand::Append(append) => append,
            DraftCommand::Other(command) => return Ok(Ok(stamped(command, stamp))),
            DraftCommand::Removal { command, force } => {
                return Ok(self.judge_removal(&command, stamp, force).map(|()| stamped(command, stamp)));
            }
            DraftCommand::Deletion { namespace, force } => {
                let may = if force { Ok(()) } else { self.empty(turn, &namespace)? };
                return Ok(may.map(|()| Command::DeleteNamespace { stamp, namespace }));
            }
        };
        for (number, salt) in append.body.salts.iter_mut().enumerate() {
            let mut input = stamp.to_bytes().to_vec();
            input.push(u8::try_from(number).expect("there are three"));
            *salt = *blake3::keyed_hash(&self.config.salt_seed, &input).as_bytes();
        }
        let seen = self.latest_version(turn, &append.namespace, &append.body.key)?;
        let seen = seen.into_iter().map(|version| version.leaf).collect();
        let AppendDraft { namespace, content_type, body, idempotency, condition } = *append;
        let header =
            RecordHeader::of(namespace, stamp, content_type, seen, None, &body).and_then(|header| header.to_bytes());
        Ok(match header {
            Ok(header) => Ok(Command::Append(Box::new(AppendCommand { header, body, idempotency, condition }))),
            Err(error) => Err(trine_protocol::RequestError::Invalid { what: error.to_string() }),
        })
    }

    /// The driver says what became of a proposal.
    pub(crate) fn proposed(&mut self, turn: &mut Turn<'_>, ticket: u64, outcome: ProposeOutcome) {
        let Some(stamps) = self.ledger.proposals.remove(&ticket) else { return };
        if outcome == ProposeOutcome::Committed {
            return;
        }
        match outcome {
            ProposeOutcome::Refused => marks::reached(Mark::ProposalRefused),
            _ => marks::reached(Mark::ProposalUnknown),
        }
        for stamp in stamps {
            if outcome == ProposeOutcome::Refused {
                self.standing.removal_refused(&stamp);
            }
            let Some(number) = self.waiting.by_stamp(&stamp) else { continue };
            let Some(Wait { origin, deadline_ns, cause: Cause::Commit { asked, .. } }) = self.waiting.take(number)
            else {
                continue;
            };
            // What may be in the log goes on waiting, unless its idempotency key makes a second try harmless.
            let surely_not = outcome == ProposeOutcome::Refused || mutants::is(Mutant::ProposeAgainAfterUnknown);
            let again = asked.filter(|asked| surely_not || asked.idempotent());
            match again {
                Some(mut asked) => {
                    asked.tried |= outcome == ProposeOutcome::Unknown;
                    self.waiting.insert(number, Wait { origin, deadline_ns, cause: Cause::Route(asked) });
                }
                None => {
                    let cause = Cause::Commit { stamp, with_proof: false, asked: None };
                    self.waiting.insert(number, Wait { origin, deadline_ns, cause });
                }
            }
        }
        self.reroute(turn);
    }

    /// This node does not lead any more: what it has not proposed goes to who does.
    pub(crate) fn release_queue(&mut self) {
        self.release_queue_of(|_| true);
    }

    /// Hands on what of the queue is such a command.
    pub(crate) fn release_queue_of(&mut self, such: impl Fn(&DraftCommand) -> bool) {
        for _ in 0..self.ledger.queue.len() {
            let Some(draft) = self.ledger.dequeue() else { break };
            if !such(&draft.command) {
                self.ledger.enqueue(draft);
                continue;
            }
            marks::reached(Mark::QueueReleased);
            let Some(wait) = self.waiting.take(draft.wait) else { continue };
            // What this node asked for itself it will ask for again.
            if let Some(asked) = draft.asked {
                self.waiting.insert(draft.wait, Wait { cause: Cause::Route(asked), ..wait });
            }
        }
    }

    /// Applies one committed entry.
    pub(crate) fn apply(&mut self, turn: &mut Turn<'_>, committed: CommittedEntry) -> Result<(), StoreError> {
        let CommittedEntry { position, payload } = committed;
        if self.ledger.state.position().is_some_and(|last| position.index <= last.index) {
            return Ok(());
        }
        let entry = match &payload {
            // Bytes that are no entry are the same bytes on every node: all pass over them alike.
            Payload::Entry(bytes) => Entry::from_bytes(bytes).unwrap_or_default(),
            Payload::Blank | Payload::Membership { .. } => Entry::default(),
        };
        if entry.commands.is_empty() {
            return self.ledger.state.pass::<StoreError>(position).map_err(from_apply);
        }
        // What stands in the log is not under way any more: the next entry need not wait for the driver to say so.
        if let Some(stamp) = entry.commands.first().and_then(|command| command.stamp().ok()) {
            self.ledger.proposals.retain(|_, stamps| stamps.first() != Some(&stamp));
        }
        let (region, first) = (self.config.region.clone(), self.ledger.size());
        let OwnLedger { state, latest, numbered, .. } = &mut self.ledger;
        let mut lookup = Rows { buffer: &mut self.buffer, store: turn.store, region: &region, latest, numbered };
        let outcome = state.apply(position, &entry, &mut lookup).map_err(from_apply)?;
        lookup.change(&outcome.changes)?;
        let stamp = self.ledger.state.stamp();
        self.standing.removals_applied(stamp);
        self.ledger.time.note(turn.now, stamp.time);
        // The log stands as it is; the clock does not follow it ahead.
        let _ = self.observe(turn, &stamp);
        tree::store(&mut self.buffer, &region, first, &outcome.nodes, self.config.sizes.tree_levels);
        if outcome.registry_changed {
            self.ledger.registry_epoch = self.ledger.state.lasting(position.index);
            self.ledger.registry_dirty = true;
        }
        if self.ledger.size() > first {
            let mut places = position.index.to_be_bytes().to_vec();
            for applied in &outcome.applied {
                if let Applied::Record(record) = applied {
                    places.extend_from_slice(&record.command.to_be_bytes());
                }
            }
            self.buffer.put(Derived, rows::own_records(first), Some(places.into()));
        }
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
                self.index_version(&region, record.index, &record.header, &record.key, record.leaf);
                self.ledger.keep_recent(record.index, append);
            }
            if let Applied::Sealed(segment) = &applied {
                self.publish_segment(turn, &region, segment);
            }
            if let Some(wait) = self.waiting.take_committed(&stamp) {
                self.answer_applied(turn, wait, applied);
            }
        }
        Ok(())
    }

    /// Ends a run of applied entries: the state's row, and whoever waits for it.
    pub(crate) fn applied(&mut self, turn: &mut Turn<'_>, voters_changed: bool) -> Result<(), StoreError> {
        self.buffer.put(Derived, rows::LEDGER_STATE, Some(self.ledger.state.head_to_bytes()));
        if std::mem::take(&mut self.ledger.registry_dirty) || self.ledger.registry_epoch == 0 {
            let bytes = self.ledger.state.registry().to_bytes().expect("what was applied is within its bounds");
            let row = [self.ledger.registry_epoch.to_be_bytes().as_slice(), &bytes].concat();
            self.buffer.put(Derived, rows::REGISTRY, Some(row.into()));
            self.publish_registry(turn);
            self.roster_changed(turn);
        } else if voters_changed {
            let own = BTreeSet::from([self.config.region.clone()]);
            self.rosters_changed(turn, &own);
        }
        let region = self.config.region.clone();
        self.restored(turn);
        self.wake_ledger(turn, &region);
        self.wake_barriers(turn);
        Ok(())
    }

    /// Proposes a seal when the open segment is large enough.
    pub(crate) fn seal_tick(&mut self, turn: &Turn<'_>) {
        let open = self.ledger.state.segment();
        let due = self.leadership.serving && open.count > 0 && open.bytes >= self.config.segment_bytes;
        let due = due && self.withheld().is_none();
        // One at a time: what was proposed before is committed, or given up.
        if due && self.waiting.get(self.ledger.sealing).is_none() {
            let command = Command::Seal { stamp: Timestamp::ZERO };
            self.ledger.sealing = self.draft_own(turn, command);
        }
    }

    /// Queues a command of this node's own; nobody waits for its answer. Returns its number among what waits.
    pub(crate) fn draft_own(&mut self, turn: &Turn<'_>, command: Command) -> u64 {
        let deadline_ns = turn.now.monotonic_ns + 5_000_000_000;
        let wait = self.waiting.add(crate::waiting::Origin::Own, deadline_ns, Cause::Queued { tried: false });
        let command = DraftCommand::Other(command);
        self.ledger.enqueue(Draft { wait, command, with_proof: false, asked: None });
        wait
    }

    /// A node of the own region, by id.
    #[must_use]
    pub(crate) fn rostered(&self, node: NodeId) -> Option<&NodeRecord> {
        self.ledger.state.registry().roster.get(&node)
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
