//! A node's rows, read from its database without its code: keys as `trine_replica::rows` lays them out, each value behind
//! eight bytes of BLAKE3 over key length, key and value. Over those of `synced` lie the ones of the journal.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions};

use super::journal;

/// Memory for blocks while reading, in bytes.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
const CHECKSUM_BYTES: usize = 8;

/// One database of a stopped node.
pub struct Table {
    name: &'static str,
    keyspace: Keyspace,
    over: BTreeMap<Bytes, Option<Bytes>>,
    _database: Database,
}

impl Table {
    /// Opens `synced` or `derived` of a data directory.
    ///
    /// # Errors
    /// When it is not there or a process has it.
    pub fn open(data: &Path, name: &'static str) -> anyhow::Result<Self> {
        let path = data.join(name);
        ensure!(path.is_dir(), "{} is not there", path.display());
        let database = Database::builder(&path)
            .cache_size(CACHE_BYTES)
            .worker_threads(1)
            .open()
            .with_context(|| format!("open {} (is the node stopped?)", path.display()))?;
        let keyspace = database.keyspace("rows", KeyspaceCreateOptions::default)?;
        let over = if name == "synced" { journal::rows(data)? } else { BTreeMap::new() };
        Ok(Self { name, keyspace, over, _database: database })
    }

    /// All rows whose key begins with `prefix`, each checked: those of the table, then those of the journal.
    pub fn rows(&self, prefix: &[u8]) -> impl Iterator<Item = anyhow::Result<(Bytes, Bytes)>> + '_ {
        let table = self.keyspace.prefix(prefix).filter_map(|guard| {
            let read = || -> anyhow::Result<Option<(Bytes, Bytes)>> {
                let (key, stored) = guard.into_inner().with_context(|| format!("read a row of `{}`", self.name))?;
                let (key, stored) = (Bytes::from(key), Bytes::from(stored));
                if self.over.contains_key(&key) {
                    return Ok(None);
                }
                let value = open_row(&key, &stored)
                    .with_context(|| format!("row {} of `{}` is damaged", super::hex(&key), self.name))?;
                Ok(Some((key, value)))
            };
            read().transpose()
        });
        let prefix = prefix.to_vec();
        let over = self.over.range::<[u8], _>((Bound::Included(prefix.as_slice()), Bound::Unbounded));
        let over: Vec<_> = over.take_while(|(key, _)| key.starts_with(&prefix)).collect();
        table.chain(over.into_iter().filter_map(|(key, value)| Some(Ok((key.clone(), value.clone()?)))))
    }
}

/// The value, when it is what was written.
fn open_row(key: &[u8], stored: &Bytes) -> anyhow::Result<Bytes> {
    let Some((sum, value)) = stored.split_first_chunk::<CHECKSUM_BYTES>() else { bail!("it is too short") };
    let mut hasher = blake3::Hasher::new();
    hasher.update(&u32::try_from(key.len())?.to_be_bytes()).update(key).update(value);
    ensure!(hasher.finalize().as_bytes().starts_with(sum), "its checksum is wrong");
    Ok(stored.slice(CHECKSUM_BYTES..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_is_noticed_anywhere() {
        let (key, value) = (b"o-key", b"value");
        let mut hasher = blake3::Hasher::new();
        hasher.update(&5u32.to_be_bytes()).update(key).update(value);
        let mut stored = hasher.finalize().as_bytes()[..8].to_vec();
        stored.extend_from_slice(value);
        assert_eq!(open_row(key, &stored.clone().into()).expect("it is whole"), &value[..]);
        for place in 0..stored.len() {
            let mut bad = stored.clone();
            bad[place] ^= 1;
            assert!(open_row(key, &bad.into()).is_err(), "byte {place}");
        }
        assert!(open_row(b"o-kez", &stored.into()).is_err(), "a value under another key");
    }
}
