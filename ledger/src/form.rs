//! How this crate writes its bytes: big-endian integers, lengths before contents, nothing optional in the form.
//!
//! Every value has exactly one encoding, and a reader accepts no other: what is decoded and encoded again is the
//! same bytes. That is what makes them fit to be hashed. A length is checked against its bound before anything
//! is taken.

use bytes::Bytes;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// The bytes end inside a field.
    #[error("the bytes end inside {field}")]
    Truncated {
        /// The field.
        field: &'static str,
    },
    /// More than the bound.
    #[error("{field} has {size}, more than {max}")]
    TooLong {
        /// The field.
        field: &'static str,
        /// What it has.
        size: usize,
        /// What it may have.
        max: usize,
    },
    /// Written by another version of the format.
    #[error("{field} has format version {version}, which is not known here")]
    Version {
        /// The value.
        field: &'static str,
        /// Its version.
        version: u8,
    },
    /// A field's contents are not what it may hold, or not in the one form that it may have.
    #[error("{field} is malformed")]
    Malformed {
        /// The field.
        field: &'static str,
    },
    /// Bytes follow the value.
    #[error("{size} bytes follow the value")]
    Trailing {
        /// How many.
        size: usize,
    },
}

/// Reads fields in order.
pub(crate) struct Reader {
    rest: Bytes,
}

impl Reader {
    pub(crate) fn new(bytes: &Bytes) -> Self {
        Self { rest: bytes.clone() }
    }

    pub(crate) fn take(&mut self, field: &'static str, size: usize) -> Result<Bytes, FormError> {
        if self.rest.len() < size {
            return Err(FormError::Truncated { field });
        }
        Ok(self.rest.split_to(size))
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], FormError> {
        let bytes = self.take(field, N)?;
        bytes.as_ref().try_into().map_err(|_| FormError::Truncated { field })
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, FormError> {
        Ok(self.array::<1>(field)?[0])
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, FormError> {
        Ok(u16::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, FormError> {
        Ok(u32::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, FormError> {
        Ok(u64::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn version(&mut self, field: &'static str, known: u8) -> Result<(), FormError> {
        match self.u8(field)? {
            version if version == known => Ok(()),
            version => Err(FormError::Version { field, version }),
        }
    }

    /// A number of things that follow, at most `max`.
    pub(crate) fn count(&mut self, field: &'static str, max: usize) -> Result<usize, FormError> {
        let size = self.u32(field)? as usize;
        if size > max { Err(FormError::TooLong { field, size, max }) } else { Ok(size) }
    }

    /// Contents behind their length of four bytes.
    pub(crate) fn long(&mut self, field: &'static str, max: usize) -> Result<Bytes, FormError> {
        let size = self.count(field, max)?;
        self.take(field, size)
    }

    /// Contents behind their length of two bytes.
    pub(crate) fn short(&mut self, field: &'static str, max: usize) -> Result<Bytes, FormError> {
        let size = usize::from(self.u16(field)?);
        if size > max {
            return Err(FormError::TooLong { field, size, max });
        }
        self.take(field, size)
    }

    pub(crate) fn text(&mut self, field: &'static str, max: usize) -> Result<String, FormError> {
        let bytes = self.short(field, max)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| FormError::Malformed { field })
    }

    /// One byte that says whether something follows.
    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, FormError> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(FormError::Malformed { field }),
        }
    }

    pub(crate) fn end(self) -> Result<(), FormError> {
        if self.rest.is_empty() { Ok(()) } else { Err(FormError::Trailing { size: self.rest.len() }) }
    }
}

/// Writes contents behind a length of two bytes. What is too long for one is cut off by the bounds before.
pub(crate) fn put_short(out: &mut Vec<u8>, bytes: &[u8]) {
    let size = u16::try_from(bytes.len()).expect("bounded before it is written");
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Writes a number of things that follow.
pub(crate) fn put_count(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("bounded before it is written");
    out.extend_from_slice(&count.to_be_bytes());
}

/// Writes contents behind a length of four bytes.
pub(crate) fn put_long(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Refuses what is longer than its bound.
pub(crate) fn bounded(field: &'static str, size: usize, max: usize) -> Result<(), FormError> {
    if size > max { Err(FormError::TooLong { field, size, max }) } else { Ok(()) }
}
