//! One simulated node: its core, its disk, and the driver's duties between them and the world.
//!
//! What the daemon's driver promises the core is kept (batches of a durability in order, effects in order), and what it
//! does not promise is broken.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use trine_crdt::{NodeId, Now, Timestamp, WriterId};
use trine_protocol::RequestError;
use trine_protocol::reply::Answer;
use trine_replica::effect::{Halt, Roster};
use trine_replica::input::{GroupId, Leadership, Voters};
use trine_replica::{Config, Effect, Input, Outbox, Persistence, Replica, rows};

use crate::chance::Chance;
use crate::check::{ClockMark, Did, Happened};
use crate::sim::clients;
use crate::sim::disk::Disk;
use crate::sim::event::Event;
use crate::sim::sequencer::Sequencer;
use crate::sim::world::{MS, World, log_seed};

/// The wall clocks' start: 2026-01-01.
pub const WALL_START_NS: u64 = 1_767_225_600_000_000_000;
/// How long a node whose disk failed is down, in simulated milliseconds.
const FAILED_MS: u64 = 300;
/// How soon it is looked again whether a node can be replaced, in simulated milliseconds.
const REPLACE_AGAIN_MS: u64 = 500;

/// One simulated node.
pub struct Node {
    /// Its name.
    pub name: Arc<str>,
    /// Its region's number.
    pub region: usize,
    /// Its identity: that of its disk.
    pub id: NodeId,
    /// Its core, while it runs.
    pub replica: Option<Replica>,
    /// Its disk, which outlives it.
    pub disk: Disk,
    /// Its disk as it was once, to come back to.
    pub image: Option<Disk>,
    /// How often it was started.
    pub life: u64,
    /// Why it stopped for good.
    pub halted: Option<String>,
    /// It sleeps: what is due meanwhile waits here.
    pub asleep: Option<Vec<Event>>,
    /// Clients are sent elsewhere: it is about to be taken out.
    pub draining: bool,
    /// It is to leave its region's roster, and halts when it has.
    pub leaving: bool,
    /// It was taken out for good.
    pub gone: bool,
    /// How far ahead of the true time its wall was at most.
    pub ahead_ns: i64,
    /// How far behind it.
    pub behind_ns: i64,
    pub(super) delivered: u64,
    pub(super) synced_at_ns: u64,
    pub(super) told: Leadership,
    pub(super) told_voters: Option<Voters>,
    /// Its region's roster, as its core told it last.
    pub(super) roster: Option<Roster>,
    pub(super) tick_at_ns: u64,
    /// Whether its clock was read since it was started.
    clock_read: bool,
}

impl Node {
    /// A node that has never run.
    #[must_use]
    pub fn new(name: Arc<str>, region: usize, id: NodeId, log: &Rc<RefCell<Sequencer>>) -> Self {
        Self {
            name,
            region,
            id,
            replica: None,
            disk: Disk::new(Rc::clone(log)),
            image: None,
            life: 0,
            halted: None,
            asleep: None,
            draining: false,
            leaving: false,
            gone: false,
            ahead_ns: i64::MIN,
            behind_ns: i64::MIN,
            delivered: 0,
            synced_at_ns: 0,
            told: Leadership::default(),
            told_voters: None,
            roster: None,
            tick_at_ns: 0,
            clock_read: false,
        }
    }

    /// Whether it runs and is awake.
    #[must_use]
    pub fn awake(&self) -> bool {
        self.replica.is_some() && self.asleep.is_none()
    }
}

impl World {
    /// Hands an input to a node's core and carries out what it wants.
    pub fn input(&mut self, node: usize, life: u64, input: Input) {
        let offset_ns = self.faults.clock_offset_ns(node, self.now_ns);
        let state = &mut self.nodes[node];
        if state.life != life {
            return;
        }
        let Some(replica) = &mut state.replica else { return };
        (state.ahead_ns, state.behind_ns) = (state.ahead_ns.max(offset_ns), state.behind_ns.max(-offset_ns));
        let mut out = Outbox::default();
        let wall_ns = (WALL_START_NS + self.now_ns).saturating_add_signed(offset_ns);
        let now = Now { wall_ns, monotonic_ns: self.now_ns };
        self.trace.input(self.now_ns, node, &input);
        replica.handle(now, &state.disk, input, &mut out);
        let deadline = replica.deadline();
        self.carry_out(node, out);
        let state = &mut self.nodes[node];
        if state.tick_at_ns <= self.now_ns || deadline < state.tick_at_ns {
            state.tick_at_ns = deadline.max(self.now_ns + MS);
            let (life, at) = (state.life, state.tick_at_ns);
            self.schedule(at - self.now_ns, Event::Tick { node, life });
        }
    }

    fn carry_out(&mut self, node: usize, out: Outbox) {
        let life = self.nodes[node].life;
        for effect in out.effects {
            self.trace.effect(&effect);
            match effect {
                Effect::Persist(batch) => {
                    let (id, kind) = (batch.id, batch.persistence);
                    self.nodes[node].disk.write(batch);
                    if kind == Persistence::Synced {
                        if self.chance.happens(self.faults.disk_failures(node)) {
                            // What cannot be written ends the process; its supervisor starts it again.
                            self.tell(node, Did::Tell, "its disk failed a write");
                            self.kill(node);
                            self.schedule(FAILED_MS * MS, Event::Start { node });
                            return;
                        }
                        let wait = MS + self.chance.below(4 * MS) + self.faults.disk_delay_ns(node);
                        let at = (self.now_ns + wait).max(self.nodes[node].synced_at_ns);
                        self.nodes[node].synced_at_ns = at;
                        self.schedule(at - self.now_ns, Event::Synced { node, life, batch: id });
                    } else {
                        let wait = self.chance.below(MS);
                        self.schedule(wait, Event::Visible { node, life, batch: id });
                    }
                }
                Effect::Send { to, message } => {
                    if let Some(to) = self.by_id.get(&to).copied() {
                        self.send(node, to, message);
                    }
                }
                Effect::Publish(bytes) => {
                    if self.plan.nodes.gossip {
                        self.publish(node, &bytes);
                    }
                }
                Effect::Propose { group: GroupId::Region, ticket, entry } => {
                    self.schedule(MS, Event::Propose { node, life, ticket, entry });
                }
                Effect::ReadIndex { group: GroupId::Region, ticket } => {
                    let wait = MS + self.chance.below(5 * MS);
                    self.schedule(wait, Event::Barrier { node, life, ticket });
                }
                Effect::Reply { request, answer } => {
                    if self.told(node, request, &answer) {
                        continue;
                    }
                    self.read_clock(node, request, &answer);
                    let cut = self.clients.home(request).is_some_and(|home| self.faults.mute_to_clients(home, node));
                    if !cut {
                        clients::answered(self, request, answer);
                    }
                }
                Effect::Roster { group: GroupId::Region, roster } => self.nodes[node].roster = Some(roster),
                Effect::Peers(_) => {}
                Effect::StepDown => {
                    let region = self.nodes[node].region;
                    let leads = self.logs[region].borrow().leader == Some(node);
                    if leads {
                        self.unseat(region);
                    }
                }
                Effect::Halt(why) => {
                    self.halt(node, why.to_string(), matches!(why, Halt::OldDisk { .. }));
                    return;
                }
                Effect::Leave { reason } => {
                    self.halt(node, reason, false);
                    return;
                }
            }
        }
    }

    /// A core gives up, because its disk is `old` or for another reason. Where that was to be expected, an operator does what
    /// it asks for.
    fn halt(&mut self, node: usize, reason: String, old: bool) {
        if self.nodes[node].leaving {
            self.tell(node, Did::Tell, &reason);
            self.crash(node);
            self.nodes[node].gone = true;
            self.members[self.nodes[node].region].retain(|member| *member != node);
            self.forget_id(node);
            return;
        }
        if self.faults.may_be_old(node) && old {
            self.tell(node, Did::Tell, &reason);
            // What it alone took in since it came back goes with its disk.
            let (targets, at_ns) = (vec![self.name(node)], self.now_ns);
            let (kind, detail) = ("disk-lost".to_owned(), "it was older than what it acknowledged".to_owned());
            self.happened.push(Happened { kind, targets, from_ns: at_ns, until_ns: Some(at_ns), detail });
            self.renew(node);
            let region = self.nodes[node].region;
            if self.members[region] == [node] {
                self.found_anew(region, self.nodes[node].id);
            }
            return;
        }
        self.tell(node, Did::Halt, &reason);
        self.nodes[node].halted = Some(reason);
        self.nodes[node].replica = None;
        self.ended(node);
    }

    /// What a node did of itself.
    pub fn tell(&mut self, node: usize, what: Did, words: &str) {
        let (node, words) = (self.name(node), words.to_owned());
        self.events.push(crate::check::NodeEvent { node, at_ns: self.now_ns, what, words });
    }

    /// The first stamp that a node gives an edit after its start must lie above what its clock had kept before.
    fn read_clock(&mut self, node: usize, request: u64, answer: &Result<Box<Answer>, RequestError>) {
        if self.nodes[node].clock_read {
            return;
        }
        let edits = self.clients.call(request).is_some_and(|call| call.edit().is_some());
        if let (Ok(answer), true) = (answer, edits) {
            self.nodes[node].clock_read = true;
            let stamp = answer.timestamp;
            self.clocks.push(ClockMark { node: self.name(node), at_ns: self.now_ns, stamp });
        }
    }

    /// The power of a node goes.
    pub fn crash(&mut self, node: usize) {
        self.stop(node, Disk::crash);
    }

    /// The process of a node is killed.
    pub fn kill(&mut self, node: usize) {
        self.stop(node, Disk::abandon);
    }

    fn stop(&mut self, node: usize, disk: impl FnOnce(&mut Disk, &mut Chance)) {
        if self.nodes[node].replica.take().is_none() {
            return;
        }
        self.ended(node);
        self.trace.mark(self.now_ns, node, 0xdead);
        let state = &mut self.nodes[node];
        state.asleep = None;
        disk(&mut state.disk, &mut self.chance);
        state.clock_read = false;
        if let Some(mark) = state.disk.synced.get(rows::CLOCK).and_then(|row| row.as_ref().try_into().ok()) {
            let stamp = Timestamp { time: u64::from_be_bytes(mark), ..Timestamp::ZERO };
            self.clocks.push(ClockMark { node: self.name(node), at_ns: self.now_ns, stamp });
        }
        self.unlink(node);
        let region = self.nodes[node].region;
        if self.logs[region].borrow().leader == Some(node) {
            self.unseat(region);
        }
    }

    /// A node starts, unless it runs or has given up.
    pub fn start(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        if state.replica.is_some() || state.halted.is_some() || state.gone {
            return;
        }
        state.life += 1;
        self.trace.mark(self.now_ns, node, 0xa11e);
        let mut writer = [0; 16];
        writer[..8].copy_from_slice(&self.chance.bits().to_be_bytes());
        writer[8..].copy_from_slice(&self.chance.bits().to_be_bytes());
        let state = &mut self.nodes[node];
        let (region, name) = (state.region, state.name.clone());
        let mut config =
            Config::new(Arc::clone(&self.genesis), state.id, &name, self.regions[region].clone(), WriterId(writer));
        config.peer = format!("peer-{name}");
        config.addresses = vec![format!("/sim/{name}")];
        config.raft = format!("{name}:0");
        config.log_key = Some(log_seed(region));
        config.gossip = self.plan.nodes.gossip;
        config.sizes = self.plan.nodes.sizes;
        config.segment_bytes = self.plan.nodes.segment_bytes.unwrap_or(config.segment_bytes);
        config.delta_rows_max = self.plan.nodes.delta_rows_max.unwrap_or(config.delta_rows_max);
        let mut out = Outbox::default();
        match Replica::open(config, &state.disk, &mut out) {
            Ok(replica) => state.replica = Some(replica),
            Err(error) => {
                self.tell(node, Did::RefuseToStart, &error.to_string());
                self.nodes[node].halted = Some(error.to_string());
                return;
            }
        }
        let applied = state.replica.as_ref().and_then(Replica::last_applied);
        state.delivered = applied.map_or(0, |position| position.index + 1);
        state.told = Leadership::default();
        (state.told_voters, state.roster) = (None, None);
        state.synced_at_ns = self.now_ns;
        state.tick_at_ns = 0;
        let life = state.life;
        self.runs(node, WriterId(writer));
        self.carry_out(node, out);
        if self.faults.disk_is_full(node) {
            self.input(node, life, Input::Disk { writable: false });
        }
        self.input(node, life, Input::Tick);
        self.relink_all(node);
        self.schedule(MS, Event::Deliver { node, life });
        self.schedule(200 * MS, Event::Flush { node, life });
    }

    /// An operator puts a new node with an empty disk in the place of another, under its name.
    pub fn renew(&mut self, node: usize) {
        self.crash(node);
        let id = NodeId(self.chance.bits());
        self.forget_id(node);
        let log = Rc::clone(&self.logs[self.nodes[node].region]);
        let state = &mut self.nodes[node];
        (state.id, state.disk, state.halted, state.draining) = (id, Disk::new(log), None, false);
        self.by_id.insert(id, node);
        self.faults.old.remove(&node);
        self.schedule(FAILED_MS * MS, Event::Start { node });
    }

    /// As [`Self::renew`], when the region can do without the node's disk.
    pub fn replace(&mut self, node: usize) {
        if self.can_spare(node) {
            self.renew(node);
        } else {
            self.schedule(REPLACE_AGAIN_MS * MS, Event::Renew { node });
        }
    }

    /// A node stops in its tracks.
    pub fn sleep(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        if state.awake() {
            state.asleep = Some(Vec::new());
            self.trace.mark(self.now_ns, node, 0x51ee9);
            self.relink_all(node);
            self.watch_leaders();
        }
    }

    /// A node goes on as if nothing had been. What it hears of its region's log may come after everything else.
    pub fn wake(&mut self, node: usize) {
        let Some(due) = self.nodes[node].asleep.take() else { return };
        self.trace.mark(self.now_ns, node, 0x3a4e);
        for event in due {
            let late = matches!(event, Event::Deliver { .. });
            let wait = if late { self.chance.below(50 * MS) } else { 0 };
            self.schedule(wait, event);
        }
        self.relink_all(node);
    }
}
