//! One record, read from where it lives.

use bytes::Bytes;
use trine_crdt::RegionId;
use trine_ledger::entry::{AppendCommand, Command, Entry};
use trine_ledger::record::Record;
use trine_protocol::reply::RecordView;

use super::{Place, Records, tree};
use crate::effect::Persistence::Derived;
use crate::marks::{self, Mark};
use crate::rows;
use crate::store::StoreError;
use crate::turn::Turn;

impl Records {
    /// A record, verified against its leaf in the tree.
    ///
    /// # Errors
    /// What the store says; `Damaged` when it is not what its leaf commits to.
    pub(crate) fn view(&self, turn: &mut Turn<'_>, (region, index): &Place) -> Result<RecordView, StoreError> {
        let damaged = || StoreError::Damaged(format!("record {index} of {region}"));
        let bytes = self.bytes(turn, region, *index)?.ok_or_else(damaged)?;
        let record = Record::from_bytes(&bytes).map_err(|_| damaged())?;
        let header = record.verify().map_err(|_| damaged())?;
        if tree::leaf(turn, region, *index)? != Some(record.leaf()) {
            return Err(damaged());
        }
        let body = record.body.ok_or_else(damaged)?;
        Ok(RecordView {
            region: region.clone(),
            index: *index,
            namespace: header.namespace,
            key: body.key,
            timestamp: header.stamp,
            value: body.value,
            content_type: header.content_type,
            metadata: body.metadata,
            header: record.header,
            salts: body.salts.concat().into(),
            proof: None,
        })
    }

    /// A record's canonical bytes, from the log entry that brought it or from its mirror's row.
    pub(crate) fn bytes(
        &self,
        turn: &mut Turn<'_>,
        region: &RegionId,
        index: u64,
    ) -> Result<Option<Bytes>, StoreError> {
        if *region != self.own {
            return turn.get(Derived, &rows::mirrored(region, index));
        }
        if let Some(bytes) = self.recent(index) {
            return Ok(Some(bytes));
        }
        marks::reached(Mark::RecordReread);
        let damaged = || StoreError::Damaged(format!("the place of record {index}"));
        let (lowest, after) = (rows::own_records(0), rows::own_records(index + 1));
        let found = turn.scan(Derived, (&lowest, &after), 1, true)?;
        let Some((row, places)) = found.first() else { return Ok(None) };
        let first = rows::last_number(row).ok_or_else(damaged)?;
        let (log_index, numbers) = places.split_first_chunk::<8>().ok_or_else(damaged)?;
        let at = usize::try_from(index - first).map_err(|_| damaged())?.saturating_mul(4);
        // Records beyond the last one have no place yet.
        let Some(number) = numbers.get(at..).and_then(|rest| rest.first_chunk::<4>()) else { return Ok(None) };
        let number = u32::from_be_bytes(*number);
        let entry = turn.entry(u64::from_be_bytes(*log_index))?.ok_or_else(damaged)?;
        let entry = Entry::from_bytes(&entry).map_err(|_| damaged())?;
        match entry.commands.get(number as usize) {
            Some(Command::Append(append)) => append.record().to_bytes().map(Some).map_err(|_| damaged()),
            Some(Command::Restore { header, body, .. }) => {
                let record = Record { header: header.clone(), body: Some((**body).clone()) };
                record.to_bytes().map(Some).map_err(|_| damaged())
            }
            _ => Err(damaged()),
        }
    }

    /// A recently applied record.
    fn recent(&self, index: u64) -> Option<Bytes> {
        let (first, _) = self.recent.front()?;
        let place = usize::try_from(index.checked_sub(*first)?).ok()?;
        let (_, append) = self.recent.get(place)?;
        append.record().to_bytes().ok()
    }

    /// Keeps a record that was just applied, to feed followers without reading the disk.
    pub(crate) fn keep_recent(&mut self, index: u64, append: Box<AppendCommand>) {
        let bytes =
            |append: &AppendCommand| append.header.len() + append.body.key.len() + append.body.value.len() + 256;
        self.recent_bytes += bytes(&append);
        self.recent.push_back((index, append));
        while self.recent_bytes > self.recent_bytes_max
            && let Some((_, oldest)) = self.recent.pop_front()
        {
            self.recent_bytes -= bytes(&oldest);
        }
    }
}
