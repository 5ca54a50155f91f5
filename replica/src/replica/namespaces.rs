//! How a namespace is renamed or deleted.
//!
//! Only the ledger of the region that made a namespace alters it: so its alterations have one order, and all nodes come to
//! the same. A request is handed on to that region from wherever it was asked.
//!
//! ```text
//! asked ──► its region ──► a mirror there: no ledger holds ──► the leader: nothing is held here, ──► the log
//!             │            a record of it?                     nor under way in the log?
//!             │                 └──────────── something is: refused, unless forced ──┘
//!             └── not reached: refused
//! ```
//!
//! A deletion hides. Records stay in their ledgers, where they can be read and proved by their places, and objects go on being
//! replicated, so that nodes which hear of it at different times still come to hold the same; but nothing finds either under
//! the namespace any more. What is written elsewhere before the word is there is hidden with the rest. A deleted
//! namespace stays in the registry, so that its id means nothing else, ever.

use trine_crdt::{NamespaceId, NodeId, RegionId};
use trine_protocol::request::{NamespaceDelete, NamespaceRename};
use trine_protocol::{Request, RequestError};

use super::Organs;
use crate::answers::Served;
use crate::cluster::{unreached, unreached_there};
use crate::effect::Persistence::Derived;
use crate::joining::Joining;
use crate::not_ready::NotReady;
use crate::objects::Objects;
use crate::rows;
use crate::stop::Stop;
use crate::turn::Turn;
use crate::waiting::Asked;

impl Organs {
    /// Where a request goes that one region's log decides, before that region's leader takes it. None: there.
    pub(super) fn before_the_leader(&mut self, turn: &mut Turn<'_>, asked: &mut Asked) -> Result<Option<Served>, Stop> {
        let (Request::NamespaceRename(NamespaceRename { namespace, .. })
        | Request::NamespaceDelete(NamespaceDelete { namespace, .. })) = &asked.request
        else {
            return self.of_another_region(asked);
        };
        let Some(id) = self.cluster.altered(namespace)? else { return Ok(None) };
        if !self.cluster.is_own(&id.region) {
            return Ok(Some(self.hand_over(&id.region, asked).ok_or_else(|| unreached(&id))?));
        }
        // Who follows no other region's ledger knows of no record there.
        if !matches!(asked.request, Request::NamespaceDelete(NamespaceDelete { force: false, vetted: false, .. })) {
            return Ok(None);
        }
        let mirrors = self.cluster.mirror_nodes();
        if !self.cluster.mirrors_here() && !mirrors.is_empty() {
            let reached = mirrors.iter().any(|mirror| self.cluster.linked(*mirror));
            return if reached {
                Ok(Some(self.hand_on_to_one_of(mirrors, asked)))
            } else {
                Err(self.unseen(&id).into())
            };
        }
        empty(turn, &self.objects, &self.joining, &id)?;
        if let Request::NamespaceDelete(NamespaceDelete { vetted, .. }) = &mut asked.request {
            *vetted = true;
        }
        Ok(None)
    }

    /// Hands on what is about another region's roster or ledger. None: it is for this region.
    fn of_another_region(&self, asked: &Asked) -> Result<Option<Served>, Stop> {
        let Some(region) = self.cluster.elsewhere(&asked.request)? else { return Ok(None) };
        let does = "alone changes its roster and brings back its records";
        Ok(Some(self.hand_over(&region, asked).ok_or_else(|| unreached_there(&region, does))?))
    }

    /// Hands a request on to a node of another region. None: none of them is reached.
    fn hand_over(&self, region: &RegionId, asked: &Asked) -> Option<Served> {
        let there = self.cluster.peers().values().filter(|peer| peer.region == *region);
        let there: Vec<NodeId> = there.map(|peer| peer.node).collect();
        (!there.is_empty()).then(|| self.hand_on_to_one_of(&there, asked))
    }

    /// Nobody who is reached knows whether other regions have written records into a namespace.
    fn unseen(&self, id: &NamespaceId) -> RequestError {
        let what = format!(
            "no node of {} that mirrors the other regions' ledgers is reached, so nobody can tell whether namespace {id} holds \
             records there; with --force (over HTTP ?force=true) it is deleted all the same",
            self.cluster.config().region
        );
        RequestError::Unavailable { what }
    }
}

/// Whether nothing of a namespace is held here. An object in which nothing is left is nothing.
pub(super) fn empty(turn: &mut Turn<'_>, objects: &Objects, joining: &Joining, id: &NamespaceId) -> Result<(), Stop> {
    let from = rows::versions_from(id, b"");
    let records = turn.scan(Derived, (&from, &rows::after_prefix(&from)), 1, false)?;
    let (count, _) = objects.digest(id);
    let (holds, then) = match (count, records.is_empty()) {
        (0, true) => {
            return joining.waits().map_or(Ok(()), |how_far| Err(NotReady::CatchingUp(how_far).into()));
        }
        (0, false) => (
            "records, which nobody can alter".to_owned(),
            "they stay in their ledgers and are found there by their places alone",
        ),
        (1, _) => ("1 object".to_owned(), "nobody can read it any more"),
        (count, _) => (format!("{count} objects"), "nobody can read them any more"),
    };
    let what = format!(
        "namespace {id} holds {holds}; with --force (over HTTP ?force=true) it is deleted all the same, and {then}"
    );
    Err(RequestError::NotEmpty { what }.into())
}
