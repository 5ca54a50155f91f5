//! Latencies counted in buckets of growing width: any number of them in 8 KiB, each known to about 6 %.

use std::time::Duration;

/// Buckets per doubling.
const STEPS: usize = 16;
const BUCKETS: usize = 61 * STEPS;

/// Latencies, as a histogram.
#[derive(Debug, Clone)]
pub struct Latencies {
    counts: Vec<u64>,
    total: u64,
    max: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, max: Duration::ZERO }
    }
}

impl Latencies {
    /// Counts one.
    pub fn add(&mut self, latency: Duration) {
        self.counts[bucket(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX))] += 1;
        self.total += 1;
        self.max = self.max.max(latency);
    }

    /// The latency that this share of all (0 to 1) did not exceed; none when there is none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let wanted = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        let place = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(Duration::from_micros(upper(place)).min(self.max))
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }
}

/// Up to 32 µs a bucket each; above, sixteen to a doubling.
fn bucket(us: u64) -> usize {
    let shift = (us | STEPS as u64).ilog2() - STEPS.ilog2();
    shift as usize * STEPS + usize::try_from(us >> shift).expect("below 32")
}

/// The largest value of a bucket, in microseconds.
fn upper(bucket: usize) -> u64 {
    let shift = (bucket / STEPS).saturating_sub(1);
    let lead = (bucket - shift * STEPS) as u64;
    ((lead + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_lies_in_its_bucket_and_the_buckets_follow_each_other() {
        let mut values: Vec<u64> = (0..4096).collect();
        values.extend((12..58).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1]));
        for us in values {
            let place = bucket(us);
            assert!(us <= upper(place), "{us} µs is above its bucket's end {}", upper(place));
            assert!(place == 0 || us > upper(place - 1), "{us} µs belongs to an earlier bucket");
            assert!(upper(place) - us <= us / 16 + 1, "{us} µs is known only as {}", upper(place));
        }
    }

    #[test]
    fn quantiles_are_found_and_the_longest_is_exact() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(0.5), None);
        (1..=100).for_each(|ms| latencies.add(Duration::from_millis(ms)));
        let median = latencies.quantile(0.5).expect("there are a hundred");
        assert!((50..=54).contains(&median.as_millis()), "{median:?}");
        assert_eq!(latencies.quantile(1.0), Some(Duration::from_millis(100)));
        assert_eq!(latencies.max(), Duration::from_millis(100));
    }
}
