//! A run's calls by second: how many, how they ended, how long they took.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::history::{Call, Outcome};

/// The calls of a region that began in one second.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    /// Which, counted from the run's beginning.
    pub second: u64,
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

/// By region, every second from the first to the last in which any call began.
pub fn by_region(calls: &[Call]) -> BTreeMap<String, Vec<Second>> {
    let last = calls.iter().map(second).max().unwrap_or_default();
    let mut regions: BTreeMap<&str, BTreeMap<u64, Vec<&Call>>> = BTreeMap::new();
    for call in calls {
        regions.entry(&call.region).or_default().entry(second(call)).or_default().push(call);
    }
    let row = |seconds: &BTreeMap<u64, Vec<&Call>>, at: u64| {
        let none = Vec::new();
        let calls = seconds.get(&at).unwrap_or(&none);
        let count = |of: fn(&Outcome) -> bool| calls.iter().filter(|call| of(&call.outcome)).count() as u64;
        let took = took_us(calls.iter().copied());
        Second {
            second: at,
            ok: took.len() as u64,
            failed: count(|outcome| matches!(outcome, Outcome::Fail(_))),
            unknown: count(|outcome| matches!(outcome, Outcome::Unknown(_))),
            p50_us: share(&took, 50),
            p99_us: share(&took, 99),
            max_us: share(&took, 100),
        }
    };
    regions
        .iter()
        .map(|(region, seconds)| ((*region).to_owned(), (0..=last).map(|at| row(seconds, at)).collect()))
        .collect()
}

fn second(call: &Call) -> u64 {
    call.invoked_ns / 1_000_000_000
}

/// How long the calls took that were done, in order, in microseconds.
pub fn took_us<'a>(calls: impl Iterator<Item = &'a Call>) -> Vec<u64> {
    let done = calls.filter(|call| call.ok().is_some());
    let mut took: Vec<u64> =
        done.filter_map(|call| Some((call.returned_ns?.saturating_sub(call.invoked_ns)) / 1_000)).collect();
    took.sort_unstable();
    took
}

/// The smallest value that so many hundredths of all do not exceed; 0 of none.
pub fn share(sorted: &[u64], hundredths: usize) -> u64 {
    let rank = (sorted.len() * hundredths).div_ceil(100);
    sorted.get(rank.max(1) - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::Story;
    use crate::history::Edit;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<u64> = (1..=200).collect();
        assert_eq!([0, 50, 99, 100].map(|hundredths| share(&values, hundredths)), [1, 100, 198, 200]);
        assert_eq!(share(&[], 50), 0);
        assert_eq!(share(&[7], 50), 7);
    }

    #[test]
    fn calls_stand_in_the_second_in_which_they_began() {
        let mut story = Story::default();
        let (at, ms) = (|seconds: u64| seconds * 1_000_000_000, 1_000_000);
        story.edit("c", Edit::Increment(1)).during(at(1), at(1) + 3 * ms).ok();
        story.edit("c", Edit::Increment(1)).during(at(1) + ms, at(9)).unknown();
        story.edit("c", Edit::Increment(1)).during(at(3), at(4)).fail();
        let regions = by_region(story.told().history.calls());
        let seconds = &regions["us-east-1"];
        assert_eq!(seconds.len(), 4, "also those in which nothing began");
        let counts = |second: &Second| (second.ok, second.failed, second.unknown, second.max_us);
        assert_eq!(counts(&seconds[1]), (1, 0, 1, 3_000));
        assert_eq!(counts(&seconds[2]), (0, 0, 0, 0));
        assert_eq!(counts(&seconds[3]), (0, 1, 0, 0));
    }
}
