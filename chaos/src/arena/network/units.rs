//! Shares and times as humans write them.

use std::time::Duration;

use anyhow::Context;

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
}
