//! All objects of a node, summed up by namespace.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use trine_crdt::digest::SumDigest;
use trine_crdt::{NamespaceId, Object, PartitionId};

use super::Sum;
use super::table::Table;

/// Hands every object over, checked: namespace, key, object.
///
/// # Errors
/// When a row is damaged, or `take` fails.
pub fn objects(
    data: &Path,
    mut take: impl FnMut(&NamespaceId, &[u8], &Object) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let table = Table::open(data, "synced")?;
    for row in table.rows(b"o") {
        let (row, bytes) = row?;
        let (partition, key) = PartitionId::read_key(&row[1..]).context("an object's row without a partition")?;
        let name = || format!("object {} of {partition}", String::from_utf8_lossy(key));
        let object = Object::from_bytes(&bytes).with_context(name)?;
        ensure!(object.to_bytes() == bytes, "{} is not in canonical form", name());
        take(&partition.namespace, key, &object)?;
    }
    Ok(())
}

/// Sums up every object.
pub fn sums(data: &Path) -> anyhow::Result<BTreeMap<String, Sum>> {
    let mut sums: BTreeMap<NamespaceId, (u64, SumDigest)> = BTreeMap::new();
    objects(data, |namespace, key, object| {
        let (count, sum) = sums.entry(namespace.clone()).or_default();
        *count += 1;
        sum.add(key, &object.digest());
        Ok(())
    })?;
    let show =
        |(id, (count, sum)): (NamespaceId, (u64, SumDigest))| (id.to_string(), Sum { count, digest: sum.to_string() });
    Ok(sums.into_iter().map(show).collect())
}
