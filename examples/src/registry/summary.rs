//! What a run came to: counts, rates and latencies, region by region.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::latency::Latencies;
use super::limits::PROBLEMS_SHOWN_MAX;
use super::log::Step;
use super::publish::Published;

/// What is counted while a run goes on.
#[derive(Debug, Default)]
pub struct Tally {
    regions: BTreeMap<String, RegionTally>,
    problems: Vec<String>,
}

#[derive(Debug, Default)]
struct RegionTally {
    releases: u64,
    acknowledged: u64,
    unknown: u64,
    refused: u64,
    duplicates: u64,
    writes: u64,
    record: Latencies,
    release: Latencies,
}

impl Tally {
    /// Counts a release.
    pub fn add(&mut self, published: &Published) {
        let entry = &published.entry;
        let tally = self.regions.entry(entry.asked.clone()).or_default();
        tally.releases += 1;
        tally.writes += entry.steps().iter().filter(|(_, step)| step.acknowledged()).count() as u64;
        if entry.record.acknowledged() {
            tally.record.add(published.record_took);
        }
        if let Some(position) = &entry.position {
            tally.duplicates += u64::from(position.duplicate);
        }
        if entry.acknowledged() {
            tally.acknowledged += 1;
            tally.release.add(published.took);
            return;
        }
        let unknown = entry.steps().iter().any(|(_, step)| matches!(step, Step::Unknown { .. }));
        if unknown {
            tally.unknown += 1;
        } else {
            tally.refused += 1;
        }
        for (name, step) in entry.steps() {
            let (what, why) = match step {
                Step::Unknown { why } => ("unknown", why),
                Step::Refused { why } => ("refused", why),
                Step::Acknowledged | Step::NotTried => continue,
            };
            if self.problems.len() < PROBLEMS_SHOWN_MAX {
                self.problems.push(format!("{}/{} {name} {what}: {why}", entry.package, entry.version));
            }
        }
    }

    /// Sums up after a run of this length.
    #[must_use]
    pub fn finish(self, took: Duration) -> Summary {
        let rate = |count: u64| count as f64 / took.as_secs_f64().max(f64::MIN_POSITIVE);
        let regions: Vec<RegionSummary> = self
            .regions
            .into_iter()
            .map(|(region, tally)| RegionSummary {
                region,
                releases: tally.releases,
                acknowledged: tally.acknowledged,
                unknown: tally.unknown,
                refused: tally.refused,
                duplicates: tally.duplicates,
                releases_per_second: rate(tally.acknowledged),
                writes_per_second: rate(tally.writes),
                record_ms: Spread::of(&tally.record),
                release_ms: Spread::of(&tally.release),
            })
            .collect();
        let sum = |of: fn(&RegionSummary) -> u64| regions.iter().map(of).sum::<u64>();
        Summary {
            releases: sum(|region| region.releases),
            acknowledged: sum(|region| region.acknowledged),
            unknown: sum(|region| region.unknown),
            refused: sum(|region| region.refused),
            seconds: took.as_secs_f64(),
            releases_per_second: regions.iter().map(|region| region.releases_per_second).sum(),
            writes_per_second: regions.iter().map(|region| region.writes_per_second).sum(),
            regions,
            problems: self.problems,
        }
    }
}

/// A run, summed up.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Releases read.
    pub releases: u64,
    /// Releases whose record and objects were all acknowledged.
    pub acknowledged: u64,
    /// Releases of which some step is unknown.
    pub unknown: u64,
    /// Releases of which some step was refused, and none is unknown.
    pub refused: u64,
    /// How long it took.
    pub seconds: f64,
    /// Acknowledged releases a second.
    pub releases_per_second: f64,
    /// Acknowledged records and edits of objects a second.
    pub writes_per_second: f64,
    /// Region by region.
    pub regions: Vec<RegionSummary>,
    /// The first steps that were not acknowledged.
    pub problems: Vec<String>,
}

/// A region's part of a run.
#[derive(Debug, Serialize)]
pub struct RegionSummary {
    /// The region asked.
    pub region: String,
    /// Releases given to it.
    pub releases: u64,
    /// See [`Summary::acknowledged`].
    pub acknowledged: u64,
    /// See [`Summary::unknown`].
    pub unknown: u64,
    /// See [`Summary::refused`].
    pub refused: u64,
    /// Records that the ledger had already.
    pub duplicates: u64,
    /// Acknowledged releases a second.
    pub releases_per_second: f64,
    /// Acknowledged records and edits of objects a second.
    pub writes_per_second: f64,
    /// How long records took.
    pub record_ms: Spread,
    /// How long acknowledged releases took.
    pub release_ms: Spread,
}

/// Latencies in milliseconds.
#[derive(Debug, Serialize)]
pub struct Spread {
    /// Half of them.
    pub p50: Option<f64>,
    /// All but one in a hundred.
    pub p99: Option<f64>,
    /// All.
    pub max: Option<f64>,
}

impl Spread {
    fn of(latencies: &Latencies) -> Self {
        let ms = |latency: Duration| (latency.as_secs_f64() * 1e5).round() / 100.0;
        let median = latencies.quantile(0.5);
        Self { p50: median.map(ms), p99: latencies.quantile(0.99).map(ms), max: median.map(|_| ms(latencies.max())) }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<18} {:>8} {:>8} {:>8} {:>8} {:>10} {:>10} {:>11} {:>11} {:>11}",
            "REGION",
            "RELEASES",
            "ACKED",
            "UNKNOWN",
            "REFUSED",
            "RELEASES/S",
            "WRITES/S",
            "RECORD P50",
            "RECORD P99",
            "P99"
        )?;
        let ms = |latency: Option<f64>| latency.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
        for region in &self.regions {
            writeln!(
                f,
                "{:<18} {:>8} {:>8} {:>8} {:>8} {:>10.1} {:>10.1} {:>11} {:>11} {:>11}",
                region.region,
                region.releases,
                region.acknowledged,
                region.unknown,
                region.refused,
                region.releases_per_second,
                region.writes_per_second,
                ms(region.record_ms.p50),
                ms(region.record_ms.p99),
                ms(region.release_ms.p99),
            )?;
            if region.duplicates > 0 {
                writeln!(f, "  {} records of it were there already", region.duplicates)?;
            }
        }
        writeln!(
            f,
            "{:<18} {:>8} {:>8} {:>8} {:>8} {:>10.1} {:>10.1}   in {:.1} s",
            "all",
            self.releases,
            self.acknowledged,
            self.unknown,
            self.refused,
            self.releases_per_second,
            self.writes_per_second,
            self.seconds
        )?;
        self.problems.iter().try_for_each(|problem| writeln!(f, "  {problem}"))
    }
}
