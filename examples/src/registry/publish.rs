//! Publishing: all regions at once, many releases in flight in each.
//!
//! Release `i` goes to region `i mod n`, the same on every run. Within a region a fixed number of workers takes releases
//! from a bounded queue; all share one connection, so a worker is no more than a release in flight. A release is
//! the record first (its place goes into `latest/…`) and then its three objects at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use trine_client::{AppendRequest, CallOptions, Client, ClientError};
use trine_crdt::RegionId;
use trine_protocol::reply::Appended;
use trine_protocol::{Durability, Edit, ObjectView};

use super::log::{Entry, Position, Step};
use super::release::{Latest, Release, ReleaseError, downloads_key, latest_key, versions_key};
use super::trust::hex;

/// How to publish.
#[derive(Debug, Clone)]
pub struct PublishOptions {
    /// The ledger namespace.
    pub records: String,
    /// The objects namespace.
    pub objects: String,
    /// What a write of an object must survive.
    pub durability: Durability,
    /// Releases in flight in each region.
    pub concurrency: u16,
    /// Releases a second over all regions; none: as fast as they are taken.
    pub rate: Option<f64>,
}

/// A release that has been dealt with.
#[derive(Debug)]
pub struct Published {
    /// What became of it.
    pub entry: Entry,
    /// How long its record took.
    pub record_took: Duration,
    /// How long record and objects took.
    pub took: Duration,
}

/// Publishes all releases; each goes to `done` as soon as it has been dealt with.
///
/// # Errors
/// When the input ends with an error: what was read before it is published, and the error says where it was.
pub async fn publish(
    clients: &BTreeMap<RegionId, Client>,
    options: &PublishOptions,
    releases: impl Iterator<Item = Result<Release, ReleaseError>> + Send + 'static,
    done: mpsc::Sender<Published>,
) -> anyhow::Result<()> {
    let mut workers = JoinSet::new();
    let mut queues = Vec::with_capacity(clients.len());
    for (region, client) in clients {
        let (queue, queued) = mpsc::channel::<Release>(usize::from(options.concurrency));
        let queued = Arc::new(Mutex::new(queued));
        for _ in 0..options.concurrency {
            let (queued, done) = (Arc::clone(&queued), done.clone());
            let (region, client, options) = (region.clone(), client.clone(), options.clone());
            workers.spawn(async move {
                loop {
                    let next = queued.lock().await.recv().await;
                    let Some(release) = next else { return };
                    if done.send(one(&client, &region, &options, &release).await).await.is_err() {
                        return;
                    }
                }
            });
        }
        queues.push(queue);
    }
    drop(done);
    let read = deal_out(releases, queues, options.rate).await;
    while let Some(worker) = workers.join_next().await {
        worker.context("a worker ended early")?;
    }
    read
}

/// Reads releases, on a thread of its own, and gives them to the regions in turn.
async fn deal_out(
    releases: impl Iterator<Item = Result<Release, ReleaseError>> + Send + 'static,
    queues: Vec<mpsc::Sender<Release>>,
    rate: Option<f64>,
) -> anyhow::Result<()> {
    let (read, mut reading) = mpsc::channel(64);
    let reader = tokio::task::spawn_blocking(move || {
        for release in releases {
            if read.blocking_send(release).is_err() {
                return;
            }
        }
    });
    let mut pace = rate.map(|rate| {
        let mut pace = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        pace
    });
    let mut turn = queues.iter().cycle();
    while let Some(release) = reading.recv().await {
        let release = release?;
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let queue = turn.next().context("there is no region")?;
        queue.send(release).await.ok().context("the workers of a region ended early")?;
    }
    reader.await.context("the reader ended early")
}

/// Publishes one release.
async fn one(client: &Client, region: &RegionId, options: &PublishOptions, release: &Release) -> Published {
    let (begun, begun_unix_ms) = (Instant::now(), unix_ms());
    let (record, appended) = Step::of(append(client, options, release).await);
    let record_took = begun.elapsed();
    let mut entry = Entry {
        package: release.package.clone(),
        version: release.version.clone(),
        sha256: release.sha256.clone(),
        asked: region.to_string(),
        begun_unix_ms,
        ended_unix_ms: begun_unix_ms,
        record,
        position: None,
        versions: Step::NotTried,
        latest: Step::NotTried,
        downloads: Step::NotTried,
    };
    if let Some(appended) = appended {
        let latest =
            Latest { version: release.version.clone(), region: appended.region.to_string(), index: appended.index };
        let latest = serde_json::to_vec(&latest).expect("text and numbers are JSON");
        let (versions, latest, downloads) = tokio::join!(
            edit(client, options, versions_key(&release.package), Edit::Add(release.version.clone().into())),
            edit(client, options, latest_key(&release.package), Edit::Set(latest.into())),
            edit(client, options, downloads_key(&release.package), Edit::Increment(1)),
        );
        entry.position = Some(position(&appended));
        entry.versions = Step::of(versions).0;
        entry.latest = Step::of(latest).0;
        entry.downloads = Step::of(downloads).0;
    }
    entry.ended_unix_ms = unix_ms();
    Published { entry, record_took, took: begun.elapsed() }
}

async fn append(client: &Client, options: &PublishOptions, release: &Release) -> Result<Appended, ClientError> {
    let record = AppendRequest::new(&options.records, release.key(), release.text.clone()).content_type("text/plain");
    let record = release.metadata.iter().fold(record, |record, (name, value)| record.metadata(name, value));
    let call = CallOptions::new().idempotency_key(release.idempotency_key());
    client.append_with(&call, record).await
}

async fn edit(client: &Client, options: &PublishOptions, key: String, edit: Edit) -> Result<ObjectView, ClientError> {
    let call = CallOptions::new().durability(options.durability);
    client.object_edit_with(&call, &options.objects, &key, edit).await
}

fn position(appended: &Appended) -> Position {
    Position {
        region: appended.region.to_string(),
        index: appended.index,
        timestamp: appended.timestamp.to_string(),
        leaf: hex(&appended.leaf),
        duplicate: appended.duplicate,
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
