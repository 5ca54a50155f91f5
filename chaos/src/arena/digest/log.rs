//! A log as it lies on one node's disk, a region's or a journal: the entries that no later frame takes back, in order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bytes::Bytes;
use trine_ledger::LogPosition;
use trine_ledger::frame::{self, FrameKind, TailState};

/// Hands every live entry of a directory to `take`, in log order; blank and membership entries come without payload.
///
/// # Errors
/// When a file is damaged, or `take` fails.
pub fn replay(
    directory: &Path,
    mut take: impl FnMut(LogPosition, Option<Bytes>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let files = files(directory)?;
    let mut live: BTreeMap<u64, (usize, u64)> = BTreeMap::new();
    for (number, path) in files.iter().enumerate() {
        let bytes = std::fs::read(path)?;
        let Some(scan) = scan(path, &bytes, number + 1 == files.len())? else { continue };
        for placed in scan.frames {
            let index = placed.frame.position.index;
            if placed.frame.kind == FrameKind::Truncate {
                live.split_off(&index);
            } else {
                live.insert(index, (number, placed.at));
            }
        }
    }
    for (number, path) in files.iter().enumerate() {
        let bytes = Bytes::from(std::fs::read(path)?);
        let Some(scan) = scan(path, &bytes, number + 1 == files.len())? else { continue };
        for placed in scan.frames {
            let position = placed.frame.position;
            if placed.frame.kind == FrameKind::Truncate || live.get(&position.index) != Some(&(number, placed.at)) {
                continue;
            }
            let entry = placed.frame.kind == FrameKind::Entry;
            take(position, entry.then(|| bytes.slice_ref(placed.frame.payload)))?;
        }
    }
    Ok(())
}

/// Reads a file's frames; none when it was just being begun. Only the last file may end torn.
fn scan<'a>(path: &Path, bytes: &'a [u8], last: bool) -> anyhow::Result<Option<frame::Scan<'a>>> {
    let name = path.display();
    let scan = match frame::scan(bytes) {
        Err(frame::FrameError::TornHeader) if last => return Ok(None),
        scan => scan.with_context(|| format!("read {name}"))?,
    };
    match scan.tail {
        TailState::Clean => Ok(Some(scan)),
        TailState::Torn { .. } if last => Ok(Some(scan)),
        TailState::Torn { at } | TailState::Damaged { at } => bail!("{name} is damaged at byte {at}"),
    }
}

fn files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .with_context(|| format!("read {}", directory.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    Ok(files)
}
