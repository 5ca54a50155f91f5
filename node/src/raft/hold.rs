//! A voter whose disk went back does not vote.
//!
//! Raft counts on a voter's word: what it acknowledged it holds, and whom it voted for it remembers. A disk put back to an
//! older copy breaks both, and two such votes elect a leader that lacks what the region acknowledged. The node itself
//! cannot know. So it asks the other members, before it serves Raft at all and then on: it gives no vote to a candidate that has
//! not answered, and stands in no election before as many have as it needs votes of.
//!
//! - which incarnation of this node the roster names: one that this disk does not know was registered from a later state of
//!   it (the row of an incarnation is synced before it is registered);
//! - up to where this node's log was acknowledged, which the leader of now remembers.
//!
//! Who was behind then votes for nobody and stands in no election, over restarts too, until it has applied all that a
//! leader had committed who was elected without it. Nobody who knows better: nobody is held back, so that a region all of
//! whose nodes restart elects as before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::join_all;
use openraft::async_runtime::WatchReceiver as _;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use trine_crdt::WriterId;

use super::limits::{HOLD_ASK, HOLD_ROUND};
use super::net::peer::Network;
use super::types::{Member, Raft};
use crate::mutants::{self, Mutant};
use crate::store::textfile::{self, Contents};

/// The file that says that this node is held back.
const FILE: &str = "held-back";

/// What a member knows of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// The incarnation that the roster names.
    pub writer: Option<WriterId>,
    /// Up to where it acknowledged the log, as its leader remembers.
    pub acknowledged: Option<u64>,
    /// Up to where the log is committed; only its leader says so.
    pub committed: Option<u64>,
}

/// Why a node votes for nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Up to where it has to apply the log; none: as far as a leader has committed it.
    pub target: Option<u64>,
}

impl Held {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        let upto = self.target.map_or_else(|| "all of the log".to_owned(), |index| format!("the log up to {index}"));
        format!(
            "this node's disk is older than what it acknowledged: it votes for nobody until a leader elected without it \
             has brought {upto}"
        )
    }
}

/// Whether this node is held back; clones share it.
#[derive(Debug, Clone)]
pub struct Hold {
    path: PathBuf,
    state: watch::Sender<Option<Held>>,
    asking: Arc<Mutex<Asking>>,
}

/// What this disk says of itself at a start, and whom to ask about it.
#[derive(Debug, Default)]
pub struct Asking {
    /// The last index in the log; none: it is empty, and this node has acknowledged nothing.
    pub last: Option<u64>,
    /// The incarnations that it has written under, with this one.
    pub writers: BTreeSet<WriterId>,
    /// The members that have yet to answer.
    pub unanswered: BTreeMap<u64, Member>,
    /// How many of them are to answer before this node stands for election: it needs the votes of as many.
    pub needed: usize,
}

impl Hold {
    /// Asks the members for a moment, and judges this disk by what they know.
    ///
    /// # Errors
    /// When the file that says so cannot be read or written.
    pub async fn recognise(directory: &Path, asking: Asking, network: &Network) -> std::io::Result<Self> {
        let path = directory.join(FILE);
        let held = match textfile::read(&path)? {
            Contents::Absent => None,
            Contents::Damaged => Some(Held { target: None }),
            Contents::Lines(lines) => Some(Held { target: lines.first().and_then(|(_, index)| index.parse().ok()) }),
        };
        let asking = match asking.last {
            Some(_) => asking,
            None => Asking::default(),
        };
        let hold = Self { path, state: watch::channel(held).0, asking: Arc::new(Mutex::new(asking)) };
        hold.ask(network).await?;
        Ok(hold)
    }

    /// Asks those that have not answered yet.
    async fn ask(&self, network: &Network) -> std::io::Result<()> {
        let members = self.asking().unanswered.clone();
        let asked =
            members.iter().map(async |(node, member)| Some((*node, network.ask_known(*node, member, HOLD_ASK).await?)));
        for (node, known) in join_all(asked).await.into_iter().flatten() {
            self.judge(node, known)?;
        }
        Ok(())
    }

    fn asking(&self) -> MutexGuard<'_, Asking> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Judges this disk by what a member knows.
    fn judge(&self, node: u64, known: Known) -> std::io::Result<()> {
        let (ahead, unknown) = {
            let mut asking = self.asking();
            if asking.unanswered.remove(&node).is_none() || mutants::is(Mutant::RestoredVoterVotes) {
                return Ok(());
            }
            asking.needed = asking.needed.saturating_sub(1);
            let ahead = known.acknowledged.filter(|index| asking.last.is_none_or(|last| *index > last));
            (ahead, known.writer.is_some_and(|writer| !asking.writers.contains(&writer)))
        };
        if ahead.is_none() && !unknown {
            return Ok(());
        }
        let before = self.state.borrow().as_ref().and_then(|held| held.target);
        let held = Held { target: before.max(ahead) };
        let index = held.target.map_or_else(|| "-".to_owned(), |index| index.to_string());
        textfile::replace(&self.path, &[("index", &index)])?;
        tracing::warn!(reason = held.words(), "held back");
        self.state.send_replace(Some(held));
        Ok(())
    }

    /// Why this node votes for nobody now.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        self.state.borrow().as_ref().map(Held::words)
    }

    /// Why a candidate does not get this node's vote: it may know that this disk went back, and has not said so yet.
    #[must_use]
    pub fn refuses(&self, candidate: u64) -> Option<String> {
        let unheard = || "what the candidate knows of this node is asked first".to_owned();
        self.why().or_else(|| self.asking().unanswered.contains_key(&candidate).then(unheard))
    }

    /// Whether this node may stand for election.
    #[must_use]
    pub fn elects(&self) -> bool {
        self.state.borrow().is_none() && self.asking().needed == 0
    }

    /// Why it votes for nobody, to be watched.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Option<Held>> {
        self.state.subscribe()
    }

    /// Asks on, until this node may vote for all; where it is held back, waits until a leader has brought what it lacks.
    pub async fn run(self, node: u64, raft: Raft, network: Network) {
        let mut round = tokio::time::interval(HOLD_ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What the leader had committed when it was first asked: after that this node misses nothing that it acknowledged.
        let mut committed = None;
        loop {
            if let Err(error) = self.ask(&network).await {
                tracing::warn!(%error, "what says that this node is held back cannot be written");
            }
            raft.runtime_config().elect(self.elects());
            let metrics = raft.metrics().borrow_watched().clone();
            let leader = metrics.current_leader.filter(|leader| *leader != node);
            let held = self.state.borrow().clone();
            match (held, leader) {
                // Who leads was elected by who may vote, and brings the log: there is no more to ask.
                (None, _) if metrics.current_leader.is_some() => self.asking().unanswered.clear(),
                (Some(held), Some(leader)) => {
                    if committed.is_none()
                        && let Some(member) = metrics.membership_config.get_node(&leader)
                    {
                        committed = network.ask_known(leader, member, HOLD_ASK).await.and_then(|known| known.committed);
                    }
                    let target = committed.map(|committed| held.target.unwrap_or(0).max(committed));
                    let applied = metrics.last_applied.map(|applied| applied.index);
                    if target.is_some() && applied >= target {
                        self.release();
                    }
                }
                _ => {}
            }
            let done = self.state.borrow().is_none() && self.asking().unanswered.is_empty();
            if done {
                self.asking().needed = 0;
                raft.runtime_config().elect(true);
                return;
            }
            round.tick().await;
        }
    }

    fn release(&self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot be removed: held back at the next start too");
        }
        self.state.send_replace(None);
        tracing::info!("has all that it acknowledged: votes again");
    }
}
