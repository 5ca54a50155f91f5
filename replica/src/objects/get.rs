//! Reads of one object, and what a session has seen of objects that is not here.

use trine_crdt::PartitionId;
use trine_protocol::object::{ObjectView, View};
use trine_protocol::session::{Position, SessionToken};

use super::Objects;
use super::partitions::{Partitions, digest_of};
use crate::store::StoreError;
use crate::turn::Turn;

impl Objects {
    /// An object as it is here, and the latest write in it, which a session that saw it must not lose again. None: there is
    /// no such object.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn get(
        &self,
        turn: &mut Turn<'_>,
        partition: &PartitionId,
        key: &[u8],
    ) -> Result<Option<(ObjectView, Option<Position>)>, StoreError> {
        let stored = Partitions::read(turn, partition, key)?;
        let Some(bytes) = stored.bytes.filter(|_| !stored.object.is_empty()) else { return Ok(None) };
        let writer = stored.object.latest_stamp().writer;
        let seq = stored.object.context().last(&writer);
        let position = (seq > 0).then(|| Position { partition: partition.clone(), writer, seq });
        Ok(Some((view_of(&stored.object, &bytes), position)))
    }

    /// A write that the session has seen and this node has not.
    pub(crate) fn lacks<'a>(&self, session: &'a SessionToken) -> Option<&'a Position> {
        session.positions.iter().find(|at| self.held.held(&at.partition, at.writer) < at.seq)
    }
}

/// An object as clients see it.
pub(super) fn view_of(object: &trine_crdt::Object, bytes: &[u8]) -> ObjectView {
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
