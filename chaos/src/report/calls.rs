//! Calls taken together: how they ended, and how long those took that were done.

use serde::{Deserialize, Serialize};

use crate::history::{Call, Outcome};

/// What some calls came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// Calls done.
    pub ok: u64,
    /// Calls that failed, nothing done.
    pub failed: u64,
    /// Calls of unknown fate.
    pub unknown: u64,
    /// How long those took that were done: the median, in microseconds.
    pub p50_us: u64,
    /// The 99th percentile.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl Calls {
    /// Of these calls.
    pub fn of(calls: &[&Call]) -> Self {
        let count = |of: fn(&Outcome) -> bool| calls.iter().filter(|call| of(&call.outcome)).count() as u64;
        let took = took_us(calls.iter().copied());
        Self {
            ok: took.len() as u64,
            failed: count(|outcome| matches!(outcome, Outcome::Fail(_))),
            unknown: count(|outcome| matches!(outcome, Outcome::Unknown(_))),
            p50_us: share(&took, 50),
            p99_us: share(&took, 99),
            max_us: share(&took, 100),
        }
    }
}

/// How long the calls took that were done, in order, in microseconds.
pub fn took_us<'a>(calls: impl Iterator<Item = &'a Call>) -> Vec<u64> {
    let done = calls.filter(|call| call.ok().is_some());
    let mut took: Vec<u64> =
        done.filter_map(|call| Some((call.returned_ns?.saturating_sub(call.invoked_ns)) / 1_000)).collect();
    took.sort_unstable();
    took
}

/// The smallest value that this many `hundredths` of all do not exceed; 0 of none.
pub fn share(sorted: &[u64], hundredths: usize) -> u64 {
    let rank = (sorted.len() * hundredths).div_ceil(100);
    sorted.get(rank.max(1) - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<u64> = (1..=200).collect();
        assert_eq!([0, 50, 99, 100].map(|hundredths| share(&values, hundredths)), [1, 100, 198, 200]);
        assert_eq!(share(&[], 50), 0);
        assert_eq!(share(&[7], 50), 7);
    }
}
