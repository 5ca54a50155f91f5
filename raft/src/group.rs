//! One region's Raft group, as the driver sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::WatchReceiver as _;
use openraft::{Config, Instant as _, SnapshotPolicy};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use trine_crdt::RegionId;
use trine_identity::tls::{self, Admit, Strangers, TlsError, Trust};
use trine_ledger::certificate::{CertificateRole, Claims};
use trine_replica::effect::Roster;
use trine_replica::input::{Leadership, ProposeOutcome, Voters};

use super::barrier::Barrier;
use super::config::{GroupConfig, Timing};
use super::ending;
use super::follow::Follower;
use super::foreign::Foreign;
use super::found::Founding;
use super::heard::Heard;
use super::hold::{Asking, Held, Hold};
use super::leadership;
use super::limits::{HAND_OVER_PATIENCE, HEIR_SILENCE};
use super::log::{LogError, LogReader, LogStore};
use super::machine::{Applied, Machine};
use super::net::addresses::Addresses;
use super::net::dial::Dialer;
use super::net::peer::Network;
use super::net::reach::Reach;
use super::net::serve::Service;
use super::net::server::Server;
use super::propose::Proposer;
use super::types::{self, Raft};

/// How many times the longest election timeout a leader serves without hearing from a majority, and is followed without
/// being heard.
const SILENCE: u32 = 4;

/// Why a group did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log on disk ends before what this node had promised to hold: it may not vote under this identity.
    #[error("the log in {} ends at {last:?}, before {floor}, which was durable: this node may not vote", directory.display())]
    LogShorterThanFloor {
        /// The log's directory.
        directory: PathBuf,
        /// The last index that is there.
        last: Option<u64>,
        /// The index that was durable, or whose effects were.
        floor: u64,
    },
    /// Damage, named, or a disk that does not answer.
    #[error(transparent)]
    Log(LogError),
    /// What the core kept of Raft's membership does not decode.
    #[error("the kept Raft membership: {0}")]
    Membership(String),
    /// Certificates or key are unusable.
    #[error("the Raft certificates are unusable")]
    Tls(#[from] TlsError),
    /// The address is taken or not ours.
    #[error("cannot listen for Raft connections: {0}")]
    Listen(io::Error),
    /// The file that says that this node's disk went back cannot be read or written.
    #[error("what says that this node's disk went back: {0}")]
    Hold(io::Error),
    /// openraft refused to start.
    #[error("Raft did not start: {0}")]
    Raft(String),
}

impl From<LogError> for StartError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::ShorterThanFloor { directory, last, floor } => {
                Self::LogShorterThanFloor { directory, last, floor }
            }
            error => Self::Log(error),
        }
    }
}

/// Figures of a running group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupMetrics {
    /// The current term.
    pub term: u64,
    /// The last index in the log.
    pub last_index: Option<u64>,
    /// The last index known to be committed.
    pub committed_index: Option<u64>,
    /// The last index handed over.
    pub applied_index: Option<u64>,
    /// The voters' names.
    pub voters: Vec<String>,
    /// The learners' names.
    pub learners: Vec<String>,
    /// Whether the log waits for room on the disk.
    pub disk_full: bool,
}

/// A running group; clones share it. Dropping the last clone does not end it: [`Group::shutdown`] does.
#[derive(Clone)]
pub struct Group {
    node: u64,
    raft: Raft,
    log: LogStore,
    leadership: watch::Receiver<Leadership>,
    voters: watch::Receiver<Voters>,
    hold: Hold,
    foreign: Foreign,
    roster: Arc<watch::Sender<Roster>>,
    addresses: Addresses,
    proposer: Proposer,
    barrier: Barrier,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Group {
    /// Opens the log, listens, and takes part. In the background it founds the group, when the genesis says so.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: GroupConfig, applied: Arc<dyn Applied>) -> Result<Self, StartError> {
        let node = config.node.0;
        let admit = same_region(config.region.clone());
        let server_tls = Arc::new(tls::server_config(&config.identity, Strangers::Refused, admit.clone())?);
        let client_tls = Arc::new(tls::client_config(&config.identity, admit)?);
        let trust = Arc::new(Trust::new(&config.identity.ca)?);
        let listener = trine_seats::listen(config.listen).map_err(StartError::Listen)?;

        let log = open_log(&config).await?;
        check_applied(&config, &log, applied.as_ref())?;
        let (addresses, reach) = (Addresses::default(), Reach::default());
        let tls = TlsConnector::from(client_tls);
        let network = Network::new(Dialer {
            node,
            tls,
            trust: trust.clone(),
            addresses: addresses.clone(),
            reach,
            origin: log.origin(),
            processes: config.processes.clone(),
        });
        let (roster, rosters) = watch::channel(config.roster.clone());
        let machine = Machine::new(applied, log.clone()).map_err(StartError::Membership)?;
        let timing = raft_config(config.region.to_string(), config.timing)?;
        let raft =
            Raft::new(node, Arc::new(Config { enable_elect: false, ..timing }), network.clone(), log.clone(), machine)
                .await
                .map_err(|error| StartError::Raft(error.to_string()))?;
        let asking = asking(&config, log.last().map(|last| last.index), &raft).await?;
        let hold = Hold::recognise(&config.directory, asking, &network).await.map_err(StartError::Hold)?;
        raft.runtime_config().elect(hold.elects());

        let mut tasks = JoinSet::new();
        let directory = config.directory.clone();
        let (heard, foreign) = (Heard::default(), Foreign::default());
        let service = Service {
            node,
            raft: raft.clone(),
            log: log.clone(),
            heard: heard.clone(),
            directory,
            roster: rosters.clone(),
            hold: hold.clone(),
            foreign: foreign.clone(),
            processes: config.processes.clone(),
        };
        let (tls, connections_max) = (TlsAcceptor::from(server_tls), config.connections_max);
        tasks.spawn(Server { node, tls, trust, service, connections_max }.run(listener));
        let (told, leadership) = watch::channel(Leadership::default());
        let (voters_told, voters) = watch::channel(Voters::default());
        let silence = config.timing.election_max * SILENCE;
        tasks.spawn(leadership::follow(raft.clone(), node, (heard, silence), (told, voters_told)));
        tasks.spawn(ending::watch(raft.clone(), config.fatal.clone()));
        let (proposer, proposing) = Proposer::new(raft.clone(), node);
        tasks.spawn(proposing);
        let (barrier, reading) = Barrier::new(raft.clone());
        tasks.spawn(reading);
        tasks.spawn(hold.clone().run(node, raft.clone(), network.clone(), leadership.clone()));
        let (roster_told, parting) = (rosters, BTreeMap::new());
        let follower = Follower { node, raft: raft.clone(), network: network.clone(), roster: roster_told, parting };
        tasks.spawn(follower.run());
        let GroupConfig { name, founders, founds, .. } = config;
        tasks.spawn(Founding { node, name, founders, founds, network, raft: raft.clone(), log: log.clone() }.run());

        let tasks = Arc::new(Mutex::new(tasks));
        let roster = Arc::new(roster);
        Ok(Self { node, raft, log, leadership, voters, hold, foreign, roster, addresses, proposer, barrier, tasks })
    }

    /// Puts an entry into the log. Entries enter in the order in which this function is *called* (not polled).
    ///
    /// `term` is that of the last `serving` [`Leadership`] that the core was told; when this node does not lead that
    /// very term any more, the entry is refused, because others may have committed what the core did not see.
    pub fn propose(&self, term: u64, entry: Bytes) -> impl Future<Output = ProposeOutcome> + Send + use<> {
        self.proposer.propose(term, entry)
    }

    /// A log index at or above everything acknowledged before the call; none when no majority answered in time or
    /// this node does not lead.
    pub async fn read_index(&self) -> Option<u64> {
        self.barrier.index().await
    }

    /// Who leads.
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }

    /// Who votes, and who answers.
    #[must_use]
    pub fn voters(&self) -> watch::Receiver<Voters> {
        self.voters.clone()
    }

    /// Whether this node votes for nobody, because its disk went back.
    #[must_use]
    pub fn held(&self) -> watch::Receiver<Option<Held>> {
        self.hold.watch()
    }

    /// The names of nodes that call and are of another group of this region.
    #[must_use]
    pub fn foreign(&self) -> watch::Receiver<BTreeSet<String>> {
        self.foreign.watch()
    }

    /// Tells who is on the roster and who was retired. While this node leads, membership is made to follow, in the background.
    pub fn reconcile(&self, roster: Roster) {
        self.addresses.registered(&roster.nodes);
        self.roster.send_replace(roster);
    }

    /// A node of the region says of itself, over a connection that proved it, where its Raft connections arrive.
    pub fn told(&self, name: &str, address: &str) {
        self.addresses.told(name, address);
    }

    /// Reads the log.
    #[must_use]
    pub fn log_reader(&self) -> LogReader {
        self.log.reader()
    }

    /// Figures.
    #[must_use]
    pub fn metrics(&self) -> GroupMetrics {
        let metrics = self.raft.metrics().borrow_watched().clone();
        let membership = metrics.membership_config.membership();
        let name =
            |node: u64| membership.get_node(&node).map_or_else(|| node.to_string(), |member| member.name.clone());
        GroupMetrics {
            term: metrics.current_term,
            last_index: metrics.last_log_index,
            committed_index: metrics.local_committed.map(|id| id.index),
            applied_index: metrics.last_applied.map(|id| id.index),
            voters: membership.voter_ids().map(name).collect(),
            learners: membership.learner_ids().map(name).collect(),
            disk_full: *self.log.full().borrow(),
        }
    }

    /// Hands leadership over when it has it, stops, and waits until the log is closed.
    pub async fn shutdown(&self) {
        self.step_down().await;
        self.halt().await;
    }

    /// Stops at once and waits until the log is closed.
    pub async fn halt(&self) {
        // Who still calls would find a Raft that has stopped, and openraft tells that as an error.
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "Raft ended badly");
        }
        let log = self.log.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || log.close()).await {
            tracing::warn!(%error, "the log ended badly");
        }
    }

    /// Hands leadership to the follower that has most of the log, when this node has it, and waits a while until it is
    /// gone.
    pub async fn step_down(&self) {
        let metrics = self.raft.metrics().borrow_watched().clone();
        if !metrics.state.is_leader() {
            return;
        }
        let membership = metrics.membership_config.membership();
        let others = membership.voter_ids().filter(|voter| *voter != self.node);
        let matched =
            |voter: &u64| metrics.replication.as_ref().and_then(|matched| matched.get(voter).copied().flatten());
        let heard = |voter: &u64| metrics.heartbeat.as_ref().and_then(|heard| heard.get(voter)?.as_ref());
        // One that is down may hold as much as the others.
        let there = |voter: &u64| heard(voter).is_some_and(|at| at.elapsed() < HEIR_SILENCE);
        let Some(heir) = others.max_by_key(|voter| (there(voter), matched(voter))) else { return };
        hand_over(&self.raft, self.node, heir).await;
    }
}

/// Hands leadership to a voter, and waits a while until it is gone.
pub(super) async fn hand_over(raft: &Raft, node: u64, heir: u64) {
    if raft.trigger().transfer_leader(heir).await.is_ok() {
        let gone = raft.wait(Some(HAND_OVER_PATIENCE));
        let _ = gone.metrics(|metrics| metrics.current_leader != Some(node), "leadership is handed over").await;
    }
}

async fn open_log(config: &GroupConfig) -> Result<LogStore, StartError> {
    let (directory, sizes, fatal) = (config.directory.clone(), config.log, config.fatal.clone());
    let opened = tokio::task::spawn_blocking(move || LogStore::open(&directory, sizes, fatal)).await;
    Ok(opened.map_err(|error| StartError::Raft(error.to_string()))??)
}

/// What the core derived from the log must still be in it.
fn check_applied(config: &GroupConfig, log: &LogStore, applied: &dyn Applied) -> Result<(), StartError> {
    let Some(floor) = applied.last_applied().0.map(|position| types::log_id(position).index) else { return Ok(()) };
    let last = log.last().map(|last| last.index);
    if last.is_none_or(|last| last < floor) {
        let directory = config.directory.clone();
        return Err(StartError::LogShorterThanFloor { directory, last, floor });
    }
    Ok(())
}

/// Whom to ask about this disk: the other members by the log's last membership; nobody where an operator released the
/// region.
async fn asking(config: &GroupConfig, last: Option<u64>, raft: &Raft) -> Result<Asking, StartError> {
    if config.released {
        return Ok(Asking::default());
    }
    let membership = raft.with_raft_state(|state| state.membership_state.effective().membership().clone()).await;
    let membership = membership.map_err(|error| StartError::Raft(error.to_string()))?;
    let others = membership.nodes().filter(|(node, _)| **node != config.node.0);
    let unanswered = others.map(|(node, member)| (*node, member.clone())).collect();
    let voters = membership.get_joint_config().clone();
    Ok(Asking { last, writers: config.writers.clone(), unanswered, voters })
}

fn same_region(region: RegionId) -> Admit {
    Arc::new(move |claims: &Claims| match (claims.role, &claims.region) {
        (CertificateRole::Node, Some(of)) if *of == region => Ok(()),
        _ => Err(format!("{} is no node of {region}", claims.name)),
    })
}

/// What openraft is told of time and sizes.
///
/// # Errors
/// When the timing makes no sense.
pub fn raft_config(cluster_name: String, timing: Timing) -> Result<Config, StartError> {
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let raft = Config {
        cluster_name,
        heartbeat_interval: ms(timing.heartbeat),
        election_timeout_min: ms(timing.election_min),
        election_timeout_max: ms(timing.election_max),
        enable_pre_vote: Some(true),
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        max_payload_entries: 512,
        install_snapshot_timeout: 3_600_000,
        api_channel_size: Some(4096),
        state_machine_channel_size: Some(64),
        // Entries go to followers before they are on the leader's own disk. A leader that came back without some of them
        // and led its term on would give their ids to other entries, and let reads pass that miss what it once
        // committed. So whoever comes back stands for election anew.
        enable_leader_restore: Some(false),
        // A follower whose disk was put back to an older state is sent what it lacks. Otherwise openraft's leader
        // panics at it, and so does the next.
        allow_log_reversion: Some(true),
        ..Config::default()
    };
    raft.validate().map_err(|error| StartError::Raft(error.to_string()))
}
