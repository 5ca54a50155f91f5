//! Requests that wait for something: a majority, the log, another node, fresher state.
//!
//! Each has a deadline. When it passes, a write is answered `Unknown` (it may have been done or may yet be) and
//! whatever surely was not done `Unavailable`.

use std::collections::{BTreeMap, BTreeSet};

use trine_crdt::{NodeId, PartitionId, Timestamp};
use trine_protocol::reply::Answer;
use trine_protocol::request::Options;
use trine_protocol::{Request, RequestError, Role};

use crate::input::RequestId;
use crate::limits::REQUESTS_WAITING_MAX;

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
        /// The request, to be handed on when the command never enters the log.
        asked: Option<Box<Asked>>,
    },
    /// To be proposed in the next entry; nothing was done yet.
    Queued,
    /// Another node's answer.
    Elsewhere {
        /// Which node.
        to: NodeId,
        /// The request, to be sent again elsewhere if that is safe.
        asked: Box<Asked>,
    },
    /// A leader, or a node that can serve it, to be known; nothing was done yet.
    Route(Box<Asked>),
    /// This node's state to be as fresh as the session demands.
    Fresh(Box<Asked>),
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

/// All waiting requests, by a number of our own.
#[derive(Debug, Default)]
pub struct Waiting {
    waits: BTreeMap<u64, Wait>,
    deadlines: BTreeSet<(u64, u64)>,
    stamps: BTreeMap<Timestamp, u64>,
    majorities: BTreeSet<(PartitionId, u64, u64)>,
    /// Those handed on but not yet sent.
    unsent: BTreeSet<u64>,
    next: u64,
}

impl Waiting {
    /// Refuses when too many wait already.
    ///
    /// # Errors
    /// `Overloaded`.
    pub fn room(&self) -> Result<(), RequestError> {
        if self.waits.len() < REQUESTS_WAITING_MAX {
            return Ok(());
        }
        Err(RequestError::Overloaded { retry_after: std::time::Duration::from_millis(100) })
    }

    /// Takes a request in and names it.
    pub fn add(&mut self, origin: Origin, deadline_ns: u64, cause: Cause) -> u64 {
        self.next += 1;
        let number = self.next;
        self.insert(number, Wait { origin, deadline_ns, cause });
        number
    }

    /// Puts a request back under its number, waiting for something else.
    pub fn insert(&mut self, number: u64, wait: Wait) {
        self.deadlines.insert((wait.deadline_ns, number));
        match &wait.cause {
            Cause::Commit { stamp, .. } => {
                self.stamps.insert(*stamp, number);
            }
            Cause::Majority { partition, seq, .. } => {
                self.majorities.insert((partition.clone(), *seq, number));
            }
            Cause::Elsewhere { .. } => {
                self.unsent.insert(number);
            }
            _ => {}
        }
        self.waits.insert(number, wait);
    }

    /// Takes a request out.
    pub fn take(&mut self, number: u64) -> Option<Wait> {
        let wait = self.waits.remove(&number)?;
        self.deadlines.remove(&(wait.deadline_ns, number));
        self.unsent.remove(&number);
        match &wait.cause {
            Cause::Commit { stamp, .. } => {
                self.stamps.remove(stamp);
            }
            Cause::Majority { partition, seq, .. } => {
                self.majorities.remove(&(partition.clone(), *seq, number));
            }
            _ => {}
        }
        Some(wait)
    }

    /// A request.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&Wait> {
        self.waits.get(&number)
    }

    /// Those that were handed on since the last call.
    pub fn take_unsent(&mut self) -> BTreeSet<u64> {
        std::mem::take(&mut self.unsent)
    }

    /// Changes what a waiting request asks.
    pub fn amend(&mut self, number: u64, change: impl FnOnce(&mut Asked)) {
        if let Some(Wait { cause: Cause::Route(asked) | Cause::Fresh(asked) | Cause::Barrier { asked, .. }, .. }) =
            self.waits.get_mut(&number)
        {
            change(asked);
        }
    }

    /// Takes out the request whose command bears this stamp.
    pub fn take_committed(&mut self, stamp: &Timestamp) -> Option<Wait> {
        let number = *self.stamps.get(stamp)?;
        self.take(number)
    }

    /// The request whose command bears this stamp.
    #[must_use]
    pub fn by_stamp(&self, stamp: &Timestamp) -> Option<u64> {
        self.stamps.get(stamp).copied()
    }

    /// Notes that a node has a partition up to `upto`, and takes out the writes that `needed` others have now.
    pub fn have(&mut self, partition: &PartitionId, upto: u64, node: NodeId, needed: usize) -> Vec<Wait> {
        let range = (partition.clone(), 0, 0)..=(partition.clone(), upto, u64::MAX);
        let numbers: Vec<u64> = self.majorities.range(range).map(|(.., number)| *number).collect();
        let mut done = Vec::new();
        for number in numbers {
            let Some(Wait { cause: Cause::Majority { have, .. }, .. }) = self.waits.get_mut(&number) else { continue };
            have.insert(node);
            if have.len() >= needed {
                done.extend(self.take(number));
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

    /// The requests for which `test` holds, in the order in which they came.
    #[must_use]
    pub fn select(&self, test: impl Fn(&Wait) -> bool) -> Vec<u64> {
        self.waits.iter().filter(|(_, wait)| test(wait)).map(|(number, _)| *number).collect()
    }

    /// The next deadline on the monotonic clock.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}

impl Asked {
    /// Whether doing it twice does no more than doing it once.
    #[must_use]
    pub fn idempotent(&self) -> bool {
        match &self.request {
            Request::Append { idempotency_key, .. } => idempotency_key.is_some(),
            request => !request.writes(),
        }
    }
}
