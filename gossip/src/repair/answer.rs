//! The answer to each repair message: a function of the message and the state. A turn says where to begin when not
//! everything fits.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::digest::Digest;
use crate::entry::{Entry, Version};
use crate::limits::ENTRY_FRAME_BYTES;
use crate::marks::{self, Mark};
use crate::repair::{Config, RepairMessage, scatter};
use crate::versioned::Versioned;

/// The answer to a root that differs: every bucket's digest.
pub(super) fn to_root(root: Digest, state: &Versioned) -> Vec<RepairMessage> {
    if root == state.root() {
        return Vec::new();
    }
    let number = |bucket| u8::try_from(bucket).expect("a bucket's number is a byte");
    let digests = state.digests().iter().enumerate().map(|(bucket, digest)| (number(bucket), *digest)).collect();
    vec![RepairMessage::Buckets(digests)]
}

/// The answer to buckets: summaries of those that differ, in chunks.
pub(super) fn to_buckets(theirs: &[(u8, Digest)], state: &Versioned, turn: u64, config: &Config) -> Vec<RepairMessage> {
    let theirs: BTreeMap<u8, Digest> = theirs.iter().copied().collect();
    let mut chunks = Vec::new();
    for (bucket, digest) in theirs {
        if state.digests().get(usize::from(bucket)).is_some_and(|own| *own != digest) {
            summarise(bucket, state, config, &mut chunks);
        }
    }
    rotate(&mut chunks, turn);
    let mut budget = Budget::of(config);
    chunks.into_iter().take_while(|(bytes, _)| budget.take(*bytes)).map(|(_, summary)| summary).collect()
}

/// The answer to a summary: what its sender lacks, and the keys to ask for that are lacking here.
pub(super) fn to_summary(
    bucket: u8,
    (after, upto): (&[u8], &[u8]),
    versions: &[(Bytes, Version, u64)],
    state: &Versioned,
    turn: u64,
    config: &Config,
) -> (Vec<RepairMessage>, Vec<Bytes>) {
    let theirs: BTreeMap<&Bytes, (Version, u64)> =
        versions.iter().map(|(key, version, tie)| (key, (*version, *tie))).collect();
    let within = |key: &[u8]| upto.is_empty() || key <= upto;
    let mut give = Vec::new();
    let mut held = BTreeSet::new();
    let mut want = Vec::new();
    for (key, value, digest) in state.bucket(bucket, after).take_while(|(key, ..)| within(key)) {
        held.insert(key);
        match theirs.get(key) {
            Some((version, tie)) if (*version, *tie) == (value.version, short(digest)) => {}
            Some((version, _)) if *version > value.version => want.push(key.clone()),
            // Equal versions with unequal values: both sides send, and the greater value wins on both.
            _ => give.push(key.clone()),
        }
    }
    want.extend(theirs.keys().filter(|key| !held.contains(**key)).map(|key| (*key).clone()));
    (entries(give, state, turn, config), want)
}

/// The answer to a request: the entries, as far as they are held.
pub(super) fn to_want(keys: &[Bytes], state: &Versioned, turn: u64, config: &Config) -> Vec<RepairMessage> {
    let keys: BTreeSet<&Bytes> = keys.iter().collect();
    entries(keys.into_iter().cloned().collect(), state, turn, config)
}

/// Part of a digest, to tell two values of one version apart.
fn short(digest: Digest) -> u64 {
    u64::from_be_bytes(*digest.0.first_chunk().expect("a digest has 16 bytes"))
}

fn entries(mut keys: Vec<Bytes>, state: &Versioned, turn: u64, config: &Config) -> Vec<RepairMessage> {
    rotate(&mut keys, turn);
    let mut budget = Budget::of(config);
    let mut answer = Vec::new();
    let mut chunk: Vec<Entry> = Vec::new();
    let mut chunk_bytes = 0;
    for entry in keys.iter().filter_map(|key| state.entry(key)) {
        let cost = entry.cost_bytes();
        if !budget.take(cost) {
            break;
        }
        if chunk_bytes + cost > config.payload_bytes_max && !chunk.is_empty() {
            marks::reached(Mark::MetadataChunked);
            answer.push(RepairMessage::Entries(std::mem::take(&mut chunk)));
            chunk_bytes = 0;
        }
        chunk_bytes += cost;
        chunk.push(entry);
    }
    if !chunk.is_empty() {
        answer.push(RepairMessage::Entries(chunk));
    }
    answer
}

/// A bucket's summary in chunks, each with what it costs.
fn summarise(bucket: u8, state: &Versioned, config: &Config, chunks: &mut Vec<(usize, RepairMessage)>) {
    let mut after = Bytes::new();
    let mut versions: Vec<(Bytes, Version, u64)> = Vec::new();
    let mut bytes = ENTRY_FRAME_BYTES;
    for (key, value, digest) in state.bucket(bucket, &[]) {
        let cost = key.len() + ENTRY_FRAME_BYTES;
        if bytes + cost > config.payload_bytes_max && !versions.is_empty() {
            marks::reached(Mark::SummaryChunked);
            let upto = versions.last().map(|(key, ..)| key.clone()).expect("a full chunk has keys");
            let versions = std::mem::take(&mut versions);
            chunks.push((bytes, RepairMessage::Summary { bucket, after: after.clone(), upto: upto.clone(), versions }));
            after = upto;
            bytes = ENTRY_FRAME_BYTES;
        }
        bytes += cost;
        versions.push((key.clone(), value.version, short(digest)));
    }
    chunks.push((bytes, RepairMessage::Summary { bucket, after, upto: Bytes::new(), versions }));
}

/// Begins elsewhere each time: what did not fit last time comes first some other time, also when the peer never
/// takes what was first.
fn rotate<T>(list: &mut [T], turn: u64) {
    if !list.is_empty() {
        let by = scatter(turn) % list.len() as u64;
        list.rotate_left(usize::try_from(by).expect("less than a length"));
    }
}

/// How much one message may call forth: the first piece in any case, or what is larger would never cross.
struct Budget {
    bytes: usize,
    fresh: bool,
}

impl Budget {
    fn of(config: &Config) -> Self {
        Self { bytes: config.answer_bytes_max, fresh: true }
    }

    fn take(&mut self, bytes: usize) -> bool {
        let left = self.bytes.checked_sub(bytes);
        let takes = left.is_some() || std::mem::take(&mut self.fresh);
        (self.bytes, self.fresh) = (left.unwrap_or(0), false);
        if !takes {
            marks::reached(Mark::AnswerCut);
        }
        takes
    }
}
