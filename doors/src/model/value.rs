//! Bytes, hashes and times as JSON strings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use trine_crdt::Timestamp;
use utoipa::ToSchema;

/// How bytes stand in a JSON string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// As they are.
    #[default]
    Utf8,
    /// RFC 4648, with padding.
    Base64,
}

/// Bytes in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Value {
    /// The bytes, in `encoding`.
    pub value: String,
    /// How they stand there; without it, `utf8`.
    #[serde(default)]
    pub encoding: Encoding,
}

impl Value {
    /// Bytes as text where they are text, otherwise as base64.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self { value: text.to_owned(), encoding: Encoding::Utf8 },
            Err(_) => Self { value: base64(bytes), encoding: Encoding::Base64 },
        }
    }

    /// The bytes; none when they are no base64 though said to be.
    #[must_use]
    pub fn bytes(&self) -> Option<Bytes> {
        match self.encoding {
            Encoding::Utf8 => Some(Bytes::copy_from_slice(self.value.as_bytes())),
            Encoding::Base64 => unbase64(&self.value).map(Bytes::from),
        }
    }

    /// How people see it in a table.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.encoding {
            Encoding::Utf8 => self.value.clone(),
            Encoding::Base64 => format!("base64:{}", self.value),
        }
    }
}

/// Bytes as base64 (RFC 4648, with padding).
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads [`base64`].
#[must_use]
pub fn unbase64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The wall-clock time that a stamp names, to the millisecond, in UTC (RFC 3339).
#[must_use]
pub fn time_of(stamp: Timestamp) -> String {
    let milliseconds = i128::from(stamp.wall_ns() / 1_000_000) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(milliseconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}
