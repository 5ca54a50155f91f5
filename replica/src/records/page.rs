//! Pages of records: a key's versions, or the latest versions of keys in order.

use trine_crdt::{NamespaceId, RegionId, Timestamp};
use trine_protocol::reply::{Page, RecordView};
use trine_protocol::{RequestError, limits};

use super::{Place, Records};
use crate::effect::Persistence::Derived;
use crate::rows;
use crate::stop::Stop;
use crate::store::StoreError;
use crate::turn::Turn;

impl Records {
    /// A page of a key's versions behind a cursor, the oldest first.
    ///
    /// # Errors
    /// What the store says, and a cursor that is none.
    pub(crate) fn history_page(
        &self,
        turn: &mut Turn<'_>,
        (namespace, key): (&NamespaceId, &str),
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page, Stop> {
        let after = after.map(|cursor| history_cursor(cursor).ok_or_else(bad_cursor)).transpose()?;
        let limit = page_limit(limit);
        let mut versions = self.history(turn, (namespace, key), after.as_ref(), limit + 1)?;
        let more = versions.len() > limit;
        versions.truncate(limit);
        let last = versions.last().filter(|_| more);
        let next = last.map(|last| format!("{}@{}/{}", last.stamp, last.region, last.index));
        let places = versions.into_iter().map(|version| (version.region, version.index)).collect();
        Ok(self.page(turn, places, next, history_cursor_of)?)
    }

    /// A page of the latest versions of the keys behind one that begin with a prefix, in the keys' order.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn range_page(
        &mut self,
        turn: &mut Turn<'_>,
        (namespace, prefix): (&NamespaceId, &str),
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page, StoreError> {
        let end = rows::after_prefix(&rows::versions_from(namespace, prefix.as_bytes()));
        let mut from = match after {
            None => rows::versions_from(namespace, prefix.as_bytes()),
            Some(key) => rows::after_prefix(&rows::versions(namespace, key.as_bytes()))
                .max(rows::versions_from(namespace, prefix.as_bytes())),
        };
        let (mut places, mut next, limit) = (Vec::new(), None, page_limit(limit));
        while let Some((row, _)) = turn.scan(Derived, (&from, &end), 1, false)?.first() {
            let Some((key, ..)) = rows::read_version(row) else { break };
            if places.len() == limit {
                next = places.last().map(|(key, _): &(String, Place)| key.clone());
                break;
            }
            from = rows::after_prefix(&rows::versions(namespace, &key));
            let damaged = || StoreError::Damaged("a version's row".to_owned());
            let key = String::from_utf8(key).map_err(|_| damaged())?;
            let latest = self.latest(turn, namespace, &key)?.ok_or_else(damaged)?;
            places.push((key, (latest.region, latest.index)));
        }
        self.page(turn, places.into_iter().map(|(_, place)| place).collect(), next, |view| view.key.clone())
    }

    /// The records of some places, as many as fit, and where to go on: where it was cut, or else `next`.
    fn page(
        &self,
        turn: &mut Turn<'_>,
        places: Vec<Place>,
        next: Option<String>,
        cursor: fn(&RecordView) -> String,
    ) -> Result<Page, StoreError> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        let whole = places.len();
        for place in places {
            let view = self.view(turn, &place)?;
            bytes += view.value.len() + view.key.len() + view.header.len();
            if bytes > limits::VALUE_BYTES_MAX && !records.is_empty() {
                break;
            }
            records.push(view);
        }
        let cut = records.len() < whole;
        let next = if cut { records.last().map(cursor) } else { next };
        Ok(Page { records, next })
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
