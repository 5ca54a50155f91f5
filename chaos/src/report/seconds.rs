//! A run's calls by second: how many, how they ended, how long they took.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::calls::Calls;
use crate::history::Call;

/// The calls of a region that began in one second.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    /// Which, counted from the run's beginning.
    pub second: u64,
    /// What they came to.
    #[serde(flatten)]
    pub calls: Calls,
}

/// By region, every second from the first to the last in which any call began.
pub fn by_region(calls: &[Call]) -> BTreeMap<String, Vec<Second>> {
    let last = calls.iter().map(second).max().unwrap_or_default();
    let mut regions: BTreeMap<&str, BTreeMap<u64, Vec<&Call>>> = BTreeMap::new();
    for call in calls {
        regions.entry(&call.region).or_default().entry(second(call)).or_default().push(call);
    }
    let row = |seconds: &BTreeMap<u64, Vec<&Call>>, at: u64| {
        let calls = seconds.get(&at).map(Vec::as_slice).unwrap_or_default();
        Second { second: at, calls: Calls::of(calls) }
    };
    regions
        .iter()
        .map(|(region, seconds)| ((*region).to_owned(), (0..=last).map(|at| row(seconds, at)).collect()))
        .collect()
}

fn second(call: &Call) -> u64 {
    call.invoked_ns / 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::Story;
    use crate::history::Edit;

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
        let counts = |Second { calls, .. }: &Second| (calls.ok, calls.failed, calls.unknown, calls.max_us);
        assert_eq!(counts(&seconds[1]), (1, 0, 1, 3_000));
        assert_eq!(counts(&seconds[2]), (0, 0, 0, 0));
        assert_eq!(counts(&seconds[3]), (0, 1, 0, 0));
    }
}
