//! All objects of a node, summed up by namespace.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use trine_crdt::digest::SumDigest;
use trine_crdt::{NamespaceId, Object, PartitionId, Timestamp, WriterId};

use super::Sum;
use super::table::Table;

/// Hands every object over, checked: partition, key, object.
///
/// # Errors
/// When a row is damaged, or `take` fails.
pub fn objects(
    data: &Path,
    mut take: impl FnMut(&PartitionId, &[u8], &Object) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let table = Table::open(data, "synced")?;
    for row in table.rows(b"o") {
        let (row, bytes) = row?;
        let (partition, key) = PartitionId::read_key(&row[1..]).context("an object's row without a partition")?;
        let name = || format!("object {} of {partition}", String::from_utf8_lossy(key));
        let object = Object::from_bytes(&bytes).with_context(name)?;
        ensure!(object.to_bytes() == bytes, "{} is not in canonical form", name());
        take(&partition, key, &object)?;
    }
    Ok(())
}

/// Sums up every object.
pub fn sums(data: &Path) -> anyhow::Result<BTreeMap<String, Sum>> {
    let mut sums: BTreeMap<NamespaceId, (u64, SumDigest)> = BTreeMap::new();
    objects(data, |partition, key, object| {
        let (count, sum) = sums.entry(partition.namespace.clone()).or_default();
        *count += u64::from(!object.is_empty());
        sum.add(key, &object.digest());
        Ok(())
    })?;
    let show =
        |(id, (count, sum)): (NamespaceId, (u64, SumDigest))| (id.to_string(), Sum { count, digest: sum.to_string() });
    Ok(sums.into_iter().map(show).collect())
}

/// The sums that the node itself kept, by partition: how many objects, and the sum of their digests.
///
/// # Errors
/// When a row is damaged.
pub fn kept_sums(data: &Path) -> anyhow::Result<BTreeMap<PartitionId, (u64, SumDigest)>> {
    let table = Table::open(data, "synced")?;
    let mut sums = BTreeMap::new();
    for row in table.rows(b"g") {
        let (row, bytes) = row?;
        let (partition, _) = PartitionId::read_key(&row[1..]).context("a sum's row without a partition")?;
        let (count, digest) = bytes.split_first_chunk::<8>().context("a sum's row is too short")?;
        let digest = SumDigest(digest.try_into().context("a sum's row is too long or too short")?);
        sums.insert(partition, (u64::from_be_bytes(*count), digest));
    }
    Ok(sums)
}

/// How far the node's clock may have gone: no stamp of it was later.
///
/// # Errors
/// When the row is damaged.
pub fn clock_mark(data: &Path) -> anyhow::Result<Option<Timestamp>> {
    let table = Table::open(data, "synced")?;
    let Some(row) = table.rows(trine_replica::rows::CLOCK).next() else { return Ok(None) };
    let (_, bytes) = row?;
    let time = u64::from_be_bytes(bytes.as_ref().try_into().context("the clock's mark is no number")?);
    Ok(Some(Timestamp { time, writer: WriterId([0; 16]) }))
}
