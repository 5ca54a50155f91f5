//! Rumors: fresh entries, told at once to whoever listens.
//!
//! A rumor is only ever a matter of speed; whoever misses it learns the same from [`crate::repair`]. So what waits
//! to be told is bounded, a later version of a key takes the place of an earlier one, and what does not fit is
//! dropped and counted. Rumors leave in batches, the first at once and the next a moment later: a burst becomes
//! a few messages and a single change waits for nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use trine_crdt::codec;

use crate::entry::{Entry, EntryError};
use crate::limits::{RUMOR_BYTES_MAX, RUMOR_PAYLOAD_BYTES_MAX};
use crate::marks::{self, Mark};

/// How eagerly rumors are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The least time between two rumors, in nanoseconds.
    pub pause_ns: u64,
    /// How many bytes of entries may wait.
    pub waiting_bytes_max: usize,
    /// How many bytes of entries one rumor carries; a single entry may have more.
    pub payload_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { pause_ns: 50_000_000, waiting_bytes_max: 1024 * 1024, payload_bytes_max: RUMOR_PAYLOAD_BYTES_MAX }
    }
}

/// Why a rumor is refused.
#[derive(Debug, thiserror::Error)]
pub enum RumorError {
    /// Longer than a rumor may be.
    #[error("a rumor of {bytes} bytes is over the {RUMOR_BYTES_MAX} allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not the form of a rumor.
    #[error(transparent)]
    Malformed(#[from] codec::DecodeError),
    /// An entry is over its limits.
    #[error(transparent)]
    Entry(#[from] EntryError),
}

/// The entries that wait to be told.
#[derive(Debug)]
pub struct Rumors {
    config: Config,
    waiting: BTreeMap<Bytes, Entry>,
    waiting_bytes: usize,
    /// The next rumor may leave from here on.
    open_at_ns: u64,
    dropped: u64,
}

impl Rumors {
    /// Nothing to tell.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, waiting: BTreeMap::new(), waiting_bytes: 0, open_at_ns: 0, dropped: 0 }
    }

    /// Tells an entry soon. False when there is no room: repair will carry it.
    pub fn push(&mut self, entry: Entry) -> bool {
        let before = self.waiting.get(&entry.key);
        if before.is_some_and(|before| before.version >= entry.version) {
            return true;
        }
        let bytes = self.waiting_bytes - before.map_or(0, Entry::cost_bytes) + entry.cost_bytes();
        if bytes > self.config.waiting_bytes_max || entry.check().is_err() {
            self.dropped += 1;
            return false;
        }
        self.waiting_bytes = bytes;
        self.waiting.insert(entry.key.clone(), entry);
        true
    }

    /// The rumor to publish now, if one is due.
    pub fn next(&mut self, now_ns: u64) -> Option<Bytes> {
        if self.deadline()? > now_ns {
            return None;
        }
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some((_, entry)) = self.waiting.first_key_value() {
            bytes += entry.cost_bytes();
            if bytes > self.config.payload_bytes_max && !batch.is_empty() {
                marks::reached(Mark::RumorFull);
                break;
            }
            let (_, entry) = self.waiting.pop_first().expect("there is a first");
            self.waiting_bytes -= entry.cost_bytes();
            batch.push(entry);
        }
        self.open_at_ns = now_ns.saturating_add(self.config.pause_ns);
        Some(codec::encode(&batch).into())
    }

    /// When [`Self::next`] is wanted, in monotonic nanoseconds.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        (!self.waiting.is_empty()).then_some(self.open_at_ns)
    }

    /// How many entries found no room since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// Reads a rumor. Whether its author may say these things is for the caller to judge.
///
/// # Errors
/// [`RumorError`] when it is too long, malformed, or bears an entry over its limits.
pub fn decode(bytes: &[u8]) -> Result<Vec<Entry>, RumorError> {
    if bytes.len() > RUMOR_BYTES_MAX {
        return Err(RumorError::TooLong { bytes: bytes.len() });
    }
    let entries: Vec<Entry> = codec::decode(bytes)?;
    entries.iter().try_for_each(Entry::check)?;
    Ok(entries)
}
