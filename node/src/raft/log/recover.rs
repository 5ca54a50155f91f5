//! What the segment files hold at a start.
//!
//! Every frame is read and checked. A file is only begun after its predecessor was durable as a whole, so a bad
//! frame in any but the last file is damage. In the last file it is damage when the floor or a later frame says that
//! those bytes were durable, else the torn end of the last write, which is cut off.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::convert;
use super::error::LogError;
use super::frame::{self, Kind};
use super::index::{Index, SegmentFile};
use super::state::State;
use crate::raft::types::LogId;

/// The log as found.
#[derive(Debug)]
pub struct Recovered {
    /// Where the entries stand.
    pub index: Index,
    /// The last entry.
    pub last: Option<LogId>,
    /// The file to append to, its number and length; none when there is no file yet.
    pub active: Option<(Arc<SegmentFile>, u64, u64)>,
}

/// Opens and reads all segment files.
pub fn recover(directory: &Path, state: &State) -> Result<Recovered, LogError> {
    let floor = state.floor.map(|floor| floor.index);
    let mut found = Recovered { index: Index::default(), last: None, active: None };
    let mut ids: Vec<LogId> = Vec::new();
    let files = segments(directory)?;
    let count = files.len();
    for (place, (number, path)) in files.into_iter().enumerate() {
        let io = |what| LogError::io(what, &path);
        let bytes = fs::read(&path).map_err(io("reading"))?;
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(io("opening"))?;
        let segment = Arc::new(SegmentFile { path: path.clone(), file });
        let mut at = 0;
        while at < bytes.len() {
            let (header, payload) = match frame::read(&bytes[at..]) {
                Ok(frame) => frame,
                Err(error) => {
                    let next = found.last.map_or(0, |last| last.index + 1);
                    let torn = place + 1 == count
                        && floor.is_none_or(|floor| next > floor)
                        && !frame::later_frame_vouches(&bytes, at);
                    if torn {
                        tracing::warn!(file = %path.display(), offset = at, bytes = bytes.len() - at, "cut a torn end off");
                        segment.file.set_len(at as u64).map_err(io("cutting"))?;
                        segment.file.sync_all().map_err(io("syncing"))?;
                        break;
                    }
                    return Err(LogError::Damaged { file: path, offset: at as u64, reason: error.to_string() });
                }
            };
            let end = at + payload.end;
            if header.kind == Kind::Truncate {
                found.index.truncate(header.index);
                while ids.last().is_some_and(|id| id.index >= header.index) {
                    ids.pop();
                }
                found.last = last_before(&ids, header.index, found.last);
            } else {
                let id = convert::log_id(&header);
                let follows = found.last.is_none_or(|last| {
                    header.index == last.index + 1 && last.leader_id <= id.leader_id
                        || state.purged.is_some_and(|purged| header.index == purged.index + 1)
                });
                if !follows {
                    let reason = format!("entry {} does not follow {:?}", header.index, found.last);
                    return Err(LogError::Damaged { file: path, offset: at as u64, reason });
                }
                let (start, stop) = (offset(at), offset(end));
                found.index.push(&segment, header.index, start, stop);
                if ids.last().is_none_or(|id| id.leader_id != convert::log_id(&header).leader_id) {
                    ids.push(id);
                }
                found.last = Some(id);
            }
            at = end;
        }
        let length = segment.file.metadata().map_err(io("measuring"))?.len();
        found.active = Some((segment, number, length));
    }
    let last = found.last.max(state.purged).map(|last| last.index);
    match floor {
        Some(floor) if last.is_none_or(|last| last < floor) => {
            Err(LogError::ShorterThanFloor { directory: directory.to_owned(), last, floor })
        }
        _ => Ok(found),
    }
}

/// The path of a segment file.
pub fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:010}.log"))
}

/// `ids` holds the first entry of each leader; the last entry kept is `from - 1`, of the last such leader.
fn last_before(ids: &[LogId], from: u64, last: Option<LogId>) -> Option<LogId> {
    if last.is_some_and(|last| last.index < from) {
        return last;
    }
    Some(LogId::new(ids.last()?.leader_id, from.checked_sub(1)?))
}

fn segments(directory: &Path) -> Result<Vec<(u64, PathBuf)>, LogError> {
    let io = || LogError::io("listing", directory);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(io())? {
        let path = entry.map_err(io())?.path();
        let number = path
            .extension()
            .filter(|extension| *extension == "log")
            .and_then(|_| path.file_stem()?.to_str()?.parse::<u64>().ok());
        if let Some(number) = number {
            files.push((number, path));
        }
    }
    files.sort();
    if files.first().is_some_and(|(number, _)| *number != 0) {
        let file = segment_path(directory, 0);
        return Err(LogError::Damaged { file, offset: 0, reason: "the file is missing".to_owned() });
    }
    for pair in files.windows(2) {
        if pair[0].0 + 1 != pair[1].0 {
            let file = segment_path(directory, pair[0].0 + 1);
            return Err(LogError::Damaged { file, offset: 0, reason: "the file is missing".to_owned() });
        }
    }
    Ok(files)
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("a segment file stays far below 4 GiB")
}
