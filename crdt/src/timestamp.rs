//! Stamps of the hybrid logical clock, and the clocks' readings that the pure crates are handed.
//!
//! A stamp is 24 bytes on wire and disk, big-endian, so that bytes sort as stamps do: 8 bytes of NTP time
//! (32 bits of seconds since 1970, 32 bits of fraction) and the writer's 16.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{IdentityError, WriterId};

/// The length of an encoded stamp, in bytes.
pub const TIMESTAMP_BYTES: usize = 24;

/// What the clocks said when an input was handed over. The pure crates never read one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Nanoseconds since 1970 by the wall clock; may jump, also backwards.
    pub wall_ns: u64,
    /// Nanoseconds by a clock that only goes forward, from an arbitrary start.
    pub monotonic_ns: u64,
}

/// A hybrid logical time and who stamped it. Unique: a writer never stamps twice alike.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(into = "serde_bytes::ByteArray<24>", from = "serde_bytes::ByteArray<24>")]
pub struct Timestamp {
    /// NTP time, as `uhlc::NTP64` counts it; the low bits serve as logical counter.
    pub time: u64,
    /// The writer; breaks ties.
    pub writer: WriterId,
}

impl Timestamp {
    /// Below every stamp that anyone issues.
    pub const ZERO: Self = Self { time: 0, writer: WriterId([0; 16]) };

    /// The 24 bytes of wire and disk.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; TIMESTAMP_BYTES] {
        let mut bytes = [0; TIMESTAMP_BYTES];
        bytes[..8].copy_from_slice(&self.time.to_be_bytes());
        bytes[8..].copy_from_slice(&self.writer.0);
        bytes
    }

    /// Reads [`Self::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8; TIMESTAMP_BYTES]) -> Self {
        let (time, writer) = bytes.split_first_chunk::<8>().expect("24 bytes hold 8");
        let writer = WriterId(writer.try_into().expect("16 bytes are left"));
        Self { time: u64::from_be_bytes(*time), writer }
    }

    /// Nanoseconds since 1970 that this stamp names, to within a quarter of a nanosecond.
    #[must_use]
    pub fn wall_ns(&self) -> u64 {
        let (seconds, fraction) = (self.time >> 32, self.time & 0xffff_ffff);
        seconds * 1_000_000_000 + ((fraction * 1_000_000_000) >> 32)
    }

    /// The time that this stamp names, to the second, for people: `2026-01-31 23:59:59 UTC`.
    #[must_use]
    pub fn utc(&self) -> String {
        let seconds = self.time >> 32;
        let (mut days, second) = (seconds / 86_400, seconds % 86_400);
        let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let mut year = 1970;
        while days >= 365 + u64::from(leap(year)) {
            days -= 365 + u64::from(leap(year));
            year += 1;
        }
        let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut month = 0;
        while days >= lengths[month] {
            days -= lengths[month];
            month += 1;
        }
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("{year}-{:02}-{:02} {hour:02}:{minute:02}:{second:02} UTC", month + 1, days + 1)
    }
}

impl From<Timestamp> for serde_bytes::ByteArray<24> {
    fn from(stamp: Timestamp) -> Self {
        Self::new(stamp.to_bytes())
    }
}

impl From<serde_bytes::ByteArray<24>> for Timestamp {
    fn from(bytes: serde_bytes::ByteArray<24>) -> Self {
        Self::from_bytes(&bytes)
    }
}

/// `TIME-WRITER`, both hexadecimal: sorts as text as it does as a value.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.time, self.writer)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Timestamp {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || IdentityError::Writer(text.to_owned());
        let (time, writer) = text.split_once('-').ok_or_else(wrong)?;
        let time = u64::from_str_radix(time, 16).map_err(|_| wrong())?;
        Ok(Self { time, writer: writer.parse()? })
    }
}
