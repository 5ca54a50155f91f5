//! Whether the calls on one register can be put into one order that respects time: by zones.
//!
//! The problem. A history is linearizable if each call can be given one moment between its beginning and its end so
//! that every read returns the write before it. To search for the moments is exponential in how many calls overlap.
//!
//! The idea. Where all written values differ, each read names the write that it saw, and the calls of one value form a
//! cluster. Let `f` be when the first of them ended and `s` when the last of them began.
//!
//! ```text
//!   f < s:  the register held the value from f to s at least: a forward zone   ──────[f════════s]──────
//!   s ≤ f:  all can share any one moment between s and f:     a backward zone  ──────(s        f)──────
//! ```
//!
//! The history is linearizable exactly if no read ended before its write began, no two forward zones overlap, and
//! no backward zone lies inside a forward one. That takes a sort: O(n log n).
//!
//! Source: P. B. Gibbons, E. Korach, "Testing shared memories", SIAM Journal on Computing 26(4), 1997, section 4.

use std::collections::BTreeMap;

/// One call on a register.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    /// The value written or read; none: the register's state before any write.
    pub value: Option<&'a str>,
    /// Whether it writes.
    pub writes: bool,
    /// When it began.
    pub from_ns: u64,
    /// When it ended; none: it may have its effect at any time after it began, or never.
    pub until_ns: Option<u64>,
}

/// The calls of one value.
#[derive(Debug, Clone, Copy)]
struct Cluster {
    written_from_ns: Option<u64>,
    first_end_ns: u64,
    last_start_ns: u64,
    read: bool,
    first_read_end_ns: u64,
}

/// Says why the operations on one register cannot be ordered; none: they can.
#[must_use]
pub fn disorder(operations: &[Operation<'_>]) -> Option<String> {
    let mut clusters: BTreeMap<Option<&str>, Cluster> = BTreeMap::new();
    let empty = |written_from_ns, first_end_ns| Cluster {
        written_from_ns,
        first_end_ns,
        last_start_ns: 0,
        read: false,
        first_read_end_ns: u64::MAX,
    };
    // What is there before any write was written before all time.
    clusters.insert(None, empty(Some(0), 0));
    for operation in operations {
        let cluster = clusters.entry(operation.value).or_insert(empty(None, u64::MAX));
        let until_ns = operation.until_ns.unwrap_or(u64::MAX);
        cluster.first_end_ns = cluster.first_end_ns.min(until_ns);
        cluster.last_start_ns = cluster.last_start_ns.max(operation.from_ns);
        if operation.writes {
            cluster.written_from_ns = Some(operation.from_ns);
        } else {
            cluster.read = true;
            cluster.first_read_end_ns = cluster.first_read_end_ns.min(until_ns);
        }
    }
    let show = |value: &Option<&str>| value.map_or("nothing".to_owned(), |value| format!("`{value}`"));
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    for (value, cluster) in &clusters {
        let Some(written_from_ns) = cluster.written_from_ns else {
            return Some(format!("{} was read and nobody wrote it", show(value)));
        };
        if cluster.read && cluster.first_read_end_ns < written_from_ns {
            return Some(format!("{} was read before it was written", show(value)));
        }
        if cluster.first_end_ns == u64::MAX {
            // A write of unknown fate that nobody read: it may never have happened.
            continue;
        }
        if cluster.first_end_ns < cluster.last_start_ns {
            forward.push((cluster.first_end_ns, cluster.last_start_ns, value));
        } else {
            backward.push((cluster.last_start_ns, cluster.first_end_ns, value));
        }
    }
    forward.sort_unstable();
    for pair in forward.windows(2) {
        let [(_, until, one), (from, _, other)] = pair else { continue };
        if from < until {
            return Some(format!(
                "{} was read after {} had been there, and the other way round",
                show(one),
                show(other)
            ));
        }
    }
    for (start, end, value) in backward {
        let place = forward.partition_point(|(from, _, _)| *from < start);
        if let Some((_, until, other)) = place.checked_sub(1).and_then(|place| forward.get(place))
            && end < *until
        {
            return Some(format!("{} came and went while {} was there before and after it", show(value), show(other)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    fn write(value: &str, from_ns: u64, until_ns: u64) -> Operation<'_> {
        Operation { value: Some(value), writes: true, from_ns, until_ns: Some(until_ns) }
    }

    fn read<'a>(value: impl Into<Option<&'a str>>, from_ns: u64, until_ns: u64) -> Operation<'a> {
        Operation { value: value.into(), writes: false, from_ns, until_ns: Some(until_ns) }
    }

    fn maybe(value: &str, from_ns: u64) -> Operation<'_> {
        Operation { value: Some(value), writes: true, from_ns, until_ns: None }
    }

    #[test]
    fn what_can_be_ordered_is_accepted() {
        let right: [&[Operation<'_>]; 6] = [
            &[read(None, 1, 2), write("a", 3, 4), read("a", 5, 6), write("b", 7, 8), read("b", 9, 10)],
            &[write("a", 1, 10), read(None, 2, 3), read("a", 4, 5)],
            &[write("a", 1, 10), write("b", 2, 9), read("b", 11, 12)],
            &[write("a", 1, 2), maybe("b", 3), read("a", 4, 5), read("b", 60, 70)],
            &[write("a", 1, 2), maybe("b", 3), read("a", 4, 5)],
            &[write("a", 1, 2), write("b", 3, 8), read("a", 4, 5), read("b", 6, 7)],
        ];
        for operations in right {
            assert_eq!(disorder(operations), None, "{operations:?}");
        }
    }

    #[test]
    fn what_cannot_be_ordered_is_rejected() {
        let wrong: [&[Operation<'_>]; 7] = [
            &[write("a", 1, 2), read(None, 3, 4)],
            &[write("a", 1, 2), write("b", 3, 4), read("a", 5, 6)],
            &[write("a", 1, 10), read("a", 2, 3), read(None, 4, 5)],
            &[read("a", 1, 2), write("a", 3, 4)],
            &[read("a", 1, 2)],
            &[write("a", 1, 2), maybe("b", 3), read("b", 4, 5), read("a", 6, 7)],
            &[write("a", 1, 20), write("b", 1, 20), read("a", 2, 3), read("b", 4, 5), read("a", 6, 7), read("b", 8, 9)],
        ];
        for operations in wrong {
            assert!(disorder(operations).is_some(), "{operations:?}");
        }
    }

    /// Tries every order.
    fn can_be_ordered(done: &mut Vec<usize>, state: Option<&str>, operations: &[Operation<'_>]) -> bool {
        let left: Vec<usize> = (0..operations.len()).filter(|place| !done.contains(place)).collect();
        if left.iter().all(|place| operations[*place].until_ns.is_none()) {
            return true;
        }
        left.iter().any(|place| {
            let operation = operations[*place];
            let first =
                left.iter().all(|other| operations[*other].until_ns.is_none_or(|until| until >= operation.from_ns));
            let fits = operation.writes || operation.value == state;
            done.push(*place);
            let next = if operation.writes { operation.value } else { state };
            let right = first && fits && can_be_ordered(done, next, operations);
            done.pop();
            right
        })
    }

    #[test]
    fn zones_agree_with_trying_every_order() {
        let values = ["a", "b", "c"];
        let mut chance = Chance::new(9);
        let (mut yes, mut no) = (0, 0);
        for _ in 0..5_000 {
            let mut operations = Vec::new();
            for value in &values[..1 + chance.below(3) as usize] {
                let from = 1 + chance.below(8);
                let until = (!chance.happens(0.2)).then(|| from + 1 + chance.below(8));
                operations.push(Operation { value: Some(*value), writes: true, from_ns: from, until_ns: until });
            }
            for _ in 0..chance.below(4) {
                let from = 1 + chance.below(14);
                let value = values.get(chance.below(4) as usize).copied();
                operations.push(read(value, from, from + 1 + chance.below(6)));
            }
            let by_search = can_be_ordered(&mut Vec::new(), None, &operations);
            assert_eq!(disorder(&operations).is_none(), by_search, "{operations:?}");
            if by_search { yes += 1 } else { no += 1 }
        }
        assert!(yes > 500 && no > 500, "both happened: {yes}, {no}");
    }
}
