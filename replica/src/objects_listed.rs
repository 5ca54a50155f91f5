//! A page of a namespace's objects, in key order.
//!
//! A key's partition is drawn by its hash, so the keys that follow each other lie in different partitions, each of which is
//! in order. A page is therefore a merge: the first fitting key of every partition that holds anything, the smallest of
//! them taken, the next one of its partition in its place. That costs one look a partition and one an object; what a page
//! may look at is bounded, because filters leave objects out and removed ones leave rows behind. So a page may be short, or
//! empty, and still say where to go on.

use std::collections::BTreeSet;

use bytes::Bytes;
use trine_crdt::{NamespaceId, PartitionId};
use trine_protocol::request::NamespaceKind;
use trine_protocol::{Consistency, ObjectEntry, ObjectKind, ObjectPage, Reply, Request, RequestError, limits};

use crate::effect::Persistence::Synced;
use crate::limits::{LIST_BYTES_TARGET, LIST_ROWS_MAX};
use crate::objects::Objects;
use crate::objects_served::view_of;
use crate::replica::Organs;
use crate::requests::{Served, plain};
use crate::rows;
use crate::store::StoreError;
use crate::turn::Turn;
use crate::waiting::Asked;

/// What is listed.
struct Wanted<'a> {
    namespace: NamespaceId,
    prefix: &'a str,
    kind: Option<ObjectKind>,
    after: Option<&'a str>,
    limit: usize,
}

impl Organs {
    /// Lists objects as they are here, once what the session has seen is here.
    pub(crate) fn serve_list(&mut self, turn: &mut Turn<'_>, asked: &Asked) -> Result<Served, StoreError> {
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
        let page = self.objects_page(turn, &wanted)?;
        Ok(Served::Now(Ok(plain(turn, Reply::Objects(page)))))
    }

    fn objects_page(&mut self, turn: &mut Turn<'_>, wanted: &Wanted<'_>) -> Result<ObjectPage, StoreError> {
        let partitions: Vec<PartitionId> = self.objects.partitions(&wanted.namespace).cloned().collect();
        let first = match wanted.after {
            Some(after) if after >= wanted.prefix => [after.as_bytes(), &[0]].concat(),
            _ => wanted.prefix.as_bytes().to_vec(),
        };
        let mut heads: BTreeSet<(Bytes, PartitionId)> = BTreeSet::new();
        for partition in partitions {
            if let Some(key) = self.key_from(turn, &partition, &first, wanted.prefix)? {
                heads.insert((key, partition));
            }
        }
        let (mut page, mut looked_at, mut bytes) = (ObjectPage::default(), 0, 0);
        let mut last: Option<String> = None;
        while let Some((key, partition)) = heads.pop_first() {
            if page.objects.len() == wanted.limit || looked_at == LIST_ROWS_MAX {
                page.next = last;
                break;
            }
            let stored = Objects::read(turn, &partition, &key)?;
            let size = key.len() + stored.bytes.as_ref().map_or(0, Bytes::len);
            if bytes + size > LIST_BYTES_TARGET && last.is_some() {
                page.next = last;
                break;
            }
            let damaged = || StoreError::Damaged(format!("a key of {partition} is not UTF-8"));
            let text = String::from_utf8(key.to_vec()).map_err(|_| damaged())?;
            looked_at += 1;
            bytes += size;
            if let Some(encoded) = stored.bytes.filter(|_| !stored.object.is_empty()) {
                let object = view_of(&stored.object, &encoded);
                if wanted.kind.is_none_or(|kind| object.views.iter().any(|view| view.kind() == kind)) {
                    page.objects.push(ObjectEntry { key: text.clone(), object });
                }
            }
            last = Some(text);
            if let Some(next) = self.key_from(turn, &partition, &[&key[..], &[0]].concat(), wanted.prefix)? {
                heads.insert((next, partition));
            }
        }
        Ok(page)
    }

    /// The first key of a partition, from one on, that begins with the prefix.
    fn key_from(
        &mut self,
        turn: &mut Turn<'_>,
        partition: &PartitionId,
        from: &[u8],
        prefix: &str,
    ) -> Result<Option<Bytes>, StoreError> {
        let begin = rows::object(partition, &[]).len();
        let from = rows::object(partition, from);
        let end = rows::after_prefix(&rows::object(partition, prefix.as_bytes()));
        let found = turn.scan(Synced, (&from, &end), 1, false)?;
        Ok(found.first().map(|(row, _)| row.slice(begin..)))
    }
}
