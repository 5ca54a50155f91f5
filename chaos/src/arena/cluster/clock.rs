//! A node's clock, set wrong and let drift while the node runs.
//!
//! Nothing in the node knows of it: Debian's `libfaketime` is loaded into its process and answers for the wall's clock from
//! a small file, which it reads again each second. The monotonic clock stays true, as it does when an operator or NTP sets
//! a real clock. The library counts its rate from the start of the process; so the offset in the file makes up for what
//! the process has already run, and a new rate begins now.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::units::Offset;

/// How often a node looks whether its clock was changed, in seconds.
const LOOK_SECONDS: &str = "1";
/// Where distributions put the library's directory.
const PLACES: [&str; 4] = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib"];
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// A change of a clock.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skew {
    /// So far before or ahead of the true time.
    Offset(Offset),
    /// This many seconds a second, from what it shows now.
    Drift(f64),
    /// Right again.
    True,
}

impl FromStr for Skew {
    type Err = String;

    /// `+500ms`, `-2s`, `drift 1.01` (also `drift=1.01`), `ok`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "ok" {
            Ok(Self::True)
        } else if let Some(rate) = text.strip_prefix("drift") {
            let rate = rate
                .trim_start_matches(['=', ' '])
                .parse()
                .map_err(|_| "drift wants a rate such as 1.01".to_owned())?;
            if (0.1..=10.0).contains(&rate) {
                Ok(Self::Drift(rate))
            } else {
                Err("a rate between 0.1 and 10".to_owned())
            }
        } else {
            Offset::try_from(text.strip_prefix('+').unwrap_or(text).to_owned()).map(Self::Offset)
        }
    }
}

/// One node's clock.
#[derive(Debug)]
pub struct Clock {
    library: PathBuf,
    file: PathBuf,
    /// What it was off by at `since`, in seconds.
    offset: f64,
    /// How far ahead it was at most, until `since`.
    ahead: f64,
    /// How far behind.
    behind: f64,
    rate: f64,
    since: Instant,
    started: Instant,
}

impl Clock {
    /// A true clock that can be set wrong.
    ///
    /// # Errors
    /// When the library is not installed.
    pub fn new(file: PathBuf) -> anyhow::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            library: library()?,
            file,
            offset: 0.0,
            ahead: 0.0,
            behind: 0.0,
            rate: 1.0,
            since: now,
            started: now,
        })
    }

    /// What a node must be started with.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, PathBuf); 5] {
        [
            ("LD_PRELOAD", self.library.clone()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.clone()),
            ("FAKETIME_CACHE_DURATION", LOOK_SECONDS.into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("NO_FAKE_STAT", "1".into()),
        ]
    }

    /// The node is started now.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.started = Instant::now();
        self.write()
    }

    /// Sets it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set(&mut self, skew: Skew) -> anyhow::Result<()> {
        let now = Instant::now();
        (self.ahead, self.behind) = (self.ahead_at(now), self.behind_at(now));
        (self.offset, self.rate) = match skew {
            Skew::Offset(offset) => (offset.ns as f64 / 1e9, 1.0),
            Skew::Drift(rate) => (self.offset_at(now), rate),
            Skew::True => (0.0, 1.0),
        };
        self.since = now;
        self.write()
    }

    /// Sets it ahead of what it shows by this, or behind; its rate stays.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn shift(&mut self, by: Offset) -> anyhow::Result<()> {
        let now = Instant::now();
        (self.ahead, self.behind) = (self.ahead_at(now), self.behind_at(now));
        self.offset = self.offset_at(now) + by.ns as f64 / 1e9;
        self.since = now;
        self.write()
    }

    /// What it is off by, in seconds.
    #[must_use]
    pub fn offset(&self) -> f64 {
        self.offset_at(Instant::now())
    }

    /// How far ahead of the true time it ever was.
    #[must_use]
    pub fn ahead(&self) -> Duration {
        Duration::from_secs_f64(self.ahead_at(Instant::now()))
    }

    /// Between changes it runs evenly: it was furthest ahead at one of them.
    fn ahead_at(&self, now: Instant) -> f64 {
        self.ahead.max(self.offset).max(self.offset_at(now))
    }

    /// How far behind the true time it ever was.
    #[must_use]
    pub fn behind(&self) -> Duration {
        Duration::from_secs_f64(self.behind_at(Instant::now()))
    }

    fn behind_at(&self, now: Instant) -> f64 {
        self.behind.max(-self.offset).max(-self.offset_at(now))
    }

    fn offset_at(&self, now: Instant) -> f64 {
        self.offset + (self.rate - 1.0) * now.duration_since(self.since).as_secs_f64()
    }

    /// The offset that the library must be told, which multiplies all of the time since the start by the rate.
    fn told(&self) -> f64 {
        let before = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64();
        let run = before(self.started, self.since) - before(self.since, self.started);
        self.offset - (self.rate - 1.0) * run
    }

    fn write(&self) -> anyhow::Result<()> {
        let beside = self.file.with_extension("new");
        let write = || {
            std::fs::write(&beside, format!("{:+.6} x{:.6}\n", self.told(), self.rate))?;
            std::fs::rename(&beside, &self.file)
        };
        write().with_context(|| format!("write {}", self.file.display()))
    }
}

/// The library, wherever it is installed.
fn library() -> anyhow::Result<PathBuf> {
    for place in PLACES.map(Path::new) {
        // Debian has one directory more, by the machine's kind.
        let below = std::fs::read_dir(place).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        if let Some(found) =
            std::iter::once(place.to_owned()).chain(below).map(|place| place.join(LIBRARY)).find(|path| path.is_file())
        {
            return Ok(found);
        }
    }
    bail!("clocks can only be set wrong with libfaketime, which is not installed (Debian: apt-get install libfaketime)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skews_are_read_as_people_write_them() {
        assert_eq!("+500ms".parse(), Ok(Skew::Offset(Offset { ns: 500_000_000 })));
        assert_eq!("-2s".parse(), Ok(Skew::Offset(Offset { ns: -2_000_000_000 })));
        assert_eq!("drift 1.01".parse(), Ok(Skew::Drift(1.01)));
        assert_eq!("ok".parse(), Ok(Skew::True));
        for wrong in ["", "drift", "drift 0", "drift x", "soon"] {
            assert!(wrong.parse::<Skew>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_drift_begins_where_the_clock_is_and_not_at_the_start_of_the_process() {
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        let mut clock = Clock {
            library: PathBuf::new(),
            file: PathBuf::new(),
            offset: 3.0,
            ahead: 0.0,
            behind: 0.0,
            rate: 1.5,
            since: later(100),
            started: later(40),
        };
        // The library shows: true time + told + (rate - 1) × time since the start.
        let shown = |clock: &Clock, at: u64| {
            clock.told() + (clock.rate - 1.0) * later(at).duration_since(clock.started).as_secs_f64()
        };
        assert!((shown(&clock, 100) - 3.0).abs() < 1e-9);
        assert!((shown(&clock, 110) - 8.0).abs() < 1e-9);
        clock.started = later(120);
        assert!((shown(&clock, 120) - 13.0).abs() < 1e-9, "a restart does not change what the clock shows");
        assert!((clock.offset_at(later(120)) - 13.0).abs() < 1e-9);
        assert!((clock.ahead_at(later(120)) - 13.0).abs() < 1e-9);
        (clock.ahead, clock.offset, clock.since) = (13.0, -2.0, later(120));
        assert!((clock.ahead_at(later(121)) - 13.0).abs() < 1e-9, "what it was once is not forgotten");
        assert!((clock.behind_at(later(120)) - 2.0).abs() < 1e-9);
    }
}
