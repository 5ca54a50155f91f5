//! Requests that wait for something: a majority, the log, another node, fresher state.
//!
//! The problem. Thousands of requests wait at once, each for one of eight things, and each input of the core brings one of these
//! about. To look at all that waits whenever something happens would cost more than the work itself; to let each thing keep
//! its own waiters would spread deadlines, bounds and the question whether a request may have been done over the whole core.
//!
//! The idea. One room, one index. A wait stands under the [`Key`] that names what would wake it, and `keys` is ordered, so
//! that "all that waits for this region's ledger up to that size" is a range of it:
//!
//! ```text
//!   happened                    range of keys                         what becomes of it
//!   a peer's disk has a write   Majority(partition, 0..=seq)          answered, once a majority has it
//!   an entry was applied        Commit(stamp)                         answered with what it came to
//!   deltas or records came      Position(…), Ledger(region, 0..=n)    served again
//!   a barrier was told          Barrier(ticket) ─▶ Reached(index)     served when that index is applied
//!   a link or leader is gone    Elsewhere(node) ─▶ Route              handed on again, where that is harmless
//!   the deadline passed         `deadlines`                           answered, below
//! ```
//!
//! When its deadline passes, a write is answered `Unknown` (it may have been done or may yet be) and whatever surely was
//! not done `Unavailable`. A request that was tried before, with an outcome that nobody knows, remembers that wherever it
//! waits next. What waits is changed here alone; who is woken is served by the door.

mod forwarded;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use trine_crdt::{NodeId, PartitionId, RegionId, Timestamp, WriterId};
use trine_protocol::reply::Answer;
use trine_protocol::request::{Append, ObjectEdit, Options};
use trine_protocol::{Consistency, Edit, Request, RequestError, Role};

use crate::input::RequestId;
use crate::marks::{self, Mark};
use crate::mutants::{self, Mutant};
use crate::sizes::Sizes;

pub use forwarded::Forwarded;

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A client of this node.
    Client(RequestId),
    /// Another node, which hands a client's request on.
    Peer {
        /// The node.
        node: NodeId,
        /// Its number for the request.
        number: u64,
    },
    /// This node itself; nobody waits for the answer.
    Own,
}

/// A request with all that is needed to serve it later or elsewhere.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Who asked.
    pub origin: Origin,
    /// What the caller may do.
    pub role: Role,
    /// How it wants to be served.
    pub options: Options,
    /// The request.
    pub request: Request,
    /// How many nodes have handed it on already.
    pub hops: u8,
    /// It was tried before, and that try may have been done or may yet be.
    pub tried: bool,
    /// Nodes that it was handed on to and that could not serve it.
    pub passed: BTreeSet<NodeId>,
    /// Why it could not be served where it was handed on to last.
    pub why: Option<String>,
}

/// What a request waits for.
#[derive(Debug)]
pub enum Cause {
    /// A majority of the region's nodes to have an object write.
    Majority {
        /// The partition written.
        partition: PartitionId,
        /// The write's sequence number.
        seq: u64,
        /// The nodes that have it, this one left out.
        have: BTreeSet<NodeId>,
        /// What will be answered.
        answer: Box<Answer>,
    },
    /// The log to commit a command.
    Commit {
        /// The command's stamp.
        stamp: Timestamp,
        /// Whether the answer carries a proof.
        with_proof: bool,
        /// The request, to be handed on when the command never enters the log, and to be compared with a record that
        /// its idempotency key stands for.
        asked: Option<Box<Asked>>,
    },
    /// To be proposed in the next entry.
    Queued {
        /// It was tried before.
        tried: bool,
    },
    /// Another node's answer.
    Elsewhere {
        /// Which node.
        to: NodeId,
        /// The request, to be sent again elsewhere if that is safe.
        asked: Box<Asked>,
    },
    /// A leader, or a node that can serve it, to be known.
    Route(Box<Asked>),
    /// This node's state to be as fresh as the session demands.
    Fresh {
        /// What is missing first.
        until: Until,
        /// The read.
        asked: Box<Asked>,
    },
    /// A read barrier of the log, then the read.
    Barrier {
        /// The core's name for the barrier.
        ticket: u64,
        /// The log index to be applied first, once known.
        index: Option<u64>,
        /// The read.
        asked: Box<Asked>,
    },
}

/// State that a session has seen elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Until {
    /// A writer's deltas in a partition up to a number.
    Position(PartitionId, WriterId, u64),
    /// This many records of a region's ledger.
    Ledger(RegionId, u64),
}

/// One waiting request.
#[derive(Debug)]
pub struct Wait {
    /// Who asked.
    pub origin: Origin,
    /// When it is given up, on the monotonic clock.
    pub deadline_ns: u64,
    /// What it waits for.
    pub cause: Cause,
}

/// What wakes a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Majority(PartitionId, u64),
    Commit(Timestamp),
    Queued,
    Elsewhere(NodeId),
    Route,
    Position(PartitionId, WriterId, u64),
    Ledger(RegionId, u64),
    Barrier(u64),
    Reached(u64),
}

impl Cause {
    fn key(&self) -> Key {
        match self {
            Self::Majority { partition, seq, .. } => Key::Majority(partition.clone(), *seq),
            Self::Commit { stamp, .. } => Key::Commit(*stamp),
            Self::Queued { .. } => Key::Queued,
            Self::Elsewhere { to, .. } => Key::Elsewhere(*to),
            Self::Route(_) => Key::Route,
            Self::Fresh { until: Until::Position(partition, writer, seq), .. } => {
                Key::Position(partition.clone(), *writer, *seq)
            }
            Self::Fresh { until: Until::Ledger(region, size), .. } => Key::Ledger(region.clone(), *size),
            Self::Barrier { ticket, index: None, .. } => Key::Barrier(*ticket),
            Self::Barrier { index: Some(index), .. } => Key::Reached(*index),
        }
    }

    /// About how many bytes are kept for it.
    fn bytes(&self) -> usize {
        match self {
            Self::Commit { asked, .. } => asked.as_ref().map_or(0, |asked| asked.bytes()),
            Self::Elsewhere { asked, .. } | Self::Route(asked) => asked.bytes(),
            Self::Majority { .. } | Self::Queued { .. } | Self::Fresh { .. } | Self::Barrier { .. } => 0,
        }
    }
}

/// All waiting requests, by a number of our own.
#[derive(Debug, Default)]
pub struct Waiting {
    waits: BTreeMap<u64, Wait>,
    deadlines: BTreeSet<(u64, u64)>,
    keys: BTreeSet<(Key, u64)>,
    /// Those handed on but not yet sent.
    unsent: BTreeSet<u64>,
    bytes: usize,
    next: u64,
}

impl Waiting {
    /// None waits. Numbers go to other nodes and come back with their answers, which may arrive after a restart: those of
    /// one incarnation must mean nothing to the next, so they begin where its name, drawn at its start, says.
    #[must_use]
    pub fn new(incarnation: WriterId) -> Self {
        let drawn = incarnation.0.first_chunk().expect("an incarnation has 16 bytes");
        // One half of all numbers is left to count in.
        Self { next: u64::from_be_bytes(*drawn) >> 1, ..Self::default() }
    }

    /// Refuses when too many wait already, or when they and `queued` bytes beside them are too large.
    ///
    /// # Errors
    /// `Overloaded`.
    pub fn room(&self, queued: usize, sizes: &Sizes) -> Result<(), RequestError> {
        let room = self.waits.len() < sizes.requests_waiting && self.bytes + queued < sizes.waiting_bytes;
        if room || mutants::is(Mutant::WaitingWithoutEnd) {
            return Ok(());
        }
        marks::reached(Mark::RequestsFull);
        Err(RequestError::Overloaded { retry_after: std::time::Duration::from_millis(100) })
    }

    /// A number for a request that may have to wait.
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Takes a request in and names it.
    pub fn add(&mut self, origin: Origin, deadline_ns: u64, cause: Cause) -> u64 {
        let number = self.number();
        self.insert(number, Wait { origin, deadline_ns, cause });
        number
    }

    /// Puts a request back under its number, waiting for something else.
    pub fn insert(&mut self, number: u64, wait: Wait) {
        self.deadlines.insert((wait.deadline_ns, number));
        self.keys.insert((wait.cause.key(), number));
        self.bytes += wait.cause.bytes();
        if matches!(wait.cause, Cause::Elsewhere { .. }) {
            self.unsent.insert(number);
        }
        self.waits.insert(number, wait);
    }

    /// Takes a request out.
    pub fn take(&mut self, number: u64) -> Option<Wait> {
        let wait = self.waits.remove(&number)?;
        self.deadlines.remove(&(wait.deadline_ns, number));
        self.keys.remove(&(wait.cause.key(), number));
        self.bytes -= wait.cause.bytes();
        self.unsent.remove(&number);
        Some(wait)
    }

    /// Makes a request wait for something else that no other node answers.
    pub fn change(&mut self, number: u64, cause: Cause) {
        let Some(wait) = self.waits.get_mut(&number) else { return };
        self.bytes = self.bytes - wait.cause.bytes() + cause.bytes();
        self.keys.remove(&(wait.cause.key(), number));
        self.keys.insert((cause.key(), number));
        wait.cause = cause;
    }

    /// A request.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&Wait> {
        self.waits.get(&number)
    }

    /// Those that were handed on since the last call: to whom, under which number, until when, and what.
    pub fn take_unsent(&mut self) -> Vec<(NodeId, u64, u64, &Asked)> {
        let unsent = std::mem::take(&mut self.unsent);
        let sent = |number| {
            let wait = self.waits.get(&number)?;
            match wait.cause {
                Cause::Elsewhere { to, ref asked } => Some((to, number, wait.deadline_ns, &**asked)),
                _ => None,
            }
        };
        unsent.into_iter().filter_map(sent).collect()
    }

    /// The request that was handed on to a node under this number.
    #[must_use]
    pub fn handed_to(&self, number: u64, node: NodeId) -> Option<&Asked> {
        match &self.waits.get(&number)?.cause {
            Cause::Elsewhere { to, asked } if *to == node => Some(asked),
            _ => None,
        }
    }

    /// A node answers nothing any more: what was handed on to it is to be tried again, where that is harmless.
    pub fn send_again(&mut self, node: NodeId) {
        for number in self.range(Key::Elsewhere(node), Key::Elsewhere(node)) {
            let harmless = self.handed_to(number, node).filter(|asked| asked.idempotent());
            if let Some(writes) = harmless.map(|asked| asked.request.writes()) {
                self.route_again(number, writes, None);
            }
        }
    }

    /// A request that was handed on waits for a way to be served again; `tried` when it may have been done.
    pub fn route_again(&mut self, number: u64, tried: bool, why: Option<String>) {
        self.turn(number, |cause| match cause {
            Cause::Elsewhere { mut asked, to } => {
                asked.tried |= tried;
                asked.passed.insert(to);
                asked.why = why;
                Cause::Route(asked)
            }
            cause => cause,
        });
    }

    /// A command did not enter the log, or is not known to have: it is tried again if it `surely` did not, or where a second
    /// try is harmless; otherwise it goes on waiting.
    pub fn not_committed(&mut self, stamp: &Timestamp, surely: bool, tried: bool) {
        let Some(number) = self.by_stamp(stamp) else { return };
        self.turn(number, |cause| {
            let Cause::Commit { stamp, asked, .. } = cause else { return cause };
            match asked.filter(|asked| surely || asked.idempotent()) {
                Some(mut asked) => {
                    asked.tried |= tried;
                    Cause::Route(asked)
                }
                None => Cause::Commit { stamp, with_proof: false, asked: None },
            }
        });
    }

    /// A draft left the queue unproposed: who asked waits for another way. What this node asked for itself it will ask for
    /// again.
    pub fn released(&mut self, number: u64, asked: Option<Box<Asked>>) {
        let Some(wait) = self.take(number) else { return };
        if let Some(asked) = asked {
            self.insert(number, Wait { cause: Cause::Route(asked), ..wait });
        }
    }

    /// A barrier reaches up to a log index; none: it failed, and another one is to be asked for.
    pub fn barrier(&mut self, ticket: u64, reached: Option<u64>) {
        for number in self.range(Key::Barrier(ticket), Key::Barrier(ticket)) {
            self.turn(number, |cause| {
                let Cause::Barrier { ticket, mut asked, .. } = cause else { return cause };
                if reached.is_some() {
                    return Cause::Barrier { ticket, index: reached, asked };
                }
                marks::reached(Mark::BarrierFailed);
                asked.options.consistency = Consistency::Regional;
                Cause::Route(asked)
            });
        }
    }

    /// Puts a request under what follows for it from what it waits for.
    fn turn(&mut self, number: u64, follows: impl FnOnce(Cause) -> Cause) {
        let Some(Wait { origin, deadline_ns, cause }) = self.take(number) else { return };
        self.insert(number, Wait { origin, deadline_ns, cause: follows(cause) });
    }

    /// Changes what a request behind a barrier asks.
    pub fn amend(&mut self, number: u64, change: impl FnOnce(&mut Asked)) {
        if let Some(Wait { cause: Cause::Barrier { asked, .. }, .. }) = self.waits.get_mut(&number) {
            change(asked);
        }
    }

    /// The request whose command bears this stamp.
    fn by_stamp(&self, stamp: &Timestamp) -> Option<u64> {
        self.range(Key::Commit(*stamp), Key::Commit(*stamp)).first().copied()
    }

    /// Takes out the request whose command bears this stamp.
    pub fn take_committed(&mut self, stamp: &Timestamp) -> Option<Wait> {
        let number = self.by_stamp(stamp)?;
        self.take(number)
    }

    /// Whether anybody waits for a majority to have a write in this partition.
    #[must_use]
    pub fn wants(&self, partition: &PartitionId) -> bool {
        let key = |seq| Key::Majority(partition.clone(), seq);
        self.keys.range((key(0), 0)..=(key(u64::MAX), u64::MAX)).next().is_some()
    }

    /// Notes that a node has a partition up to `upto`, and takes out the writes that `needed` others have now.
    pub fn have(&mut self, partition: &PartitionId, upto: u64, node: NodeId, needed: usize) -> Vec<(Origin, Answer)> {
        let key = |seq| Key::Majority(partition.clone(), seq);
        let mut done = Vec::new();
        for number in self.range(key(0), key(upto)) {
            let Some(Wait { cause: Cause::Majority { have, .. }, .. }) = self.waits.get_mut(&number) else { continue };
            if !have.insert(node) && mutants::is(Mutant::HaveTwice) {
                have.insert(NodeId(!node.0));
            }
            if have.len() >= needed {
                let wait = self.take(number);
                let answer = wait.map(|wait| match wait.cause {
                    Cause::Majority { answer, .. } => (wait.origin, *answer),
                    _ => unreachable!("it stands under a majority's key"),
                });
                done.extend(answer);
            }
        }
        done
    }

    /// Takes out the requests whose deadline has passed.
    pub fn expired(&mut self, now_ns: u64) -> Vec<Wait> {
        let late: Vec<u64> =
            self.deadlines.iter().take_while(|(deadline, _)| *deadline <= now_ns).map(|(_, number)| *number).collect();
        late.into_iter().filter_map(|number| self.take(number)).collect()
    }

    /// Those that wait for a way to be served.
    #[must_use]
    pub fn routes(&self) -> Vec<u64> {
        self.range(Key::Route, Key::Route)
    }

    /// Those that wait for a writer's deltas in a partition up to `upto` or less.
    #[must_use]
    pub fn positions(&self, partition: &PartitionId, writer: WriterId, upto: u64) -> Vec<u64> {
        let key = |seq| Key::Position(partition.clone(), writer, seq);
        self.range(key(0), key(upto))
    }

    /// Those that wait for `size` records of a ledger or fewer.
    #[must_use]
    pub fn ledgers(&self, region: &RegionId, size: u64) -> Vec<u64> {
        self.range(Key::Ledger(region.clone(), 0), Key::Ledger(region.clone(), size))
    }

    /// Those whose barrier lies at or below a log index.
    #[must_use]
    pub fn reached(&self, applied: u64) -> Vec<u64> {
        self.range(Key::Reached(0), Key::Reached(applied))
    }

    /// The next deadline on the monotonic clock.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// The requests under the keys from one to another, in the keys' order and then as they came.
    fn range(&self, from: Key, to: Key) -> Vec<u64> {
        if self.keys.is_empty() {
            return Vec::new();
        }
        self.keys.range((from, 0)..=(to, u64::MAX)).map(|(_, number)| *number).collect()
    }
}

impl Asked {
    /// Whether doing it twice does no more than doing it once.
    #[must_use]
    pub fn idempotent(&self) -> bool {
        match &self.request {
            Request::Append(Append { idempotency_key, .. }) => idempotency_key.is_some(),
            request => !request.writes(),
        }
    }

    /// About how many bytes a client made this node keep.
    fn bytes(&self) -> usize {
        match &self.request {
            Request::Append(Append { key, value, metadata, .. }) => {
                let metadata: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
                key.len() + value.len() + metadata
            }
            Request::ObjectEdit(ObjectEdit { key, edit, .. }) => key.len() + edit_bytes(edit),
            _ => 0,
        }
    }
}

fn edit_bytes(edit: &Edit) -> usize {
    match edit {
        Edit::Increment(_) | Edit::Delete => 0,
        Edit::Set(value) | Edit::Put(value) | Edit::Add(value) | Edit::Remove(value) => value.len(),
        Edit::Field { name, edit } => name.len() + edit_bytes(edit),
        Edit::RemoveField(name) => name.len(),
    }
}
