//! An edit becomes one dot: joined into its object, kept in the delta log, and pushed once it is on disk.

use trine_crdt::{Dot, Operation, PartitionId};
use trine_protocol::object::{Edit, ObjectView};
use trine_protocol::reply::Answer;
use trine_protocol::request::{NamespaceKind, ObjectCondition, Options};
use trine_protocol::session::{Position, SessionToken};
use trine_protocol::{Conflict, Durability, Reply, RequestError};

use super::Objects;
use super::delta_log::DeltaRow;
use super::get::view_of;
use super::partitions::{Partitions, Stored, digest_of};
use crate::answers::too_large;
use crate::cluster::Cluster;
use crate::limits::OBJECT_ENCODED_BYTES_MAX;
use crate::marks::{self, Mark};
use crate::stop::Stop;
use crate::store::StoreError;
use crate::turn::{Clock, Turn};

/// What an edit came to.
#[derive(Debug)]
pub(crate) enum Edited {
    /// It is done, as durably as it asked for.
    Done(Answer),
    /// It stands here, and is to be answered once a majority of the region has it.
    Here {
        /// The partition written.
        partition: PartitionId,
        /// The write's sequence number.
        seq: u64,
        /// What will be answered.
        answer: Answer,
    },
}

impl Objects {
    /// Changes an object here.
    ///
    /// # Errors
    /// What the store says, and why it is not done.
    pub(crate) fn edit(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &Cluster,
        (namespace, key, edit): (&str, &str, &Edit),
        options: &Options,
    ) -> Result<Edited, Stop> {
        if let Durability::Regions(_) | Durability::All = options.durability {
            let what = format!("durability {} for objects; use local or region", options.durability);
            return Err(RequestError::Unsupported { what }.into());
        }
        let namespace = cluster.namespace(namespace, NamespaceKind::Objects)?;
        let bytes = value_bytes(edit);
        if bytes > cluster.config().value_bytes_max {
            return Err(too_large("the value", bytes, cluster.config().value_bytes_max).into());
        }
        let partition = PartitionId::of_key(namespace.id.clone(), key.as_bytes(), namespace.slots);
        let mut stored = Partitions::read(turn, &partition, key.as_bytes())?;
        if let Some(conflict) = options.object.and_then(|wanted| contradicts(wanted, &stored)) {
            return Err(conflict.into());
        }
        let writer = cluster.config().writer;
        let before = self.held.held(&partition, writer);
        let seq = before + 1;
        let seen = stored.object.latest_stamp();
        // What lay ahead when it was taken in lies within the allowed drift some time later: the clock goes on from there.
        turn.observe(&seen).ok();
        let clock = turn.stamp()?;
        let stamp = Clock::above(seen, clock);
        let edited = stored.object.edit(Dot::new(writer, seq), before, stamp, &operation(edit));
        let delta = edited.map_err(|error| refused(&error))?;
        let durable = options.durability == Durability::Local || self.at_majority(cluster, &partition);
        if delta.changes_nothing() && (stored.bytes.is_none() || durable) {
            marks::reached(Mark::EditOfNothing);
            // Nothing bears the stamp: the next edit may have it, and lies above what is told here.
            return Ok(Edited::Done(nothing_done(stored.bytes.as_ref(), clock.max(seen))?));
        }
        let bytes = bytes::Bytes::from(stored.object.to_bytes());
        if bytes.len() > OBJECT_ENCODED_BYTES_MAX {
            return Err(too_large("the object", bytes.len(), OBJECT_ENCODED_BYTES_MAX).into());
        }
        let view = view_of(&stored.object, &bytes);
        self.held.write(turn, &partition, key.as_bytes(), stored.bytes.as_ref(), bytes);
        let deltas = vec![(bytes::Bytes::copy_from_slice(key.as_bytes()), delta.to_bytes().into())];
        self.held.keep(turn, &partition, writer, seq, &DeltaRow { after: before, deltas });
        self.held.advance(turn, &partition, writer, seq);
        self.push_later(turn, &partition, writer, before, seq);
        let mut session = SessionToken::default();
        session.see_position(Position { partition: partition.clone(), writer, seq });
        let answer = Answer { reply: Reply::Object(view), session, timestamp: stamp };
        if options.durability == Durability::Local || cluster.majority_others() == 0 {
            return Ok(Edited::Done(answer));
        }
        Ok(Edited::Here { partition, seq, answer })
    }

    /// Whether a majority of the region has on its disks all that is held here of a partition, as far as it said. What an
    /// edit finds removed may have been removed a moment ago: only if so is that as durable as the edit asks for.
    fn at_majority(&self, cluster: &Cluster, partition: &PartitionId) -> bool {
        let needed = cluster.majority_others();
        let others: Vec<_> = cluster.own().roster.values().map(|record| record.node).collect();
        self.held.logged(partition).into_iter().all(|writer| {
            let held = self.held.held(partition, writer);
            let has = |node: &&trine_crdt::NodeId| self.held.holder(partition, writer, **node) >= held;
            others.iter().filter(has).count() >= needed
        })
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

/// Why an object is not what an edit wants it to be.
fn contradicts(wanted: ObjectCondition, stored: &Stored) -> Option<Conflict> {
    let held = stored.bytes.as_ref().filter(|_| !stored.object.is_empty());
    match (wanted, held) {
        (ObjectCondition::Absent, Some(_)) => Some(Conflict::ObjectThere),
        (ObjectCondition::Present | ObjectCondition::Digest(_), None) => Some(Conflict::NoObject),
        (ObjectCondition::Digest(digest), Some(bytes)) if digest_of(bytes) != digest => Some(Conflict::ObjectChanged),
        _ => None,
    }
}
