//! Object requests: an edit becomes one dot, a read waits until the session's writes are here.

use trine_crdt::marks::{self, Mark};
use trine_crdt::mutants::{self, Mutant};
use trine_crdt::{Dot, Operation, PartitionId};
use trine_protocol::object::{Edit, ObjectView, View};
use trine_protocol::reply::Answer;
use trine_protocol::request::{NamespaceKind, ObjectCondition};
use trine_protocol::session::{Position, SessionToken};
use trine_protocol::{Consistency, Durability, Reply, Request, RequestError};

use crate::delta_log::DeltaRow;
use crate::limits::OBJECT_BYTES_MAX;
use crate::objects::{Objects, Stored, digest_of};
use crate::replica::Organs;
use crate::requests::{Served, plain, too_large};
use crate::store::StoreError;
use crate::turn::{Clock, Turn};
use crate::waiting::{Asked, Cause, Until, Wait};

impl Organs {
    /// Changes an object here.
    pub(crate) fn serve_edit(&mut self, turn: &mut Turn<'_>, asked: &Asked) -> Result<Served, StoreError> {
        let Request::ObjectEdit { namespace, key, edit } = &asked.request else {
            return Ok(RequestError::Unsupported { what: "this request as an edit".to_owned() }.into());
        };
        if !self.cluster.registered() {
            // Nothing was done; the client's library tries elsewhere, or this node once it is registered.
            return Ok(RequestError::Unavailable { what: self.ready(turn.clock).err().unwrap_or_default() }.into());
        }
        if let Some(what) = self.joining.waits() {
            // An edit answers with what stands after it, and that is not all here.
            return Ok(RequestError::Unavailable { what }.into());
        }
        if let Durability::Regions(_) | Durability::All = asked.options.durability {
            let what = format!("durability {} for objects; use local or region", asked.options.durability);
            return Ok(RequestError::Unsupported { what }.into());
        }
        let namespace = match self.cluster.namespace(namespace, NamespaceKind::Objects) {
            Ok(namespace) => namespace,
            Err(error) => return Ok(error.into()),
        };
        let bytes = value_bytes(edit);
        if bytes > self.cluster.config().value_bytes_max {
            return Ok(too_large("the value", bytes, self.cluster.config().value_bytes_max).into());
        }
        let partition = PartitionId::of_key(namespace.id.clone(), key.as_bytes(), namespace.slots);
        let mut stored = Objects::read(turn, &partition, key.as_bytes())?;
        if let Some(what) = asked.options.object.and_then(|wanted| contradicts(wanted, &stored)) {
            return Ok(RequestError::Conflict { what }.into());
        }
        let writer = self.cluster.config().writer;
        let before = self.objects.held(&partition, writer);
        let seq = before + 1;
        let seen = stored.object.latest_stamp();
        // What lay ahead when it was taken in lies within the allowed drift some time later: the clock goes on from there.
        turn.observe(&seen).ok();
        let stamp = turn.stamp()?;
        let stamp = Clock::above(seen, stamp);
        let delta = match stored.object.edit(Dot::new(writer, seq), before, stamp, &operation(edit)) {
            Ok(delta) => delta,
            Err(error) => return Ok(refused(&error).into()),
        };
        let durable = asked.options.durability == Durability::Local || self.at_majority(&partition);
        if delta.changes_nothing() && (stored.bytes.is_none() || durable) {
            marks::reached(Mark::EditOfNothing);
            return Ok(Served::Now(Ok(nothing_done(stored.bytes.as_ref(), stamp)?)));
        }
        let bytes = bytes::Bytes::from(stored.object.to_bytes());
        if bytes.len() > OBJECT_BYTES_MAX {
            return Ok(too_large("the object", bytes.len(), OBJECT_BYTES_MAX).into());
        }
        let view = view_of(&stored.object, &bytes);
        self.objects.write(turn, &partition, key.as_bytes(), stored.bytes.as_ref(), bytes);
        let deltas = vec![(bytes::Bytes::copy_from_slice(key.as_bytes()), delta.to_bytes().into())];
        self.objects.keep(turn, &partition, writer, seq, &DeltaRow { after: before, deltas });
        self.objects.advance(turn, &partition, writer, seq);
        self.push_later(turn, &partition, writer, before, seq);
        let mut session = SessionToken::default();
        session.see_position(Position { partition: partition.clone(), writer, seq });
        let answer = Answer { reply: Reply::Object(view), session, timestamp: stamp };
        if asked.options.durability == Durability::Local || self.cluster.majority_others() == 0 {
            return Ok(Served::Now(Ok(answer)));
        }
        let have = std::collections::BTreeSet::new();
        Ok(Served::Waits(Cause::Majority { partition, seq, have, answer: Box::new(answer) }))
    }

    /// Whether a majority of the region has on its disks all that is held here of a partition, as far as it said. What an
    /// edit finds removed may have been removed a moment ago: only if so is that as durable as the edit asks for.
    fn at_majority(&self, partition: &PartitionId) -> bool {
        let needed = self.cluster.majority_others();
        let others: Vec<_> = self.cluster.own().roster.values().map(|record| record.node).collect();
        self.objects.logged(partition).into_iter().all(|writer| {
            let held = self.objects.held(partition, writer);
            let has = |node: &&trine_crdt::NodeId| self.objects.holder(partition, writer, **node) >= held;
            others.iter().filter(has).count() >= needed
        })
    }

    /// A majority has a write now.
    pub(crate) fn answer_majority(&mut self, turn: &mut Turn<'_>, wait: Wait) {
        if let Cause::Majority { answer, .. } = wait.cause {
            self.answer(turn, wait.origin, Ok(*answer));
        }
    }

    /// Reads an object here, once what the session has seen is here.
    pub(crate) fn serve_get(&mut self, turn: &mut Turn<'_>, asked: &Asked) -> Result<Served, StoreError> {
        let Request::ObjectGet { namespace, key } = &asked.request else {
            return Ok(RequestError::Unsupported { what: "this request as a read".to_owned() }.into());
        };
        if asked.options.consistency == Consistency::Regional {
            let what = "regional reads of objects; use session".to_owned();
            return Ok(RequestError::Unsupported { what }.into());
        }
        let namespace = match self.cluster.namespace(namespace, NamespaceKind::Objects) {
            Ok(namespace) => namespace,
            Err(error) => return Ok(error.into()),
        };
        let partition = PartitionId::of_key(namespace.id.clone(), key.as_bytes(), namespace.slots);
        if let Some(served) = self.session_waits(asked) {
            return Ok(served);
        }
        let stored = Objects::read(turn, &partition, key.as_bytes())?;
        let Some(bytes) = stored.bytes.filter(|_| !stored.object.is_empty()) else {
            return Ok(RequestError::NotFound { what: format!("object {key}") }.into());
        };
        let mut answer = plain(turn, Reply::Object(view_of(&stored.object, &bytes)));
        // What this read showed the session must not lose again: the latest write in it.
        if let Some(position) = self.latest_position(&partition, &stored.object) {
            answer.session.see_position(position);
        }
        Ok(Served::Now(Ok(answer)))
    }

    /// What a read of objects waits for, or goes elsewhere for, when the session has seen what this node has not.
    pub(crate) fn session_waits(&self, asked: &Asked) -> Option<Served> {
        if asked.options.consistency != Consistency::Session || mutants::is(Mutant::IgnoreSession) {
            return None;
        }
        let until = self.lacks_writes(&asked.options.session)?;
        if let Some(served) = self.pass_while_full(&self.cluster.region_peers(), asked) {
            return Some(served);
        }
        marks::reached(Mark::SessionWaited);
        Some(Served::Waits(Cause::Fresh { until, asked: Box::new(asked.clone()) }))
    }

    /// A write that the session has seen and this node has not.
    fn lacks_writes(&self, session: &SessionToken) -> Option<Until> {
        let missing = |at: &&Position| self.objects.held(&at.partition, at.writer) < at.seq;
        let at = session.positions.iter().find(missing)?;
        Some(Until::Position(at.partition.clone(), at.writer, at.seq))
    }

    fn latest_position(&self, partition: &PartitionId, object: &trine_crdt::Object) -> Option<Position> {
        let writer = object.latest_stamp().writer;
        let seq = object.context().last(&writer);
        (seq > 0).then(|| Position { partition: partition.clone(), writer, seq })
    }
}

/// The answer to an edit that found nothing to remove: what stands, and no place of its own that a session would wait for.
fn nothing_done(stored: Option<&bytes::Bytes>, stamp: trine_crdt::Timestamp) -> Result<Answer, StoreError> {
    let object = stored.map(|bytes| trine_crdt::Object::from_bytes(bytes)).transpose();
    let object = object.map_err(|error| StoreError::Damaged(error.to_string()))?.unwrap_or_default();
    let bytes = stored.cloned().unwrap_or_else(|| object.to_bytes().into());
    let view = ObjectView { timestamp: stamp, ..view_of(&object, &bytes) };
    Ok(Answer { reply: Reply::Object(view), session: SessionToken::default(), timestamp: stamp })
}

fn operation(edit: &Edit) -> Operation {
    match edit.clone() {
        Edit::Increment(by) => Operation::Increment(by),
        Edit::Set(value) => Operation::Set(value),
        Edit::Put(value) => Operation::Put(value),
        Edit::Add(element) => Operation::Add(element),
        Edit::Remove(element) => Operation::Remove(element),
        Edit::Field { name, edit } => Operation::Field { name, operation: Box::new(operation(&edit)) },
        Edit::RemoveField(name) => Operation::RemoveField(name),
        Edit::Delete => Operation::Delete,
    }
}

/// How large the value is that an edit brings along.
fn value_bytes(edit: &Edit) -> usize {
    match edit {
        Edit::Set(value) | Edit::Put(value) | Edit::Add(value) | Edit::Remove(value) => value.len(),
        Edit::Field { edit, .. } => value_bytes(edit),
        Edit::Increment(_) | Edit::RemoveField(_) | Edit::Delete => 0,
    }
}

fn refused(error: &trine_crdt::EditError) -> RequestError {
    match error {
        trine_crdt::EditError::WrongKind { actual, asked } => {
            RequestError::WrongKind { actual: actual.to_string(), asked: asked.to_string() }
        }
        trine_crdt::EditError::TooLarge { bytes, bytes_max } => {
            too_large("the element, name or object", *bytes, *bytes_max)
        }
        error => RequestError::Invalid { what: error.to_string() },
    }
}

/// An object as clients see it.
pub(crate) fn view_of(object: &trine_crdt::Object, bytes: &[u8]) -> ObjectView {
    let views = object.view().into_iter().map(view).collect();
    ObjectView { views, timestamp: object.latest_stamp(), digest: digest_of(bytes) }
}

fn view(of: trine_crdt::View) -> View {
    match of {
        trine_crdt::View::Counter(total) => View::Counter(total),
        trine_crdt::View::Register(value) => View::Register(value),
        trine_crdt::View::MultiValue(values) => View::MultiValue(values),
        trine_crdt::View::Set(elements) => View::Set(elements),
        trine_crdt::View::Map(fields) => {
            View::Map(fields.into_iter().map(|(name, views)| (name, views.into_iter().map(view).collect())).collect())
        }
    }
}

/// Why an object is not what an edit wants it to be.
fn contradicts(wanted: ObjectCondition, stored: &Stored) -> Option<String> {
    let held = stored.bytes.as_ref().filter(|_| !stored.object.is_empty());
    match (wanted, held) {
        (ObjectCondition::Absent, Some(_)) => Some("there is such an object".to_owned()),
        (ObjectCondition::Present | ObjectCondition::Digest(_), None) => Some("there is no such object".to_owned()),
        (ObjectCondition::Digest(digest), Some(bytes)) if digest_of(bytes) != digest => {
            Some("the object has another digest at this node: read it again".to_owned())
        }
        _ => None,
    }
}
