//! A request's way: checked, served here, kept waiting, or handed on.

use std::collections::BTreeSet;
use std::time::Duration;

use trine_crdt::NodeId;
use trine_crdt::marks::{self, Mark};
use trine_crdt::mutants::{self, Mutant};
use trine_ledger::entry::{Command, Condition, idempotency_key};
use trine_ledger::record::Body;
use trine_protocol::reply::Answer;
use trine_protocol::request::{NamespaceKind, Options, Precondition};
use trine_protocol::{Consistency, Durability, Reply, Request, RequestError, Role, SessionToken, limits};

use crate::effect::Effect;
use crate::input::RequestId;
use crate::ledger::{AppendDraft, Draft, DraftCommand};
use crate::limits::{REQUEST_TIMEOUT_MS, REQUEST_TIMEOUT_MS_MAX};
use crate::message::PeerMessage;
use crate::namespaces::{check_name, check_slots, ledger_kind};
use crate::replica::Replica;
use crate::signing::Withheld;
use crate::store::StoreError;
use crate::turn::Turn;
use crate::waiting::{Asked, Cause, Origin, Until, Wait};

/// How many nodes may hand a request on, one after the other.
const HOPS_MAX: u8 = 3;

/// What serving a request led to: an answer now, or something to wait for.
#[allow(clippy::large_enum_variant, reason = "is taken apart at once by its one caller")]
pub(crate) enum Served {
    /// The answer.
    Now(Result<Answer, RequestError>),
    /// It waits for this.
    Waits(Cause),
}

impl From<RequestError> for Served {
    fn from(error: RequestError) -> Self {
        Self::Now(Err(error))
    }
}

impl Replica {
    /// A client of this node asks.
    pub(crate) fn client_request(
        &mut self,
        turn: &mut Turn<'_>,
        id: RequestId,
        role: Role,
        options: Options,
        mut request: Request,
    ) {
        // That is for nodes to say.
        if let Request::NamespaceDelete { vetted, .. } = &mut request {
            *vetted = false;
        }
        let origin = Origin::Client(id);
        let passed = BTreeSet::new();
        self.take_request(turn, Asked { origin, role, options, request, hops: 0, tried: false, passed, why: None });
    }

    /// Another node hands a request on.
    pub(crate) fn forwarded_request(&mut self, turn: &mut Turn<'_>, asked: Asked) {
        if asked.hops > HOPS_MAX {
            let what = "the request was handed on too often; the region's leadership is changing".to_owned();
            self.answer(turn, asked.origin, Err(RequestError::Unavailable { what }));
            return;
        }
        self.take_request(turn, asked);
    }

    fn take_request(&mut self, turn: &mut Turn<'_>, mut asked: Asked) {
        let checked =
            self.check(&asked).and_then(|()| self.waiting.room(self.ledger.queued_bytes(), &self.config.sizes));
        if let Err(error) = checked {
            self.answer(turn, asked.origin, Err(error));
            return;
        }
        // An append that may have to be sent twice needs a name that makes the second harmless.
        if let Request::Append { idempotency_key, .. } = &mut asked.request
            && idempotency_key.is_none()
            && !self.leadership.serving
        {
            match self.stamp(turn) {
                Ok(stamp) => *idempotency_key = Some(stamp.to_string()),
                Err(error) => {
                    self.answer(turn, asked.origin, Err(storage(&error)));
                    return;
                }
            }
        }
        let timeout_ms = asked.options.timeout.map_or(REQUEST_TIMEOUT_MS, |timeout| {
            u64::try_from(timeout.as_millis()).unwrap_or(REQUEST_TIMEOUT_MS_MAX).min(REQUEST_TIMEOUT_MS_MAX)
        });
        let deadline_ns = turn.now.monotonic_ns + timeout_ms * 1_000_000;
        let number = self.waiting.add(asked.origin, deadline_ns, Cause::Route(Box::new(asked)));
        self.serve_waiting(turn, number);
    }

    fn check(&self, asked: &Asked) -> Result<(), RequestError> {
        let needed = asked.request.role();
        if asked.role < needed {
            let what = format!("this needs the role {needed:?}, the certificate has {:?}", asked.role).to_lowercase();
            return Err(RequestError::Forbidden { what });
        }
        if matches!(asked.options.consistency, Consistency::Bounded(_) | Consistency::Global) {
            let what = format!("consistency {}; use eventual, session or regional", asked.options.consistency);
            return Err(RequestError::Unsupported { what });
        }
        if let (Request::Append { .. }, Durability::Regions(_) | Durability::All) =
            (&asked.request, asked.options.durability)
        {
            let what = format!("durability {} for records; use region", asked.options.durability);
            return Err(RequestError::Unsupported { what });
        }
        for region in asked.options.session.ledgers.keys() {
            if !self.config.genesis.regions.iter().any(|known| known.id == *region) {
                let what = format!("the session names the region {region}, which the cluster does not have");
                return Err(RequestError::Invalid { what });
            }
        }
        for at in &asked.options.session.positions {
            let id = &at.partition.namespace;
            // A namespace of another region may be news that has not come yet.
            let plausible = match self.namespace_by_id(id) {
                Some(_) => self.admits(&at.partition),
                None => self.config.genesis.regions.iter().any(|known| known.id == id.region),
            };
            if !plausible {
                let what = format!("the session names {}, which does not exist", at.partition);
                return Err(RequestError::Invalid { what });
            }
        }
        // What the log decides it goes on handing on; an edit of its own nobody may come to know.
        if matches!(asked.request, Request::ObjectEdit { .. }) && self.leaving() {
            return Err(RequestError::Unavailable { what: self.ready().err().unwrap_or_default() });
        }
        if asked.request.writes() && !self.writable {
            marks::reached(Mark::DiskFullRefused);
            return Err(RequestError::DiskFull);
        }
        if asked.request.writes() {
            self.may_write()?;
        }
        if asked.request.writes() && self.buffer.in_flight_bytes() > self.config.sizes.unpersisted_bytes {
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
    pub(crate) fn serve_waiting(&mut self, turn: &mut Turn<'_>, number: u64) {
        let waits = self.waiting.get(number).map(|wait| &wait.cause);
        if !matches!(waits, Some(Cause::Route(_) | Cause::Fresh { .. } | Cause::Barrier { .. })) {
            return;
        }
        let Some(Wait { origin, deadline_ns, cause }) = self.waiting.take(number) else { return };
        let (Cause::Route(asked) | Cause::Fresh { asked, .. } | Cause::Barrier { asked, .. }) = cause else { return };
        let tried = asked.tried;
        let served = match &asked.request {
            Request::Append { .. }
            | Request::NamespaceCreate { .. }
            | Request::NamespaceRename { .. }
            | Request::NamespaceDelete { .. }
            | Request::NodeRemove { .. }
            | Request::NodeReplace { .. }
            | Request::NodeReadmit { .. }
            | Request::RegionRecover { .. } => self.serve_in_log(turn, number, asked),
            _ => self.serve(turn, &asked).unwrap_or_else(|error| storage(&error).into()),
        };
        match served {
            Served::Now(answer) => self.answer(turn, origin, settled(tried, answer)),
            Served::Waits(cause) => self.waiting.insert(number, Wait { origin, deadline_ns, cause }),
        }
    }

    fn serve(&mut self, turn: &mut Turn<'_>, asked: &Asked) -> Result<Served, StoreError> {
        if let Request::ObjectGet { .. } | Request::ObjectList { .. } = &asked.request
            && let Some(served) = self.pass_while_joining(asked)
        {
            return Ok(served);
        }
        match &asked.request {
            Request::ObjectEdit { .. } => self.serve_edit(turn, asked),
            Request::ObjectGet { .. } => self.serve_get(turn, asked),
            Request::ObjectList { .. } => self.serve_list(turn, asked),
            Request::LedgerGet { .. }
            | Request::LedgerRecord { .. }
            | Request::LedgerHistory { .. }
            | Request::LedgerRange { .. }
            | Request::Checkpoint { .. }
            | Request::Consistency { .. } => self.serve_ledger_read(turn, asked),
            _ => Ok(Served::Now(self.view(asked, turn.now.monotonic_ns))),
        }
    }

    /// Serves what a region's log decides: in that region, once what comes before it is done.
    fn serve_in_log(&mut self, turn: &Turn<'_>, number: u64, mut asked: Box<Asked>) -> Served {
        match self.before_the_leader(turn, &mut asked) {
            Ok(Some(served)) => served,
            Ok(None) => self.serve_at_leader(number, asked),
            Err(error) => storage(&error).into(),
        }
    }

    /// Queues what the region's log decides, or hands it on to who leads.
    fn serve_at_leader(&mut self, number: u64, asked: Box<Asked>) -> Served {
        if !self.leadership.serving {
            // Who does not belong yet hears of no leader, but others of the region do.
            let leader = self.leadership.leader;
            let to = if self.registered { leader } else { leader.or_else(|| self.neighbour_in_turn()) };
            return self.hand_on(to, &asked);
        }
        // Taken while its clock was believed: it waits for another leader, or for the clock.
        if self.stamps().is_err() {
            return Served::Waits(Cause::Route(asked));
        }
        // A leader that has just begun waits until it knows who answers.
        if removes(&asked.request) && self.standing.told_in(self.leadership.term).is_none() {
            return Served::Waits(Cause::Route(asked));
        }
        if let Request::RegionRecover { region } = &asked.request {
            let region = region.clone();
            return self.recover(&region, asked);
        }
        let record = matches!(
            asked.request,
            Request::Append { .. }
                | Request::NamespaceCreate { .. }
                | Request::NamespaceRename { .. }
                | Request::NamespaceDelete { .. }
        );
        match self.withheld().filter(|_| record) {
            None => {}
            // That takes an instant.
            Some(Withheld::Asking) => return Served::Waits(Cause::Route(asked)),
            Some(withheld) => return RequestError::Unavailable { what: withheld.to_string() }.into(),
        }
        let draft = match self.draft(&asked.request) {
            Ok(command) => command,
            Err(error) => return error.into(),
        };
        let with_proof = matches!(asked.request, Request::Append { with_proof: true, .. });
        let tried = asked.tried;
        self.ledger.enqueue(Draft { wait: number, command: draft, with_proof, asked: Some(asked) });
        Served::Waits(Cause::Queued { tried })
    }

    /// Hands a request on to a node, or keeps it until one can be reached.
    pub(crate) fn hand_on(&self, to: Option<NodeId>, asked: &Asked) -> Served {
        match to.filter(|to| self.peers.contains_key(to)) {
            Some(to) => Served::Waits(Cause::Elsewhere { to, asked: Box::new(asked.clone()) }),
            None => Served::Waits(Cause::Route(Box::new(asked.clone()))),
        }
    }

    /// Hands a read on to the first of these nodes that can be reached and has not passed on it. When none is left,
    /// it waits and is then offered to all of them again.
    pub(crate) fn hand_on_to_one_of(&self, nodes: &[NodeId], asked: &Asked) -> Served {
        let open = |node: &&NodeId| self.peers.contains_key(*node) && !asked.passed.contains(*node);
        if let Some(to) = nodes.iter().find(open) {
            return self.hand_on(Some(*to), asked);
        }
        Served::Waits(Cause::Route(Box::new(Asked { passed: BTreeSet::new(), ..asked.clone() })))
    }

    /// A read that needs what is not here yet, on a full disk, which takes nothing in: one of these nodes may have it.
    /// Who handed it on to this node is told to ask another. None: it comes, and can be waited for.
    pub(crate) fn pass_while_full(&self, nodes: &[NodeId], asked: &Asked) -> Option<Served> {
        if self.writable {
            return None;
        }
        if asked.hops == 0 {
            return Some(self.hand_on_to_one_of(nodes, asked));
        }
        let what = "the disk is full, and what the session has seen is not here".to_owned();
        Some(RequestError::Unavailable { what }.into())
    }

    fn draft(&self, request: &Request) -> Result<DraftCommand, RequestError> {
        let stamp = trine_crdt::Timestamp::ZERO;
        Ok(DraftCommand::Other(match request {
            Request::Append { .. } => return self.draft_append(request),
            Request::NamespaceCreate { name, kind, slots } => {
                let slots = slots.unwrap_or(if *kind == NamespaceKind::Objects { 256 } else { 1 });
                check_name(name).and_then(|()| check_slots(slots))?;
                self.name_free(name, None)?;
                Command::CreateNamespace { stamp, name: name.clone(), kind: ledger_kind(*kind), slots }
            }
            Request::NamespaceRename { namespace, name } => {
                check_name(name)?;
                let namespace = self.altered_here(namespace)?;
                self.name_free(name, Some(&namespace))?;
                Command::RenameNamespace { stamp, namespace, name: name.clone() }
            }
            Request::NamespaceDelete { namespace, force, .. } => {
                let namespace = self.altered_here(namespace)?;
                return Ok(DraftCommand::Deletion { namespace, force: *force });
            }
            Request::NodeRemove { node, force } => {
                let command = Command::Retire { stamp, node: self.known_node(*node)? };
                return Ok(DraftCommand::Removal { command, force: *force });
            }
            Request::NodeReplace { node, force } => {
                let command = Command::Replace { stamp, node: self.lost_node(*node, *force)? };
                return Ok(DraftCommand::Removal { command, force: *force });
            }
            Request::NodeReadmit { name } => Command::Replace { stamp, node: self.closed_name(name)? },
            _ => return Err(RequestError::Unsupported { what: "this request at the leader".to_owned() }),
        }))
    }

    fn known_node(&self, node: NodeId) -> Result<NodeId, RequestError> {
        let registry = self.ledger.state.registry();
        let closed = registry.closed_names.values().any(|closed| *closed == node);
        if registry.roster.contains_key(&node) || closed {
            return Ok(node);
        }
        if registry.retired.contains(&node) {
            let what = format!("node {node} on the roster (it has left, and another one may have its name by now)");
            return Err(RequestError::NotFound { what });
        }
        let what = format!("node {node} on the roster of {} (ask a node of its own region)", self.config.region);
        Err(RequestError::NotFound { what })
    }

    /// A node that may be given up: it is silent, unless that is to be looked past.
    fn lost_node(&self, node: NodeId, force: bool) -> Result<NodeId, RequestError> {
        let node = self.known_node(node)?;
        match self.rostered(node) {
            Some(record) if self.answers(node) && !force => {
                let what = format!(
                    "{} answers; it has been registered since {}. A replacement is for a node that is lost: to take \
                     this one away, remove it; with --force it is given up all the same",
                    self.call(node),
                    record.stamp.utc()
                );
                Err(RequestError::Conflict { what })
            }
            _ => Ok(node),
        }
    }

    /// The node that was removed under a name.
    fn closed_name(&self, name: &str) -> Result<NodeId, RequestError> {
        let registry = self.ledger.state.registry();
        registry.closed_names.get(name).copied().ok_or_else(|| match registry.named(name) {
            Some(record) => {
                let what = format!("the name {name} is not closed: it is that of the node {}", record.node);
                RequestError::Conflict { what }
            }
            None => RequestError::NotFound { what: format!("a removed node named {name} in {}", self.config.region) },
        })
    }

    fn draft_append(&self, request: &Request) -> Result<DraftCommand, RequestError> {
        let Request::Append {
            namespace,
            key,
            value,
            content_type,
            metadata,
            idempotency_key: client_key,
            if_match,
            ..
        } = request
        else {
            return Err(RequestError::Unsupported { what: "this request as an append".to_owned() });
        };
        let namespace = self.namespace(namespace, NamespaceKind::Ledger)?.id.clone();
        if value.len() > self.config.value_bytes_max {
            return Err(too_large("the value", value.len(), self.config.value_bytes_max));
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
    pub(crate) fn reroute(&mut self, turn: &mut Turn<'_>) {
        for number in self.waiting.routes() {
            self.serve_waiting(turn, number);
        }
    }

    /// A request that was handed on gets no answer there any more: it is to be tried again, where that is harmless.
    pub(crate) fn send_again(&mut self, number: u64) {
        let Some(Wait { cause: Cause::Elsewhere { asked, .. }, .. }) = self.waiting.get(number) else { return };
        if !asked.idempotent() {
            return;
        }
        let writes = asked.request.writes();
        self.route_again(number, writes, None);
    }

    /// A request that was handed on waits for a way to be served again; `tried` when it may have been done.
    fn route_again(&mut self, number: u64, tried: bool, why: Option<String>) {
        let Some(Wait { origin, deadline_ns, cause }) = self.waiting.take(number) else { return };
        let cause = match cause {
            Cause::Elsewhere { mut asked, to } => {
                asked.tried |= tried;
                asked.passed.insert(to);
                asked.why = why;
                Cause::Route(asked)
            }
            cause => cause,
        };
        self.waiting.insert(number, Wait { origin, deadline_ns, cause });
    }

    /// Sends what the turn's requests were handed on to.
    pub(crate) fn flush_forwards(&mut self, turn: &mut Turn<'_>) {
        for number in self.waiting.take_unsent() {
            if let Some(Wait { cause: Cause::Elsewhere { to, asked }, .. }) = self.waiting.get(number) {
                let Asked { role, options, request, hops, .. } = (**asked).clone();
                turn.send(*to, PeerMessage::Forward { number, role, options, request, hops: hops + 1 });
            }
        }
    }

    /// The answer to a request that was handed on.
    pub(crate) fn forwarded_answer(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        number: u64,
        answer: Result<Box<Answer>, RequestError>,
    ) {
        let Some(Wait { cause: Cause::Elsewhere { to, asked }, .. }) = self.waiting.get(number) else { return };
        if *to != from {
            return;
        }
        let tried = asked.tried;
        // Nothing was done there: try again from here, until the deadline.
        if let Err(RequestError::Unavailable { what }) = answer {
            self.route_again(number, false, Some(what));
            return;
        }
        if let Some(wait) = self.waiting.take(number) {
            self.answer(turn, wait.origin, settled(tried, answer.map(|answer| *answer)));
        }
    }

    /// Gives up what waits too long.
    pub(crate) fn expire(&mut self, turn: &mut Turn<'_>) {
        let expired = self.waiting.expired(turn.now.monotonic_ns);
        if expired.iter().any(|wait| matches!(wait.cause, Cause::Queued { .. })) {
            self.ledger.drop_abandoned(&self.waiting);
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
                    if matches!(asked.request, Request::RegionRecover { .. }) =>
                {
                    RequestError::Unavailable { what: self.recovery_words(*theirs) }
                }
                Cause::Fresh { .. } => RequestError::Stale { as_of: self.latest().to_string() },
                Cause::Route(asked) if changes_roster(&asked.request) && self.leadership.leader.is_none() => {
                    RequestError::Unavailable { what: self.nobody_leads() }
                }
                Cause::Route(asked) if asked.why.is_some() => {
                    RequestError::Unavailable { what: asked.why.clone().unwrap_or_default() }
                }
                _ => RequestError::Unavailable { what: self.appends().err().unwrap_or("no answer in time".to_owned()) },
            };
            self.answer(turn, wait.origin, Err(error));
        }
    }

    /// Answers whoever asked.
    pub(crate) fn answer(&mut self, turn: &mut Turn<'_>, origin: Origin, answer: Result<Answer, RequestError>) {
        let answer = answer.map(Box::new);
        match origin {
            Origin::Client(request) => turn.effects.push(Effect::Reply { request, answer }),
            Origin::Peer { node, number } => turn.send(node, PeerMessage::Forwarded { number, answer }),
            Origin::Own => {}
        }
    }

    /// An answer with nothing for the session to remember.
    pub(crate) fn plain(&self, reply: Reply) -> Answer {
        Answer { reply, session: SessionToken::default(), timestamp: self.latest() }
    }
}

/// What is answered when an earlier try may have been done: that nothing was done now is not the whole truth then.
pub(crate) fn settled(tried: bool, answer: Result<Answer, RequestError>) -> Result<Answer, RequestError> {
    match answer {
        Err(
            RequestError::Overloaded { .. }
            | RequestError::Unavailable { .. }
            | RequestError::DiskFull
            | RequestError::NotFound { .. },
        ) if tried => Err(RequestError::Unknown),
        answer => answer,
    }
}

/// What a client is told of an error of the store.
pub(crate) fn storage(error: &StoreError) -> RequestError {
    match error {
        StoreError::Damaged(what) => RequestError::Damaged { what: what.clone() },
        StoreError::Failed(what) => RequestError::Unavailable { what: what.clone() },
    }
}

pub(crate) fn too_large(what: &str, bytes: usize, limit: usize) -> RequestError {
    RequestError::TooLarge { what: what.to_owned(), bytes: bytes as u64, limit: limit as u64 }
}

fn removes(request: &Request) -> bool {
    matches!(request, Request::NodeRemove { .. } | Request::NodeReplace { .. })
}

fn changes_roster(request: &Request) -> bool {
    removes(request) || matches!(request, Request::NodeReadmit { .. })
}

fn key_of(request: &Request) -> Option<&str> {
    match request {
        Request::Append { key, .. }
        | Request::LedgerGet { key, .. }
        | Request::LedgerHistory { key, .. }
        | Request::ObjectGet { key, .. }
        | Request::ObjectEdit { key, .. } => Some(key),
        _ => None,
    }
}
