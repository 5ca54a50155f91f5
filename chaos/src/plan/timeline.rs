//! A plan's faults in the order of time: each occurrence with a chance of its own.
//!
//! An occurrence draws its targets from its own seed when its time has come, so that it draws the same ones whatever
//! happened meanwhile (except who leads a region, which has to be asked).

use std::time::Duration;

use crate::chance::Chance;
use crate::plan::Plan;

/// One fault's one occurrence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// Which of the plan's faults.
    pub fault: usize,
    /// When it begins, after the clients began.
    pub at: Duration,
    /// When it ends; none: when everything heals.
    pub until: Option<Duration>,
    /// What its own chance starts from.
    pub seed: u64,
}

impl Plan {
    /// All occurrences, in the order of their beginnings. None begins after the plan's duration; what would last
    /// longer ends when everything heals.
    #[must_use]
    pub fn timeline(&self, seed: u64) -> Vec<Occurrence> {
        let mut occurrences = Vec::new();
        for (number, fault) in self.faults.iter().enumerate() {
            let mut chance = Chance::new(seed ^ ((number as u64 + 1) << 32) ^ 0x7469_6d65);
            let mut start = fault.at;
            while start < self.duration {
                let spread_ns = u64::try_from(fault.spread.as_nanos()).unwrap_or(u64::MAX);
                let at = start + Duration::from_nanos(chance.below(spread_ns));
                let until = fault.lasts.map(|lasts| at + lasts).filter(|until| *until < self.duration);
                let seed = chance.bits();
                if at < self.duration {
                    occurrences.push(Occurrence { fault: number, at, until, seed });
                }
                match fault.every {
                    Some(every) if !every.is_zero() => start += every,
                    _ => break,
                }
            }
        }
        occurrences.sort_by_key(|occurrence| occurrence.at);
        occurrences
    }
}
