//! Rows laid over others: what is newer hides what is below it.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Bound;

use bytes::Bytes;

use super::StoreError;

type Page = Vec<(Bytes, Bytes)>;

/// Reads rows `from <= key < to` in key order (from the end when `reverse`), at most `limit`: those of `below`, which reads a
/// page in that same way, and over them the rows of `over`. `value` is asked for the value of each of these that counts, and
/// says none where one deletes what is below.
///
/// # Errors
/// What `below` says.
pub fn scan<T>(
    mut below: impl FnMut(&[u8], &[u8], usize) -> Result<Page, StoreError>,
    over: &BTreeMap<Bytes, T>,
    mut value: impl FnMut(&T) -> Option<Bytes>,
    (from, to): (&[u8], &[u8]),
    limit: usize,
    reverse: bool,
) -> Result<Page, StoreError> {
    let mut found: Page = Vec::new();
    let (mut from, mut to) = (Bytes::copy_from_slice(from), Bytes::copy_from_slice(to));
    // A page from below and the rows over it within its span, until there are enough: rows that delete may make a page fall
    // short.
    while from < to && found.len() < limit {
        let page = below(&from, &to, limit - found.len())?;
        let whole = page.len() < limit - found.len();
        let (mut first, mut behind) = (from.clone(), to.clone());
        if let Some((last, _)) = page.last().filter(|_| !whole) {
            if reverse {
                (first, to) = (last.clone(), last.clone());
            } else {
                behind = Bytes::from([last.as_ref(), &[0]].concat());
                from = behind.clone();
            }
        }
        let range = (Bound::Included(first.as_ref()), Bound::Excluded(behind.as_ref()));
        let over = over.range::<[u8], _>(range);
        let over: Box<dyn Iterator<Item = _>> = if reverse { Box::new(over.rev()) } else { Box::new(over) };
        merge(page.into_iter().peekable(), over.peekable(), &mut value, (limit, reverse), &mut found);
        if whole {
            break;
        }
    }
    Ok(found)
}

/// Merges a page with the rows over the same span, both in the same order, behind what was found before, up to `limit` rows
/// in all.
fn merge<'a, T: 'a>(
    mut page: Peekable<impl Iterator<Item = (Bytes, Bytes)>>,
    mut over: Peekable<impl Iterator<Item = (&'a Bytes, &'a T)>>,
    value: &mut impl FnMut(&T) -> Option<Bytes>,
    (limit, reverse): (usize, bool),
    found: &mut Page,
) {
    while found.len() < limit {
        let order = match (page.peek(), over.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((below, _)), Some((above, _))) if reverse => above.as_ref().cmp(below),
            (Some((below, _)), Some((above, _))) => below.as_ref().cmp(above),
        };
        let below = if order == Ordering::Greater { None } else { page.next() };
        if order == Ordering::Less {
            found.extend(below);
            continue;
        }
        let (key, row) = over.next().expect("just seen");
        found.extend(value(row).map(|value| (key.clone(), value)));
    }
}
