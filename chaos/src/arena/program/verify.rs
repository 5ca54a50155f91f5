//! The checkers: one property each, from a history and what the stopped nodes hold.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::history::{Event, Kind, Outcome};

/// What a node held: own region's records by index, and all objects as a reader sees them.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// The node.
    pub node: String,
    /// Its region.
    pub region: String,
    /// Key and leaf hash of each record of the region's ledger.
    pub records: BTreeMap<u64, (String, String)>,
    /// Registers' values.
    pub registers: BTreeMap<String, String>,
    /// Sets' elements.
    pub sets: BTreeMap<String, BTreeSet<String>>,
    /// Counters' totals.
    pub counters: BTreeMap<String, i64>,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which promise.
    pub promise: &'static str,
    /// How it was broken.
    pub what: String,
}

fn violation(promise: &'static str, what: String) -> Violation {
    Violation { promise, what }
}

/// All checks.
#[must_use]
pub fn verify(events: &[Event], nodes: &[Held]) -> Vec<Violation> {
    let mut found = appends(events, nodes);
    found.extend(elements(events, nodes));
    found.extend(registers(events, nodes));
    found.extend(counters(events, nodes));
    found.extend(clocks(events));
    found
}

/// Every acknowledged append stands at its index, with its key and leaf, on every node of its region; no index was
/// given twice.
#[must_use]
pub fn appends(events: &[Event], nodes: &[Held]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut given: BTreeMap<(&str, u64), &str> = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind == Kind::Append) {
        let Outcome::Ok { record: Some(placed), .. } = &event.outcome else { continue };
        if let Some(other) = given.insert((&placed.region, placed.index), &event.key)
            && other != event.key
        {
            let what = format!("{} {}: given to {other} and to {}", placed.region, placed.index, event.key);
            found.push(violation("an index is given once", what));
        }
        for node in nodes.iter().filter(|node| node.region == placed.region) {
            let held = node.records.get(&placed.index);
            if held.is_none_or(|(key, leaf)| *key != event.key || *leaf != placed.leaf) {
                let what = format!("{}: {} was acknowledged at {}, held: {held:?}", node.node, event.key, placed.index);
                found.push(violation("an acknowledged append stays where it is", what));
            }
        }
    }
    found
}

/// Every acknowledged element is in its set, on every node.
#[must_use]
pub fn elements(events: &[Event], nodes: &[Held]) -> Vec<Violation> {
    let mut found = Vec::new();
    for event in events.iter().filter(|event| event.kind == Kind::Add && is_ok(event)) {
        for node in nodes {
            if !node.sets.get(&event.key).is_some_and(|set| set.contains(&event.value)) {
                let what = format!("{}: {} lacks {}", node.node, event.key, event.value);
                found.push(violation("an acknowledged element stays", what));
            }
        }
    }
    found
}

/// A register, which one client writes in order, holds the last acknowledged value, or one that may have been done
/// at any time after its call.
#[must_use]
pub fn registers(events: &[Event], nodes: &[Held]) -> Vec<Violation> {
    let mut allowed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind == Kind::Set) {
        let values = allowed.entry(&event.key).or_default();
        match event.outcome {
            Outcome::Ok { .. } => drop(last.insert(&event.key, &event.value)),
            Outcome::Unknown(_) => drop(values.insert(&event.value)),
            Outcome::Fail(_) => {}
        }
    }
    for (key, value) in last {
        allowed.entry(key).or_default().insert(value);
    }
    let acknowledged: BTreeSet<&str> = keys_of(events, Kind::Set);
    let mut found = Vec::new();
    for (key, values) in allowed.into_iter().filter(|(key, _)| acknowledged.contains(key)) {
        for node in nodes {
            let held = node.registers.get(key);
            if held.is_none_or(|held| !values.contains(held.as_str())) {
                let what = format!("{}: {key} holds {held:?}, not one of {values:?}", node.node);
                found.push(violation("a register holds its latest value", what));
            }
        }
    }
    found
}

/// A counter counts each acknowledged increment once, and unknown ones at most once.
#[must_use]
pub fn counters(events: &[Event], nodes: &[Held]) -> Vec<Violation> {
    let mut bounds: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind == Kind::Increment) {
        let (least, most) = bounds.entry(&event.key).or_default();
        *least += i64::from(is_ok(event));
        *most += i64::from(!matches!(event.outcome, Outcome::Fail(_)));
    }
    let mut found = Vec::new();
    for (key, (least, most)) in bounds {
        for node in nodes {
            let held = node.counters.get(key).copied().unwrap_or_default();
            if held < least || held > most {
                let what = format!("{}: {key} is {held}, not within {least} and {most}", node.node);
                found.push(violation("a counter counts each increment once", what));
            }
        }
    }
    found
}

/// Hybrid time never goes back: a call that began after another had ended was answered with no lower time by the same
/// node; appends of a region that began later have later stamps and higher indexes.
#[must_use]
pub fn clocks(events: &[Event]) -> Vec<Violation> {
    let mut by_node: BTreeMap<&str, Vec<Interval<'_>>> = BTreeMap::new();
    let mut by_region: BTreeMap<&str, Vec<Interval<'_>>> = BTreeMap::new();
    let mut indexes: BTreeMap<&str, Vec<Interval<'_>>> = BTreeMap::new();
    for event in events {
        let Outcome::Ok { node, time, record } = &event.outcome else { continue };
        if let Some(node) = node {
            by_node.entry(node).or_default().push(Interval { event, value: *time });
        }
        if let Some(placed) = record {
            by_region.entry(&placed.region).or_default().push(Interval { event, value: placed.stamp });
            indexes.entry(&placed.region).or_default().push(Interval { event, value: placed.index });
        }
    }
    let checks = [
        ("hybrid time of a node never goes back", by_node),
        ("stamps of a ledger never go back", by_region),
        ("indexes of a ledger follow real time", indexes),
    ];
    let mut found = Vec::new();
    for (promise, groups) in checks {
        for (name, intervals) in groups {
            found.extend(backwards(intervals).map(|what| violation(promise, format!("{name}: {what}"))));
        }
    }
    found
}

/// A call and the number that must not fall.
struct Interval<'a> {
    event: &'a Event,
    value: u64,
}

/// The first call whose number is below that of a call which had ended before it began.
fn backwards(mut intervals: Vec<Interval<'_>>) -> Option<String> {
    let mut ended: Vec<(u64, u64)> =
        intervals.iter().map(|interval| (interval.event.returned_ns, interval.value)).collect();
    ended.sort_unstable();
    intervals.sort_by_key(|interval| interval.event.invoked_ns);
    let (mut next, mut highest) = (0, 0);
    for interval in intervals {
        while let Some((_, value)) = ended.get(next).filter(|(returned, _)| *returned < interval.event.invoked_ns) {
            highest = highest.max(*value);
            next += 1;
        }
        if interval.value < highest {
            return Some(format!("{} after {highest} ({})", interval.value, interval.event.key));
        }
    }
    None
}

fn is_ok(event: &Event) -> bool {
    matches!(event.outcome, Outcome::Ok { .. })
}

fn keys_of(events: &[Event], kind: Kind) -> BTreeSet<&str> {
    events.iter().filter(|event| event.kind == kind && is_ok(event)).map(|event| event.key.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::history::Placed;
    use super::*;

    fn event(kind: Kind, key: &str, value: &str, at: u64, outcome: Outcome) -> Event {
        let (key, value, region) = (key.to_owned(), value.to_owned(), "us-east-1".to_owned());
        Event { client: 0, region, kind, key, value, invoked_ns: at, returned_ns: at + 5, outcome }
    }

    fn ok(time: u64) -> Outcome {
        Outcome::Ok { node: Some("us-east-1-a".to_owned()), time, record: None }
    }

    fn appended(index: u64) -> Outcome {
        let record = Some(Placed { region: "us-east-1".to_owned(), index, stamp: index, leaf: format!("leaf{index}") });
        Outcome::Ok { node: None, time: 1, record }
    }

    fn unknown() -> Outcome {
        Outcome::Unknown("timed out".to_owned())
    }

    fn held() -> Held {
        Held { node: "us-east-1-a".to_owned(), region: "us-east-1".to_owned(), ..Held::default() }
    }

    #[test]
    fn an_append_that_moved_or_vanished_is_found() {
        let events = [event(Kind::Append, "k", "v", 0, appended(7))];
        let mut node = held();
        assert_eq!(appends(&events, &[node.clone()]).len(), 1, "vanished");
        node.records.insert(7, ("other".to_owned(), "leaf7".to_owned()));
        assert_eq!(appends(&events, &[node.clone()]).len(), 1, "another record has its place");
        node.records.insert(7, ("k".to_owned(), "leaf7".to_owned()));
        assert_eq!(appends(&events, &[node]), []);
        let twice = [event(Kind::Append, "a", "v", 0, appended(1)), event(Kind::Append, "b", "v", 9, appended(1))];
        assert_eq!(appends(&twice, &[]).len(), 1, "one index, two records");
    }

    #[test]
    fn lost_elements_and_lost_values_are_found() {
        let mut node = held();
        let added = [event(Kind::Add, "s", "x", 0, ok(1)), event(Kind::Add, "s", "y", 9, unknown())];
        assert_eq!(elements(&added, &[node.clone()]).len(), 1, "only the acknowledged one must be there");
        node.sets.insert("s".to_owned(), BTreeSet::from(["x".to_owned()]));
        assert_eq!(elements(&added, &[node.clone()]), []);
        let set = [
            event(Kind::Set, "r", "1", 0, ok(1)),
            event(Kind::Set, "r", "2", 9, ok(2)),
            event(Kind::Set, "r", "3", 18, unknown()),
        ];
        for (value, right) in [("1", false), ("2", true), ("3", true)] {
            node.registers.insert("r".to_owned(), value.to_owned());
            assert_eq!(registers(&set, &[node.clone()]).is_empty(), right, "{value}");
        }
    }

    #[test]
    fn a_counter_lies_between_what_was_and_what_may_have_been_done() {
        let events = [
            event(Kind::Increment, "c", "", 0, ok(1)),
            event(Kind::Increment, "c", "", 9, unknown()),
            event(Kind::Increment, "c", "", 18, Outcome::Fail("refused".to_owned())),
        ];
        for (total, right) in [(0, false), (1, true), (2, true), (3, false)] {
            let mut node = held();
            node.counters.insert("c".to_owned(), total);
            assert_eq!(counters(&events, &[node]).is_empty(), right, "{total}");
        }
    }

    #[test]
    fn time_may_not_go_back_between_calls_that_follow_each_other() {
        let at = |invoked, time| event(Kind::Add, "s", "x", invoked, ok(time));
        assert_eq!(clocks(&[at(0, 10), at(10, 11)]), []);
        assert_eq!(clocks(&[at(0, 10), at(3, 9)]), [], "calls at the same time may be answered in any order");
        assert_eq!(clocks(&[at(0, 10), at(10, 9)]).len(), 1);
    }
}
