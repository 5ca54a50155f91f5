//! The door: one input in, effects out.
//!
//! Behind it are the organs, each with what it alone changes, and a turn that all of them are handed: see [`crate::turn`].
//! What follows in one organ from what another did is told here and nowhere else.

mod heads;
mod joining;
mod ledger;
mod membership;
mod messages;
mod metadata;
mod namespaces;
mod problems;
mod readiness;
mod reads;
mod requests;
mod views;

use std::collections::BTreeSet;

use trine_crdt::{Now, RegionId, WriterId};

use self::problems::Holding;
use crate::barriers::Barriers;
use crate::cluster::{Cluster, Metadata};
use crate::config::Config;
use crate::counters::Counters;
use crate::effect::Persistence::{Derived, Synced};
use crate::effect::{Effect, Halt, Outbox, Roster};
use crate::input::{GroupId, Input};
use crate::joining::Joining;
use crate::ledger::{Founds, OwnLedger, Withheld};
use crate::mirrors::{Beside, Mirrors};
use crate::mutants::{self, Mutant};
use crate::news::News;
use crate::not_ready::{NotReady, NotTaken};
use crate::objects::Objects;
use crate::records::Records;
use crate::rows;
use crate::store::{Store, StoreError};
use crate::turn::{Clock, Kept, Turn};
use crate::waiting::{Forwarded, Waiting};

/// How often the core wants to be called when nothing else is due, in nanoseconds.
const TICK_NS: u64 = 100_000_000;
/// How often a node that is not registered asks to be, in nanoseconds.
const REGISTER_INTERVAL_NS: u64 = 300_000_000;

/// One node's whole mind.
#[derive(Debug)]
pub struct Replica {
    kept: Kept,
    organs: Organs,
}

/// All that a turn may change.
#[derive(Debug)]
struct Organs {
    cluster: Cluster,
    objects: Objects,
    waiting: Waiting,
    forwarded: Forwarded,
    ledger: OwnLedger,
    mirrors: Mirrors,
    metadata: Metadata,
    records: Records,
    barriers: Barriers,
    holding: Holding,
    joining: Joining,
    next_tick_ns: u64,
    next_register_ns: u64,
}

impl Replica {
    /// Wakes a core on what its store holds.
    ///
    /// # Errors
    /// What the store says, and rows that cannot be read.
    pub fn open(mut config: Config, store: &dyn Store, out: &mut Outbox) -> Result<Self, StoreError> {
        if mutants::is(Mutant::ReuseWriter) {
            config.writer = WriterId(u128::from(config.node.0).to_be_bytes());
        }
        let mark_row = store.get(Synced, rows::CLOCK)?;
        let mark = match &mark_row {
            Some(_) if mutants::is(Mutant::ForgetClockMark) => 0,
            Some(bytes) => u64::from_be_bytes(
                bytes.as_ref().try_into().map_err(|_| StoreError::Damaged("the clock's mark".to_owned()))?,
            ),
            None => 0,
        };
        let mut own_writers = BTreeSet::from([config.writer]);
        for (key, _) in store.scan(Synced, b"w", &rows::after_prefix(b"w"), usize::MAX, false)? {
            own_writers.insert(WriterId(
                key[1..].try_into().map_err(|_| StoreError::Damaged("an incarnation's row".to_owned()))?,
            ));
        }
        let mut kept = Kept::new(Clock::new(config.writer, mark, config.clock_drift_ms_max));
        let ledger = OwnLedger::open(&config, store)?;
        let (metadata, told) = Metadata::open(&config, store)?;
        let voters = store.get(Derived, rows::VOTERS)?;
        let mut organs = Organs {
            objects: Objects::open(&config, store)?,
            waiting: Waiting::new(config.writer),
            forwarded: Forwarded::default(),
            mirrors: Mirrors::open(&config, store)?,
            metadata,
            records: Records::new(&config),
            barriers: Barriers::default(),
            holding: Holding::default(),
            joining: Joining::default(),
            next_tick_ns: 0,
            next_register_ns: 0,
            cluster: Cluster::new(config, ledger.registry().clone(), told, own_writers, voters.as_ref()),
            ledger,
        };
        let mut turn = Turn::begin(&mut kept, Now::default(), store);
        turn.put(Synced, rows::own_writer(organs.cluster.config().writer), Some(bytes::Bytes::new()));
        // A disk without a mark of the clock, under which nobody ever wrote, is new.
        let fresh = mark_row.is_none() && organs.cluster.own_writers().len() == 1;
        organs.joining = Joining::begin(&mut turn, fresh, store.get(Synced, rows::JOINING)?.as_ref());
        for (region, note) in organs.metadata.heads() {
            organs.cluster.set_head(region, note);
        }
        let own = organs.cluster.config().region.clone();
        organs.ledger.set_signed(organs.cluster.head(&own).map_or(0, |(_, head)| head.size));
        if organs.mirrors.evidence(&own).is_some() {
            organs.ledger.fork_found();
        }
        let regions = organs.cluster.config().genesis.regions.iter().map(|region| region.id.clone()).collect();
        if organs.rosters_changed(&mut turn, &regions) {
            organs.roster_changed(&mut turn);
        }
        turn.end(out);
        Ok(Self { kept, organs })
    }

    /// One thing happened; what is to be done goes to `out`, in order.
    pub fn handle(&mut self, now: Now, store: &dyn Store, input: Input, out: &mut Outbox) {
        let Self { kept, organs } = self;
        let mut turn = Turn::begin(kept, now, store);
        organs.look_at_clock(&mut turn);
        let done = match input {
            Input::Persisted(batch) => {
                if turn.persisted(batch, out) {
                    organs.objects.push_durable(&organs.cluster, batch);
                }
                Ok(())
            }
            input => organs.take(&mut turn, input),
        };
        if let Err(error) = done.and_then(|()| organs.after_each(&mut turn)) {
            turn.effects.push(Effect::Halt(error.into()));
        }
        turn.end(out);
    }

    /// When `handle` wants to be called with `Tick`, in monotonic nanoseconds.
    #[must_use]
    pub fn deadline(&self) -> u64 {
        self.organs.deadline()
    }

    /// The last log entry whose effects are in the store: what the log hands over begins after it.
    #[must_use]
    pub fn last_applied(&self) -> Option<trine_ledger::LogPosition> {
        self.organs.ledger.position()
    }

    /// Size and root of a region's ledger, as it is held here.
    #[must_use]
    pub fn head(&self, region: &RegionId) -> Option<(u64, [u8; 32])> {
        self.organs.head(region)
    }

    /// Whether this node mirrors the other regions' ledgers.
    #[must_use]
    pub fn mirrors(&self) -> bool {
        self.organs.cluster.mirrors_here()
    }

    /// This region's roster, as its ledger has it here.
    #[must_use]
    pub fn roster(&self) -> Roster {
        self.organs.cluster.roster()
    }

    /// The incarnations that this disk has written under, with this one.
    #[must_use]
    pub fn own_writers(&self) -> &BTreeSet<WriterId> {
        self.organs.cluster.own_writers()
    }

    /// Whether this node may found its region's Raft group, should its log be empty.
    #[must_use]
    pub fn founds(&self) -> Founds {
        self.organs.ledger.founds().clone()
    }

    /// Why no record may be proposed here, and nothing be signed, now.
    #[must_use]
    pub fn withheld(&self) -> Option<Withheld> {
        self.organs.ledger.withheld(&self.organs.cluster)
    }

    /// What the core counts.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let withheld = self.withheld();
        let records_missing = match &withheld {
            Some(Withheld::Behind { theirs, here, .. }) => theirs - here,
            _ => 0,
        };
        Counters { appends_withheld: u64::from(withheld.is_some()), records_missing, ..self.kept.counters() }
    }

    /// Whether this node serves reads; the reason when it does not. On a full disk and without its region's majority it goes on
    /// to: see [`Self::writes`].
    ///
    /// # Errors
    /// The reason.
    pub fn ready(&self) -> Result<(), NotReady> {
        self.organs.ready(self.kept.clock())
    }

    /// Whether edits of objects made here can be acknowledged as edits are by default, by a majority of the region.
    ///
    /// # Errors
    /// The reason.
    pub fn edits(&self) -> Result<(), NotReady> {
        self.organs.edits(self.kept.clock())
    }

    /// Whether appends asked for here can be acknowledged.
    ///
    /// # Errors
    /// The reason.
    pub fn appends(&self) -> Result<(), NotReady> {
        self.organs.appends(self.kept.clock())
    }

    /// Whether this node takes writes of both kinds; when not, which it does not take, and why.
    ///
    /// # Errors
    /// The reason.
    pub fn writes(&self) -> Result<(), NotTaken> {
        self.organs.writes(self.kept.clock())
    }

    /// How far this node's wall is ahead of each peer's that is heard, by the peers' names, in seconds.
    #[must_use]
    pub fn clock_offsets(&self) -> Vec<(String, f64)> {
        self.kept.clock().offsets(self.organs.cluster.peers())
    }

    /// Whether this node's clock is believed, and how far its stamps lie ahead of its wall, in seconds.
    #[must_use]
    pub fn clock_figures(&self) -> (bool, f64) {
        self.kept.clock().figures()
    }
}

impl Organs {
    fn take(&mut self, turn: &mut Turn<'_>, input: Input) -> Result<(), StoreError> {
        match input {
            Input::Tick | Input::Persisted(_) => {}
            // What a peer sends cannot stop this node: damaged rows of ours are named when a client asks for
            // them, and repair brings the message's content again.
            Input::Message { from, message } => {
                self.message(turn, from, message).or_else(|error| refuse_message(turn, error))?;
            }
            Input::Rumor { bytes, .. } => {
                self.rumor(turn, &bytes).or_else(|error| refuse_message(turn, error))?;
            }
            Input::PeerUp(peer) => self.peer_up(turn, peer),
            Input::PeerDown(node) => self.peer_down(turn, node),
            Input::Request { id, role, options, request } => self.client_request(turn, id, role, options, request),
            Input::Committed { group: GroupId::Region, entries } => self.committed(turn, entries)?,
            Input::Voters(told) => self.cluster.voters_changed(told),
            Input::Leadership { group: GroupId::Region, leadership } => self.leadership_changed(turn, leadership),
            Input::Proposed { group: GroupId::Region, ticket, outcome } => self.proposed(turn, ticket, outcome),
            Input::ReadIndex { group: GroupId::Region, ticket, index } => self.barrier_reached(turn, ticket, index),
            Input::HeldBack(why) => self.cluster.set_held_back(why),
            Input::OtherGroup(names) => self.cluster.set_other_group(names),
            Input::Damaged(words) => self.cluster.set_damage(words),
            Input::Disk { writable } => self.cluster.set_writable(writable),
        }
        Ok(())
    }

    /// Looks at the wall before anything else is done in a turn.
    fn look_at_clock(&mut self, turn: &mut Turn<'_>) {
        let others = self.cluster.others_known();
        turn.clock.look(turn.now, others);
    }

    fn deadline(&self) -> u64 {
        let request = self.waiting.deadline().unwrap_or(u64::MAX);
        self.next_tick_ns.min(request)
    }

    /// The mirrors, and what stands beside them.
    fn mirrors_and(&mut self) -> (&mut Mirrors, Beside<'_>) {
        let Self { mirrors, cluster, ledger, records, .. } = self;
        (mirrors, Beside { cluster, own: ledger, records })
    }

    /// How many records of a region's ledger are held here.
    fn held_records(&self, region: &RegionId) -> u64 {
        if self.cluster.is_own(region) { self.ledger.size() } else { self.mirrors.size(region) }
    }

    /// Size and root of a region's ledger, as it is held here.
    fn head(&self, region: &RegionId) -> Option<(u64, [u8; 32])> {
        if self.cluster.is_own(region) {
            return Some(self.ledger.head());
        }
        self.mirrors.head(region)
    }

    /// What every turn ends with: timers, proposals, pushes.
    fn after_each(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        if turn.now.monotonic_ns >= self.deadline() {
            self.tick(turn)?;
        }
        self.sign_or_not(turn)?;
        self.propose_queued(turn)?;
        self.flush_forwards(turn);
        self.objects.push(turn, &self.cluster)?;
        let (mirrors, mut beside) = self.mirrors_and();
        mirrors.feed(turn, &mut beside)
    }

    fn tick(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        let now_ns = turn.now.monotonic_ns;
        self.expire(turn);
        if now_ns < self.next_tick_ns {
            return Ok(());
        }
        self.next_tick_ns = now_ns + TICK_NS;
        self.holding.look(now_ns, turn.counters.stamps_held);
        let leads = self.cluster.serving();
        turn.clock_tick(leads, &self.cluster.region_peers());
        self.signing_tick(turn)?;
        self.recovery_tick(turn);
        self.register(turn);
        self.joining_tick(turn);
        self.reroute(turn);
        self.objects.repair_tick(turn, &self.cluster);
        self.metadata_tick(turn);
        let (mirrors, mut beside) = self.mirrors_and();
        mirrors.tick(turn, &mut beside);
        self.seal_tick(turn);
        let others = self.cluster.all_others();
        self.objects.trim_tick(turn, self.cluster.config(), others.as_deref())
    }

    /// Tells whom it concerns what an organ did.
    fn tell(&mut self, turn: &mut Turn<'_>, news: impl IntoIterator<Item = News>) {
        for news in news {
            match news {
                News::Held { partition, writer, upto } => {
                    for number in self.waiting.positions(&partition, writer, upto) {
                        self.serve_waiting(turn, number);
                    }
                }
                // It counts where it stands on the roster: of the region's nodes a majority must have a write.
                News::Copied { node, partition, upto } => {
                    if self.waiting.wants(&partition) && self.cluster.rostered(node).is_some() {
                        let needed = self.cluster.majority_others();
                        for (origin, answer) in self.waiting.have(&partition, upto, node, needed) {
                            self.answer(turn, origin, Ok(answer));
                        }
                    }
                }
                News::Grew { region, size } => {
                    for number in self.waiting.ledgers(&region, size) {
                        self.serve_waiting(turn, number);
                    }
                }
                News::Extended { from, size } => self.ledger.extended(from, size),
                News::Signed { size } => self.ledger.set_signed(size),
                News::RostersChanged { regions } => {
                    self.rosters_changed(turn, &regions);
                }
                News::DiskIsOld { partition, writer, theirs, here } => {
                    turn.effects.push(Effect::Halt(Halt::OldDisk { writer, partition, theirs, here }));
                }
            }
        }
    }

    /// Whether it is time to ask (again) to be registered.
    fn due_to_register(&mut self, turn: &mut Turn<'_>) -> bool {
        let due = turn.now.monotonic_ns >= self.next_register_ns;
        if due {
            self.next_register_ns = turn.now.monotonic_ns + REGISTER_INTERVAL_NS;
        }
        due
    }
}

fn refuse_message(turn: &mut Turn<'_>, error: StoreError) -> Result<(), StoreError> {
    turn.counters.messages_refused += 1;
    if mutants::is(Mutant::MessageHalts) { Err(error) } else { Ok(()) }
}
