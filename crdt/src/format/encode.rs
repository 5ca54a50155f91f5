//! From values to bytes.

use std::collections::{BTreeMap, BTreeSet};

use super::{DELTA, FORMAT_LEVEL, OBJECT, TAG_COUNT, TAG_ELEMENT, TAG_HELD, TAG_REGISTER};
use crate::delta::Delta;
use crate::entry::{Entry, Value};
use crate::object::Object;
use crate::path::Path;
use crate::{Timestamp, WriterId};

impl Object {
    /// The canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (entries, context) = (&self.entries, &self.context);
        let mut out = Encoder::new(OBJECT, self.writers(), entries.values().flat_map(BTreeMap::values));
        out.stamp(&self.latest);
        out.paths();
        for writer in out.writers.clone() {
            let last = context.last(&writer);
            out.number(last);
            out.gaps(context.ahead().of(&writer), last);
            match entries.get(&writer) {
                Some(entries) => out.entries(entries),
                None => out.number(0),
            }
        }
        out.bytes
    }
}

impl Delta {
    /// The canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Encoder::new(DELTA, self.writers(), self.entries.values());
        out.stamp(&self.stamp);
        out.paths();
        out.number(self.last);
        out.gaps(Some(&self.removed_own), 0);
        out.entries(&self.entries);
        for writer in out.writers.clone() {
            out.gaps(self.removed.of(&writer), 0);
        }
        out.bytes
    }
}

/// Bytes so far, and the dictionaries.
struct Encoder {
    bytes: Vec<u8>,
    writers: Vec<WriterId>,
    paths: Vec<Path>,
}

impl Encoder {
    fn new<'a>(kind: u8, writers: BTreeSet<WriterId>, entries: impl Iterator<Item = &'a Entry>) -> Self {
        let mut paths: Vec<Path> = Vec::new();
        for entry in entries {
            if paths.last() != Some(&entry.path) {
                paths.push(entry.path.clone());
            }
        }
        paths.sort_unstable();
        paths.dedup();
        let mut out = Self { bytes: vec![FORMAT_LEVEL, kind], writers: writers.into_iter().collect(), paths };
        out.number(out.writers.len() as u64);
        for writer in &out.writers {
            out.bytes.extend_from_slice(&writer.0);
        }
        out
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    fn string(&mut self, string: &[u8]) {
        self.number(string.len() as u64);
        self.bytes.extend_from_slice(string);
    }

    fn stamp(&mut self, stamp: &Timestamp) {
        self.bytes.extend_from_slice(&stamp.time.to_be_bytes());
        let number = self.writers.binary_search(&stamp.writer).expect("the dictionary has every stamp's writer");
        self.number(number as u64);
    }

    fn paths(&mut self) {
        let paths = std::mem::take(&mut self.paths);
        self.number(paths.len() as u64);
        for (number, path) in paths.iter().enumerate() {
            let shared = if number == 0 { 0 } else { path.shared(&paths[number - 1]) };
            self.number(shared as u64);
            self.number((path.depth() - shared) as u64);
            for name in &path.names()[shared..] {
                self.string(name.as_bytes());
            }
        }
        self.paths = paths;
    }

    /// Dots above `base`, as how many are left out before each.
    fn gaps(&mut self, dots: Option<&BTreeSet<u64>>, base: u64) {
        let Some(dots) = dots else { return self.number(0) };
        self.number(dots.len() as u64);
        let mut before = base;
        for dot in dots {
            self.number(dot - before - 1);
            before = *dot;
        }
    }

    fn entries(&mut self, entries: &BTreeMap<u64, Entry>) {
        self.number(entries.len() as u64);
        let mut before = 0;
        for (dot, entry) in entries {
            self.number(dot - before - 1);
            before = *dot;
            let path = self.paths.binary_search(&entry.path).expect("the dictionary has every path");
            self.number(path as u64);
            self.value(&entry.value);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Count { up, down } => {
                self.bytes.push(TAG_COUNT);
                self.number(*up);
                self.number(*down);
            }
            Value::Register { stamp, value } => {
                self.bytes.push(TAG_REGISTER);
                self.stamp(stamp);
                self.string(value);
            }
            Value::Held(value) => {
                self.bytes.push(TAG_HELD);
                self.string(value);
            }
            Value::Element(element) => {
                self.bytes.push(TAG_ELEMENT);
                self.string(element);
            }
        }
    }
}
