//! The door: one input in, effects out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use trine_crdt::clock::Drift;
use trine_crdt::mutants::{self, Mutant};
use trine_crdt::{Clock, NodeId, Now, RegionId, Timestamp, WriterId};

use crate::buffer::Buffer;
use crate::clock_judge::ClockJudge;
use crate::config::Config;
use crate::delivery::Fresh;
use crate::durable_time::DurableTime;
use crate::effect::Persistence::{Derived, Synced};
use crate::effect::{Effect, Outbox};
use crate::forks::Forks;
use crate::held::Held;
use crate::input::{Input, Leadership, Payload, Peer};
use crate::joining::Joining;
use crate::ledger::OwnLedger;
use crate::links::Links;
use crate::metadata::Metadata;
use crate::mirrors::Mirrors;
use crate::objects::Objects;
use crate::opened_notes::OpenedNotes;
use crate::problems::Holding;
use crate::recovery::Recovery;
use crate::repair::Rounds;
use crate::rosters::Rosters;
use crate::rows;
use crate::signing::{Signing, Withheld};
use crate::standing::Standing;
use crate::store::{Store, StoreError};
use crate::turn::Turn;
use crate::waiting::Waiting;

/// How often the core wants to be called when nothing else is due, in nanoseconds.
const TICK_NS: u64 = 100_000_000;
/// How often a node that is not registered asks to be, in nanoseconds.
const REGISTER_INTERVAL_NS: u64 = 300_000_000;

/// One node's whole mind.
#[derive(Debug)]
pub struct Replica {
    pub(crate) config: Config,
    pub(crate) buffer: Buffer,
    pub(crate) held: Held,
    pub(crate) clock: Clock,
    pub(crate) durable_time: DurableTime,
    pub(crate) judge: ClockJudge,
    pub(crate) objects: Objects,
    /// Deltas on their way to the disk; bounded by what may be on its way there.
    pub(crate) fresh: VecDeque<Fresh>,
    pub(crate) links: Links,
    pub(crate) peers: BTreeMap<NodeId, Peer>,
    pub(crate) waiting: Waiting,
    pub(crate) ledger: OwnLedger,
    pub(crate) mirrors: Mirrors,
    pub(crate) metadata: Metadata,
    pub(crate) forks: Forks,
    pub(crate) notes: OpenedNotes,
    pub(crate) rounds: Rounds,
    pub(crate) rosters: Rosters,
    pub(crate) signing: Signing,
    pub(crate) recovery: Recovery,
    pub(crate) leadership: Leadership,
    pub(crate) standing: Standing,
    /// Incarnations that this disk has written under, this one included.
    pub(crate) own_writers: BTreeSet<WriterId>,
    /// This incarnation stands in the region's roster.
    pub(crate) registered: bool,
    pub(crate) writable: bool,
    /// Why this node votes for nobody.
    pub(crate) held_back: Option<String>,
    pub(crate) counters: Counters,
    /// The last read barrier asked for.
    pub(crate) last_barrier: u64,
    pub(crate) holding: Holding,
    pub(crate) joining: Joining,
    next_tick_ns: u64,
    next_register_ns: u64,
    /// How often a neighbour was asked for what only a leader can do.
    pub(crate) asked_neighbours: usize,
    pub(crate) next_step_down_ns: u64,
}

/// What the core counts, for the driver's metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Deltas sent to peers.
    pub deltas_sent: u64,
    /// Deltas taken in.
    pub deltas_received: u64,
    /// Deltas that were held already.
    pub deltas_duplicate: u64,
    /// Deltas that did not connect to what is held.
    pub deltas_dropped: u64,
    /// Messages held back because their stamps are too far ahead.
    pub stamps_held: u64,
    /// Rows of the delta log dropped, because all nodes have them or there are too many.
    pub delta_rows_trimmed: u64,
    /// Rounds of repair begun.
    pub repair_rounds: u64,
    /// Messages that made no sense or came from no member.
    pub messages_refused: u64,
    /// Records of other regions taken into mirrors.
    pub records_mirrored: u64,
    /// Checkpoints that cannot be true beside what is held, although their region's key signed them.
    pub fork_evidence: u64,
    /// Whether no record may be proposed nor anything signed here now: 1 or 0.
    pub appends_withheld: u64,
    /// How many records of the own region's ledger others hold and this node does not, although it leads or may not sign.
    pub records_missing: u64,
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
        let mut replica = Self {
            buffer: Buffer::default(),
            held: Held::default(),
            clock: Clock::new(config.writer, mark),
            durable_time: DurableTime::new(mark),
            judge: ClockJudge::new(config.clock_drift_ms_max.saturating_mul(1_000_000)),
            objects: Objects::open(store)?,
            fresh: VecDeque::new(),
            links: Links::new(&config.sizes),
            peers: BTreeMap::new(),
            waiting: Waiting::new(config.writer),
            ledger: OwnLedger::open(&config, store)?,
            mirrors: Mirrors::open(&config, store)?,
            metadata: Metadata::open(&config, store)?,
            forks: Forks::open(store)?,
            notes: OpenedNotes::new(config.sizes.opened_notes),
            rounds: Rounds::new(&config),
            rosters: Rosters::default(),
            signing: Signing::default(),
            recovery: Recovery::default(),
            leadership: Leadership::default(),
            standing: Standing::open(store.get(Derived, rows::VOTERS)?.as_ref()),
            own_writers,
            registered: false,
            writable: true,
            held_back: None,
            counters: Counters::default(),
            last_barrier: 0,
            holding: Holding::default(),
            joining: Joining::default(),
            next_tick_ns: 0,
            next_register_ns: 0,
            asked_neighbours: 0,
            next_step_down_ns: 0,
            config,
        };
        replica.buffer.put(Synced, rows::own_writer(replica.config.writer), Some(bytes::Bytes::new()));
        // A disk without a mark of the clock, under which nobody ever wrote, is new.
        let fresh = mark_row.is_none() && replica.own_writers.len() == 1;
        replica.begin_joining(fresh, store.get(Synced, rows::JOINING)?.as_ref());
        let mut turn = Turn { now: Now::default(), store, effects: Vec::new() };
        replica.signing.signed = replica.metadata.head(&replica.config.region).map_or(0, |(_, head)| head.size);
        let regions = replica.config.genesis.regions.iter().map(|region| region.id.clone()).collect();
        if replica.rosters_changed(&mut turn, &regions) {
            replica.roster_changed(&mut turn);
        }
        replica.end(turn, out);
        Ok(replica)
    }

    /// One thing happened; what is to be done goes to `out`, in order.
    pub fn handle(&mut self, now: Now, store: &dyn Store, input: Input, out: &mut Outbox) {
        let mut turn = Turn { now, store, effects: Vec::new() };
        self.look_at_clock(&turn);
        let done = match input {
            Input::Tick => Ok(()),
            Input::Message { from, message } => {
                // What a peer sends cannot stop this node: damaged rows of ours are named when a client asks for
                // them, and repair brings the message's content again.
                self.message(&mut turn, from, message).or_else(|error| self.refuse_message(error))
            }
            Input::Rumor { from, bytes } => {
                self.rumor(&mut turn, from, &bytes).or_else(|error| self.refuse_message(error))
            }
            Input::PeerUp(peer) => {
                self.peer_up(&mut turn, peer);
                Ok(())
            }
            Input::PeerDown(node) => {
                self.peer_down(&mut turn, node);
                Ok(())
            }
            Input::Request { id, role, options, request } => {
                self.client_request(&mut turn, id, role, options, request);
                Ok(())
            }
            Input::Persisted(batch) => {
                if self.buffer.persisted(batch) {
                    self.durable_time.persisted(batch);
                    self.held.release(batch, &mut out.effects);
                    self.push_durable(batch);
                }
                Ok(())
            }
            Input::Committed(entries) => self.committed(&mut turn, entries),
            Input::Voters(told) => {
                self.voters_changed(told);
                Ok(())
            }
            Input::Leadership(leadership) => {
                self.leadership_changed(&mut turn, leadership);
                Ok(())
            }
            Input::Proposed { ticket, outcome } => {
                self.proposed(&mut turn, ticket, outcome);
                Ok(())
            }
            Input::ReadIndex { ticket, index } => {
                self.barrier_reached(&mut turn, ticket, index);
                Ok(())
            }
            Input::HeldBack(why) => {
                self.held_back = why;
                Ok(())
            }
            Input::Damaged(words) => {
                self.config.damage = words;
                Ok(())
            }
            Input::Disk { writable } => {
                self.writable = writable;
                Ok(())
            }
        };
        if let Err(error) = done.and_then(|()| self.after_each(&mut turn)) {
            turn.effects.push(Effect::Halt { reason: error.to_string() });
        }
        self.end(turn, out);
    }

    /// When `handle` wants to be called with `Tick`, in monotonic nanoseconds.
    #[must_use]
    pub fn deadline(&self) -> u64 {
        let request = self.waiting.deadline().unwrap_or(u64::MAX);
        self.next_tick_ns.min(request)
    }

    /// The last log entry whose effects are in the store: what the log hands over begins after it.
    #[must_use]
    pub fn last_applied(&self) -> Option<trine_ledger::LogPosition> {
        self.ledger.state.position()
    }

    /// Size and root of a region's ledger, as it is held here.
    #[must_use]
    pub fn head(&self, region: &RegionId) -> Option<(u64, [u8; 32])> {
        if *region == self.config.region {
            return Some((self.ledger.size(), self.ledger.state.root()));
        }
        self.mirrors.head(region)
    }

    /// Whether this node mirrors the other regions' ledgers.
    #[must_use]
    pub fn mirrors(&self) -> bool {
        self.mirrors_here()
    }

    /// The incarnations that this disk has written under, with this one.
    #[must_use]
    pub fn own_writers(&self) -> &BTreeSet<WriterId> {
        &self.own_writers
    }

    /// What the core counts.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let records_missing = match self.withheld() {
            Some(Withheld::Behind { theirs, here, .. }) => theirs - here,
            _ => 0,
        };
        Counters { appends_withheld: u64::from(self.withheld().is_some()), records_missing, ..self.counters }
    }

    /// Whether this node serves reads; the reason when it does not. On a full disk and without its region's majority it goes on
    /// to: see [`Self::writes`].
    ///
    /// # Errors
    /// The reason.
    pub fn ready(&self) -> Result<(), String> {
        if let Some(why) = &self.held_back {
            return Err(why.clone());
        }
        if self.leaving() {
            return Err(
                "this node was removed from its region's roster: it votes until the others can do without it, \
                        and then stops"
                    .to_owned(),
            );
        }
        self.stamps()?;
        if !self.registered {
            let leader = if self.leadership.leader.is_none() { ": the region has no leader" } else { "" };
            return Err(match &self.standing.not_admitted {
                Some((reason, _)) => self.waits_for(reason),
                None => format!("its incarnation is not yet registered in the region's ledger{leader}"),
            });
        }
        self.joining.waits().map_or(Ok(()), Err)
    }

    /// Whether edits of objects made here can be acknowledged as edits are by default, by a majority of the region.
    ///
    /// # Errors
    /// The reason.
    pub fn edits(&self) -> Result<(), String> {
        self.takes()?;
        let (others, needed) = (self.region_peers().len(), self.majority_others());
        if others < needed {
            return Err(format!(
                "{others} other nodes of the region are reached where a majority needs {needed} \
                 (edits of level local are taken)"
            ));
        }
        Ok(())
    }

    /// Whether appends asked for here can be acknowledged.
    ///
    /// # Errors
    /// The reason.
    pub fn appends(&self) -> Result<(), String> {
        self.takes()?;
        match self.leadership.leader {
            None => Err("the region has no leader that a majority knows".to_owned()),
            Some(leader) if leader == self.config.node && !self.leadership.serving => {
                Err("this node has been elected and is not up to date yet".to_owned())
            }
            Some(leader) if leader != self.config.node && !self.peers.contains_key(&leader) => {
                Err("the region's leader is not reached from here".to_owned())
            }
            Some(_) => self.withheld().map_or(Ok(()), |withheld| Err(withheld.to_string())),
        }
    }

    fn takes(&self) -> Result<(), String> {
        self.ready()?;
        if self.writable { Ok(()) } else { Err("the disk is full: writes are refused, reads go on".to_owned()) }
    }

    /// Whether this node takes writes of both kinds; when not, which it does not take, and why.
    ///
    /// # Errors
    /// The reason.
    pub fn writes(&self) -> Result<(), String> {
        let taken = |kind: Result<(), String>| kind.err().unwrap_or_else(|| "taken".to_owned());
        match (self.edits(), self.appends()) {
            (Ok(()), Ok(())) => Ok(()),
            (Err(edits), Err(appends)) if edits == appends => Err(edits),
            (edits, appends) => Err(format!("edits: {}; appends: {}", taken(edits), taken(appends))),
        }
    }

    /// A stamp above all that this node has issued or seen. Its high-water mark goes to disk with the batch of this
    /// turn, before anything that bears the stamp leaves.
    ///
    /// # Errors
    /// When the clock is at the end of its range.
    pub(crate) fn stamp(&mut self, turn: &Turn<'_>) -> Result<Timestamp, StoreError> {
        self.mark_clock(turn);
        // The mark that covers this stamp may be a former turn's and not yet on disk.
        self.buffer.rely_on(Synced, rows::CLOCK);
        self.clock.tick(turn.now.wall_ns).map_err(|error| StoreError::Failed(error.to_string()))
    }

    /// Takes note of another's stamp, so that what is stamped here from now on is later, over a restart too.
    ///
    /// # Errors
    /// [`Drift`] for a stamp from the far future: what bears it is not to be taken in yet.
    pub(crate) fn observe(&mut self, turn: &Turn<'_>, stamp: &Timestamp) -> Result<(), Drift> {
        let drift_ns = self.config.clock_drift_ms_max.saturating_mul(1_000_000);
        self.clock.observe(turn.now.wall_ns, stamp, drift_ns)?;
        self.mark_clock(turn);
        Ok(())
    }

    fn mark_clock(&mut self, turn: &Turn<'_>) {
        if let Some(mark) = self.clock.needs_mark(turn.now.wall_ns) {
            self.buffer.put(Synced, rows::CLOCK, Some(bytes::Bytes::copy_from_slice(&mark.to_be_bytes())));
            self.durable_time.put(self.buffer.upcoming_synced(), mark);
            self.clock.marked(mark);
        }
    }

    /// The latest hybrid time issued or seen, as far as a restart remembers it.
    pub(crate) fn latest(&self) -> Timestamp {
        Timestamp { time: self.durable_time.at_most(self.clock.last()), writer: self.config.writer }
    }

    /// What every turn ends with: timers, proposals, pushes.
    fn after_each(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        if turn.now.monotonic_ns >= self.deadline() {
            self.tick(turn)?;
        }
        self.sign_or_not(turn)?;
        self.propose_queued(turn)?;
        self.flush_forwards(turn);
        self.push(turn)?;
        self.feed_followers(turn)
    }

    fn tick(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        let now_ns = turn.now.monotonic_ns;
        self.expire(turn);
        if now_ns < self.next_tick_ns {
            return Ok(());
        }
        self.next_tick_ns = now_ns + TICK_NS;
        self.holding.look(now_ns, self.counters.stamps_held);
        self.clock_tick(turn);
        self.signing_tick(turn)?;
        self.recovery_tick(turn);
        self.register(turn);
        self.joining_tick(turn);
        self.reroute(turn);
        self.repair_tick(turn)?;
        self.metadata_tick(turn);
        self.mirrors_tick(turn)?;
        self.seal_tick(turn);
        self.trim_tick(turn)
    }

    /// Ends the turn: batches first, then what may leave at once; the rest waits for its batch.
    fn end(&mut self, turn: Turn<'_>, out: &mut Outbox) {
        let (batches, depends_on) = self.buffer.end_turn();
        out.effects.extend(batches.into_iter().map(Effect::Persist));
        self.held.admit(depends_on, turn.effects, &mut out.effects);
    }

    fn committed(&mut self, turn: &mut Turn<'_>, entries: Vec<crate::input::CommittedEntry>) -> Result<(), StoreError> {
        let mut voters_changed = false;
        for committed in entries {
            if let Payload::Membership { bytes, voters } = &committed.payload {
                self.buffer.put(Derived, rows::MEMBERSHIP, Some(bytes.clone()));
                self.standing.voters.clone_from(voters);
                self.buffer.put(Derived, rows::VOTERS, Some(self.standing.voters_row()));
                voters_changed = true;
            }
            self.apply(turn, committed)?;
        }
        self.applied(turn, voters_changed)
    }

    /// Whether it is time to ask (again) to be registered.
    pub(crate) fn due_to_register(&mut self, turn: &Turn<'_>) -> bool {
        let due = turn.now.monotonic_ns >= self.next_register_ns;
        if due {
            self.next_register_ns = turn.now.monotonic_ns + REGISTER_INTERVAL_NS;
        }
        due
    }

    fn refuse_message(&mut self, error: StoreError) -> Result<(), StoreError> {
        self.counters.messages_refused += 1;
        if mutants::is(Mutant::MessageHalts) { Err(error) } else { Ok(()) }
    }
}
