//! Requests about objects: what is asked of the objects here, what waits, and what goes elsewhere.

use trine_crdt::PartitionId;
use trine_protocol::request::NamespaceKind;
use trine_protocol::{Consistency, Reply, Request, RequestError, limits};

use super::super::Organs;
use crate::answers::{Served, plain};
use crate::marks::{self, Mark};
use crate::mutants::{self, Mutant};
use crate::objects::{Edited, Wanted};
use crate::store::StoreError;
use crate::turn::Turn;
use crate::waiting::{Asked, Cause, Until};

impl Organs {
    /// Changes an object here.
    pub(super) fn serve_edit(&mut self, turn: &mut Turn<'_>, asked: &Asked) -> Result<Served, StoreError> {
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
        Ok(match self.objects.edit(turn, &self.cluster, (namespace, key, edit), &asked.options)? {
            Ok(Edited::Done(answer)) => Served::Now(Ok(answer)),
            Ok(Edited::Here { partition, seq, answer }) => {
                let have = std::collections::BTreeSet::new();
                Served::Waits(Cause::Majority { partition, seq, have, answer: Box::new(answer) })
            }
            Err(error) => error.into(),
        })
    }

    /// Reads an object here, once what the session has seen is here.
    pub(super) fn serve_get(&mut self, turn: &mut Turn<'_>, asked: &Asked) -> Result<Served, StoreError> {
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
        Ok(match self.objects.get(turn, &partition, key.as_bytes())? {
            Some((view, position)) => {
                let mut answer = plain(turn, Reply::Object(view));
                if let Some(position) = position {
                    answer.session.see_position(position);
                }
                Served::Now(Ok(answer))
            }
            None => RequestError::NotFound { what: format!("object {key}") }.into(),
        })
    }

    /// Lists objects as they are here, once what the session has seen is here.
    pub(super) fn serve_list(&mut self, turn: &mut Turn<'_>, asked: &Asked) -> Result<Served, StoreError> {
        let Request::ObjectList { namespace, prefix, kind, after, limit } = &asked.request else {
            return Ok(RequestError::Unsupported { what: "this request as a list".to_owned() }.into());
        };
        if asked.options.consistency == Consistency::Regional {
            let what = "regional lists of objects; use session".to_owned();
            return Ok(RequestError::Unsupported { what }.into());
        }
        let namespace = match self.cluster.namespace(namespace, NamespaceKind::Objects) {
            Ok(namespace) => namespace.id.clone(),
            Err(error) => return Ok(error.into()),
        };
        if let Some(served) = self.session_waits(asked) {
            return Ok(served);
        }
        let limit = (*limit).clamp(1, limits::PAGE_OBJECTS_MAX) as usize;
        let wanted = Wanted { namespace, prefix, kind: *kind, after: after.as_deref(), limit };
        let page = self.objects.list(turn, &wanted)?;
        Ok(Served::Now(Ok(plain(turn, Reply::Objects(page)))))
    }

    /// What a read of objects waits for, or goes elsewhere for, when the session has seen what this node has not.
    fn session_waits(&self, asked: &Asked) -> Option<Served> {
        if asked.options.consistency != Consistency::Session || mutants::is(Mutant::IgnoreSession) {
            return None;
        }
        let at = self.objects.lacks(&asked.options.session)?;
        let until = Until::Position(at.partition.clone(), at.writer, at.seq);
        if let Some(served) = self.pass_while_full(&self.cluster.region_peers(), asked) {
            return Some(served);
        }
        marks::reached(Mark::SessionWaited);
        Some(Served::Waits(Cause::Fresh { until, asked: Box::new(asked.clone()) }))
    }
}
