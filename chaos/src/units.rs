//! Shares and times as humans write them, on the command line and in plans.

use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// A share as a human writes it: `1%`, `0.01`.
///
/// # Errors
/// When it is no share between 0 and 1.
pub fn parse_share(text: &str) -> anyhow::Result<f64> {
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0),
        None => text.parse::<f64>(),
    };
    share
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .with_context(|| format!("`{text}` is no share: use 1% or 0.01"))
}

/// A time as a human writes it: `38ms`, `500us`, `2s`, `1m`.
///
/// # Errors
/// When it is no time.
pub fn parse_time(text: &str) -> anyhow::Result<Duration> {
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (count, unit) = text.split_at(split);
    let scale = match unit.trim() {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => f64::NAN,
    };
    let count: f64 = count.parse().unwrap_or(f64::NAN);
    Duration::try_from_secs_f64(count * scale).ok().with_context(|| format!("`{text}` is no time: use 38ms or 2s"))
}

/// A time as [`parse_time`] reads it, in the largest unit that needs no fraction.
#[must_use]
pub fn show_time(time: Duration) -> String {
    let us = time.as_micros();
    match us {
        _ if us.is_multiple_of(60_000_000) && us > 0 => format!("{}m", us / 60_000_000),
        _ if us.is_multiple_of(1_000_000) => format!("{}s", us / 1_000_000),
        _ if us.is_multiple_of(1_000) => format!("{}ms", us / 1_000),
        _ => format!("{us}us"),
    }
}

/// How far a clock is off: `250ms`, `-2s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Offset {
    /// Nanoseconds; below zero: behind.
    pub ns: i64,
}

impl TryFrom<String> for Offset {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (sign, time) = match text.strip_prefix('-') {
            Some(time) => (-1, time),
            None => (1, text.as_str()),
        };
        let time = parse_time(time).map_err(|error| error.to_string())?;
        let ns = i64::try_from(time.as_nanos()).map_err(|_| format!("`{text}` is too far"))?;
        Ok(Self { ns: sign * ns })
    }
}

impl From<Offset> for String {
    fn from(offset: Offset) -> Self {
        let sign = if offset.ns < 0 { "-" } else { "" };
        format!("{sign}{}", show_time(Duration::from_nanos(offset.ns.unsigned_abs())))
    }
}

/// Times in plans, for `#[serde(with = "units::time")]`.
pub mod time {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes a time.
    ///
    /// # Errors
    /// What the serializer says.
    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::show_time(*time))
    }

    /// Reads a time.
    ///
    /// # Errors
    /// When it is none.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        super::parse_time(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Times that may be missing, for `#[serde(default, with = "units::maybe_time")]`.
pub mod maybe_time {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes a time.
    ///
    /// # Errors
    /// What the serializer says.
    pub fn serialize<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.serialize_some(&super::show_time(*time)),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a time.
    ///
    /// # Errors
    /// When it is none.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        text.map(|text| super::parse_time(&text).map_err(serde::de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_times_read_as_humans_write_them() {
        assert!((parse_share("1%").expect("a share") - 0.01).abs() < 1e-12);
        assert!(parse_share("1.5").is_err() && parse_share("much").is_err());
        assert_eq!(parse_time("38ms").expect("a time"), Duration::from_millis(38));
        assert_eq!(parse_time("1.5s").expect("a time"), Duration::from_millis(1500));
        assert!(parse_time("38").is_err() && parse_time("ms").is_err());
    }

    #[test]
    fn times_are_written_as_they_are_read() {
        for text in ["0s", "38ms", "500us", "90s", "2m", "1500ms"] {
            assert_eq!(show_time(parse_time(text).expect("a time")), text);
        }
        for (text, ns) in [("-2s", -2_000_000_000), ("250ms", 250_000_000), ("0s", 0)] {
            let offset = Offset::try_from(text.to_owned()).expect("an offset");
            assert_eq!((offset.ns, String::from(offset)), (ns, text.to_owned()));
        }
        assert!(Offset::try_from("--2s".to_owned()).is_err());
    }
}
