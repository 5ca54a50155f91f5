//! The rows of a node's journal, read without its code: groups in the frames of a log, as `trine_journal` lays them down.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use bytes::Bytes;

use super::log;

/// A part that begins a group, and one that ends it.
const FIRST: u8 = 1;
const LAST: u8 = 2;
/// The value length of a row that is deleted.
const DELETED: u32 = u32::MAX;

/// The last value of each row that the journal wrote, none where it deleted it. What it wrote may be in the table as well,
/// and what the table has of it is never newer.
///
/// # Errors
/// When a file is damaged.
pub fn rows(data: &Path) -> anyhow::Result<BTreeMap<Bytes, Option<Bytes>>> {
    let mut rows = BTreeMap::new();
    let mut begun: Option<Vec<u8>> = None;
    log::replay(&data.join("journal"), |position, payload| {
        let payload = payload.context("a frame without a payload")?;
        let (flags, part) = payload.split_first().context("an empty part")?;
        if flags & FIRST != 0 {
            begun = Some(Vec::new());
        }
        let Some(group) = &mut begun else { return Ok(()) };
        group.extend_from_slice(part);
        if flags & LAST != 0 {
            take(group, &mut rows).with_context(|| format!("group {} of the journal", position.index))?;
            begun = None;
        }
        Ok(())
    })?;
    Ok(rows)
}

fn take(group: &[u8], rows: &mut BTreeMap<Bytes, Option<Bytes>>) -> anyhow::Result<()> {
    let mut rest = Bytes::from(lz4_flex::block::decompress_size_prepended(group)?);
    ensure!(group.starts_with(&u32::try_from(rest.len())?.to_le_bytes()), "it is cut short");
    let number = |rest: &mut Bytes| -> anyhow::Result<u32> {
        ensure!(rest.len() >= 4, "a row is cut short");
        let bytes = rest.split_to(4);
        Ok(u32::from_be_bytes(bytes.as_ref().try_into()?))
    };
    while !rest.is_empty() {
        let (key, value) = (number(&mut rest)?, number(&mut rest)?);
        let mut part = |length: u32| -> anyhow::Result<Bytes> {
            let length = length as usize;
            ensure!(rest.len() >= length, "a row is cut short");
            Ok(rest.split_to(length))
        };
        let key = part(key)?;
        rows.insert(key, if value == DELETED { None } else { Some(part(value)?) });
    }
    Ok(())
}
