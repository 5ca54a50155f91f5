//! What happens to a group: a plan that follows from the seed, the world it happens in, and how it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use openraft::async_runtime::WatchReceiver as _;
use openraft::{AsyncRuntime as _, Config, SnapshotPolicy};
use openraft_rt_sim::{SimInstant, SimRuntime};
use trine_raft::Timing;
use trine_raft::group::raft_config;
use trine_raft::types::Member;

use super::acts::{membership, reads, trouble, write, writes};
use super::judge::Judge;
use super::node::{self, Live, Raft, Rows};
use crate::raft_log_disk::{Dice, Fault, ForgetfulDisk, Kept};

/// How long things go wrong.
const CHAOS: Duration = Duration::from_secs(12);
/// How long all may take to agree once nothing goes wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a seed decides before anything happens.
#[derive(Debug, Clone)]
pub struct Plan {
    seed: u64,
    voters: u64,
    spares: u64,
    /// Whether logs are hidden from Raft behind snapshots, which the daemon does not do by itself.
    purges: bool,
    /// Chances of a hundred that a message is lost, is repeated, is very late.
    lossy: u64,
    repeats: u64,
    late: u64,
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let mut chance = |most: usize| if dice.percent(50) { dice.below(most) as u64 } else { 0 };
        let (lossy, repeats, late) = (chance(20), chance(20), chance(10));
        Self {
            seed,
            voters: if dice.percent(60) { 3 } else { 5 },
            spares: dice.below(3) as u64,
            purges: dice.percent(50),
            lossy,
            repeats,
            late,
        }
    }
}

/// How a seed ended.
#[derive(Debug)]
pub struct Ended {
    pub seed: u64,
    pub trace: String,
    pub wrong: Vec<String>,
    pub virtual_seconds: u64,
    pub messages: u64,
    pub crashes: u64,
    pub acknowledged: u64,
    pub leaders: u64,
    pub changes: u64,
    pub prefixes: u64,
}

/// What is counted.
#[derive(Debug, Default)]
pub struct Count {
    pub crashes: u64,
    pub changes: u64,
    pub prefixes: u64,
    pub texts: u64,
}

enum Slot {
    Up(Arc<Live>),
    Down(Option<(ForgetfulDisk, Rows)>),
}

pub struct State {
    dice: Dice,
    nodes: BTreeMap<u64, Slot>,
    pub cut: BTreeSet<(u64, u64)>,
    chaos: bool,
    count: Count,
}

/// Everything that nodes share without knowing it.
pub struct World {
    plan: Plan,
    config: Arc<Config>,
    state: Mutex<State>,
    judge: Mutex<Judge>,
}

impl World {
    fn new(plan: Plan) -> Self {
        let mut config = raft_config("simulated".to_owned(), Timing::default()).expect("the daemon's own");
        if plan.purges {
            config.snapshot_policy = SnapshotPolicy::LogsSinceLast(25);
            config.max_in_snapshot_log_to_keep = 5;
            config.purge_batch_size = 1;
        }
        let nodes = (1..=plan.voters + plan.spares).map(|node| (node, Slot::Down(Some(Default::default()))));
        let dice = Dice::new(plan.seed ^ 0x5eed);
        let state = State { dice, nodes: nodes.collect(), cut: BTreeSet::new(), chaos: true, count: Count::default() };
        let judge = Judge::new(std::env::var_os("TRINE_RAFT_SEED").is_some());
        Self { plan, config: Arc::new(config), state: Mutex::new(state), judge: Mutex::new(judge) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under the lock")
    }

    pub fn judge(&self) -> MutexGuard<'_, Judge> {
        self.judge.lock().expect("no panic under the lock")
    }

    pub fn config(&self) -> Arc<Config> {
        self.config.clone()
    }

    pub fn dice<T>(&self, roll: impl FnOnce(&mut Dice) -> T) -> T {
        roll(&mut self.state().dice)
    }

    pub fn count(&self, count: impl FnOnce(&mut Count)) {
        count(&mut self.state().count);
    }

    pub fn chaos(&self) -> bool {
        self.state().chaos
    }

    pub fn ms(&self, from: usize, to: usize) -> Duration {
        Duration::from_millis((from + self.dice(|dice| dice.below(to - from))) as u64)
    }

    pub fn disk_latency(&self) -> Duration {
        if self.chaos() && self.dice(|dice| dice.percent(2)) {
            return self.ms(20, 400);
        }
        Duration::from_micros(100 + self.dice(|dice| dice.below(4_000)) as u64)
    }

    /// How many copies of a message go out.
    pub fn copies(&self) -> usize {
        if self.chaos() && self.dice(|dice| dice.percent(self.plan.repeats)) { 2 } else { 1 }
    }

    /// How long a message takes; none when it is lost.
    pub fn route(&self, from: u64, to: u64, name: &str) -> Option<Duration> {
        self.judge().messages += 1;
        let chaos = self.chaos();
        if self.state().cut.contains(&(from, to)) || chaos && self.dice(|dice| dice.percent(self.plan.lossy)) {
            self.judge().event(&format!("lost {name} {from} -> {to}"));
            return None;
        }
        if chaos && self.dice(|dice| dice.percent(self.plan.late)) {
            return Some(self.ms(100, 3_000));
        }
        Some(Duration::from_micros(200 + self.dice(|dice| dice.below(5_000)) as u64))
    }

    /// Who is there now, as far as a message arrives.
    pub fn reach(&self, from: u64, to: u64) -> Option<Arc<Live>> {
        let state = self.state();
        match state.nodes.get(&to) {
            Some(Slot::Up(live)) if live.is_alive() && !state.cut.contains(&(from, to)) => Some(live.clone()),
            _ => None,
        }
    }

    pub fn live(&self, node: u64) -> Option<Arc<Live>> {
        match self.state().nodes.get(&node) {
            Some(Slot::Up(live)) => Some(live.clone()),
            _ => None,
        }
    }

    pub fn ids(&self) -> Vec<u64> {
        self.state().nodes.keys().copied().collect()
    }

    pub fn any(&self) -> u64 {
        let ids = self.ids();
        ids[self.dice(|dice| dice.below(ids.len()))]
    }

    /// A node that believes that it leads.
    pub fn leader(&self) -> Option<(Arc<Live>, Raft)> {
        let ids = self.ids();
        let first = self.dice(|dice| dice.below(ids.len()));
        ids.iter().cycle().skip(first).take(ids.len()).find_map(|node| {
            let live = self.live(*node)?;
            let raft = live.started()?;
            let leads = raft.metrics().borrow_watched().state.is_leader();
            leads.then_some((live, raft))
        })
    }

    /// A node that is down: its disk and rows, to start it with.
    pub fn take(&self, node: u64) -> Option<(ForgetfulDisk, Rows)> {
        match self.state().nodes.get_mut(&node) {
            Some(Slot::Down(kept)) => kept.take(),
            _ => None,
        }
    }

    pub fn up(&self, live: Arc<Live>) {
        self.judge().event(&format!("up {}", live.node));
        self.state().nodes.insert(live.node, Slot::Up(live));
    }

    /// Lets a disk stop the machine in the middle of something.
    pub fn plan_crash(&self, disk: &ForgetfulDisk) {
        if self.chaos() && self.dice(|dice| dice.percent(40)) {
            let at = disk.calls() + 1 + self.dice(|dice| dice.below(250)) as u64;
            disk.fail(move |number, _| (number == at).then_some(Fault::Crash));
        }
    }

    /// A machine stops, and comes back after a while.
    pub fn stop(self: &Arc<Self>, live: &Arc<Live>) {
        let kept = match self.dice(|dice| dice.below(5)) {
            0 => Some(Kept::Nothing),
            1 => Some(Kept::Everything),
            // The process alone.
            2 => None,
            _ => Some(Kept::Some(self.dice(Dice::roll))),
        };
        let Some(left) = live.stop(kept) else { return };
        self.judge().event(&format!("stop {} {kept:?}", live.node));
        self.count(|count| count.crashes += 1);
        let (world, node) = (self.clone(), live.node);
        self.state().nodes.insert(node, Slot::Down(Some(left)));
        let pause = self.ms(20, 3_000);
        drop(SimRuntime::spawn(async move {
            SimRuntime::sleep(pause).await;
            world.start(node).await;
        }));
    }

    async fn start(self: &Arc<Self>, node: u64) {
        if let Err(error) = SimRuntime::spawn(node::start(self.clone(), node)).await {
            self.judge().fail(format!("node {node} does not start: {error}"));
        }
    }
}

/// Runs a plan.
pub fn run(plan: Plan) -> Ended {
    let seed = plan.seed;
    let world = Arc::new(World::new(plan));
    let mut runtime = SimRuntime::with_seed(seed);
    let told = world.clone();
    let seconds = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(story(told))));
    // Tasks own nodes that own tasks' handles: gone with the runtime.
    drop(runtime);
    let count = std::mem::take(&mut world.state().count);
    let mut judge = world.judge();
    if seconds.is_err() {
        judge.fail("the simulation itself panicked".to_owned());
    }
    Ended {
        seed,
        trace: judge.trace(),
        virtual_seconds: seconds.unwrap_or(0),
        messages: judge.messages,
        crashes: count.crashes,
        acknowledged: judge.acknowledged.len() as u64,
        leaders: judge.leaders(),
        changes: count.changes,
        prefixes: count.prefixes,
        wrong: std::mem::take(&mut judge.wrong),
    }
}

async fn story(world: Arc<World>) -> u64 {
    for node in world.ids() {
        world.start(node).await;
    }
    let founders: BTreeMap<u64, Member> = (1..=world.plan.voters).map(|node| (node, member(node))).collect();
    let founding = world.clone();
    drop(SimRuntime::spawn(async move {
        // The lowest founder founds, as long as it is empty.
        loop {
            if let Some(raft) = founding.live(1).and_then(|live| live.started())
                && raft.is_initialized().await.unwrap_or(false) | raft.initialize(founders.clone()).await.is_ok()
            {
                return;
            }
            SimRuntime::sleep(Duration::from_millis(100)).await;
        }
    }));
    for client in 0..3 {
        drop(SimRuntime::spawn(writes(world.clone(), client)));
    }
    drop(SimRuntime::spawn(reads(world.clone())));
    drop(SimRuntime::spawn(membership(world.clone())));
    drop(SimRuntime::spawn(trouble(world.clone())));
    SimRuntime::sleep(CHAOS).await;
    {
        let mut state = world.state();
        state.chaos = false;
        state.cut.clear();
    }
    world.judge().event("heal");
    for live in world.ids().into_iter().filter_map(|node| world.live(node)) {
        live.heal();
    }
    let healed = SimInstant::try_now().expect("inside");
    let settled = SimRuntime::timeout(PATIENCE, settle(&world)).await;
    if settled.is_err() {
        let now: Vec<_> = world.ids().into_iter().map(|node| describe(&world, node)).collect();
        world.judge().fail(format!("no agreement {PATIENCE:?} after the heal:\n      {}", now.join("\n      ")));
    }
    let now = SimInstant::try_now().expect("inside");
    world.judge().event(&format!("settled after {:?}", now - healed));
    last_look(&world);
    for live in world.ids().into_iter().filter_map(|node| world.live(node)) {
        live.stop(None);
    }
    SimRuntime::sleep(Duration::from_secs(1)).await;
    now.elapsed_since_start().as_secs()
}

pub fn member(node: u64) -> Member {
    Member { address: format!("node-{node}:1"), name: format!("node-{node}") }
}

fn describe(world: &World, node: u64) -> String {
    let Some(live) = world.live(node) else { return format!("{node} is down") };
    let Some(raft) = live.started() else { return format!("{node} has not started") };
    let metrics = raft.metrics().borrow_watched().clone();
    format!(
        "{node}: {:?} {:?} vote {} leader {:?} last {:?} committed {:?} applied {:?} rows {} purged {:?} members {}",
        metrics.running_state,
        metrics.state,
        metrics.vote,
        metrics.current_leader,
        live.log.last().map(|id| id.to_string()),
        metrics.local_committed.map(|id| id.to_string()),
        metrics.last_applied.map(|id| id.to_string()),
        live.core.count(),
        metrics.purged.map(|id| id.to_string()),
        metrics.membership_config.membership(),
    )
}

/// Waits until a write succeeds and all members have everything.
async fn settle(world: &Arc<World>) {
    let mut written = false;
    loop {
        SimRuntime::sleep(Duration::from_millis(200)).await;
        let lives: Vec<_> = world.ids().into_iter().filter_map(|node| world.live(node)).collect();
        if lives.len() < world.ids().len() {
            continue;
        }
        let Some((live, raft)) = world.leader() else { continue };
        if !written {
            written = write(world.clone(), live, raft.clone(), 99).await;
            continue;
        }
        let members = raft.metrics().borrow_watched().membership_config.membership().clone();
        let all = world.judge().committed().len();
        let level = |live: &&Arc<Live>| members.get_node(&live.node).is_none() || live.core.count() == all;
        if lives.iter().all(|live| level(&live)) {
            return;
        }
    }
}

/// Everything acknowledged is where it was, in the log of every member.
fn last_look(world: &Arc<World>) {
    let committed = world.judge().committed().to_vec();
    let acknowledged = world.judge().acknowledged.clone();
    for (index, told) in acknowledged {
        if committed.get(usize::try_from(index).expect("small")) != Some(&told) {
            world.judge().fail(format!("{} was acknowledged and is gone", told.0));
        }
    }
    for live in world.ids().into_iter().filter_map(|node| world.live(node)) {
        live.look(world);
        let here = live.log_ids();
        let rows = live.core.count();
        if here.len() < rows || here[..rows].iter().zip(&committed).any(|(here, there)| *here != there.0) {
            let wrong = here.iter().zip(&committed).position(|(here, there)| *here != there.0);
            let what = format!("node {}'s log of {} is not what was committed, from {wrong:?}", live.node, here.len());
            world.judge().fail(what);
        }
    }
}
