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
use trine_protocol::{ObjectEntry, ObjectKind, ObjectPage};

use super::Objects;
use super::get::view_of;
use super::partitions::Partitions;
use crate::effect::Persistence::Synced;
use crate::limits::{LIST_BYTES_TARGET, LIST_ROWS_MAX};
use crate::rows;
use crate::store::StoreError;
use crate::turn::Turn;

/// What is listed.
pub(crate) struct Wanted<'a> {
    /// Of which namespace.
    pub namespace: NamespaceId,
    /// What their keys begin with.
    pub prefix: &'a str,
    /// Of which kind.
    pub kind: Option<ObjectKind>,
    /// Behind which key.
    pub after: Option<&'a str>,
    /// This many at most.
    pub limit: usize,
}

impl Objects {
    /// A page of objects as they are here.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn list(&self, turn: &mut Turn<'_>, wanted: &Wanted<'_>) -> Result<ObjectPage, StoreError> {
        let partitions: Vec<PartitionId> = self.held.partitions(&wanted.namespace).cloned().collect();
        let first = match wanted.after {
            Some(after) if after >= wanted.prefix => [after.as_bytes(), &[0]].concat(),
            _ => wanted.prefix.as_bytes().to_vec(),
        };
        let mut heads: BTreeSet<(Bytes, PartitionId)> = BTreeSet::new();
        for partition in partitions {
            if let Some(key) = key_from(turn, &partition, &first, wanted.prefix)? {
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
            let stored = Partitions::read(turn, &partition, &key)?;
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
            if let Some(next) = key_from(turn, &partition, &[&key[..], &[0]].concat(), wanted.prefix)? {
                heads.insert((next, partition));
            }
        }
        Ok(page)
    }
}

/// The first key of a partition, from one on, that begins with the prefix.
fn key_from(
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
