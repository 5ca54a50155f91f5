//! What is to enter the log: queued, stamped, judged, and put into entries.
//!
//! A draft waits until an entry is made of it: the first that comes makes one at once, what comes while that is under way
//! gathers for the next. What has to be judged (a removal, a deletion) is judged as it enters.

use bytes::Bytes;
use trine_crdt::clock::ntp_of_ns;
use trine_crdt::{NamespaceId, Timestamp};
use trine_ledger::entry::{AppendCommand, Command, Condition, Entry};
use trine_ledger::record::{Body, RecordHeader};
use trine_ledger::registry::NodeRecord;
use trine_protocol::RequestError;

use super::OwnLedger;
use crate::cluster::Cluster;
use crate::effect::Effect;
use crate::input::{GroupId, ProposeOutcome};
use crate::marks::{self, Mark};
use crate::records::Records;
use crate::sizes::Sizes;
use crate::stop::Stop;
use crate::store::StoreError;
use crate::turn::Turn;
use crate::waiting::Asked;

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
    pub condition: Option<Condition>,
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

impl OwnLedger {
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

    /// Drops the drafts that nobody waits for any more.
    pub(crate) fn drop_abandoned(&mut self, waits: impl Fn(u64) -> bool) {
        self.queue.retain(|draft| waits(draft.wait));
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
        empty: impl Fn(&mut Turn<'_>, &NamespaceId) -> Result<(), Stop>,
    ) -> Result<Option<Drafted>, StoreError> {
        if !self.may_propose() {
            return Ok(None);
        }
        let (mut drafted, mut commands, mut stamps, mut bytes) = (Drafted::default(), Vec::new(), Vec::new(), 0);
        let Sizes { entry_commands, entry_bytes, .. } = self.sizes;
        let settled = self.unsettled <= self.state.stamp();
        while commands.len() < entry_commands && bytes < entry_bytes && self.may_enter(commands.is_empty()) {
            let Some(Draft { wait, command, with_proof, asked }) = self.dequeue() else { break };
            // Given up meanwhile: nothing was done, and nothing will be.
            if !waits(wait) {
                continue;
            }
            let namespace = matches!(&command, DraftCommand::Other(Command::CreateNamespace { .. }));
            let stamp = self.next_stamp(turn)?;
            let command = match command {
                DraftCommand::Deletion { force: false, namespace } if !settled => Err(unsettled(&namespace).into()),
                command => Self::command(turn, cluster, records, stamp, command, &empty),
            };
            match command {
                Ok(command) => {
                    bytes += command.bytes_max();
                    commands.push(command);
                    stamps.push(stamp);
                    drafted.entered.push(Entered { stamp, wait, with_proof, asked });
                }
                // Also what of the indexes cannot be read is for whoever asked; the leader goes on.
                Err(stop) => {
                    let tried = asked.is_some_and(|asked| asked.tried);
                    drafted.refused.push((wait, tried, stop.into()));
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
        turn.effects.push(Effect::Propose { group: GroupId::Region, ticket, entry });
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
        empty: impl Fn(&mut Turn<'_>, &NamespaceId) -> Result<(), Stop>,
    ) -> Result<Command, Stop> {
        let mut append = match draft {
            DraftCommand::Append(append) => append,
            DraftCommand::Other(command) => return Ok(stamped(command, stamp)),
            DraftCommand::Removal { command, force } => {
                cluster.judge_removal(&command, stamp, force)?;
                return Ok(stamped(command, stamp));
            }
            DraftCommand::Deletion { namespace, force } => {
                if !force {
                    empty(turn, &namespace)?;
                }
                return Ok(Command::DeleteNamespace { stamp, namespace });
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
        let header = header.map_err(|error| RequestError::Invalid { what: error.to_string() })?;
        Ok(Command::Append(Box::new(AppendCommand { header, body, idempotency, condition })))
    }

    /// The driver says what became of a proposal: the stamps of the commands that may yet be, or were not, committed.
    pub(crate) fn proposed(&mut self, ticket: u64, outcome: ProposeOutcome) -> Option<Vec<Timestamp>> {
        let stamps = self.proposals.remove(&ticket)?;
        if outcome != ProposeOutcome::Refused {
            self.unsettled = self.unsettled.max(stamps.last().copied().unwrap_or_default());
        }
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

    /// A number for a proposal of commands with these stamps.
    pub(crate) fn ticket(&mut self, stamps: Vec<Timestamp>) -> u64 {
        self.next_ticket += 1;
        self.proposals.insert(self.next_ticket, stamps);
        self.next_ticket
    }
}

/// Whether a namespace holds anything cannot be said while a record may yet come into it.
fn unsettled(namespace: &NamespaceId) -> RequestError {
    let what = format!(
        "namespace {namespace} is not deleted: whether what was proposed before stands in the log is not known yet; ask again \
         after the next append, or with --force"
    );
    RequestError::Unavailable { what }
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
