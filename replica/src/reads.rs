//! Ledger reads: from this node's own ledger and mirrors, verified, or from the node of the region that has them.

use bytes::Bytes;
use trine_crdt::marks::{self, Mark};
use trine_crdt::mutants::{self, Mutant};
use trine_crdt::{PartitionId, RegionId, Timestamp, WriterId};
use trine_ledger::apply::Applied;
use trine_ledger::entry::{Command, Entry};
use trine_ledger::record::Record;
use trine_ledger::tree::{consistency_proof, inclusion_proof};
use trine_protocol::reply::{Answer, Appended, InclusionView, Page, RecordView};
use trine_protocol::request::NamespaceKind;
use trine_protocol::{Consistency, Reply, Request, RequestError, limits};

use crate::effect::Effect;
use crate::effect::Persistence::Derived;
use crate::namespaces::{name_taken, namespace_view};
use crate::replica::Replica;
use crate::requests::{Served, settled};
use crate::rows;
use crate::signing::Withheld;
use crate::store::StoreError;
use crate::turn::Turn;
use crate::waiting::{Asked, Cause, Until, Wait};

/// A place in a ledger.
type Place = (RegionId, u64);

impl Replica {
    pub(crate) fn serve_ledger_read(&mut self, turn: &mut Turn<'_>, asked: &Asked) -> Result<Served, StoreError> {
        let regional = asked.options.consistency == Consistency::Regional;
        if regional {
            if !self.leadership.serving {
                return Ok(self.hand_on(self.leadership.leader, asked));
            }
            // All that was acknowledged is what such a read promises, and some of it may be elsewhere only.
            match self.withheld() {
                Some(Withheld::Asking) => return Ok(Served::Waits(Cause::Route(Box::new(asked.clone())))),
                Some(withheld @ Withheld::Behind { .. }) => {
                    return Ok(RequestError::Unavailable { what: withheld.to_string() }.into());
                }
                _ => {}
            }
            if mutants::is(Mutant::ReadWithoutBarrier) {
                return self.read(turn, asked).map(Served::Now);
            }
            self.last_barrier += 1;
            let ticket = self.last_barrier;
            turn.effects.push(Effect::ReadIndex { ticket });
            let mut asked = Box::new(asked.clone());
            // Once the barrier is reached, the read must see at least what is applied here then.
            asked.options.consistency = Consistency::Session;
            return Ok(Served::Waits(Cause::Barrier { ticket, index: None, asked }));
        }
        if !self.mirrors_here() && needs_mirrors(&asked.request, &self.config.region) {
            return Ok(self.hand_on_to_one_of(self.mirror_nodes(), asked));
        }
        if let Some(served) = self.pass_while_joining(asked) {
            return Ok(served);
        }
        if asked.options.consistency == Consistency::Session
            && !mutants::is(Mutant::IgnoreSession)
            && let Some(until) = self.lacks_records(asked)
        {
            let others = match needs_mirrors(&asked.request, &self.config.region) {
                true => self.mirror_nodes().to_vec(),
                false => self.region_peers(),
            };
            if let Some(served) = self.pass_while_full(&others, asked) {
                return Ok(served);
            }
            marks::reached(Mark::SessionWaited);
            return Ok(Served::Waits(Cause::Fresh { until, asked: Box::new(asked.clone()) }));
        }
        self.read(turn, asked).map(Served::Now)
    }

    /// What the session has seen of the ledgers that the request reads, and this node has not yet. For a ledger that
    /// this node does not mirror it could wait for forever.
    fn lacks_records(&self, asked: &Asked) -> Option<Until> {
        let here = |region: &RegionId| *region == self.config.region || self.mirrors_here();
        let seen = asked.options.session.ledgers.iter().filter(|(region, _)| reads(&asked.request, region));
        let mut missing = seen.filter(|(region, size)| self.held_records(region) < **size && here(region));
        missing.next().map(|(region, size)| Until::Ledger(region.clone(), *size))
    }

    fn read(&mut self, turn: &Turn<'_>, asked: &Asked) -> Result<Result<Answer, RequestError>, StoreError> {
        let ledger = |namespace: &str| self.namespace(namespace, NamespaceKind::Ledger).map(|found| found.id.clone());
        match &asked.request {
            Request::LedgerGet { namespace, key, with_proof } => {
                let namespace = match ledger(namespace) {
                    Ok(namespace) => namespace,
                    Err(error) => return Ok(Err(error)),
                };
                let Some(latest) = self.latest_version(turn, &namespace, key)? else {
                    return Ok(Err(RequestError::NotFound { what: format!("key {key}") }));
                };
                self.record_answer(turn, &(latest.region, latest.index), *with_proof)
            }
            Request::LedgerRecord { region, index, with_proof } => {
                if *index >= self.held_records(region) {
                    return Ok(Err(RequestError::NotFound { what: format!("record {index} of {region}") }));
                }
                self.record_answer(turn, &(region.clone(), *index), *with_proof)
            }
            Request::LedgerHistory { namespace, key, after, limit } => {
                let namespace = match ledger(namespace) {
                    Ok(namespace) => namespace,
                    Err(error) => return Ok(Err(error)),
                };
                let after = match after.as_ref().map(|cursor| history_cursor(cursor).ok_or_else(bad_cursor)).transpose()
                {
                    Ok(after) => after,
                    Err(error) => return Ok(Err(error)),
                };
                let limit = page_limit(*limit);
                let mut versions = self.history(turn, (&namespace, key), after.as_ref(), limit + 1)?;
                let more = versions.len() > limit;
                versions.truncate(limit);
                let last = versions.last().filter(|_| more);
                let next = last.map(|last| format!("{}@{}/{}", last.stamp, last.region, last.index));
                let places = versions.into_iter().map(|version| (version.region, version.index)).collect();
                self.page(turn, places, next, history_cursor_of)
            }
            Request::LedgerRange { namespace, prefix, after, limit } => {
                let namespace = match ledger(namespace) {
                    Ok(namespace) => namespace,
                    Err(error) => return Ok(Err(error)),
                };
                let end = rows::after_prefix(&rows::versions_from(&namespace, prefix.as_bytes()));
                let mut from = match after {
                    None => rows::versions_from(&namespace, prefix.as_bytes()),
                    Some(key) => rows::after_prefix(&rows::versions(&namespace, key.as_bytes()))
                        .max(rows::versions_from(&namespace, prefix.as_bytes())),
                };
                let (mut places, mut next, limit) = (Vec::new(), None, page_limit(*limit));
                while let Some((row, _)) = self.buffer.scan(turn.store, Derived, (&from, &end), 1, false)?.first() {
                    let Some((key, ..)) = rows::read_version(row) else { break };
                    if places.len() == limit {
                        next = places.last().map(|(key, _): &(String, Place)| key.clone());
                        break;
                    }
                    from = rows::after_prefix(&rows::versions(&namespace, &key));
                    let damaged = || StoreError::Damaged("a version's row".to_owned());
                    let key = String::from_utf8(key).map_err(|_| damaged())?;
                    let latest = self.latest_version(turn, &namespace, &key)?.ok_or_else(damaged)?;
                    places.push((key, (latest.region, latest.index)));
                }
                self.page(turn, places.into_iter().map(|(_, place)| place).collect(), next, |view| view.key.clone())
            }
            Request::Checkpoint { region } => {
                let own = *region == self.config.region;
                let note = if own { self.ledger.note() } else { self.mirrors.note(region) };
                let note = note.or_else(|| self.metadata.head(region).map(|(note, _)| note));
                Ok(match note {
                    Some(note) => Ok(self.plain(Reply::Checkpoint(note))),
                    None => Err(RequestError::NotFound { what: format!("checkpoint of {region}") }),
                })
            }
            Request::Consistency { region, from, to } => {
                if from > to || *to > self.held_records(region) {
                    return Ok(Err(RequestError::Invalid {
                        what: format!("sizes {from} to {to} of {region}: {} are held", self.held_records(region)),
                    }));
                }
                let proof = self.with_tree(turn, region, |read| consistency_proof(*from, *to, read))?;
                Ok(match proof {
                    Ok(path) => {
                        let path = path.iter().map(|hash| Bytes::copy_from_slice(hash)).collect();
                        Ok(self.plain(Reply::Consistency(path)))
                    }
                    Err(error) => Err(RequestError::Damaged { what: format!("the tree of {region}: {error}") }),
                })
            }
            _ => Ok(Err(RequestError::Unsupported { what: "this request as a ledger read".to_owned() })),
        }
    }

    fn record_answer(
        &mut self,
        turn: &Turn<'_>,
        place: &Place,
        with_proof: bool,
    ) -> Result<Result<Answer, RequestError>, StoreError> {
        let view = self.record_view(turn, place, with_proof)?;
        let mut answer = self.plain(Reply::Record(view));
        answer.session.see_ledger(&place.0, place.1 + 1);
        Ok(Ok(answer))
    }

    fn page(
        &mut self,
        turn: &Turn<'_>,
        places: Vec<Place>,
        next: Option<String>,
        cursor: fn(&RecordView) -> String,
    ) -> Result<Result<Answer, RequestError>, StoreError> {
        let mut answer = self.plain(Reply::Page(Page::default()));
        let (mut records, mut bytes) = (Vec::new(), 0);
        let whole = places.len();
        for place in places {
            let view = self.record_view(turn, &place, false)?;
            bytes += view.value.len() + view.key.len() + view.header.len();
            if bytes > limits::VALUE_BYTES_MAX && !records.is_empty() {
                break;
            }
            answer.session.see_ledger(&place.0, place.1 + 1);
            records.push(view);
        }
        let cut = records.len() < whole;
        let next = if cut { records.last().map(cursor) } else { next };
        answer.reply = Reply::Page(Page { records, next });
        Ok(Ok(answer))
    }

    /// A record, verified against its leaf in the tree.
    fn record_view(
        &mut self,
        turn: &Turn<'_>,
        (region, index): &Place,
        with_proof: bool,
    ) -> Result<RecordView, StoreError> {
        let damaged = || StoreError::Damaged(format!("record {index} of {region}"));
        let bytes = self.read_record_bytes(turn, region, *index)?.ok_or_else(damaged)?;
        let record = Record::from_bytes(&bytes).map_err(|_| damaged())?;
        let header = record.verify().map_err(|_| damaged())?;
        if self.leaf(turn, region, *index)? != Some(record.leaf()) {
            return Err(damaged());
        }
        let proof = if with_proof { Some(self.inclusion(turn, region, *index)?) } else { None };
        let body = record.body.ok_or_else(damaged)?;
        Ok(RecordView {
            region: region.clone(),
            index: *index,
            namespace: header.namespace,
            key: body.key,
            timestamp: header.stamp,
            value: body.value,
            content_type: header.content_type,
            metadata: body.metadata,
            header: record.header,
            salts: body.salts.concat().into(),
            proof,
        })
    }

    /// A record's canonical bytes, from the log entry that brought it or from its mirror's row.
    pub(crate) fn read_record_bytes(
        &mut self,
        turn: &Turn<'_>,
        region: &RegionId,
        index: u64,
    ) -> Result<Option<Bytes>, StoreError> {
        if *region != self.config.region {
            return self.buffer.get(turn.store, Derived, &rows::mirrored(region, index));
        }
        if let Some(bytes) = self.ledger.recent(index) {
            return Ok(Some(bytes));
        }
        marks::reached(Mark::RecordReread);
        let damaged = || StoreError::Damaged(format!("the place of record {index}"));
        let (lowest, after) = (rows::own_records(0), rows::own_records(index + 1));
        let found = self.buffer.scan(turn.store, Derived, (&lowest, &after), 1, true)?;
        let Some((row, places)) = found.first() else { return Ok(None) };
        let first = rows::last_number(row).ok_or_else(damaged)?;
        let (log_index, numbers) = places.split_first_chunk::<8>().ok_or_else(damaged)?;
        let at = usize::try_from(index - first).map_err(|_| damaged())?.saturating_mul(4);
        // Records beyond the last one have no place yet.
        let Some(number) = numbers.get(at..).and_then(|rest| rest.first_chunk::<4>()) else { return Ok(None) };
        let number = u32::from_be_bytes(*number);
        let entry = turn.store.entry(u64::from_be_bytes(*log_index))?.ok_or_else(damaged)?;
        let entry = Entry::from_bytes(&entry).map_err(|_| damaged())?;
        match entry.commands.get(number as usize) {
            Some(Command::Append(append)) => append.record().to_bytes().map(Some).map_err(|_| damaged()),
            Some(Command::Restore { header, body, .. }) => {
                let record = Record { header: header.clone(), body: Some((**body).clone()) };
                record.to_bytes().map(Some).map_err(|_| damaged())
            }
            _ => Err(damaged()),
        }
    }

    /// The proof that a record is in a ledger, against the latest checkpoint held.
    fn inclusion(&mut self, turn: &Turn<'_>, region: &RegionId, index: u64) -> Result<InclusionView, StoreError> {
        let unsigned = || StoreError::Failed(format!("this node cannot sign checkpoints of {region}"));
        let own = *region == self.config.region;
        let (size, note) = if own {
            (self.ledger.size(), self.ledger.note())
        } else {
            (self.held_records(region), self.mirrors.note(region))
        };
        let checkpoint = note.ok_or_else(unsigned)?;
        let path = self
            .with_tree(turn, region, |read| inclusion_proof(index, size, read))?
            .map_err(|error| StoreError::Damaged(format!("the tree of {region}: {error}")))?;
        Ok(InclusionView { checkpoint, path: path.iter().map(|hash| Bytes::copy_from_slice(hash)).collect() })
    }

    /// What became of a command, told to who waits for it.
    pub(crate) fn answer_applied(&mut self, turn: &mut Turn<'_>, wait: Wait, applied: Applied) {
        let Wait { origin, cause: Cause::Commit { with_proof, asked, .. }, .. } = wait else { return };
        let region = self.config.region.clone();
        let answer = match applied {
            Applied::Record(record) => {
                Ok(self.appended(turn, (record.index, record.header.stamp, record.leaf), false, with_proof))
            }
            Applied::Duplicate { index, .. }
                if self.differs(turn, index, asked.as_deref()) && !mutants::is(Mutant::KeyForAnother) =>
            {
                let what = format!("the idempotency key stands for another append, record {index} of {region}");
                Err(RequestError::Conflict { what })
            }
            Applied::Duplicate { index, stamp, leaf } => {
                Ok(self.appended(turn, (index, stamp, leaf), true, with_proof))
            }
            Applied::ConditionFailed { actual } => Err(RequestError::Conflict {
                what: match actual {
                    Some(index) => format!("the key's latest version in {region} is record {index}"),
                    None => format!("the key has no version in {region}"),
                },
            }),
            Applied::Namespace(record) => Ok(self.plain(Reply::Namespace(namespace_view(&record)))),
            Applied::NamespaceDeleted(_)
            | Applied::Registered { .. }
            | Applied::Removed { .. }
            | Applied::Recovered(_)
            | Applied::Resumed
            | Applied::Sealed(_) => Ok(self.plain(Reply::Done)),
            Applied::Refused(refusal) => settled(asked.is_some_and(|asked| asked.tried), Err(refused(&refusal))),
        };
        self.answer(turn, origin, answer);
    }

    /// Whether a record is another than the append asks for: then its idempotency key was used for two.
    fn differs(&mut self, turn: &Turn<'_>, index: u64, asked: Option<&Asked>) -> bool {
        let region = self.config.region.clone();
        let Some(Request::Append { key, value, content_type, metadata, .. }) = asked.map(|asked| &asked.request) else {
            return false;
        };
        let Ok(Some(bytes)) = self.read_record_bytes(turn, &region, index) else { return false };
        let Ok(record) = Record::from_bytes(&bytes) else { return false };
        let (Ok(header), Some(body)) = (record.verify(), &record.body) else { return false };
        (key, value, content_type, metadata) != (&body.key, &body.value, &header.content_type, &body.metadata)
    }

    fn appended(
        &mut self,
        turn: &Turn<'_>,
        (index, stamp, leaf): (u64, Timestamp, [u8; 32]),
        duplicate: bool,
        with_proof: bool,
    ) -> Answer {
        let region = self.config.region.clone();
        let (mut proof, mut header) = (None, None);
        if with_proof {
            // The record stands, proof or not: a proof that cannot be made now can be asked for later.
            proof = self.inclusion(turn, &region, index).ok();
            let bytes = self.read_record_bytes(turn, &region, index).ok().flatten();
            header = bytes.and_then(|bytes| Record::from_bytes(&bytes).ok()).map(|record| record.header);
        }
        let mut answer = self.plain(Reply::Appended(Appended {
            region: region.clone(),
            index,
            timestamp: stamp,
            duplicate,
            leaf,
            proof,
            header,
        }));
        answer.session.see_ledger(&region, index + 1);
        answer
    }

    /// The log says how far a read barrier reaches.
    pub(crate) fn barrier_reached(&mut self, turn: &mut Turn<'_>, ticket: u64, reached: Option<u64>) {
        for number in self.waiting.barriers(ticket) {
            let Some(Wait { origin, deadline_ns, cause: Cause::Barrier { mut asked, .. } }) = self.waiting.take(number)
            else {
                continue;
            };
            let cause = if reached.is_some() {
                Cause::Barrier { ticket, index: reached, asked }
            } else {
                marks::reached(Mark::BarrierFailed);
                asked.options.consistency = Consistency::Regional;
                Cause::Route(asked)
            };
            self.waiting.insert(number, Wait { origin, deadline_ns, cause });
        }
        self.wake_barriers(turn);
    }

    /// Serves the reads whose barrier is applied.
    pub(crate) fn wake_barriers(&mut self, turn: &mut Turn<'_>) {
        let Some(applied) = self.ledger.state.position() else { return };
        for number in self.waiting.reached(applied.index) {
            let size = self.ledger.size();
            let region = self.config.region.clone();
            self.waiting.amend(number, |asked| asked.options.session.see_ledger(&region, size));
            self.serve_waiting(turn, number);
        }
    }

    /// Serves the requests that waited for a ledger's records.
    pub(crate) fn wake_ledger(&mut self, turn: &mut Turn<'_>, region: &RegionId) {
        for number in self.waiting.ledgers(region, self.held_records(region)) {
            self.serve_waiting(turn, number);
        }
    }

    /// Serves the requests that waited for a writer's deltas.
    pub(crate) fn wake_position(&mut self, turn: &mut Turn<'_>, partition: &PartitionId, writer: WriterId) {
        let held = self.objects.held(partition, writer);
        for number in self.waiting.positions(partition, writer, held) {
            self.serve_waiting(turn, number);
        }
    }
}

/// Whether the answer to a request depends on a region's ledger.
fn reads(request: &Request, ledger: &RegionId) -> bool {
    match request {
        Request::LedgerRecord { region, .. } | Request::Consistency { region, .. } | Request::Checkpoint { region } => {
            region == ledger
        }
        _ => true,
    }
}

/// Whether a read may need another region's records.
fn needs_mirrors(request: &Request, own: &RegionId) -> bool {
    match request {
        Request::LedgerRecord { region, .. } | Request::Consistency { region, .. } => region != own,
        Request::Checkpoint { .. } => false,
        _ => true,
    }
}

fn page_limit(limit: u32) -> usize {
    limit.clamp(1, limits::PAGE_RECORDS_MAX) as usize
}

fn history_cursor_of(view: &RecordView) -> String {
    format!("{}@{}/{}", view.timestamp, view.region, view.index)
}

fn history_cursor(cursor: &str) -> Option<(Timestamp, RegionId, u64)> {
    let (stamp, place) = cursor.split_once('@')?;
    let (region, index) = place.split_once('/')?;
    Some((stamp.parse().ok()?, region.parse().ok()?, index.parse().ok()?))
}

fn bad_cursor() -> RequestError {
    RequestError::Invalid { what: "`after` is not what a page returned as `next`".to_owned() }
}

fn refused(refusal: &trine_ledger::apply::Refusal) -> RequestError {
    use trine_ledger::apply::Refusal;
    match refusal {
        Refusal::NamespaceExists { id } => name_taken("of this name", id),
        Refusal::UnknownNamespace { id } => RequestError::NotFound { what: format!("namespace {id}") },
        Refusal::UnknownNode { .. } => RequestError::NotFound { what: refusal.to_string() },
        Refusal::IdempotencyFull => RequestError::Overloaded { retry_after: std::time::Duration::from_secs(1) },
        Refusal::StampNotAbove { .. } => RequestError::Unavailable { what: refusal.to_string() },
        _ => RequestError::Invalid { what: refusal.to_string() },
    }
}
