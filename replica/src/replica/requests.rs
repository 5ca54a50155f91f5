//! A request's way: checked, served here, kept waiting, or handed on.
//!
//! The problem. A client asks the node that it reaches, and not every node can answer: the log's leader takes appends, a mirror
//! reads other regions' ledgers, a node that just joined has no objects yet. Leaders change, links break, answers come late
//! or twice. Within its deadline the client is to be told the truth all the same: done, surely not done, or nobody knows.
//!
//! ```text
//!   client ─┐                       ┌─▶ answer at once            most reads; edits at `local`
//!           ├─▶ check ─▶ serve ─────┼─▶ queue ─▶ entry ─▶ commit ─▶ answer    what the region's log decides
//!   node ───┘      ▲                ├─▶ wait for fresher state, a barrier, a majority
//!                  │                └─▶ hand on to a node that can, if one is linked
//!                  └── again, until the deadline: refused there, link gone, leader gone
//! ```
//!
//! What keeps the answers true:
//! - *Tried is tried.* A request that may have been done remembers it wherever it waits next; from then on a refusal is answered
//!   as of unknown fate ([`settled`]).
//! - *Again only where that is harmless*: reads, and appends with an idempotency key. An append that is handed on is given a key
//!   when the client gave none; other changes of the log are sent once.
//! - *Each attempt has a number of its own*, and a node serves a number once, so that what comes late or twice
//!   decides nothing.
//! - *A deadline for each leg*: who hands on leaves the other less time than it has, so that the last refusal is heard in
//!   time, and its reason reaches the client.
//! - *Refused at the door*: rights, levels, bounds, a full disk, a clock that is not believed. What has passed is kept within the
//!   waiting room's bounds; a request that need not wait never enters it.

mod objects;

use std::collections::BTreeSet;
use std::time::Duration;

use trine_crdt::NodeId;
use trine_ledger::entry::{Command, Condition, idempotency_key};
use trine_ledger::record::Body;
use trine_protocol::reply::Answer;
use trine_protocol::request::{
    Append, LedgerGet, LedgerHistory, NamespaceCreate, NamespaceDelete, NamespaceKind, NamespaceRename, NodeReadmit,
    NodeRemove, NodeReplace, ObjectEdit, ObjectGet, Options, Precondition, RegionRecover,
};
use trine_protocol::{Consistency, Durability, Request, RequestError, Role, limits};

use super::Organs;
use crate::answers::{Served, settled, too_large};
use crate::cluster::{check_name, check_slots, ledger_kind};
use crate::effect::Effect;
use crate::input::RequestId;
use crate::ledger::{AppendDraft, Draft, DraftCommand, Withheld};
use crate::limits::HOPS_MAX;
use crate::limits::{FORWARD_WAY_MS_MAX, FORWARD_WAY_SHARE, REQUEST_TIMEOUT_MS, REQUEST_TIMEOUT_MS_MAX};
use crate::marks::{self, Mark};
use crate::message::PeerMessage;
use crate::mutants::{self, Mutant};
use crate::not_ready::NotReady;
use crate::stop::Stop;
use crate::turn::Turn;
use crate::waiting::{Asked, Cause, Origin, Until, Wait};

impl Organs {
    /// A client of this node asks.
    pub(super) fn client_request(
        &mut self,
        turn: &mut Turn<'_>,
        id: RequestId,
        role: Role,
        options: Options,
        mut request: Request,
    ) {
        // That is for nodes to say.
        if let Request::NamespaceDelete(NamespaceDelete { vetted, .. }) = &mut request {
            *vetted = false;
        }
        let origin = Origin::Client(id);
        let passed = BTreeSet::new();
        self.take_request(turn, Asked { origin, role, options, request, hops: 0, tried: false, passed, why: None });
    }

    /// Another node hands a request on.
    pub(super) fn forwarded_request(&mut self, turn: &mut Turn<'_>, asked: Asked) {
        // Served twice, one of the two could be refused, and its node take that for the fate of both.
        if !self.forwarded.first(asked.origin) {
            return;
        }
        if asked.hops > HOPS_MAX {
            let what = "the request was handed on too often; the region's leadership is changing".to_owned();
            self.answer(turn, asked.origin, Err(RequestError::Unavailable { what }));
            return;
        }
        self.take_request(turn, asked);
    }

    fn take_request(&mut self, turn: &mut Turn<'_>, mut asked: Asked) {
        if let Err(stop) = self.admit(turn, &mut asked) {
            self.answer(turn, asked.origin, Err(stop.into()));
            return;
        }
        let deadline_ns = turn.now.monotonic_ns + timeout_ms(&asked.options) * 1_000_000;
        let number = self.waiting.number();
        self.serve_now(turn, number, deadline_ns, Box::new(asked));
    }

    /// Looks whether a request may be served and whether there is room for it, should it have to wait.
    fn admit(&self, turn: &mut Turn<'_>, asked: &mut Asked) -> Result<(), Stop> {
        self.check(turn, asked)?;
        self.waiting.room(self.ledger.queued_bytes(), &self.cluster.config().sizes)?;
        // An append that may have to be sent twice needs a name that makes the second harmless.
        if let Request::Append(Append { idempotency_key, .. }) = &mut asked.request
            && idempotency_key.is_none()
            && !self.cluster.serving()
        {
            *idempotency_key = Some(turn.stamp()?.to_string());
        }
        Ok(())
    }

    fn check(&self, turn: &Turn<'_>, asked: &Asked) -> Result<(), RequestError> {
        let needed = asked.request.role();
        if asked.role < needed {
            let what = format!("this needs the role {needed:?}, the certificate has {:?}", asked.role).to_lowercase();
            return Err(RequestError::Forbidden { what });
        }
        if matches!(asked.options.consistency, Consistency::Bounded(_) | Consistency::Global) {
            let what = format!("consistency {}; use eventual, session or regional", asked.options.consistency);
            return Err(RequestError::Unsupported { what });
        }
        if let (Request::Append(_), Durability::Regions(_) | Durability::All) =
            (&asked.request, asked.options.durability)
        {
            let what = format!("durability {} for records; use region", asked.options.durability);
            return Err(RequestError::Unsupported { what });
        }
        for region in asked.options.session.ledgers.keys() {
            if !self.cluster.config().genesis.regions.iter().any(|known| known.id == *region) {
                let what = format!("the session names the region {region}, which the cluster does not have");
                return Err(RequestError::Invalid { what });
            }
        }
        for at in &asked.options.session.positions {
            let id = &at.partition.namespace;
            // A namespace of another region may be news that has not come yet.
            let plausible = match self.cluster.namespace_by_id(id) {
                Some(_) => self.cluster.admits(&at.partition),
                None => self.cluster.config().genesis.regions.iter().any(|known| known.id == id.region),
            };
            if !plausible {
                let what = format!("the session names {}, which does not exist", at.partition);
                return Err(RequestError::Invalid { what });
            }
        }
        // What the log decides it goes on handing on; an edit of its own nobody may come to know.
        if matches!(asked.request, Request::ObjectEdit(_)) && self.cluster.leaving() {
            return Err(self.ready(turn.clock).err().unwrap_or(NotReady::Leaving).into());
        }
        if asked.request.writes() && !self.cluster.writable() {
            marks::reached(Mark::DiskFullRefused);
            return Err(RequestError::DiskFull);
        }
        if asked.request.writes() {
            turn.clock.may_write(self.cluster.peers())?;
        }
        if asked.request.writes() && turn.in_flight_bytes() > self.cluster.config().sizes.unpersisted_bytes {
            marks::reached(Mark::DiskBehind);
            return Err(RequestError::Overloaded { retry_after: Duration::from_millis(100) });
        }
        if let Some(key) = key_of(&asked.request)
            && !(1..=limits::KEY_BYTES_MAX).contains(&key.len())
        {
            let what = format!("a key has 1 to {} bytes of UTF-8, this one has {}", limits::KEY_BYTES_MAX, key.len());
            return Err(RequestError::Invalid { what });
        }
        Ok(())
    }

    /// Serves, again, a request that waits for a way to be served.
    pub(super) fn serve_waiting(&mut self, turn: &mut Turn<'_>, number: u64) {
        let waits = self.waiting.get(number).map(|wait| &wait.cause);
        if !matches!(waits, Some(Cause::Route(_) | Cause::Fresh { .. } | Cause::Barrier { .. })) {
            return;
        }
        let Some(Wait { deadline_ns, cause, .. }) = self.waiting.take(number) else { return };
        let (Cause::Route(asked) | Cause::Fresh { asked, .. } | Cause::Barrier { asked, .. }) = cause else { return };
        // Under a number of its own, an answer to an earlier attempt that comes late is not taken for one to this.
        let number = self.waiting.number();
        self.serve_now(turn, number, deadline_ns, asked);
    }

    /// Serves a request; it enters the waiting room, under its number, only if it has to wait.
    fn serve_now(&mut self, turn: &mut Turn<'_>, number: u64, deadline_ns: u64, asked: Box<Asked>) {
        let (origin, tried) = (asked.origin, asked.tried);
        let served = match &asked.request {
            Request::Append(_)
            | Request::NamespaceCreate(_)
            | Request::NamespaceRename(_)
            | Request::NamespaceDelete(_)
            | Request::NodeRemove(_)
            | Request::NodeReplace(_)
            | Request::NodeReadmit(_)
            | Request::RegionRecover(_) => self.serve_in_log(turn, number, asked),
            _ => self.serve(turn, &asked),
        };
        match served {
            Ok(Served::Now(answer)) => self.answer(turn, origin, Ok(answer)),
            Ok(Served::Waits(cause)) => self.waiting.insert(number, Wait { origin, deadline_ns, cause }),
            Err(stop) => self.answer(turn, origin, settled(tried, Err(stop.into()))),
        }
    }

    fn serve(&mut self, turn: &mut Turn<'_>, asked: &Asked) -> Result<Served, Stop> {
        if let Request::ObjectGet(_) | Request::ObjectList(_) = &asked.request
            && let Some(served) = self.pass_while_joining(asked)?
        {
            return Ok(served);
        }
        match &asked.request {
            Request::ObjectEdit(edit) => self.serve_edit(turn, asked, edit),
            Request::ObjectGet(get) => self.serve_get(turn, asked, get),
            Request::ObjectList(list) => self.serve_list(turn, asked, list),
            Request::LedgerGet(_)
            | Request::LedgerRecord(_)
            | Request::LedgerHistory(_)
            | Request::LedgerRange(_)
            | Request::Checkpoint(_)
            | Request::Consistency(_) => self.serve_ledger_read(turn, asked),
            _ => Ok(Served::Now(self.view(turn, asked)?)),
        }
    }

    /// Serves what a region's log decides: in that region, once what comes before it is done.
    fn serve_in_log(&mut self, turn: &mut Turn<'_>, number: u64, mut asked: Box<Asked>) -> Result<Served, Stop> {
        match self.before_the_leader(turn, &mut asked)? {
            Some(served) => Ok(served),
            None => self.serve_at_leader(turn, number, asked),
        }
    }

    /// Queues what the region's log decides, or hands it on to who leads.
    fn serve_at_leader(&mut self, turn: &Turn<'_>, number: u64, asked: Box<Asked>) -> Result<Served, Stop> {
        if !self.cluster.serving() {
            // Who does not belong yet hears of no leader, but others of the region do.
            let leader = self.cluster.leadership().leader;
            let to =
                if self.cluster.registered() { leader } else { leader.or_else(|| self.cluster.neighbour_in_turn()) };
            return Ok(self.hand_on(to, &asked));
        }
        // Taken while its clock was believed: it waits for another leader, or for the clock.
        if turn.clock.stamps(self.cluster.peers()).is_err() {
            return Ok(Served::Waits(Cause::Route(asked)));
        }
        // A leader that has just begun waits until it knows who answers.
        if removes(&asked.request) && self.cluster.answering().is_none() {
            return Ok(Served::Waits(Cause::Route(asked)));
        }
        if let Request::RegionRecover(RegionRecover { region }) = &asked.request {
            let region = region.clone();
            return self.recover(turn, &region, asked);
        }
        let record = matches!(
            asked.request,
            Request::Append(_)
                | Request::NamespaceCreate(_)
                | Request::NamespaceRename(_)
                | Request::NamespaceDelete(_)
        );
        match self.ledger.withheld(&self.cluster).filter(|_| record) {
            None => {}
            // That takes an instant.
            Some(Withheld::Asking) => return Ok(Served::Waits(Cause::Route(asked))),
            Some(withheld) => return Err(NotReady::from(withheld).into()),
        }
        let draft = self.draft(&asked.request)?;
        let with_proof = matches!(asked.request, Request::Append(Append { with_proof: true, .. }));
        let tried = asked.tried;
        self.ledger.enqueue(Draft { wait: number, command: draft, with_proof, asked: Some(asked) });
        Ok(Served::Waits(Cause::Queued { tried }))
    }

    /// Hands a request on to a node, or keeps it until one can be reached.
    pub(super) fn hand_on(&self, to: Option<NodeId>, asked: &Asked) -> Served {
        match to.filter(|to| self.cluster.linked(*to)) {
            Some(to) => Served::Waits(Cause::Elsewhere { to, asked: Box::new(asked.clone()) }),
            None => Served::Waits(Cause::Route(Box::new(asked.clone()))),
        }
    }

    /// Hands a read on to the first of these nodes that can be reached and has not passed on it. When none is left,
    /// it waits and is then offered to all of them again.
    pub(super) fn hand_on_to_one_of(&self, nodes: &[NodeId], asked: &Asked) -> Served {
        let open = |node: &&NodeId| self.cluster.linked(**node) && !asked.passed.contains(*node);
        if let Some(to) = nodes.iter().find(open) {
            return self.hand_on(Some(*to), asked);
        }
        Served::Waits(Cause::Route(Box::new(Asked { passed: BTreeSet::new(), ..asked.clone() })))
    }

    /// A read that needs what is not here yet, on a full disk, which takes nothing in: one of these nodes may have it.
    /// Who handed it on to this node is told to ask another. None: it comes, and can be waited for.
    pub(super) fn pass_while_full(&self, nodes: &[NodeId], asked: &Asked) -> Result<Option<Served>, Stop> {
        if self.cluster.writable() {
            return Ok(None);
        }
        if asked.hops == 0 {
            return Ok(Some(self.hand_on_to_one_of(nodes, asked)));
        }
        let what = "the disk is full, and what the session has seen is not here".to_owned();
        Err(RequestError::Unavailable { what }.into())
    }

    fn draft(&self, request: &Request) -> Result<DraftCommand, RequestError> {
        let stamp = trine_crdt::Timestamp::ZERO;
        Ok(DraftCommand::Other(match request {
            Request::Append(append) => return self.draft_append(append),
            Request::NamespaceCreate(NamespaceCreate { name, kind, slots }) => {
                let slots = slots.unwrap_or(if *kind == NamespaceKind::Objects { 256 } else { 1 });
                check_name(name).and_then(|()| check_slots(slots))?;
                self.cluster.name_free(name, None)?;
                Command::CreateNamespace { stamp, name: name.clone(), kind: ledger_kind(*kind), slots }
            }
            Request::NamespaceRename(NamespaceRename { namespace, name }) => {
                check_name(name)?;
                let namespace = self.cluster.altered_here(namespace)?;
                self.cluster.name_free(name, Some(&namespace))?;
                Command::RenameNamespace { stamp, namespace, name: name.clone() }
            }
            Request::NamespaceDelete(NamespaceDelete { namespace, force, .. }) => {
                let namespace = self.cluster.altered_here(namespace)?;
                return Ok(DraftCommand::Deletion { namespace, force: *force });
            }
            Request::NodeRemove(NodeRemove { node, force }) => {
                let command = Command::Retire { stamp, node: self.cluster.known_node(*node)? };
                return Ok(DraftCommand::Removal { command, force: *force });
            }
            Request::NodeReplace(NodeReplace { node, force }) => {
                let command = Command::Replace { stamp, node: self.cluster.lost_node(*node, *force)? };
                return Ok(DraftCommand::Removal { command, force: *force });
            }
            Request::NodeReadmit(NodeReadmit { name }) => {
                Command::Replace { stamp, node: self.cluster.closed_name(name)? }
            }
            _ => return Err(RequestError::Unsupported { what: "this request at the leader".to_owned() }),
        }))
    }

    fn draft_append(&self, append: &Append) -> Result<DraftCommand, RequestError> {
        let Append { namespace, key, value, content_type, metadata, idempotency_key: client_key, if_match, .. } =
            append;
        let namespace = self.cluster.namespace(namespace, NamespaceKind::Ledger)?.id.clone();
        if value.len() > self.cluster.config().value_bytes_max {
            return Err(too_large("the value", value.len(), self.cluster.config().value_bytes_max));
        }
        let metadata_bytes = metadata.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
        if metadata_bytes > limits::METADATA_BYTES_MAX {
            return Err(too_large("the metadata", metadata_bytes, limits::METADATA_BYTES_MAX));
        }
        if content_type.len() > limits::CONTENT_TYPE_BYTES_MAX {
            return Err(too_large("the content type", content_type.len(), limits::CONTENT_TYPE_BYTES_MAX));
        }
        if let Some(key) = client_key.as_ref().filter(|key| key.len() > limits::IDEMPOTENCY_KEY_BYTES_MAX) {
            return Err(too_large("the idempotency key", key.len(), limits::IDEMPOTENCY_KEY_BYTES_MAX));
        }
        let body = Body { salts: [[0; 32]; 3], key: key.clone(), metadata: metadata.clone(), value: value.clone() };
        body.check().map_err(|error| RequestError::Invalid { what: error.to_string() })?;
        Ok(DraftCommand::Append(Box::new(AppendDraft {
            idempotency: client_key.as_ref().map(|key| idempotency_key(&namespace, key)),
            namespace,
            content_type: content_type.clone(),
            body,
            condition: if_match.map(|condition| match condition {
                Precondition::Absent => Condition::Absent,
                Precondition::Index(index) => Condition::Index(index),
            }),
        })))
    }

    /// Tries again what waits for a leader or a node to be known.
    pub(super) fn reroute(&mut self, turn: &mut Turn<'_>) {
        for number in self.waiting.routes() {
            self.serve_waiting(turn, number);
        }
    }

    /// Sends what the turn's requests were handed on to.
    pub(super) fn flush_forwards(&mut self, turn: &mut Turn<'_>) {
        for (to, number, deadline_ns, asked) in self.waiting.take_unsent() {
            let Asked { role, mut options, request, hops, .. } = asked.clone();
            let left_ns = deadline_ns.saturating_sub(turn.now.monotonic_ns);
            options.timeout = Some(Duration::from_nanos(left_ns - way_ns(left_ns)));
            turn.send(to, PeerMessage::Forward { number, role, options, request, hops: hops + 1 });
        }
    }

    /// The answer to a request that was handed on.
    pub(super) fn forwarded_answer(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        number: u64,
        answer: Result<Box<Answer>, RequestError>,
    ) {
        let Some(asked) = self.waiting.handed_to(number, from) else { return };
        let tried = asked.tried;
        // Nothing was done there: try again from here, until the deadline.
        if let Err(RequestError::Unavailable { what }) = &answer {
            let left_ns =
                self.waiting.get(number).map_or(0, |wait| wait.deadline_ns).saturating_sub(turn.now.monotonic_ns);
            // No time for another try: better this reason than a fate that nobody knows.
            if left_ns > way_ns(timeout_ms(&asked.options) * 1_000_000) {
                self.waiting.route_again(number, false, Some(what.clone()));
                return;
            }
        }
        if let Some(wait) = self.waiting.take(number) {
            self.answer(turn, wait.origin, settled(tried, answer.map(|answer| *answer)));
        }
    }

    /// Gives up what waits too long.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_>) {
        let expired = self.waiting.expired(turn.now.monotonic_ns);
        if expired.iter().any(|wait| matches!(wait.cause, Cause::Queued { .. })) {
            let waiting = &self.waiting;
            self.ledger.drop_abandoned(|number| waiting.get(number).is_some());
        }
        for wait in expired {
            marks::reached(Mark::RequestExpired);
            if mutants::is(Mutant::Unanswered) {
                continue;
            }
            let error = match &wait.cause {
                _ if mutants::is(Mutant::TimeoutRefuses) => {
                    RequestError::Unavailable { what: "no answer in time".to_owned() }
                }
                Cause::Majority { .. } | Cause::Commit { .. } | Cause::Queued { tried: true } => RequestError::Unknown,
                Cause::Elsewhere { asked, .. } if asked.request.writes() => RequestError::Unknown,
                Cause::Route(asked) if asked.tried => RequestError::Unknown,
                Cause::Fresh { until: Until::Ledger(_, theirs), asked }
                    if matches!(asked.request, Request::RegionRecover(_)) =>
                {
                    RequestError::Unavailable { what: self.ledger.recovery_words(&self.cluster, *theirs) }
                }
                Cause::Fresh { .. } => RequestError::Stale { as_of: turn.latest().to_string() },
                Cause::Route(asked) if changes_roster(&asked.request) && self.cluster.leadership().leader.is_none() => {
                    RequestError::Unavailable { what: self.cluster.nobody_leads() }
                }
                Cause::Route(asked) if asked.why.is_some() => {
                    RequestError::Unavailable { what: asked.why.clone().unwrap_or_default() }
                }
                _ => match self.appends(turn.clock) {
                    Err(why) => why.into(),
                    Ok(()) => RequestError::Unavailable { what: "no answer in time".to_owned() },
                },
            };
            self.answer(turn, wait.origin, Err(error));
        }
    }

    /// Answers whoever asked.
    pub(super) fn answer(&mut self, turn: &mut Turn<'_>, origin: Origin, answer: Result<Answer, RequestError>) {
        let answer = answer.map(Box::new);
        match origin {
            Origin::Client(request) => turn.effects.push(Effect::Reply { request, answer }),
            Origin::Peer { node, number } => turn.send(node, PeerMessage::Forwarded { number, answer }),
            Origin::Own => {}
        }
    }
}

/// How long a request may take.
fn timeout_ms(options: &Options) -> u64 {
    options.timeout.map_or(REQUEST_TIMEOUT_MS, |timeout| {
        u64::try_from(timeout.as_millis()).unwrap_or(REQUEST_TIMEOUT_MS_MAX).min(REQUEST_TIMEOUT_MS_MAX)
    })
}

/// How much of the time that is left a node keeps for the way, when it hands a request on.
fn way_ns(left_ns: u64) -> u64 {
    (left_ns / FORWARD_WAY_SHARE).min(FORWARD_WAY_MS_MAX * 1_000_000)
}

fn removes(request: &Request) -> bool {
    matches!(request, Request::NodeRemove(_) | Request::NodeReplace(_))
}

fn changes_roster(request: &Request) -> bool {
    removes(request) || matches!(request, Request::NodeReadmit(_))
}

fn key_of(request: &Request) -> Option<&str> {
    match request {
        Request::Append(Append { key, .. })
        | Request::LedgerGet(LedgerGet { key, .. })
        | Request::LedgerHistory(LedgerHistory { key, .. })
        | Request::ObjectGet(ObjectGet { key, .. })
        | Request::ObjectEdit(ObjectEdit { key, .. }) => Some(key),
        _ => None,
    }
}
