//! One node: a disk that outlives it, a core that may lose rows, and the incarnation that runs.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt as _, TryStreamExt as _};
use openraft::AsyncRuntime as _;
use openraft_rt_sim::SimRuntime;
use trine_ledger::LogPosition;
use trine_raft::config::Fatal;
use trine_raft::log::LogStore;
use trine_raft::log::writer::{Turn, Writer};
use trine_raft::machine::Machine;
use trine_raft::types::{self, Entry, LogId};
use trine_raft::{Applied, LogConfig};
use trine_replica::input::{CommittedEntry, Payload};

use super::Simulated;
use super::net::Network;
use super::story::World;
use crate::raft_log_disk::{ForgetfulDisk, Kept};

pub type Raft = openraft::Raft<Simulated, Machine<ForgetfulDisk, Simulated>>;
pub type Log = LogStore<ForgetfulDisk, Simulated>;

/// What a core kept: everything handed over.
pub type Rows = Vec<CommittedEntry>;

/// The core of an incarnation.
pub struct Core {
    node: u64,
    world: Arc<World>,
    disk: ForgetfulDisk,
    rows: Mutex<Rows>,
}

impl Core {
    pub fn rows(&self) -> Rows {
        self.rows.lock().expect("alive").clone()
    }

    pub fn count(&self) -> usize {
        self.rows.lock().expect("alive").len()
    }
}

impl Applied for Core {
    fn last_applied(&self) -> (Option<LogPosition>, Option<Bytes>) {
        let rows = self.rows.lock().expect("alive");
        let membership = rows.iter().rev().find_map(|entry| match &entry.payload {
            Payload::Membership { bytes, .. } => Some(bytes.clone()),
            Payload::Blank | Payload::Entry(_) => None,
        });
        (rows.last().map(|entry| entry.position), membership)
    }

    fn committed(&self, entries: Vec<CommittedEntry>) -> BoxFuture<'_, ()> {
        if !self.disk.is_dead() {
            let mut rows = self.rows.lock().expect("alive");
            let mut judge = self.world.judge();
            for entry in entries {
                if entry.position.index != rows.len() as u64 {
                    judge.fail(format!("node {} was handed {:?} after {}", self.node, entry.position, rows.len()));
                }
                let payload = match &entry.payload {
                    Payload::Blank => [0; 32],
                    Payload::Entry(bytes) | Payload::Membership { bytes, .. } => *blake3::hash(bytes).as_bytes(),
                };
                judge.applies(self.node, types::log_id(entry.position), payload);
                rows.push(entry);
            }
        }
        Box::pin(async {})
    }
}

/// A running incarnation.
pub struct Live {
    pub node: u64,
    pub log: Log,
    pub core: Arc<Core>,
    disk: ForgetfulDisk,
    raft: Mutex<Option<Raft>>,
    alive: AtomicBool,
    seen: Mutex<Vec<LogId>>,
}

impl Live {
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }

    /// Raft; only while it is alive and has started.
    pub fn raft(&self) -> Raft {
        self.started().expect("alive and started")
    }

    pub fn started(&self) -> Option<Raft> {
        self.raft.lock().expect("alive").clone().filter(|_| self.is_alive())
    }

    /// No more surprises from its disk.
    pub fn heal(&self) {
        self.disk.heal();
    }

    /// Looks at what is new in the log.
    pub fn look(&self, world: &World) {
        let length = |id: Option<LogId>| usize::try_from(id.map_or(0, |id| id.index + 1)).expect("small");
        let last = length(self.log.last());
        let mut seen = self.seen.lock().expect("alive");
        if last < self.core.count() {
            let rows = self.core.count();
            world.judge().fail(format!("node {} has a log of {last} and was handed {rows}", self.node));
        }
        // Everything up to the last id that is as it was is as it was: that is what `holds` proves.
        let mut same = seen.len().min(last);
        while same > 0 && self.read(same - 1, same).first().is_none_or(|entry| entry.log_id != seen[same - 1]) {
            same -= 1;
        }
        seen.truncate(same);
        let mut judge = world.judge();
        for entry in self.read(same, last) {
            if entry.log_id.index != seen.len() as u64 {
                judge.fail(format!("node {} holds {} at {}", self.node, entry.log_id, seen.len()));
                break;
            }
            judge.holds(self.node, seen.last().copied(), &entry);
            seen.push(entry.log_id);
        }
    }

    fn read(&self, from: usize, to: usize) -> Vec<Entry> {
        let read = self.log.entries(from as u64..to as u64).try_collect::<Vec<_>>().now_or_never();
        // A disk that has stopped does not answer.
        read.expect("nothing waits").unwrap_or_default()
    }

    /// All of its log.
    pub fn log_ids(&self) -> Vec<LogId> {
        self.read(0, usize::MAX).iter().map(|entry| entry.log_id).collect()
    }

    /// The machine stops: what its disk and its core keep.
    pub fn stop(&self, kept: Option<Kept>) -> Option<(ForgetfulDisk, Rows)> {
        if !self.alive.swap(false, Ordering::Relaxed) {
            return None;
        }
        let image = self.disk.crash(kept);
        self.log.close();
        if let Some(raft) = self.raft.lock().expect("alive").take() {
            drop(SimRuntime::spawn(async move {
                let _ = raft.shutdown().await;
            }));
        }
        Some((image, self.core.rows()))
    }
}

/// Starts a node on what its disk holds.
pub async fn start(world: Arc<World>, node: u64) {
    let Some((disk, mut rows)) = world.take(node) else { return };
    // Room ahead of the frames, or none: another time it may be the other.
    let room_bytes = [0, 600, 3_000][world.dice(|dice| dice.below(3))];
    let config = LogConfig { segment_bytes: 4_000, cache_bytes: 3_000, reserve_bytes: 0, room_bytes };
    let fatal: Fatal = Arc::new(|_| {});
    let (log, writer) = match LogStore::stopped(disk.clone(), Path::new("/raft"), config, fatal) {
        Ok(opened) => opened,
        Err(error) => return world.judge().fail(format!("node {node} does not start: {error}")),
    };
    // Rows are derived: a crash may lose any number of the last ones.
    rows.truncate(rows.len() - world.dice(|dice| dice.below(rows.len().min(30) + 1)));
    world.judge().event(&format!("start {node} with {:?}, {} rows", log.last(), rows.len()));
    world.judge().came_back(node, log.vote());
    world.plan_crash(&disk);
    let core = Arc::new(Core { node, world: world.clone(), disk: disk.clone(), rows: Mutex::new(rows) });
    let live = Arc::new(Live {
        node,
        log: log.clone(),
        core: core.clone(),
        disk,
        raft: Mutex::default(),
        alive: AtomicBool::new(true),
        seen: Mutex::default(),
    });
    live.look(&world);
    drop(SimRuntime::spawn(pump(world.clone(), live.clone(), writer)));
    let machine = match Machine::new(core, log.clone()) {
        Ok(machine) => machine,
        Err(error) => return world.judge().fail(format!("node {node} does not start: {error}")),
    };
    let network = Network { world: world.clone(), from: live.clone() };
    match Raft::new(node, world.config(), network, log, machine).await {
        Ok(raft) if live.is_alive() => {
            *live.raft.lock().expect("alive") = Some(raft);
            world.up(live);
        }
        Ok(raft) => drop(raft.shutdown().await),
        Err(error) if live.is_alive() => world.judge().fail(format!("node {node} does not start: {error}")),
        Err(_) => {}
    }
}

/// The log's writer, as a task: a disk takes its time.
async fn pump(world: Arc<World>, live: Arc<Live>, mut writer: Writer<ForgetfulDisk, Simulated>) {
    const FLOOR_IDLE: Duration = Duration::from_millis(100);
    let queue = writer.queue.clone();
    loop {
        let idle = SimRuntime::timeout(FLOOR_IDLE, queue.ready()).await.is_err();
        SimRuntime::sleep(world.disk_latency()).await;
        if !live.is_alive() {
            return;
        }
        let turn = writer.step(idle || world.dice(|dice| dice.percent(2)));
        if turn == Turn::Ended {
            return world.stop(&live);
        }
        live.look(&world);
    }
}
