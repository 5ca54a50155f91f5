//! Holding a region to what was acknowledged, wherever it was.
//!
//! Every acknowledged record is looked up there with its proof, which is checked without asking anybody; then every
//! package's objects. What is not there yet is asked for again until patience ends: a mirror may be on its way. A proof that does
//! not hold is never asked for again.
//!
//! Objects merge, so the log cannot say what they hold, only what they must not lack: each acknowledged version is in the
//! set; the register names a release of the log that was, or may have been, written to it; the counter has
//! counted no fewer downloads than were acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use trine_client::Client;
use trine_crdt::RegionId;
use trine_protocol::View;
use trine_protocol::reply::RecordView;

use super::limits::{ASK_AGAIN_INTERVAL, PROBLEMS_SHOWN_MAX};
use super::log::Entry;
use super::lookup::{object, record};
use super::release::{Latest, downloads_key, latest_key, versions_key};
use super::trust::{Trust, hex};

/// What became of one thing that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is there, and proven if it is a record.
    Kept,
    /// The region does not have it.
    Missing(String),
    /// The region has something else, or cannot prove it.
    Unproven(String),
    /// The region did not say.
    Unanswered(String),
}

/// One thing to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// A record at its place.
    Record(RecordClaim),
    /// A package's objects.
    Package(PackageClaim),
}

/// A record that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordClaim {
    /// Its key.
    pub key: String,
    /// Whose ledger.
    pub region: RegionId,
    /// Its index there.
    pub index: u64,
    /// Its leaf hash.
    pub leaf: String,
    /// The archive's SHA-256.
    pub sha256: String,
}

/// What was acknowledged of a package's objects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackageClaim {
    /// The package.
    pub package: String,
    /// Versions that the set must have.
    pub versions: BTreeSet<String>,
    /// Versions that the register may name.
    pub latest_perhaps: BTreeSet<String>,
    /// Whether the register must be there.
    pub latest: bool,
    /// How many downloads the counter must have counted at least.
    pub downloads: i64,
}

/// What a log's entries claim.
///
/// # Errors
/// When an entry says that a record was acknowledged, but not where it is.
pub fn claims(entries: &[Entry]) -> anyhow::Result<Vec<Claim>> {
    let mut claims = Vec::with_capacity(entries.len());
    let mut packages: BTreeMap<&str, PackageClaim> = BTreeMap::new();
    for entry in entries {
        if entry.record.acknowledged() {
            let key = format!("{}/{}", entry.package, entry.version);
            let position = entry.position.as_ref().with_context(|| format!("the log does not say where {key} is"))?;
            let region = position.region.parse().ok().with_context(|| format!("the log names no region of {key}"))?;
            let (index, leaf, sha256) = (position.index, position.leaf.clone(), entry.sha256.clone());
            claims.push(Claim::Record(RecordClaim { key, region, index, leaf, sha256 }));
        }
        let package = packages.entry(&entry.package).or_default();
        package.package.clone_from(&entry.package);
        if entry.versions.acknowledged() {
            package.versions.insert(entry.version.clone());
        }
        if entry.latest.perhaps() {
            package.latest_perhaps.insert(entry.version.clone());
        }
        package.latest |= entry.latest.acknowledged();
        package.downloads += i64::from(entry.downloads.acknowledged());
    }
    let claimed = |package: &PackageClaim| package.latest || package.downloads > 0 || !package.versions.is_empty();
    claims.extend(packages.into_values().filter(claimed).map(Claim::Package));
    Ok(claims)
}

impl Claim {
    /// What is claimed, for people.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Record(claim) => format!("record {} of {} ({})", claim.index, claim.region, claim.key),
            Self::Package(claim) => format!("objects of {}", claim.package),
        }
    }

    async fn ask(&self, client: &Client, trust: &Trust, objects: &str) -> Verdict {
        match self {
            Self::Record(claim) => match record(client, &claim.region, claim.index).await {
                Ok(Some(view)) => claim.judge(trust, &view),
                Ok(None) => Verdict::Missing("not found".to_owned()),
                Err(error) => Verdict::Unanswered(error.to_string()),
            },
            Self::Package(claim) => {
                let keys = (versions_key(&claim.package), latest_key(&claim.package), downloads_key(&claim.package));
                let found = tokio::try_join!(
                    object(client, objects, &keys.0),
                    object(client, objects, &keys.1),
                    object(client, objects, &keys.2),
                );
                match found {
                    Ok((versions, latest, downloads)) => claim.judge(versions, latest, downloads),
                    Err(error) => Verdict::Unanswered(error.to_string()),
                }
            }
        }
    }
}

impl RecordClaim {
    /// What an answer is worth.
    #[must_use]
    pub fn judge(&self, trust: &Trust, view: &RecordView) -> Verdict {
        if let Err(doubt) = trust.check(view) {
            return Verdict::Unproven(doubt.to_string());
        }
        let sha256 = view.metadata.get("sha256").map(String::as_str);
        let same = [
            ("region", view.region == self.region),
            ("index", view.index == self.index),
            ("key", view.key == self.key),
            ("leaf", hex(&trine_ledger::tree::leaf_hash(&view.header)) == self.leaf),
            ("SHA-256", sha256 == Some(self.sha256.as_str())),
        ];
        match same.iter().find(|(_, same)| !same) {
            Some((what, _)) => Verdict::Unproven(format!("it has another {what} than the one acknowledged")),
            None => Verdict::Kept,
        }
    }
}

impl PackageClaim {
    /// What answers are worth: the set of versions, the latest release, the count of downloads.
    #[must_use]
    pub fn judge(&self, versions: Option<View>, latest: Option<View>, downloads: Option<View>) -> Verdict {
        let missing = |what: String| Verdict::Missing(what);
        let versions: BTreeSet<Bytes> = match versions {
            Some(View::Set(versions)) => versions.into_iter().collect(),
            None => BTreeSet::new(),
            Some(_) => return Verdict::Unproven("its versions are no set".to_owned()),
        };
        if let Some(version) = self.versions.iter().find(|version| !versions.contains(version.as_bytes())) {
            return missing(format!("version {version} is not in the set"));
        }
        match latest {
            Some(View::Register(latest)) => match serde_json::from_slice::<Latest>(&latest) {
                Ok(latest) if self.latest_perhaps.contains(&latest.version) => {}
                _ if !self.latest => {}
                Ok(latest) => {
                    return missing(format!("the latest release is {}, which is none of them", latest.version));
                }
                Err(_) => return Verdict::Unproven("the latest release is not what was written".to_owned()),
            },
            None if self.latest => return missing("no latest release".to_owned()),
            None => {}
            Some(_) => return Verdict::Unproven("its latest release is no register".to_owned()),
        }
        match downloads {
            Some(View::Counter(total)) if total >= self.downloads => Verdict::Kept,
            None if self.downloads == 0 => Verdict::Kept,
            Some(View::Counter(total)) => missing(format!("{total} downloads of at least {}", self.downloads)),
            None => missing("no count of downloads".to_owned()),
            Some(_) => Verdict::Unproven("its downloads are no counter".to_owned()),
        }
    }
}

/// What a region was found to hold.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The region asked.
    pub asked: String,
    /// Records and packages.
    pub records: Counts,
    /// Packages' objects.
    pub packages: Counts,
    /// How long it took.
    pub seconds: f64,
    /// The first that were not kept.
    pub problems: Vec<String>,
}

/// Verdicts, counted.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// How many were acknowledged.
    pub acknowledged: u64,
    /// See [`Verdict::Kept`].
    pub kept: u64,
    /// See [`Verdict::Missing`].
    pub missing: u64,
    /// See [`Verdict::Unproven`].
    pub unproven: u64,
    /// See [`Verdict::Unanswered`].
    pub unanswered: u64,
}

impl Counts {
    fn add(&mut self, verdict: &Verdict) {
        self.acknowledged += 1;
        *match verdict {
            Verdict::Kept => &mut self.kept,
            Verdict::Missing(_) => &mut self.missing,
            Verdict::Unproven(_) => &mut self.unproven,
            Verdict::Unanswered(_) => &mut self.unanswered,
        } += 1;
    }
}

impl Report {
    /// Whether the region holds everything.
    #[must_use]
    pub fn holds(&self) -> bool {
        [&self.records, &self.packages].iter().all(|counts| counts.kept == counts.acknowledged)
    }
}

/// How to verify.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// The objects namespace.
    pub objects: String,
    /// Questions in flight.
    pub concurrency: u16,
    /// How long to go on asking for what is not there.
    pub patience: Duration,
}

/// Looks everything up that was claimed; `progress` hears of each claim that is decided.
///
/// # Errors
/// When a task ended early.
pub async fn verify(
    client: &Client,
    trust: &Trust,
    asked: &RegionId,
    options: &VerifyOptions,
    claims: Vec<Claim>,
    mut progress: impl FnMut(),
) -> anyhow::Result<Report> {
    let began = Instant::now();
    let trust = Arc::new(trust.clone());
    let mut report = Report {
        asked: asked.to_string(),
        records: Counts::default(),
        packages: Counts::default(),
        seconds: 0.0,
        problems: Vec::new(),
    };
    let mut again = tokio::time::interval(ASK_AGAIN_INTERVAL);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut open = claims;
    while !open.is_empty() {
        again.tick().await;
        let last = began.elapsed() >= options.patience;
        for (claim, verdict) in ask_all(client, &trust, options, std::mem::take(&mut open)).await? {
            let undecided = matches!(verdict, Verdict::Missing(_) | Verdict::Unanswered(_));
            if undecided && !last {
                open.push(claim);
                continue;
            }
            progress();
            match &verdict {
                Verdict::Kept => {}
                Verdict::Missing(why) | Verdict::Unproven(why) | Verdict::Unanswered(why) => {
                    if report.problems.len() < PROBLEMS_SHOWN_MAX {
                        report.problems.push(format!("{}: {why}", claim.name()));
                    }
                }
            }
            match claim {
                Claim::Record(_) => report.records.add(&verdict),
                Claim::Package(_) => report.packages.add(&verdict),
            }
        }
    }
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

async fn ask_all(
    client: &Client,
    trust: &Arc<Trust>,
    options: &VerifyOptions,
    claims: Vec<Claim>,
) -> anyhow::Result<Vec<(Claim, Verdict)>> {
    let mut asking = JoinSet::new();
    let mut decided = Vec::with_capacity(claims.len());
    for claim in claims {
        if asking.len() >= usize::from(options.concurrency)
            && let Some(answer) = asking.join_next().await
        {
            decided.push(answer.context("a question ended early")?);
        }
        let (client, trust, objects) = (client.clone(), Arc::clone(trust), options.objects.clone());
        asking.spawn(async move {
            let verdict = claim.ask(&client, &trust, &objects).await;
            (claim, verdict)
        });
    }
    while let Some(answer) = asking.join_next().await {
        decided.push(answer.context("a question ended early")?);
    }
    Ok(decided)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<18} {:>12} {:>8} {:>8} {:>9} {:>11}",
            self.asked, "ACKNOWLEDGED", "KEPT", "MISSING", "UNPROVEN", "UNANSWERED"
        )?;
        for (name, counts) in [("records", &self.records), ("packages' objects", &self.packages)] {
            writeln!(
                f,
                "{name:<18} {:>12} {:>8} {:>8} {:>9} {:>11}",
                counts.acknowledged, counts.kept, counts.missing, counts.unproven, counts.unanswered
            )?;
        }
        self.problems.iter().try_for_each(|problem| writeln!(f, "  {problem}"))?;
        let verdict = if self.holds() { "everything acknowledged is there" } else { "NOT everything is there" };
        writeln!(f, "{verdict}; {:.1} s", self.seconds)
    }
}
