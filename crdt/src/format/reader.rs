//! Reading the parts: numbers, strings, dots. Nothing here trusts a length.

use std::collections::BTreeSet;

use crate::mutants::{self, Mutant};

/// Why bytes are not those of an object or a delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A format level that this program does not know.
    #[error("format level {0} is unknown here")]
    Level(u8),
    /// Not what was expected: an object for a delta, say.
    #[error("the value is of another kind")]
    Kind,
    /// The bytes end before the value does.
    #[error("the bytes end too early")]
    Truncated,
    /// The bytes go on after the value.
    #[error("{bytes} bytes follow the value")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A number is longer than need be, or than 64 bits.
    #[error("a number is not in its shortest form, or larger than 64 bits")]
    Number,
    /// A list that must ascend does not.
    #[error("the {0} are not in ascending order")]
    Order(&'static str),
    /// A dictionary's item that nothing uses.
    #[error("a {0} is listed and not used")]
    Unused(&'static str),
    /// A number that points beyond its dictionary.
    #[error("a {0} is used and not listed")]
    Unlisted(&'static str),
    /// A name is not UTF-8.
    #[error("a name is not UTF-8")]
    Text,
    /// Maps are nested too deep.
    #[error("maps are nested too deep")]
    Depth,
    /// No kind has this tag.
    #[error("no kind has the tag {0}")]
    Tag(u8),
    /// A dot that contradicts the rest: an entry above the last dot, or both present and removed.
    #[error("a dot contradicts the causal context")]
    Dot,
    /// A register's stamp is above the latest stamp of the whole.
    #[error("a register's stamp is above the latest stamp")]
    Stamp,
}

/// What is left to read.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, FormatError> {
        let (byte, rest) = self.0.split_first().ok_or(FormatError::Truncated)?;
        self.0 = rest;
        Ok(*byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (array, rest) = self.0.split_first_chunk::<N>().ok_or(FormatError::Truncated)?;
        self.0 = rest;
        Ok(*array)
    }

    pub(super) fn number(&mut self) -> Result<u64, FormatError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit only; a last byte of zero was not needed.
            if (shift == 63 && bits > 1) || (byte == 0 && shift > 0) {
                return Err(FormatError::Number);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(FormatError::Number)
    }

    pub(super) fn string(&mut self) -> Result<&'a [u8], FormatError> {
        let length = usize::try_from(self.number()?).map_err(|_| FormatError::Truncated)?;
        let (string, rest) = self.0.split_at_checked(length).ok_or(FormatError::Truncated)?;
        self.0 = rest;
        Ok(string)
    }

    /// The next dot of an ascending list of which `before` was the last.
    pub(super) fn dot(&mut self, before: u64) -> Result<u64, FormatError> {
        let gap = self.number()?;
        before.checked_add(1).and_then(|next| next.checked_add(gap)).ok_or(FormatError::Number)
    }

    pub(super) fn dots(&mut self, base: u64) -> Result<BTreeSet<u64>, FormatError> {
        let (count, mut dots, mut before) = (self.number()?, Vec::new(), base);
        if mutants::is(Mutant::CountAllocated) {
            dots.reserve(usize::try_from(count).unwrap_or(usize::MAX));
        }
        for _ in 0..count {
            before = self.dot(before)?;
            dots.push(before);
        }
        Ok(dots.into_iter().collect())
    }

    pub(super) fn end(self) -> Result<(), FormatError> {
        if self.0.is_empty() { Ok(()) } else { Err(FormatError::Trailing { bytes: self.0.len() }) }
    }
}
