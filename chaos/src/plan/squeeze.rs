//! A plan in less time: the same story, told faster.
//!
//! Plans are written for real processes, which take a minute to show something. Simulated time has no such need: faults
//! begin, last and come again in proportion. How fast a cut flaps, how late a message is and how far a clock is off stay
//! as they are, since what they are held against (time-outs, the allowed drift) does not shrink either.

use std::time::Duration;

use crate::plan::Plan;

/// The least time that a fault lasts and that lies between two beginnings.
const LEAST: Duration = Duration::from_millis(300);

impl Plan {
    /// The plan within a duration; itself, when it is no longer.
    #[must_use]
    pub fn squeezed(&self, duration: Duration) -> Self {
        let mut plan = self.clone();
        if self.duration <= duration || duration.is_zero() {
            return plan;
        }
        let share = duration.as_secs_f64() / self.duration.as_secs_f64();
        // Plans name times in microseconds at the finest.
        let squeeze = |time: Duration| Duration::from_micros((time.as_secs_f64() * share * 1e6) as u64);
        for fault in &mut plan.faults {
            (fault.at, fault.spread) = (squeeze(fault.at), squeeze(fault.spread));
            fault.lasts = fault.lasts.map(|lasts| squeeze(lasts).max(LEAST.min(lasts)));
            fault.every = fault.every.map(|every| squeeze(every).max(LEAST.min(every)));
        }
        plan.duration = duration;
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::kept;

    #[test]
    fn every_kept_plan_fits_into_ten_seconds_and_begins_as_often() {
        for plan in kept::all() {
            let short = plan.squeezed(Duration::from_secs(10));
            short.validate().expect("still a plan");
            assert_eq!(Plan::parse(&short.to_toml()).expect("its own text"), short);
            let (few, many) = (short.timeline(7).len(), plan.timeline(7).len());
            assert!(few.abs_diff(many) <= 1 + many / 4, "{}: {few} occurrences, not {many}", plan.name);
        }
    }

    #[test]
    fn a_plan_that_is_short_enough_stays_as_it_is() {
        for plan in kept::all() {
            assert_eq!(plan.squeezed(plan.duration), plan);
        }
    }
}
