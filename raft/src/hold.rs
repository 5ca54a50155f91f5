//! A voter whose disk went back does not vote.
//!
//! Raft counts on a voter's word: what it acknowledged it holds, and whom it voted for it remembers. A disk put back to an
//! older copy breaks both, and two such votes elect a leader that lacks what the region acknowledged. The node itself
//! cannot know. So it asks the other members, before it serves Raft at all and then on: it gives no vote to a candidate that has
//! not answered, and stands in no election before those that have would make a majority with it. The members are those of
//! the log's last membership, so that nobody is waited for whom a recovery wrote off.
//!
//! - which incarnation of this node the roster names: one that this disk does not know was registered from a later state of
//!   it (the row of an incarnation is synced before it is registered);
//! - up to where this node's log was acknowledged, which the leader of now remembers.
//!
//! Who was behind then votes for nobody and stands in no election, over restarts too, until it has applied all that a
//! leader had committed who was elected without it. That ends the asking as well: who leads and was heard brings all that
//! this node may have acknowledged, also when the leader's memory of it is gone. Nobody who knows better: nobody is held
//! back, so that a region all of whose nodes restart elects as before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::join_all;
use openraft::async_runtime::WatchReceiver as _;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use trine_crdt::WriterId;
use trine_journal::textfile::{self, Contents};
use trine_replica::input::Leadership;
use trine_replica::not_ready::WentBack;

use super::limits::{HOLD_ASK, HOLD_ROUND};
use super::net::peer::Network;
use super::types::{Member, Raft};
use crate::mutants::{self, Mutant};

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
        WentBack::from(self).to_string()
    }
}

impl From<&Held> for WentBack {
    fn from(held: &Held) -> Self {
        Self { upto: held.target }
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
    /// The voters: of each of these sets a majority elects.
    pub voters: Vec<BTreeSet<u64>>,
}

impl Asking {
    /// Whether those that need not be asked any more, this node among them, could elect it.
    fn suffices(&self) -> bool {
        let answered =
            |voters: &BTreeSet<u64>| voters.iter().filter(|voter| !self.unanswered.contains_key(voter)).count();
        self.voters.iter().all(|voters| answered(voters) > voters.len() / 2)
    }
}

impl Hold {
    /// Asks the members for a moment, and judges this disk by what they know.
    ///
    /// # Errors
    /// When the file that says so cannot be read or written.
    pub async fn recognise(directory: &Path, asking: Asking, network: &Network) -> std::io::Result<Self> {
        let path = directory.join(FILE);
        let nobody = asking.last.is_none() || asking.unanswered.is_empty();
        let held = match textfile::read(&path)? {
            Contents::Absent => None,
            // Nobody is left who would elect a leader without it, or an operator said to go on.
            _ if nobody => {
                std::fs::remove_file(&path)?;
                None
            }
            Contents::Damaged => Some(Held { target: None }),
            Contents::Lines(lines) => Some(Held { target: lines.first().and_then(|(_, index)| index.parse().ok()) }),
        };
        let asking = if nobody { Asking::default() } else { asking };
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
        self.state.borrow().is_none() && self.asking().suffices()
    }

    /// Why it votes for nobody, to be watched.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Option<Held>> {
        self.state.subscribe()
    }

    /// Asks on, until this node may vote for all; where it is held back, waits until a leader has brought what it lacks.
    pub async fn run(self, node: u64, raft: Raft, network: Network, leadership: watch::Receiver<Leadership>) {
        let mut round = tokio::time::interval(HOLD_ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What a leader had committed when it was first heard: after that this node misses nothing that it acknowledged.
        let mut committed = None;
        while !self.knows() {
            if let Err(error) = self.ask(&network).await {
                tracing::warn!(%error, "what says that this node is held back cannot be written");
            }
            raft.runtime_config().elect(self.elects());
            // Who leads as Raft remembers it need not have spoken since this node started.
            let leader = leadership.borrow().leader.map(|leader| leader.0);
            match leader {
                Some(leader) if leader == node => self.asking().unanswered.clear(),
                Some(leader) => {
                    let metrics = raft.metrics().borrow_watched().clone();
                    let member = metrics.membership_config.get_node(&leader).cloned();
                    if let (None, Some(member)) = (committed, member) {
                        committed =
                            network.ask_known(leader, &member, HOLD_ASK).await.and_then(|known| known.committed);
                    }
                    let acknowledged = self.state.borrow().as_ref().and_then(|held| held.target);
                    let target = committed.map(|committed| acknowledged.unwrap_or(0).max(committed));
                    if target.is_some() && metrics.last_applied.map(|applied| applied.index) >= target {
                        self.release();
                    }
                }
                None => {}
            }
            round.tick().await;
        }
        raft.runtime_config().elect(true);
    }

    /// Whether there is no more to ask, and nothing to wait for.
    fn knows(&self) -> bool {
        self.state.borrow().is_none() && self.asking().unanswered.is_empty()
    }

    fn release(&self) {
        self.asking().unanswered.clear();
        if self.state.borrow().is_none() {
            return;
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot be removed: held back at the next start too");
        }
        self.state.send_replace(None);
        tracing::info!("has all that it acknowledged: votes again");
    }
}
