//! What is wrong with a cluster, by its nodes' answers laid side by side. Pure, so that each sentence has a test.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use trine_doors::model::{Problem, Status};

use super::ask::{Heard, Survey};

/// How the cluster is.
#[derive(Debug, Serialize)]
pub struct ClusterStatus {
    /// Its id.
    pub cluster: String,
    /// Whether nothing is wrong.
    pub healthy: bool,
    /// Whether all that answered hold the same objects.
    pub objects_agree: bool,
    /// Whether no two that hold a ledger (its own nodes, and the mirrors) contradict each other.
    pub ledgers_agree: bool,
    /// What is wrong.
    pub problems: Vec<Told>,
    /// Who holds less of a ledger than others did some seconds ago.
    pub behind: Vec<Behind>,
    /// The nodes.
    pub nodes: Vec<NodeStatus>,
}

/// A problem, and who told of it.
#[derive(Debug, Clone, Serialize)]
pub struct Told {
    /// What it is.
    #[serde(flatten)]
    pub problem: Problem,
    /// The names of the nodes that say so; empty when it shows from several answers.
    pub told_by: Vec<String>,
}

/// A ledger that a node does not hold whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Behind {
    /// The node's name.
    pub node: String,
    /// Whose ledger.
    pub ledger: String,
    /// How many records it holds.
    pub held: u64,
    /// How many it lacks.
    pub lacks: u64,
}

/// How a node is.
#[derive(Debug, Serialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Its region.
    pub region: String,
    /// Whether it answered.
    pub reachable: bool,
    /// Whether it gets through to its region's log.
    pub appends: Option<bool>,
    /// What it said.
    pub status: Option<Status>,
    /// Why it did not.
    pub error: Option<String>,
}

/// Judges.
#[must_use]
pub fn judge(survey: Survey) -> ClusterStatus {
    let mut problems: Vec<Told> = Vec::new();
    for node in &survey.nodes {
        match &node.status {
            Err(error) => {
                let what = format!("{} does not answer: {error}", node.name);
                problems.push(shows(node_problem("no_answer", &node.name, what)));
            }
            Ok(status) => {
                for problem in &status.problems {
                    add(&mut problems, problem, &node.name);
                }
            }
        }
    }
    survey.regions.iter().for_each(|region| appends(&survey.nodes, region, &mut problems));
    let (contradictions, behind) = (contradictions(&survey.nodes), behind(&survey.nodes, &survey.first));
    let ledgers_agree = contradictions.is_empty();
    problems.extend(contradictions.into_iter().map(shows));
    problems.extend(behind.iter().map(|lag| {
        let Behind { node, ledger, held, lacks } = lag;
        let what = format!("{node} is behind in the ledger of {ledger}: it holds {held} records and lacks {lacks}");
        shows(node_problem("behind", node, what))
    }));
    let objects_agree = objects_agree(&survey.nodes);
    if !objects_agree && !survey.moving {
        let what = "nodes hold different objects, and nothing is under way that would make them equal".to_owned();
        problems.push(shows(Problem { code: "objects_differ".to_owned(), what, node: None, region: None }));
    }
    let mut known = survey.nodes.iter().filter_map(|node| node.status.as_ref().ok());
    ClusterStatus {
        cluster: known.next().map(|status| status.cluster.clone()).unwrap_or_default(),
        healthy: problems.is_empty(),
        objects_agree,
        ledgers_agree,
        problems,
        behind,
        nodes: survey.nodes.into_iter().map(NodeStatus::from).collect(),
    }
}

impl From<Heard> for NodeStatus {
    fn from(heard: Heard) -> Self {
        Self {
            name: heard.name,
            id: heard.id,
            region: heard.region,
            reachable: heard.status.is_ok(),
            appends: heard.appends.map(|reached| reached.is_ok()),
            error: heard.status.as_ref().err().cloned(),
            status: heard.status.ok(),
        }
    }
}

/// Whether a region takes records: whether any of its nodes gets through to its log.
fn appends(nodes: &[Heard], region: &str, problems: &mut Vec<Told>) {
    let asked: Vec<(&Heard, &Result<(), String>)> = nodes
        .iter()
        .filter(|node| node.region == region)
        .filter_map(|node| Some((node, node.appends.as_ref()?)))
        .collect();
    let failed = asked.iter().filter_map(|(node, reached)| Some((node, reached.as_ref().err()?)));
    match failed.clone().next() {
        None if asked.is_empty() => {
            let what = format!("of {region} no node answers: whether it takes records is not known");
            problems.push(shows(region_problem("region_silent", region, what)));
        }
        Some((_, error)) if asked.iter().all(|(_, reached)| reached.is_err()) => {
            let what = format!("{region} takes no records: {error}");
            problems.push(shows(region_problem("no_appends", region, what)));
        }
        _ => {
            for (node, error) in failed {
                let what = format!("{} does not get through to the log of its region: {error}", node.name);
                problems.push(shows(node_problem("cut_off", &node.name, what)));
            }
        }
    }
}

/// The ledgers that a node must hold: its own region's, and all others while it is a mirror. Of the rest it may hold
/// what it once mirrored, which says nothing.
fn holds(status: &Status) -> impl Iterator<Item = (&String, &trine_doors::model::cluster::Head)> {
    status.ledgers.iter().filter(|(region, _)| status.mirrors || **region == status.node.region)
}

/// Who holds fewer records of a ledger that it must hold than were known at first.
#[must_use]
pub fn behind(nodes: &[Heard], first: &BTreeMap<String, u64>) -> Vec<Behind> {
    let mut found = Vec::new();
    for node in nodes {
        let Ok(status) = &node.status else { continue };
        for (ledger, head) in holds(status) {
            let most = first.get(ledger).copied().unwrap_or_default();
            if head.size < most {
                let (node, ledger, held) = (node.name.clone(), ledger.clone(), head.size);
                found.push(Behind { node, ledger, held, lacks: most - held });
            }
        }
    }
    found
}

/// Ledgers of which two that hold the same number of records do not hold the same.
fn contradictions(nodes: &[Heard]) -> Vec<Problem> {
    let mut roots: BTreeMap<(&str, u64), BTreeMap<&str, &str>> = BTreeMap::new();
    for node in nodes {
        for (ledger, head) in node.status.iter().flat_map(holds) {
            roots.entry((ledger, head.size)).or_default().entry(&head.root).or_insert(&node.name);
        }
    }
    let differing = roots.into_iter().filter(|(_, roots)| roots.len() > 1);
    differing
        .map(|((ledger, size), roots)| {
            let who = roots.values().copied().collect::<Vec<_>>().join(" and ");
            let what = format!("{who} contradict each other about the first {size} records of {ledger}");
            region_problem("ledgers_differ", ledger, what)
        })
        .collect()
}

/// Whether all that answered hold the same objects.
#[must_use]
pub fn objects_agree(nodes: &[Heard]) -> bool {
    let known = nodes.iter().filter_map(|node| node.status.as_ref().ok());
    known.map(object_digest).collect::<BTreeSet<_>>().len() <= 1
}

/// All of a node's object digests in one text: equal on nodes that hold the same. A namespace in which nothing was ever
/// written does not count, because a node may not have heard of it yet; one whose objects were all removed does.
#[must_use]
pub fn object_digest(status: &Status) -> String {
    let held = status.objects.iter().filter(|(_, sum)| sum.digest.bytes().any(|digit| digit != b'0'));
    held.map(|(namespace, sum)| format!("{namespace}={}", sum.digest)).collect::<Vec<_>>().join(" ")
}

fn add(problems: &mut Vec<Told>, problem: &Problem, by: &str) {
    let same = |told: &&mut Told| {
        let known = &told.problem;
        (&known.code, &known.node, &known.region) == (&problem.code, &problem.node, &problem.region)
            && !told.told_by.is_empty()
            && (problem.node.is_some() || problem.region.is_some())
    };
    match problems.iter_mut().find(same) {
        Some(told) => told.told_by.push(by.to_owned()),
        None => problems.push(Told { problem: problem.clone(), told_by: vec![by.to_owned()] }),
    }
}

fn shows(problem: Problem) -> Told {
    Told { problem, told_by: Vec::new() }
}

fn node_problem(code: &str, node: &str, what: String) -> Problem {
    Problem { code: code.to_owned(), what, node: Some(node.to_owned()), region: None }
}

fn region_problem(code: &str, region: &str, what: String) -> Problem {
    Problem { code: code.to_owned(), what, node: None, region: Some(region.to_owned()) }
}
