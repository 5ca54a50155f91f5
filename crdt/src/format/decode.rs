//! From bytes to values, see [`super`] for what is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::reader::{FormatError, Reader};
use super::{DELTA, FORMAT_LEVEL, OBJECT, TAG_COUNT, TAG_ELEMENT, TAG_HELD, TAG_REGISTER};
use crate::context::{Context, DotSet};
use crate::delta::Delta;
use crate::entry::{Entry, Value};
use crate::limits::MAP_DEPTH_MAX;
use crate::object::Object;
use crate::path::Path;
use crate::{Timestamp, WriterId};

impl Object {
    /// Reads [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`FormatError`] for all bytes but those that the object encodes to.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut input = Decoder::new(bytes, OBJECT)?;
        let latest = input.stamp()?;
        input.latest = latest;
        input.paths()?;
        let mut object = Self { latest, ..Self::default() };
        for number in 0..input.writers.len() {
            let writer = input.writers[number].0;
            let last = input.reader.number()?;
            let ahead = input.reader.dots(last)?;
            let entries = input.entries()?;
            if entries.last_key_value().is_some_and(|(dot, _)| *dot > last) {
                return Err(FormatError::Dot);
            }
            input.writers[number].1 |= last > 0 || !ahead.is_empty();
            object.context.restore(writer, last, ahead);
            if !entries.is_empty() {
                object.entries.insert(writer, entries);
            }
        }
        input.end()?;
        Ok(object)
    }
}

impl Object {
    /// Whether canonical bytes are those of an object in which nothing is left, without reading the whole: a dictionary's items
    /// must be used and every entry has a path, so there are paths if and only if there are entries.
    ///
    /// # Errors
    /// [`FormatError`] when the beginning is not an object's.
    pub fn bytes_are_empty(bytes: &[u8]) -> Result<bool, FormatError> {
        let mut input = Decoder::new(bytes, OBJECT)?;
        input.stamp()?;
        Ok(input.reader.number()? == 0)
    }
}

impl Delta {
    /// Reads [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`FormatError`] for all bytes but those that the delta encodes to.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut input = Decoder::new(bytes, DELTA)?;
        let stamp = input.stamp()?;
        input.latest = stamp;
        input.paths()?;
        let last = input.reader.number()?;
        let removed_own = input.reader.dots(0)?;
        let entries = input.entries()?;
        let above = |dot: Option<&u64>| dot.is_some_and(|dot| *dot > last);
        if last == 0
            || above(entries.keys().next_back())
            || above(removed_own.last())
            || removed_own.iter().any(|dot| entries.contains_key(dot))
        {
            return Err(FormatError::Dot);
        }
        let mut removed = DotSet::default();
        for number in 0..input.writers.len() {
            let dots = input.reader.dots(0)?;
            input.writers[number].1 |= !dots.is_empty();
            removed.put(input.writers[number].0, dots);
        }
        input.end()?;
        Ok(Self { last, stamp, entries, removed_own, removed })
    }
}

/// What is left to read, and the dictionaries, each item with whether it was used.
struct Decoder<'a> {
    reader: Reader<'a>,
    writers: Vec<(WriterId, bool)>,
    paths: Vec<(Path, bool)>,
    /// The latest stamp of all; no register's is above it, or a stamp from the far future could hide below it.
    latest: Timestamp,
}

impl<'a> Decoder<'a> {
    fn new(bytes: &'a [u8], kind: u8) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        match reader.byte()? {
            FORMAT_LEVEL => {}
            level => return Err(FormatError::Level(level)),
        }
        if reader.byte()? != kind {
            return Err(FormatError::Kind);
        }
        let mut writers: Vec<(WriterId, bool)> = Vec::new();
        for _ in 0..reader.number()? {
            let writer = WriterId(reader.array()?);
            if writers.last().is_some_and(|(before, _)| *before >= writer) {
                return Err(FormatError::Order("writers"));
            }
            writers.push((writer, false));
        }
        Ok(Self { reader, writers, paths: Vec::new(), latest: Timestamp::ZERO })
    }

    fn stamp(&mut self) -> Result<Timestamp, FormatError> {
        let time = u64::from_be_bytes(self.reader.array()?);
        let number = usize::try_from(self.reader.number()?).map_err(|_| FormatError::Number)?;
        let (writer, used) = self.writers.get_mut(number).ok_or(FormatError::Unlisted("writer"))?;
        *used = true;
        Ok(Timestamp { time, writer: *writer })
    }

    fn paths(&mut self) -> Result<(), FormatError> {
        for number in 0..self.reader.number()? {
            let path = self.path()?;
            if number > 0 && self.paths.last().is_some_and(|(before, _)| *before >= path) {
                return Err(FormatError::Order("paths"));
            }
            self.paths.push((path, false));
        }
        Ok(())
    }

    fn path(&mut self) -> Result<Path, FormatError> {
        let before: &[Arc<str>] = self.paths.last().map_or(&[], |(path, _)| path.names());
        let shared = self.reader.number()?;
        let more = self.reader.number()?;
        if shared.checked_add(more).is_none_or(|depth| depth > MAP_DEPTH_MAX as u64) {
            return Err(FormatError::Depth);
        }
        let shared = before.get(..shared as usize).ok_or(FormatError::Unlisted("name"))?;
        let mut names = shared.to_vec();
        for place in 0..more {
            let name = std::str::from_utf8(self.reader.string()?).map_err(|_| FormatError::Text)?;
            // The first further name differs from the one before, or it would have been shared.
            if place == 0 && before.get(shared.len()).is_some_and(|other| **other == *name) {
                return Err(FormatError::Order("paths"));
            }
            names.push(Arc::from(name));
        }
        Ok(Path::new(names))
    }

    fn entries(&mut self) -> Result<BTreeMap<u64, Entry>, FormatError> {
        let mut entries = Vec::new();
        let mut dot = 0;
        for _ in 0..self.reader.number()? {
            dot = self.reader.dot(dot)?;
            let number = usize::try_from(self.reader.number()?).map_err(|_| FormatError::Number)?;
            let (path, used) = self.paths.get_mut(number).ok_or(FormatError::Unlisted("path"))?;
            *used = true;
            let path = path.clone();
            entries.push((dot, Entry { path, value: self.value()? }));
        }
        Ok(entries.into_iter().collect())
    }

    fn value(&mut self) -> Result<Value, FormatError> {
        Ok(match self.reader.byte()? {
            TAG_COUNT => Value::Count { up: self.reader.number()?, down: self.reader.number()? },
            TAG_REGISTER => {
                let stamp = self.stamp()?;
                if stamp > self.latest {
                    return Err(FormatError::Stamp);
                }
                Value::Register { stamp, value: self.string()? }
            }
            TAG_HELD => Value::Held(self.string()?),
            TAG_ELEMENT => Value::Element(self.string()?),
            tag => return Err(FormatError::Tag(tag)),
        })
    }

    fn string(&mut self) -> Result<Bytes, FormatError> {
        Ok(Bytes::copy_from_slice(self.reader.string()?))
    }

    fn end(self) -> Result<(), FormatError> {
        if self.writers.iter().any(|(_, used)| !used) {
            return Err(FormatError::Unused("writer"));
        }
        if self.paths.iter().any(|(_, used)| !used) {
            return Err(FormatError::Unused("path"));
        }
        self.reader.end()
    }
}

impl Context {
    /// What was read of one writer; `ahead` is above `last`.
    fn restore(&mut self, writer: WriterId, last: u64, ahead: std::collections::BTreeSet<u64>) {
        self.reach(writer, last);
        for seq in ahead {
            self.cover(writer, seq);
        }
    }
}
