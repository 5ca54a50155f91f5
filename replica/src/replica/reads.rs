//! Ledger reads: from this node's own ledger and mirrors, verified, or from the node of the region that has them.

use bytes::Bytes;
use trine_crdt::{RegionId, Timestamp};
use trine_ledger::apply::Applied;
use trine_ledger::record::Record;
use trine_ledger::tree::{consistency_proof, inclusion_proof};
use trine_protocol::reply::{Answer, Appended, InclusionView, Page};
use trine_protocol::request::{
    Append, CheckpointGet, ConsistencyGet, LedgerGet, LedgerHistory, LedgerRange, LedgerRecord, NamespaceKind,
};
use trine_protocol::{Conflict, Consistency, Missing, Reply, Request, RequestError};

use super::Organs;
use crate::answers::{Served, namespace_view, plain, settled};
use crate::cluster::{Cluster, name_taken};
use crate::ledger::Withheld;
use crate::marks::{self, Mark};
use crate::mutants::{self, Mutant};
use crate::not_ready::NotReady;
use crate::records::Place;
use crate::stop::Stop;
use crate::store::StoreError;
use crate::turn::Turn;
use crate::waiting::{Asked, Cause, Until, Wait};

impl Organs {
    pub(super) fn serve_ledger_read(&mut self, turn: &mut Turn<'_>, asked: &Asked) -> Result<Served, Stop> {
        let regional = asked.options.consistency == Consistency::Regional;
        if regional {
            if !self.cluster.serving() {
                return Ok(self.hand_on(self.cluster.leadership().leader, asked));
            }
            // All that was acknowledged is what such a read promises, and some of it may be elsewhere only.
            match self.ledger.withheld(&self.cluster) {
                Some(Withheld::Asking) => return Ok(Served::Waits(Cause::Route(Box::new(asked.clone())))),
                Some(withheld @ Withheld::Behind { .. }) => {
                    return Err(NotReady::from(withheld).into());
                }
                _ => {}
            }
            if mutants::is(Mutant::ReadWithoutBarrier) {
                return self.read(turn, asked).map(Served::Now);
            }
            let ticket = self.barriers.ask(&mut turn.effects);
            let mut asked = Box::new(asked.clone());
            // Once the barrier is reached, the read must see at least what is applied here then.
            asked.options.consistency = Consistency::Session;
            return Ok(Served::Waits(Cause::Barrier { ticket, index: None, asked }));
        }
        if !self.cluster.mirrors_here() && needs_mirrors(&asked.request, &self.cluster.config().region) {
            return Ok(self.hand_on_to_one_of(self.cluster.mirror_nodes(), asked));
        }
        if let Some(served) = self.pass_while_joining(asked)? {
            return Ok(served);
        }
        if asked.options.consistency == Consistency::Session
            && !mutants::is(Mutant::IgnoreSession)
            && let Some(until) = self.lacks_records(asked)
        {
            let others = match needs_mirrors(&asked.request, &self.cluster.config().region) {
                true => self.cluster.mirror_nodes().to_vec(),
                false => self.cluster.region_peers(),
            };
            if let Some(served) = self.pass_while_full(&others, asked)? {
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
        let here = |region: &RegionId| self.cluster.is_own(region) || self.cluster.mirrors_here();
        let seen = asked.options.session.ledgers.iter().filter(|(region, _)| reads(&asked.request, region));
        let mut missing = seen.filter(|(region, size)| self.held_records(region) < **size && here(region));
        missing.next().map(|(region, size)| Until::Ledger(region.clone(), *size))
    }

    fn read(&mut self, turn: &mut Turn<'_>, asked: &Asked) -> Result<Answer, Stop> {
        let ledger =
            |namespace: &str| self.cluster.namespace(namespace, NamespaceKind::Ledger).map(|found| found.id.clone());
        match &asked.request {
            Request::LedgerGet(LedgerGet { namespace, key, with_proof }) => {
                let namespace = ledger(namespace)?;
                let latest = self.records.latest(turn, &namespace, key)?;
                let latest = latest.ok_or_else(|| Missing::Key { key: key.clone() })?;
                self.record_answer(turn, &(latest.region, latest.index), *with_proof)
            }
            Request::LedgerRecord(LedgerRecord { region, index, with_proof }) => {
                if *index >= self.held_records(region) {
                    return Err(Missing::Record { region: region.clone(), index: *index }.into());
                }
                self.record_answer(turn, &(region.clone(), *index), *with_proof)
            }
            Request::LedgerHistory(LedgerHistory { namespace, key, after, limit }) => {
                let namespace = ledger(namespace)?;
                let page = self.records.history_page(turn, (&namespace, key), after.as_deref(), *limit)?;
                Ok(paged(turn, page))
            }
            Request::LedgerRange(LedgerRange { namespace, prefix, after, limit }) => {
                let namespace = ledger(namespace)?;
                let page = self.records.range_page(turn, (&namespace, prefix), after.as_deref(), *limit)?;
                Ok(paged(turn, page))
            }
            Request::Checkpoint(CheckpointGet { region }) => {
                let own = self.cluster.is_own(region);
                let note = if own { self.ledger.note() } else { self.mirrors.note(region) };
                let note = note.or_else(|| self.cluster.head(region).map(|(note, _)| note.clone()));
                let note = note.ok_or_else(|| Missing::Checkpoint { region: region.clone() })?;
                Ok(plain(turn, Reply::Checkpoint(note)))
            }
            Request::Consistency(ConsistencyGet { region, from, to }) => {
                if from > to || *to > self.held_records(region) {
                    let what = format!("sizes {from} to {to} of {region}: {} are held", self.held_records(region));
                    return Err(RequestError::Invalid { what }.into());
                }
                let proof = self.records.with_tree(turn, region, |read| consistency_proof(*from, *to, read))?;
                let damaged = |error| StoreError::Damaged(format!("the tree of {region}: {error}"));
                let path = proof.map_err(damaged)?;
                let path = path.iter().map(|hash| Bytes::copy_from_slice(hash)).collect();
                Ok(plain(turn, Reply::Consistency(path)))
            }
            _ => Err(RequestError::Unsupported { what: "this request as a ledger read".to_owned() }.into()),
        }
    }

    fn record_answer(&mut self, turn: &mut Turn<'_>, place: &Place, with_proof: bool) -> Result<Answer, Stop> {
        let mut view = self.records.view(turn, place)?;
        if with_proof {
            view.proof = Some(self.inclusion(turn, &place.0, place.1)?);
        }
        let mut answer = plain(turn, Reply::Record(view));
        answer.session.see_ledger(&place.0, place.1 + 1);
        Ok(answer)
    }

    /// The proof that a record is in a ledger, against the latest checkpoint held.
    fn inclusion(&mut self, turn: &mut Turn<'_>, region: &RegionId, index: u64) -> Result<InclusionView, StoreError> {
        let unsigned = || StoreError::Failed(format!("this node cannot sign checkpoints of {region}"));
        let own = self.cluster.is_own(region);
        let (size, note) = if own {
            (self.ledger.size(), self.ledger.note())
        } else {
            (self.held_records(region), self.mirrors.note(region))
        };
        let checkpoint = note.ok_or_else(unsigned)?;
        let path = self
            .records
            .with_tree(turn, region, |read| inclusion_proof(index, size, read))?
            .map_err(|error| StoreError::Damaged(format!("the tree of {region}: {error}")))?;
        Ok(InclusionView { checkpoint, path: path.iter().map(|hash| Bytes::copy_from_slice(hash)).collect() })
    }

    /// What became of a command, told to who waits for it.
    pub(super) fn answer_applied(&mut self, turn: &mut Turn<'_>, wait: Wait, applied: Applied) {
        let Wait { origin, cause: Cause::Commit { with_proof, asked, .. }, .. } = wait else { return };
        let region = self.cluster.config().region.clone();
        let answer = match applied {
            Applied::Record(record) => {
                Ok(self.appended(turn, (record.index, record.header.stamp, record.leaf), false, with_proof))
            }
            Applied::Duplicate { index, .. }
                if self.differs(turn, index, asked.as_deref()) && !mutants::is(Mutant::KeyForAnother) =>
            {
                Err(Conflict::IdempotencyKey { region, index }.into())
            }
            Applied::Duplicate { index, stamp, leaf } => {
                Ok(self.appended(turn, (index, stamp, leaf), true, with_proof))
            }
            Applied::ConditionFailed { actual } => Err(Conflict::Version { region, latest: actual }.into()),
            Applied::Namespace(record) => Ok(plain(turn, Reply::Namespace(namespace_view(&record)))),
            Applied::NamespaceDeleted(_)
            | Applied::Registered { .. }
            | Applied::Removed { .. }
            | Applied::Recovered(_)
            | Applied::Resumed
            | Applied::Sealed(_) => Ok(plain(turn, Reply::Done)),
            Applied::Refused(refusal) => {
                settled(asked.is_some_and(|asked| asked.tried), Err(refused(&self.cluster, &refusal)))
            }
        };
        self.answer(turn, origin, answer);
    }

    /// Whether a record is another than the append asks for: then its idempotency key was used for two.
    fn differs(&mut self, turn: &mut Turn<'_>, index: u64, asked: Option<&Asked>) -> bool {
        let region = self.cluster.config().region.clone();
        let Some(Request::Append(Append { key, value, content_type, metadata, .. })) =
            asked.map(|asked| &asked.request)
        else {
            return false;
        };
        let Ok(Some(bytes)) = self.records.bytes(turn, &region, index) else { return false };
        let Ok(record) = Record::from_bytes(&bytes) else { return false };
        let (Ok(header), Some(body)) = (record.verify(), &record.body) else { return false };
        (key, value, content_type, metadata) != (&body.key, &body.value, &header.content_type, &body.metadata)
    }

    fn appended(
        &mut self,
        turn: &mut Turn<'_>,
        (index, stamp, leaf): (u64, Timestamp, [u8; 32]),
        duplicate: bool,
        with_proof: bool,
    ) -> Answer {
        let region = self.cluster.config().region.clone();
        let (mut proof, mut header) = (None, None);
        if with_proof {
            // The record stands, proof or not: a proof that cannot be made now can be asked for later.
            proof = self.inclusion(turn, &region, index).ok();
            let bytes = self.records.bytes(turn, &region, index).ok().flatten();
            header = bytes.and_then(|bytes| Record::from_bytes(&bytes).ok()).map(|record| record.header);
        }
        let mut answer = plain(
            turn,
            Reply::Appended(Appended {
                region: region.clone(),
                index,
                timestamp: stamp,
                duplicate,
                leaf,
                proof,
                header,
            }),
        );
        answer.session.see_ledger(&region, index + 1);
        answer
    }

    /// The log says how far a read barrier reaches.
    pub(super) fn barrier_reached(&mut self, turn: &mut Turn<'_>, ticket: u64, reached: Option<u64>) {
        self.barriers.over(&mut turn.effects, ticket);
        self.waiting.barrier(ticket, reached);
        self.wake_barriers(turn);
    }

    /// Serves the reads whose barrier is applied.
    pub(super) fn wake_barriers(&mut self, turn: &mut Turn<'_>) {
        let Some(applied) = self.ledger.position() else { return };
        for number in self.waiting.reached(applied.index) {
            let size = self.ledger.size();
            let region = self.cluster.config().region.clone();
            self.waiting.amend(number, |asked| asked.options.session.see_ledger(&region, size));
            self.serve_waiting(turn, number);
        }
    }
}

/// Whether the answer to a request depends on a region's ledger.
fn reads(request: &Request, ledger: &RegionId) -> bool {
    match request {
        Request::LedgerRecord(LedgerRecord { region, .. })
        | Request::Consistency(ConsistencyGet { region, .. })
        | Request::Checkpoint(CheckpointGet { region }) => region == ledger,
        _ => true,
    }
}

/// Whether a read may need another region's records.
fn needs_mirrors(request: &Request, own: &RegionId) -> bool {
    match request {
        Request::LedgerRecord(LedgerRecord { region, .. }) | Request::Consistency(ConsistencyGet { region, .. }) => {
            region != own
        }
        Request::Checkpoint(_) => false,
        _ => true,
    }
}

/// A page, of which the session has seen the records.
fn paged(turn: &Turn<'_>, page: Page) -> Answer {
    let mut answer = plain(turn, Reply::Page(Page::default()));
    page.records.iter().for_each(|record| answer.session.see_ledger(&record.region, record.index + 1));
    answer.reply = Reply::Page(page);
    answer
}

fn refused(cluster: &Cluster, refusal: &trine_ledger::apply::Refusal) -> RequestError {
    use trine_ledger::apply::Refusal;
    match refusal {
        Refusal::NamespaceExists { id } => name_taken("of this name", id),
        Refusal::UnknownNamespace { id } => Missing::namespace(id).into(),
        Refusal::UnknownNode { node } => cluster.no_node(*node).into(),
        Refusal::IdempotencyFull => RequestError::Overloaded { retry_after: std::time::Duration::from_secs(1) },
        Refusal::StampNotAbove { .. } => RequestError::Unavailable { what: refusal.to_string() },
        _ => RequestError::Invalid { what: refusal.to_string() },
    }
}
