//! The loop around the core.
//!
//! One turn: take what there is (a burst, not more, so that clocks and committers are looked at often), hand it over one
//! by one, carry out the effects of each before the next. When nothing is there, sleep until something comes or the
//! core's deadline passes. Links and the log come before clients: what nodes owe each other may not starve under load.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Instant;

use metrics::{Gauge, Histogram, counter, gauge, histogram};
use tokio::sync::Notify;
use trine_replica::input::{BatchId, GroupId, RequestId};
use trine_replica::store::Store;
use trine_replica::{Counters, Effect, Input, Outbox};

use super::clock::Clock;
use super::handle::{Inbox, Waiter, Waiting};
use super::limits::{BURST_INPUTS_MAX, SWEEP_INTERVAL};
use super::readiness::Readiness;
use super::world::{Core, World};

/// Tells a driver to stop; cheap to clone.
#[derive(Clone, Default)]
pub struct Stop(Arc<Notify>);

impl Stop {
    /// Stops the driver after the turn it is at.
    pub fn stop(&self) {
        self.0.notify_one();
    }
}

/// The owner of a core.
pub struct Driver<C, W> {
    core: C,
    store: Box<dyn Store + Send>,
    world: W,
    inbox: Inbox,
    stop: Stop,
    clock: Clock,
    outbox: Outbox,
    readiness: Readiness,
    waiters: BTreeMap<RequestId, Waiter>,
    reported: [BatchId; 2],
    /// The term of each group in which the core served it last.
    terms: BTreeMap<GroupId, u64>,
    swept: Instant,
    figures: Figures,
    halted: bool,
}

/// Figures of every turn, looked up once.
struct Figures {
    handle_seconds: BTreeMap<&'static str, Histogram>,
    inputs_waiting: Gauge,
}

impl Default for Figures {
    fn default() -> Self {
        Self { handle_seconds: BTreeMap::new(), inputs_waiting: gauge!("trine_driver_inputs_waiting") }
    }
}

impl Figures {
    fn handled(&mut self, input: &'static str, since: Instant) {
        let figure = || histogram!("trine_driver_handle_seconds", "input" => input);
        self.handle_seconds.entry(input).or_insert_with(figure).record(since.elapsed());
    }
}

impl<C: Core + 'static, W: World + 'static> Driver<C, W> {
    /// Starts a driver on a thread of its own; `opening` holds what the core wanted when it was opened. The thread ends when it is told to stop, or when the core halts.
    ///
    /// # Errors
    /// When there is no thread or timer to be had.
    pub fn start(
        core: C,
        opening: Outbox,
        store: Box<dyn Store + Send>,
        world: W,
        inbox: Inbox,
        (stop, clock, readiness): (Stop, Clock, Readiness),
    ) -> std::io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let driver = Self {
            core,
            store,
            world,
            inbox,
            stop,
            clock,
            outbox: opening,
            readiness,
            waiters: BTreeMap::new(),
            reported: [0; 2],
            terms: BTreeMap::new(),
            swept: Instant::now(),
            figures: Figures::default(),
            halted: false,
        };
        std::thread::Builder::new().name("trine-core".to_owned()).spawn(move || runtime.block_on(driver.run()))
    }

    async fn run(mut self) {
        self.carry_out_all();
        self.hand_over(Input::Tick);
        while !self.halted {
            self.burst();
            self.tick_when_due();
            self.tell_readiness();
            self.sweep();
            if self.halted || !self.sleep().await {
                return;
            }
        }
    }

    /// Passes on whether the core serves.
    fn tell_readiness(&self) {
        self.readiness.set(self.core.ready(), self.core.writes());
        self.readiness.set_founds(self.core.founds());
    }

    /// Waits until there is something to do; false: stop.
    async fn sleep(&mut self) -> bool {
        let due = tokio::time::sleep_until(self.clock.instant(self.core.deadline()).into());
        let stop = Arc::clone(&self.stop.0);
        let persisted = Arc::clone(&self.inbox.persisted);
        tokio::select! {
            biased;
            () = stop.notified() => return false,
            () = persisted.bell.notified() => {}
            input = self.inbox.inputs.recv() => match input {
                Some(weighed) => self.hand_over(weighed.input),
                None => return false,
            },
            request = self.inbox.requests.recv() => match request {
                Some(waiting) => self.take_request(waiting),
                None => return false,
            },
            () = due => {}
        }
        true
    }

    /// What is there now, up to a bound.
    fn burst(&mut self) {
        self.report_persisted();
        self.figures.inputs_waiting.set(self.inbox.inputs.len() as f64);
        for _ in 0..BURST_INPUTS_MAX {
            let Ok(weighed) = self.inbox.inputs.try_recv() else { break };
            self.hand_over(weighed.input);
        }
        self.report_persisted();
        for _ in 0..BURST_INPUTS_MAX {
            let Ok(waiting) = self.inbox.requests.try_recv() else { break };
            self.take_request(waiting);
        }
    }

    fn report_persisted(&mut self) {
        let persisted = Arc::clone(&self.inbox.persisted);
        for (reported, number) in [(0, &persisted.synced), (1, &persisted.derived)] {
            let now = number.load(Ordering::Acquire);
            if now > self.reported[reported] {
                self.reported[reported] = now;
                self.hand_over(Input::Persisted(now));
            }
        }
    }

    fn take_request(&mut self, waiting: Waiting) {
        let Waiting { id, role, options, request, waiter } = waiting;
        if waiter.answer.is_closed() {
            return;
        }
        self.waiters.insert(id, waiter);
        self.hand_over(Input::Request { id, role, options, request });
    }

    fn tick_when_due(&mut self) {
        if self.core.deadline() <= self.clock.now().monotonic_ns {
            self.hand_over(Input::Tick);
        }
    }

    fn hand_over(&mut self, input: Input) {
        if self.halted {
            return;
        }
        if let Input::Leadership { group, leadership } = &input
            && leadership.serving
        {
            self.terms.insert(*group, leadership.term);
        }
        let name = name(&input);
        let started = Instant::now();
        self.core.handle(self.clock.now(), self.store.as_ref(), input, &mut self.outbox);
        self.figures.handled(name, started);
        self.carry_out_all();
    }

    fn carry_out_all(&mut self) {
        for effect in std::mem::take(&mut self.outbox.effects) {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Persist(batch) => self.world.persist(batch),
            Effect::Send { to, message } => self.world.send(to, message),
            Effect::Publish(rumor) => self.world.publish(rumor),
            Effect::Propose { group, ticket, entry } => {
                let term = self.terms.get(&group).copied().unwrap_or_default();
                self.world.propose(group, term, ticket, entry);
            }
            Effect::ReadIndex { group, ticket } => self.world.read_index(group, ticket),
            Effect::Reply { request, answer } => {
                if let Some(waiter) = self.waiters.remove(&request) {
                    let _ = waiter.answer.send(answer.map(|answer| *answer));
                }
            }
            Effect::Peers(peers) => self.world.peers(peers),
            Effect::Roster { group, roster } => self.world.roster(group, roster),
            // It goes on until it is stopped: others may need its word until then.
            Effect::Leave { reason } => self.world.leave(reason),
            Effect::StepDown => self.world.step_down(),
            Effect::Halt(why) => {
                self.halted = true;
                self.world.halt(why.to_string());
            }
        }
    }

    /// Forgets clients that went away.
    fn sweep(&mut self) {
        if self.swept.elapsed() >= SWEEP_INTERVAL {
            self.swept = Instant::now();
            self.waiters.retain(|_, waiter| !waiter.answer.is_closed());
            gauge!("trine_driver_clients_waiting").set(self.waiters.len() as f64);
            publish(&self.core.counters());
            self.core.clocks().publish();
        }
    }
}

/// The core's counters as figures.
fn publish(counters: &Counters) {
    let figures = [
        ("trine_delta_sent_total", counters.deltas_sent),
        ("trine_delta_received_total", counters.deltas_received),
        ("trine_delta_duplicate_total", counters.deltas_duplicate),
        ("trine_delta_dropped_total", counters.deltas_dropped),
        ("trine_delta_rows_trimmed_total", counters.delta_rows_trimmed),
        ("trine_stamps_held_total", counters.stamps_held),
        ("trine_antientropy_rounds_total", counters.repair_rounds),
        ("trine_messages_refused_total", counters.messages_refused),
        ("trine_records_mirrored_total", counters.records_mirrored),
        ("trine_fork_evidence_total", counters.fork_evidence),
    ];
    for (name, value) in figures {
        counter!(name).absolute(value);
    }
    gauge!("trine_appends_withheld").set(counters.appends_withheld as f64);
    gauge!("trine_records_missing").set(counters.records_missing as f64);
}

fn name(input: &Input) -> &'static str {
    match input {
        Input::Tick => "tick",
        Input::Message { .. } => "message",
        Input::Rumor { .. } => "rumor",
        Input::PeerUp(_) => "peer_up",
        Input::PeerDown(_) => "peer_down",
        Input::Request { .. } => "request",
        Input::Persisted(_) => "persisted",
        Input::Committed { .. } => "committed",
        Input::Leadership { .. } => "leadership",
        Input::Voters(_) => "voters",
        Input::Proposed { .. } => "proposed",
        Input::ReadIndex { .. } => "read_index",
        Input::Disk { .. } => "disk",
        Input::Damaged(_) => "damaged",
        Input::HeldBack(_) => "held_back",
        Input::OtherGroup(_) => "other_group",
    }
}
