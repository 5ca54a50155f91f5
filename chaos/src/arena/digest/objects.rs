//! All objects of a node, summed up by namespace.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use trine_crdt::digest::SumDigest;
use trine_crdt::{NamespaceId, Object, PartitionId};

use super::Sum;
use super::table::Table;

/// Reads every object row.
pub fn sums(data: &Path) -> anyhow::Result<BTreeMap<String, Sum>> {
    let table = Table::open(data, "synced")?;
    let mut sums: BTreeMap<NamespaceId, (u64, SumDigest)> = BTreeMap::new();
    for row in table.rows(b"o") {
        let (row, bytes) = row?;
        let (partition, key) = PartitionId::read_key(&row[1..]).context("an object's row without a partition")?;
        let name = || format!("object {} of {partition}", String::from_utf8_lossy(key));
        let object = Object::from_bytes(&bytes).with_context(name)?;
        ensure!(object.to_bytes() == bytes, "{} is not in canonical form", name());
        let (count, sum) = sums.entry(partition.namespace.clone()).or_default();
        *count += 1;
        sum.add(key, &object.digest());
    }
    let show =
        |(id, (count, sum)): (NamespaceId, (u64, SumDigest))| (id.to_string(), Sum { count, digest: sum.to_string() });
    Ok(sums.into_iter().map(show).collect())
}
