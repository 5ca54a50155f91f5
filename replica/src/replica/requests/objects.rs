//! Requests about objects: what is asked of the objects here, what waits, and what goes elsewhere.

use trine_crdt::PartitionId;
use trine_protocol::request::{NamespaceKind, ObjectEdit, ObjectGet, ObjectList};
use trine_protocol::{Consistency, Missing, Reply, RequestError, limits};

use super::super::Organs;
use crate::answers::{Served, plain};
use crate::marks::{self, Mark};
use crate::mutants::{self, Mutant};
use crate::not_ready::NotReady;
use crate::objects::{Edited, Wanted};
use crate::stop::Stop;
use crate::turn::Turn;
use crate::waiting::{Asked, Cause, Until};

impl Organs {
    /// Changes an object here.
    pub(super) fn serve_edit(
        &mut self,
        turn: &mut Turn<'_>,
        asked: &Asked,
        ObjectEdit { namespace, key, edit }: &ObjectEdit,
    ) -> Result<Served, Stop> {
        if !self.cluster.registered() {
            // Nothing was done; the client's library tries elsewhere, or this node once it is registered.
            let why = self.ready(turn.clock).err().unwrap_or(NotReady::Unregistered { leader: true });
            return Err(why.into());
        }
        if let Some(how_far) = self.joining.waits() {
            // An edit answers with what stands after it, and that is not all here.
            return Err(NotReady::CatchingUp(how_far).into());
        }
        Ok(match self.objects.edit(turn, &self.cluster, (namespace, key, edit), &asked.options)? {
            Edited::Done(answer) => Served::Now(answer),
            Edited::Here { partition, seq, answer } => {
                let have = std::collections::BTreeSet::new();
                Served::Waits(Cause::Majority { partition, seq, have, answer: Box::new(answer) })
            }
        })
    }

    /// Reads an object here, once what the session has seen is here.
    pub(super) fn serve_get(
        &mut self,
        turn: &mut Turn<'_>,
        asked: &Asked,
        ObjectGet { namespace, key }: &ObjectGet,
    ) -> Result<Served, Stop> {
        if asked.options.consistency == Consistency::Regional {
            let what = "regional reads of objects; use session".to_owned();
            return Err(RequestError::Unsupported { what }.into());
        }
        let namespace = self.cluster.namespace(namespace, NamespaceKind::Objects)?;
        let partition = PartitionId::of_key(namespace.id.clone(), key.as_bytes(), namespace.slots);
        if let Some(served) = self.session_waits(asked)? {
            return Ok(served);
        }
        let found = self.objects.get(turn, &partition, key.as_bytes())?;
        let (view, position) = found.ok_or_else(|| Missing::Object { key: key.clone() })?;
        let mut answer = plain(turn, Reply::Object(view));
        if let Some(position) = position {
            answer.session.see_position(position);
        }
        Ok(Served::Now(answer))
    }

    /// Lists objects as they are here, once what the session has seen is here.
    pub(super) fn serve_list(
        &mut self,
        turn: &mut Turn<'_>,
        asked: &Asked,
        ObjectList { namespace, prefix, kind, after, limit }: &ObjectList,
    ) -> Result<Served, Stop> {
        if asked.options.consistency == Consistency::Regional {
            let what = "regional lists of objects; use session".to_owned();
            return Err(RequestError::Unsupported { what }.into());
        }
        let namespace = self.cluster.namespace(namespace, NamespaceKind::Objects)?.id.clone();
        if let Some(served) = self.session_waits(asked)? {
            return Ok(served);
        }
        let limit = (*limit).clamp(1, limits::PAGE_OBJECTS_MAX) as usize;
        let wanted = Wanted { namespace, prefix, kind: *kind, after: after.as_deref(), limit };
        let page = self.objects.list(turn, &wanted)?;
        Ok(Served::Now(plain(turn, Reply::Objects(page))))
    }

    /// What a read of objects waits for, or goes elsewhere for, when the session has seen what this node has not.
    fn session_waits(&self, asked: &Asked) -> Result<Option<Served>, Stop> {
        if asked.options.consistency != Consistency::Session || mutants::is(Mutant::IgnoreSession) {
            return Ok(None);
        }
        let Some(at) = self.objects.lacks(&asked.options.session) else { return Ok(None) };
        let until = Until::Position(at.partition.clone(), at.writer, at.seq);
        if let Some(served) = self.pass_while_full(&self.cluster.region_peers(), asked)? {
            return Ok(Some(served));
        }
        marks::reached(Mark::SessionWaited);
        Ok(Some(Served::Waits(Cause::Fresh { until, asked: Box::new(asked.clone()) })))
    }
}
