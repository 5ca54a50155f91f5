//! A cluster's or node's state as it is printed.

use trine_doors::model::{NodeClock, Status};

use super::super::exit::Exit;
use super::super::output::{Output, pairs, short, table};
use super::judge::{ClusterStatus, Told, object_digest};

/// From this many milliseconds on it is told how far a node's stamps lie ahead of its wall: beyond what restarts bring.
const HYBRID_AHEAD_MS_TOLD: u64 = 2_000;

/// The whole cluster: a row a node, then what is wrong, a line each.
pub fn cluster(status: &ClusterStatus) -> Output {
    let rows = status.nodes.iter().map(|node| match &node.status {
        Some(known) => vec![
            node.name.clone(),
            node.region.clone(),
            state(known),
            known.node.raft.clone(),
            records(known),
            known.objects.values().map(|sum| sum.count).sum::<u64>().to_string(),
            digest(known),
        ],
        None => vec![node.name.clone(), node.region.clone(), "no answer".to_owned()],
    });
    let mut people = table(&["node", "region", "state", "raft", "records", "objects", "digest"], rows);
    if !status.problems.is_empty() {
        people.push_str("\n\nWhat is wrong:\n");
        people.extend(status.problems.iter().map(|told| format!("  - {}\n", sentence(told))));
    }
    let verdict = format!(
        "{}; objects {}; ledgers {}",
        match status.problems.len() {
            0 => "all nodes serve, all regions take records".to_owned(),
            1 => "something is wrong".to_owned(),
            several => format!("{several} things are wrong"),
        },
        if status.objects_agree { "agree" } else { "differ" },
        match (status.ledgers_agree, status.behind.iter().map(|lag| lag.lacks).max()) {
            (false, _) => "differ".to_owned(),
            (true, None) => "agree".to_owned(),
            (true, Some(most)) => format!("agree, the last by {most} records behind"),
        },
    );
    let exit = if status.healthy { Exit::Done } else { Exit::Unhealthy };
    let ids: Vec<String> = status.nodes.iter().map(|node| node.id.clone()).collect();
    Output::new(status, people).ids(ids).note(verdict).exit(exit)
}

/// The sentence, and who says so where that is not plain from it.
fn sentence(told: &Told) -> String {
    let itself = told.told_by.iter().all(|by| Some(by) == told.problem.node.as_ref());
    // Whoever the sentence names already needs no second mention.
    let others: Vec<&str> =
        told.told_by.iter().map(String::as_str).filter(|by| !names(&told.problem.what, by)).collect();
    match (others.len(), told.told_by.len()) {
        _ if itself => told.problem.what.clone(),
        (0, _) => told.problem.what.clone(),
        (some, all) if some < all => format!("{} (likewise {})", told.problem.what, others.join(", ")),
        _ => format!("{} (so say {})", told.problem.what, others.join(", ")),
    }
}

/// Whether a sentence has a node's name as a word.
fn names(sentence: &str, node: &str) -> bool {
    let inside = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    sentence.split(|letter| !inside(letter)).any(|word| word == node)
}

fn state(known: &Status) -> String {
    known.reason.clone().unwrap_or_else(|| if known.ready { "ready" } else { "not ready" }.to_owned())
}

/// How many records of which region's ledger; of those that the node must hold.
fn records(known: &Status) -> String {
    let held = known.ledgers.iter().filter(|(region, _)| known.mirrors || **region == known.node.region);
    held.map(|(region, head)| format!("{region}:{}", head.size)).collect::<Vec<_>>().join(" ")
}

/// The digests of a node's object namespaces as one, short enough for a table.
fn digest(status: &Status) -> String {
    short(blake3::hash(object_digest(status).as_bytes()).to_hex().as_str())
}

/// How a node's clock stands beside the others'.
fn clock(clock: &NodeClock) -> String {
    let worst = clock.offsets_ms.values().copied().max_by_key(|ms| ms.unsigned_abs());
    let compared = match worst {
        None => "compared with nobody".to_owned(),
        Some(ms) => format!("within {} ms of {} nodes", ms.unsigned_abs(), clock.compared),
    };
    let believed = if clock.believed { "believed" } else { "not believed" };
    let ahead = match clock.hybrid_ahead_ms {
        0..HYBRID_AHEAD_MS_TOLD => String::new(),
        ms => format!("; its stamps lie {} s ahead of it", ms / 1000),
    };
    format!("{believed}, {compared}{ahead}")
}

/// One node.
pub fn node(status: &Status) -> Output {
    let mut lines = vec![
        ("cluster", status.cluster.clone()),
        ("node", format!("{} ({})", status.node.name, status.node.id)),
        ("region", status.node.region.clone()),
        ("ready", status.reason.clone().unwrap_or_else(|| if status.ready { "yes" } else { "no" }.to_owned())),
        ("raft", format!("{} in term {}", status.node.raft, status.term)),
        ("leader", status.leader.clone().unwrap_or_else(|| "(not known)".to_owned())),
        ("connected", format!("{} nodes", status.connected.len())),
        ("time", status.time.clone()),
        ("clock", clock(&status.clock)),
        ("stamps held", status.stamps_held.to_string()),
    ];
    for (region, head) in &status.ledgers {
        lines.push(("ledger", format!("{region}: {} records, root {}", head.size, head.root)));
    }
    for (namespace, sum) in &status.objects {
        lines.push(("objects", format!("{namespace}: {}, digest {}", sum.count, sum.digest)));
    }
    lines.extend(status.problems.iter().map(|problem| ("wrong", problem.what.clone())));
    let exit = if status.problems.is_empty() { Exit::Done } else { Exit::Unhealthy };
    Output::new(status, pairs(&lines)).ids([&status.node.id]).exit(exit)
}

#[cfg(test)]
mod tests {
    use trine_doors::model::Problem;

    use super::{Told, sentence};

    #[test]
    fn whoever_a_sentence_names_is_not_named_again() {
        let sentence = |told_by: &[&str]| {
            let what = "east-c is not reached by east-a".to_owned();
            let problem =
                Problem { code: "unreachable".to_owned(), what, node: Some("east-c".to_owned()), region: None };
            sentence(&Told { problem, told_by: told_by.iter().map(|by| (*by).to_owned()).collect() })
        };
        assert_eq!(sentence(&["east-a"]), "east-c is not reached by east-a");
        assert_eq!(sentence(&["east-a", "east-b"]), "east-c is not reached by east-a (likewise east-b)");
        assert_eq!(sentence(&["east", "west"]), "east-c is not reached by east-a (so say east, west)");
    }
}
