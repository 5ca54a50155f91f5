//! Latencies and what is said of them.

use std::time::Duration;

/// Latencies of single operations, in microseconds, unsorted until asked.
#[derive(Debug, Default)]
pub struct Latencies {
    micros: Vec<u32>,
}

impl Latencies {
    /// Takes one in; what is beyond 71 minutes counts as 71 minutes.
    pub fn push(&mut self, elapsed: Duration) {
        self.micros.push(u32::try_from(elapsed.as_micros()).unwrap_or(u32::MAX));
    }

    /// Takes in another's.
    pub fn append(&mut self, mut other: Self) {
        self.micros.append(&mut other.micros);
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.micros.len()
    }

    /// The smallest latency that at least `per_mille` of a thousand operations did not exceed, in milliseconds; and
    /// the largest of all for 1000. None when there are none.
    pub fn quantile_ms(&mut self, per_mille: usize) -> Option<f64> {
        self.micros.sort_unstable();
        let rank = (self.micros.len() * per_mille).div_ceil(1000).max(1);
        self.micros.get(rank - 1).map(|micros| f64::from(*micros) / 1000.0)
    }
}

/// Milliseconds for people.
#[must_use]
pub fn shown(ms: Option<f64>) -> String {
    ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.2} ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_nearest_rank() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile_ms(500), None);
        for ms in (1..=100).rev() {
            latencies.push(Duration::from_millis(ms));
        }
        let at = [500, 990, 1000].map(|per_mille| latencies.quantile_ms(per_mille).expect("there are some"));
        assert_eq!(at, [50.0, 99.0, 100.0]);
    }
}
