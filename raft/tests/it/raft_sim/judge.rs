//! What must hold, looked at with every event, and the trace.
//!
//! Log matching is judged by one table for all nodes: a log id has one predecessor and one payload, wherever it is
//! seen. By induction two logs that agree on an id agree on everything before it.

use std::collections::BTreeMap;

use openraft::EntryPayload;
use openraft_rt_sim::SimInstant;
use trine_raft::types::{Entry, LogId, Vote};

/// A payload in short.
type Digest = [u8; 32];

/// All that was seen.
#[derive(Default)]
pub struct Judge {
    /// What went wrong.
    pub wrong: Vec<String>,
    /// Entries that a client was told of.
    pub acknowledged: BTreeMap<u64, (LogId, Digest)>,
    /// Messages sent.
    pub messages: u64,
    tells: bool,
    trace: blake3::Hasher,
    /// Leader by term.
    leaders: BTreeMap<u64, u64>,
    /// Whom a node voted for, by node and term.
    votes: BTreeMap<(u64, u64), u64>,
    /// The highest vote that a node spoke of.
    spoken: BTreeMap<u64, Vote>,
    /// Predecessor and payload of every entry.
    entries: BTreeMap<LogId, (Option<LogId>, Digest)>,
    /// What was handed over, by index.
    committed: Vec<(LogId, Digest)>,
}

pub fn digest(entry: &Entry) -> Digest {
    match &entry.payload {
        EntryPayload::Normal(data) => *blake3::hash(&data.0).as_bytes(),
        other => *blake3::hash(format!("{other:?}").as_bytes()).as_bytes(),
    }
}

/// Whether what is held is this vote or a later one.
fn covers(held: Option<Vote>, vote: &Vote) -> bool {
    held.is_some_and(|held| held >= *vote)
}

impl Judge {
    /// Nothing was seen yet; whether it prints what it sees.
    pub fn new(tells: bool) -> Self {
        Self { tells, ..Self::default() }
    }

    /// Something happened: it becomes part of the trace.
    pub fn event(&mut self, text: &str) {
        let now = SimInstant::try_now().map_or(0, |now| now.elapsed_since_start().as_nanos());
        if self.tells {
            println!("{:>12.6} {text}", std::time::Duration::from_nanos(u64::try_from(now).unwrap_or(0)).as_secs_f64());
        }
        self.trace.update(&now.to_be_bytes());
        self.trace.update(text.as_bytes());
    }

    /// The hash of everything so far.
    pub fn trace(&self) -> String {
        self.trace.finalize().to_hex().to_string()
    }

    pub fn fail(&mut self, what: String) {
        self.event(&what);
        self.wrong.push(what);
    }

    /// How many leaders there were.
    pub fn leaders(&self) -> u64 {
        self.leaders.len() as u64
    }

    /// Entries that are committed.
    pub fn committed(&self) -> &[(LogId, Digest)] {
        &self.committed
    }

    /// A node acts as a term's leader.
    pub fn leads(&mut self, node: u64, vote: &Vote) {
        let leader = *vote.leader_id();
        if leader.node != node {
            self.fail(format!("node {node} speaks as leader {leader}"));
        }
        let before = *self.leaders.entry(leader.term).or_insert(leader.node);
        if before != leader.node {
            self.fail(format!("term {} has two leaders: {before} and {}", leader.term, leader.node));
        }
    }

    /// A node tells others that it voted like this; `durable` is what its disk holds.
    pub fn votes(&mut self, node: u64, vote: &Vote, durable: Option<Vote>) {
        let leader = *vote.leader_id();
        let before = *self.votes.entry((node, leader.term)).or_insert(leader.node);
        if before != leader.node {
            self.fail(format!("node {node} voted twice in term {}: {before} and {}", leader.term, leader.node));
        }
        if !covers(durable, vote) {
            self.fail(format!("node {node} speaks of vote {vote}, its disk holds {durable:?}"));
        }
        self.spoken
            .entry(node)
            .and_modify(|spoken| {
                if *vote > *spoken {
                    *spoken = *vote
                }
            })
            .or_insert(*vote);
    }

    /// A node came back with this vote.
    pub fn came_back(&mut self, node: u64, vote: Option<Vote>) {
        if let Some(spoken) = self.spoken.get(&node).copied()
            && !covers(vote, &spoken)
        {
            self.fail(format!("node {node} had voted {spoken} and came back with {vote:?}"));
        }
    }

    /// A node's log holds `entry` after `before`.
    pub fn holds(&mut self, node: u64, before: Option<LogId>, entry: &Entry) {
        let here = (before, digest(entry));
        let known = *self.entries.entry(entry.log_id).or_insert(here);
        if known != here {
            self.fail(format!(
                "node {node} holds another {}: after {before:?}, elsewhere after {:?}",
                entry.log_id, known.0
            ));
        }
    }

    /// An entry was handed over on a node.
    pub fn applies(&mut self, node: u64, id: LogId, payload: Digest) {
        let place = usize::try_from(id.index).expect("small");
        match self.committed.get(place).copied() {
            Some(known) if known != (id, payload) => {
                self.fail(format!("node {node} was handed {id}, others {} at the same index", known.0));
            }
            Some(_) => {}
            None if place == self.committed.len() => self.committed.push((id, payload)),
            None => self.fail(format!("node {node} was handed {id} with {} entries known", self.committed.len())),
        }
    }

    /// A client was told that its entry stands at `id`.
    pub fn acknowledges(&mut self, id: LogId, bytes: &[u8]) {
        let payload = *blake3::hash(bytes).as_bytes();
        self.event(&format!("acknowledged {id}"));
        if let Some((before, _)) = self.acknowledged.insert(id.index, (id, payload)) {
            self.fail(format!("{before} and {id} were both acknowledged"));
        }
        if self.committed.get(usize::try_from(id.index).expect("small")) != Some(&(id, payload)) {
            self.fail(format!("{id} was acknowledged and is not what was committed there"));
        }
    }

    /// A read was allowed at `index`, asked for when `acknowledged` had been.
    pub fn reads(&mut self, node: u64, index: Option<u64>, acknowledged: Option<u64>) {
        if index < acknowledged {
            self.fail(format!("node {node} may read at {index:?} after {acknowledged:?} was acknowledged"));
        }
    }
}
