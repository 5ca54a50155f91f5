//! The metadata lattice: a bounded map in which, per key, the greater version wins.
//!
//! It is small, whole in memory and the same everywhere: rosters, namespaces, heads, segments, health. The core
//! keeps one row per key ([`Entry::to_bytes`]) and hands the rows back at start ([`Versioned::restore`]).
//!
//! Keys fall into [`BUCKETS`] buckets by the top bits of their hash; each bucket's digest is kept as entries come
//! and go, so that comparing two whole states costs one digest, and finding what differs costs what differs.
//!
//! Nothing is ever taken out: an owner that wants a key gone writes a value that says so. A new key that does not
//! fit the bounds is refused and said to be; a later version of a key that is held is taken unless its growth
//! does not fit.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use crate::digest::Digest;
use crate::entry::{Entry, EntryError, Version};
use crate::lattice::Lattice;
use crate::limits::{BUCKETS, ENTRY_FRAME_BYTES};

/// How large the metadata may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How many keys.
    pub entries_max: usize,
    /// How many bytes of keys and values, with what an entry costs beside them.
    pub bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { entries_max: 128 * 1024, bytes_max: 64 * 1024 * 1024 }
    }
}

/// Why an entry was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// The entry itself is over a limit.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// There are as many keys as there may be.
    #[error("the metadata holds {max} keys, which is all it may")]
    TooManyEntries {
        /// The bound.
        max: usize,
    },
    /// There are as many bytes as there may be.
    #[error("the metadata may hold {max} bytes and has no room for {bytes} more")]
    TooManyBytes {
        /// The bound.
        max: usize,
        /// What was to be added.
        bytes: usize,
    },
}

/// A value and its version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value {
    /// The version.
    pub version: Version,
    /// The bytes.
    pub bytes: Bytes,
}

/// What became of a list of entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// The entries that won, each once: what to persist and to act upon.
    pub changed: Vec<Entry>,
    /// The keys that were refused, and why.
    pub refused: Vec<(Bytes, PutError)>,
}

/// The metadata.
#[derive(Debug, Clone)]
pub struct Versioned {
    config: Config,
    entries: BTreeMap<Bytes, Value>,
    /// The same keys by bucket, so that a bucket is walked without walking the rest.
    by_bucket: Vec<BTreeMap<Bytes, Digest>>,
    digests: Vec<Digest>,
    bytes: usize,
}

impl Default for Versioned {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl Versioned {
    /// An empty state.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            entries: BTreeMap::new(),
            by_bucket: vec![BTreeMap::new(); BUCKETS],
            digests: vec![Digest::default(); BUCKETS],
            bytes: 0,
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&Value> {
        self.entries.get(key)
    }

    /// Keys that begin with `prefix` and their values, in key order.
    pub fn range<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = (&'a Bytes, &'a Value)> {
        self.entries
            .range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// Everything, in key order, as entries.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.entries.iter().map(|(key, value)| entry(key, value))
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the entries cost, in bytes, as the bound counts it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether an entry would change anything, if it may stand and fits: nothing is held of its key, or an earlier version.
    #[must_use]
    pub fn is_news(&self, entry: &Entry) -> bool {
        self.get(&entry.key).is_none_or(|held| (held.version, &held.bytes) < (entry.version, &entry.value))
    }

    /// Writes a key: the entry to persist and to tell, or none when what is held is as late or later.
    ///
    /// # Errors
    /// [`PutError`] when the entry does not fit; nothing changed.
    pub fn put(&mut self, key: Bytes, version: Version, value: Bytes) -> Result<Option<Entry>, PutError> {
        let entry = Entry { key, version, value };
        Ok(self.insert(&entry)?.then_some(entry))
    }

    /// Joins entries that a peer sent, once the caller has judged that the peer may say them.
    pub fn apply(&mut self, entries: impl IntoIterator<Item = Entry>) -> Applied {
        let mut applied = Applied::default();
        for entry in entries {
            match self.insert(&entry) {
                Ok(true) => applied.changed.push(entry),
                Ok(false) => {}
                Err(error) => applied.refused.push((entry.key, error)),
            }
        }
        applied
    }

    /// Takes a stored row back in. True when it is news, which every row is at start.
    ///
    /// # Errors
    /// [`PutError`] when the bounds have become narrower than what was stored.
    pub fn restore(&mut self, entry: &Entry) -> Result<bool, PutError> {
        self.insert(entry)
    }

    /// The digest of everything: equal exactly where the states are.
    #[must_use]
    pub fn root(&self) -> Digest {
        Digest::of_all(&self.digests)
    }

    /// The digests of the buckets, by number.
    #[must_use]
    pub fn digests(&self) -> &[Digest] {
        &self.digests
    }

    /// The bucket of a key.
    #[must_use]
    pub fn bucket_of(key: &[u8]) -> u8 {
        let top = blake3::hash(key).as_bytes()[0];
        top >> (8 - BUCKETS.trailing_zeros())
    }

    /// The entries of a bucket behind `after`, in key order, with their digests.
    pub(crate) fn bucket<'a>(
        &'a self,
        bucket: u8,
        after: &'a [u8],
    ) -> impl Iterator<Item = (&'a Bytes, &'a Value, Digest)> {
        let lower = if after.is_empty() { Bound::Unbounded } else { Bound::Excluded(after) };
        let keys = self.by_bucket.get(usize::from(bucket));
        keys.into_iter().flat_map(move |keys| {
            keys.range::<[u8], _>((lower, Bound::Unbounded)).map(|(key, digest)| (key, &self.entries[key], *digest))
        })
    }

    /// The whole of an entry.
    pub(crate) fn entry(&self, key: &[u8]) -> Option<Entry> {
        self.entries.get_key_value(key).map(|(key, value)| entry(key, value))
    }

    fn insert(&mut self, entry: &Entry) -> Result<bool, PutError> {
        entry.check()?;
        if !self.is_news(entry) {
            return Ok(false);
        }
        let held = self.entries.get(&entry.key);
        let cost_before = held.map_or(0, |held| entry.key.len() + held.bytes.len() + ENTRY_FRAME_BYTES);
        let bytes = self.bytes - cost_before + entry.cost_bytes();
        if held.is_none() && self.entries.len() >= self.config.entries_max {
            return Err(PutError::TooManyEntries { max: self.config.entries_max });
        }
        if bytes > self.config.bytes_max && bytes > self.bytes {
            return Err(PutError::TooManyBytes { max: self.config.bytes_max, bytes: bytes - self.bytes });
        }
        let bucket = usize::from(Self::bucket_of(&entry.key));
        let digest = Digest::from(entry);
        self.digests[bucket].add(digest);
        if let Some(old) = self.by_bucket[bucket].insert(entry.key.clone(), digest) {
            self.digests[bucket].remove(old);
        }
        self.entries.insert(entry.key.clone(), Value { version: entry.version, bytes: entry.value.clone() });
        self.bytes = bytes;
        Ok(true)
    }
}

/// Two states are equal when their entries are; bounds do not count.
impl PartialEq for Versioned {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Eq for Versioned {}

/// Joining takes in what fits.
impl Lattice for Versioned {
    fn join(&mut self, other: &Self) -> bool {
        !self.apply(other.entries()).changed.is_empty()
    }
}

fn entry(key: &Bytes, value: &Value) -> Entry {
    Entry { key: key.clone(), version: value.version, value: value.bytes.clone() }
}
