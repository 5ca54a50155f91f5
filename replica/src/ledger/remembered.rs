//! The rows that the applier asks for: idempotency keys, and the latest own version of a key.
//!
//! An idempotency key has a row of its own, because it is asked for by its hash. The order in which keys are forgotten
//! stands in rows of one entry's keys each; the one last asked for is kept, since the applier looks at the oldest of
//! all with each entry.

use bytes::Bytes;
use trine_crdt::{NamespaceId, Timestamp};
use trine_ledger::apply::{Change, Lookup, Remembered};

use crate::effect::Persistence::Derived;
use crate::marks::{self, Mark};
use crate::mutants::{self, Mutant};
use crate::records::Records;
use crate::rows;
use crate::store::StoreError;
use crate::turn::Turn;

/// A hash and the stamp of the record that it stands for.
const NUMBERED_BYTES: usize = 32 + 24;

/// A row of the keys that one entry brought: the first one's number, and their hashes and stamps.
pub(crate) type Numbered = (u64, Bytes);

/// The applier's view of the rows.
pub(crate) struct Rows<'a, 'b> {
    pub turn: &'a mut Turn<'b>,
    pub records: &'a mut Records,
    /// The last row of numbered keys that was read.
    pub numbered: &'a mut Option<Numbered>,
}

impl Rows<'_, '_> {
    /// Writes what an entry changed in the idempotency table.
    pub fn change(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let mut fresh: Option<(u64, Vec<u8>)> = None;
        for change in changes {
            match change {
                Change::Remember { key, row } => {
                    let mut bytes = row.number.to_be_bytes().to_vec();
                    bytes.extend_from_slice(&row.index.to_be_bytes());
                    bytes.extend_from_slice(&row.stamp.to_bytes());
                    bytes.extend_from_slice(&row.leaf);
                    self.turn.put(Derived, rows::idempotency(key), Some(bytes.into()));
                    let (_, keys) = fresh.get_or_insert_with(|| (row.number, Vec::new()));
                    keys.extend_from_slice(key);
                    keys.extend_from_slice(&row.stamp.to_bytes());
                }
                Change::Forget { number, key } => self.forget(*number, key)?,
            }
        }
        if let Some((number, keys)) = fresh {
            self.turn.put(Derived, rows::idempotency_numbers(number), Some(keys.into()));
        }
        Ok(())
    }

    /// Deletes a key, unless it bears a later number by now, and with the last key of a row that row.
    fn forget(&mut self, number: u64, key: &[u8; 32]) -> Result<(), StoreError> {
        let (first, keys) = self.numbered(number)?;
        if number + 1 == first + (keys.len() / NUMBERED_BYTES) as u64 {
            self.turn.put(Derived, rows::idempotency_numbers(first), None);
            *self.numbered = None;
        }
        match self.remembered(key)? {
            Some(known) if known.number == number || mutants::is(Mutant::KeyRowDropped) => {
                self.turn.put(Derived, rows::idempotency(key), None);
            }
            Some(_) => marks::reached(Mark::KeyRowSpared),
            None => {}
        }
        Ok(())
    }

    /// The row that holds a number.
    fn numbered(&mut self, number: u64) -> Result<Numbered, StoreError> {
        let damaged = || StoreError::Damaged(format!("idempotency row {number}"));
        let holds = |(first, keys): &Numbered| (*first..first + (keys.len() / NUMBERED_BYTES) as u64).contains(&number);
        if let Some(kept) = self.numbered.as_ref().filter(|kept| holds(kept)) {
            return Ok(kept.clone());
        }
        let (lowest, after) = (rows::idempotency_numbers(0), rows::idempotency_numbers(number + 1));
        let found = self.turn.scan(Derived, (&lowest, &after), 1, true)?;
        let (row, keys) = found.into_iter().next().ok_or_else(damaged)?;
        let numbered = (rows::last_number(&row).ok_or_else(damaged)?, keys);
        if !holds(&numbered) {
            return Err(damaged());
        }
        *self.numbered = Some(numbered.clone());
        Ok(numbered)
    }
}

impl Lookup for Rows<'_, '_> {
    type Error = StoreError;

    fn latest(&mut self, namespace: &NamespaceId, key: &str) -> Result<Option<u64>, StoreError> {
        self.records.latest_own(self.turn, namespace, key)
    }

    fn remembered(&mut self, key: &[u8; 32]) -> Result<Option<Remembered>, StoreError> {
        let Some(bytes) = self.turn.get(Derived, &rows::idempotency(key))? else { return Ok(None) };
        let read = || {
            let (number, rest) = bytes.split_first_chunk::<8>()?;
            let (index, rest) = rest.split_first_chunk::<8>()?;
            let (stamp, leaf) = rest.split_first_chunk::<24>()?;
            Some(Remembered {
                number: u64::from_be_bytes(*number),
                index: u64::from_be_bytes(*index),
                stamp: Timestamp::from_bytes(stamp),
                leaf: leaf.try_into().ok()?,
            })
        };
        read().map(Some).ok_or_else(|| StoreError::Damaged("an idempotency row".to_owned()))
    }

    fn remembered_at(&mut self, number: u64) -> Result<([u8; 32], Timestamp), StoreError> {
        let (first, keys) = self.numbered(number)?;
        let damaged = || StoreError::Damaged(format!("idempotency row {number}"));
        let place = usize::try_from(number - first).map_err(|_| damaged())? * NUMBERED_BYTES;
        let at = keys.get(place..place + NUMBERED_BYTES).ok_or_else(damaged)?;
        let (key, stamp) = at.split_first_chunk::<32>().ok_or_else(damaged)?;
        Ok((*key, Timestamp::from_bytes(stamp.try_into().map_err(|_| damaged())?)))
    }
}
