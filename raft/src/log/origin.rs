//! Which founding a log goes back to.
//!
//! The first entry of a log names its founders by their ids, which are drawn anew with each disk. All logs of a group begin
//! with it and none ever drops it, so two logs that begin otherwise are of two groups: neither's terms, votes and indexes
//! mean anything to the other.

use std::fmt;

use serde::{Deserialize, Serialize};
use trine_ledger::frame::FileHeader;

use super::convert;
use crate::types::Entry;

/// The digest of a log's first entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin([u8; 16]);

impl Origin {
    /// Of the group whose log begins with this entry; none when it is not the first.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        const HEADER: FileHeader = FileHeader { first: 0, salt: [0; 32] };
        if entry.log_id.index != 0 {
            return None;
        }
        let mut bytes = Vec::new();
        convert::write_entry(&mut bytes, &HEADER, entry, 0);
        blake3::hash(&bytes).as_bytes().first_chunk().copied().map(Self)
    }

    /// Why two nodes do not speak Raft with each other, in words; none where they may. Who holds nothing is of no group yet.
    #[must_use]
    pub fn refuses(here: Option<Self>, there: Option<Self>) -> Option<String> {
        let (here, there) = (here?, there?);
        (here != there).then(|| {
            format!(
                "it is of another Raft group of this region (founded as {there}, here as {here}): which of the two was \
                 founded beside the other is to be stopped and started with an empty directory"
            )
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
