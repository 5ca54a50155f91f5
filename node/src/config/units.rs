//! Sizes and durations as people write them: `64MiB`, `500ms`.

use std::time::Duration;

const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const SPANS_MS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

/// Reads a size in bytes.
///
/// # Errors
/// What is wrong, for a person.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    count_and_unit(text, &SIZES)
        .ok_or_else(|| format!("`{text}` is no size: use a whole number and B, KiB, MiB or GiB, such as \"64MiB\""))
}

/// Reads a duration.
///
/// # Errors
/// What is wrong, for a person.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    count_and_unit(text, &SPANS_MS)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("`{text}` is no duration: use a whole number and ms, s, m or h, such as \"500ms\""))
}

fn count_and_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(end);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    count.parse::<u64>().ok()?.checked_mul(*factor)
}

fn written(amount: u64, units: &[(&str, u64)]) -> String {
    let fits = |factor: u64| factor <= amount.max(1) && amount.is_multiple_of(factor);
    let best = units.iter().filter(|(_, factor)| fits(*factor)).max_by_key(|(_, factor)| *factor);
    let (name, factor) = best.copied().unwrap_or((units[0].0, 1));
    format!("{}{name}", amount / factor)
}

/// Sizes, for `#[serde(with = …)]`.
pub mod bytes {
    use serde::{Deserializer, Serializer, de::Error};

    /// Writes the largest unit that fits without a rest.
    pub fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::written(*bytes, &super::SIZES))
    }

    /// Reads a text with a unit.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        super::parse_bytes(&super::text(deserializer)?).map_err(D::Error::custom)
    }

    /// Reads a text with a unit, of a size that cannot be nothing.
    pub fn deserialize_some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        match deserialize(deserializer)? {
            0 => Err(D::Error::custom("nothing fits into 0 bytes: use at least \"1B\"")),
            bytes => Ok(bytes),
        }
    }
}

/// Durations, for `#[serde(with = …)]`.
pub mod duration {
    use std::time::Duration;

    use serde::{Deserializer, Serializer, de::Error};

    /// Writes the largest unit that fits without a rest.
    pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        let milliseconds = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        serializer.serialize_str(&super::written(milliseconds, &super::SPANS_MS))
    }

    /// Reads a text with a unit.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        super::parse_duration(&super::text(deserializer)?).map_err(D::Error::custom)
    }
}

/// A bare number is read as text too, so that the error can ask for its unit.
fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    use serde::Deserialize;
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Text(String),
        Number(u64),
    }
    Ok(match Given::deserialize(deserializer)? {
        Given::Text(text) => text,
        Given::Number(number) => number.to_string(),
    })
}
