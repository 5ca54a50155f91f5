//! Numbers that must not fall along time: of two calls of which one had ended before the other began, the later has
//! the higher number. Calls that overlap may have any.

use crate::history::Call;

/// The calls with numbers that fall, as (earlier number, later call), for numbers that must rise (`strictly`) or not
/// fall. O(n log n).
pub fn backwards<N: Copy + Ord>(mut calls: Vec<(&Call, N)>, strictly: bool) -> Vec<(N, N, &Call)> {
    let mut ended: Vec<(u64, N)> =
        calls.iter().filter_map(|(call, number)| Some((call.returned_ns?, *number))).collect();
    ended.sort_unstable_by_key(|(returned_ns, _)| *returned_ns);
    calls.sort_by_key(|(call, _)| call.invoked_ns);
    let (mut next, mut highest): (usize, Option<N>) = (0, None);
    let mut found = Vec::new();
    for (call, number) in calls {
        while let Some((_, other)) = ended.get(next).filter(|(returned_ns, _)| *returned_ns < call.invoked_ns) {
            highest = highest.max(Some(*other));
            next += 1;
        }
        if let Some(highest) = highest
            && (number < highest || (strictly && number == highest))
        {
            found.push((highest, number, call));
        }
    }
    found
}
