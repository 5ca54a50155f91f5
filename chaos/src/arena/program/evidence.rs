//! What stopped nodes hold, read from their disks for the checkers.

use std::collections::BTreeMap;

use trine_crdt::PartitionId;
use trine_crdt::digest::SumDigest;

use crate::arena::Arena;
use crate::arena::digest::{self, LedgerReader, Place, Report};
use crate::check::{Held, HeldLedger, HeldObject, HeldRecord, KeptSum, Sum};
use crate::history::View;
use crate::history::seen::text;

/// Reads what an arena's stopped nodes hold: summed up for people, and in full for the checkers.
///
/// # Errors
/// When a disk is damaged.
pub fn read_disks(arena: &Arena) -> anyhow::Result<(Report, Vec<Held>)> {
    let places = digest::places(arena.directory())?;
    let report = digest::read(&places)?;
    let nodes = places.iter().map(held).collect::<anyhow::Result<_>>()?;
    Ok((report, nodes))
}

/// What one stopped node holds.
///
/// # Errors
/// When its disk is damaged.
pub fn held(place: &Place) -> anyhow::Result<Held> {
    let mut held = Held { node: place.name.clone(), region: place.region.clone(), ..Held::default() };
    let reader = LedgerReader::open(&place.data, place.region.parse()?)?;
    let mut ledgers: BTreeMap<String, Vec<HeldRecord>> = BTreeMap::from([(place.region.clone(), Vec::new())]);
    reader.records(|region, record| {
        let (key, value) = (record.key.to_owned(), Some(text(record.value)));
        let record = HeldRecord { key, value, stamp: record.stamp, leaf: record.leaf };
        ledgers.entry(region.to_owned()).or_default().push(record);
    })?;
    held.damage = reader.lost()?;
    held.ledgers = ledgers.into_iter().map(|(region, records)| (region, HeldLedger { records, root: None })).collect();
    let mut sums: BTreeMap<PartitionId, (u64, SumDigest)> = BTreeMap::new();
    digest::objects(&place.data, |partition, key, object| {
        let (count, sum) = sums.entry(partition.clone()).or_default();
        *count += u64::from(!object.is_empty());
        sum.add(key, &object.digest());
        let views = object.view().iter().map(View::from).collect();
        held.objects.insert(text(key), HeldObject { digest: object.digest(), views });
        Ok(())
    })?;
    let kept = digest::kept_sums(&place.data)?;
    let show = |(count, sum): &(u64, SumDigest)| Sum { count: *count, digest: sum.to_string() };
    let mut namespaces: BTreeMap<String, (u64, SumDigest)> = BTreeMap::new();
    for (partition, counted) in &sums {
        let sum = KeptSum { counted: show(counted), kept: kept.get(partition).map(show) };
        held.partitions.insert(partition.to_string(), sum);
        let whole = namespaces.entry(partition.namespace.to_string()).or_default();
        whole.0 += counted.0;
        whole.1.add_sum(&counted.1);
    }
    held.namespaces = namespaces.iter().map(|(name, sum)| (name.clone(), show(sum))).collect();
    Ok(held)
}
