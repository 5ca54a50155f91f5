//! `trine bench lag`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval_at};
use trine_client::{CallOptions, Client};
use trine_crdt::RegionId;
use trine_protocol::reply::NodeView;
use trine_protocol::request::NamespaceKind;
use trine_protocol::{Consistency, Durability, View};

use super::figures::{Latencies, shown};
use super::load::{Kind, Load, random};
use super::{EditKind, LagArgs, place, progress};
use crate::args::Globals;
use crate::connect::{Connection, builder, cluster};
use crate::exit::{Exit, Failure};
use crate::nodes;
use crate::output::{Output, table};

/// The figures of one pair of regions.
#[derive(Debug, Serialize)]
struct Lag {
    from: String,
    to: String,
    writes: usize,
    missed: u64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    max_ms: Option<f64>,
    /// What a read of the reader takes by itself; part of each figure.
    read_p50_ms: Option<f64>,
}

/// All pairs.
#[derive(Debug, Serialize)]
struct Lags {
    load_clients: u32,
    /// How many writes a second the load began at most; 0: as many as were answered.
    load_rate: u32,
    /// What the writer waits for a write to be acknowledged; it is under way to the others by then.
    write_p50_ms: Option<f64>,
    write_p99_ms: Option<f64>,
    lags: Vec<Lag>,
}

/// How long a reader waits until it reads again: readers that never rest are a load of their own. It is part of each figure.
const BETWEEN_READS: Duration = Duration::from_millis(1);

/// A write that readers look for: its number, and when it was sent.
type Mark = (u32, Instant);

/// Runs the command.
///
/// # Errors
/// When a region cannot be asked at all.
pub async fn run(globals: &Globals, args: &LagArgs) -> Result<Output, Failure> {
    let nodes = nodes::list(&Connection::open(globals)?).await?;
    let mut regions: Vec<RegionId> = nodes.iter().map(|node| node.region.clone()).collect();
    regions.sort();
    regions.dedup();
    let from = globals.region.clone().or_else(|| regions.first().cloned());
    let from = from.ok_or_else(|| Failure::new(Exit::Unhealthy, "the cluster names no nodes"))?;
    if regions.len() < 2 {
        return Err(Failure::usage("lag needs two regions, and the cluster has one"));
    }
    let writer = client_of(globals, &nodes, &from)?;
    writer.regions().await?;
    // A key of its own: numbers of an earlier run would be taken for this one's.
    let key = format!("bench/lag/{}", trine_doors::model::value::hex(&random(8)));
    let (sent, marks) = watch::channel::<Mark>((0, Instant::now()));
    let others = regions.iter().filter(|to| **to != from);
    let clients = others.map(|to| Ok((to, client_of(globals, &nodes, to)?))).collect::<Result<Vec<_>, Failure>>()?;
    let all: Vec<Client> = [&writer].into_iter().chain(clients.iter().map(|(_, client)| client)).cloned().collect();
    let namespace = place::namespace(globals, args.namespace.as_deref(), NamespaceKind::Objects, &all).await?;
    let mut readers = Vec::new();
    for (to, client) in clients {
        client.regions().await?;
        let watching = watch_for(client, namespace.clone(), key.clone(), marks.clone(), globals.timeout);
        readers.push((to.clone(), tokio::spawn(watching)));
    }
    drop(marks);
    let others = Arc::new(Load::of(Kind::Edit(EditKind::Set), namespace.clone(), args.value, 10_000));
    let beside = CallOptions::new().durability(Durability::Local).retries(0).deadline(globals.timeout);
    let until = Instant::now() + Duration::from_secs(24 * 3600);
    let one = |number| Arc::clone(&others).work(writer.clone(), beside.clone(), until, pace(args, number));
    let load: Vec<_> = (0..args.load).map(|number| tokio::spawn(one(number))).collect();
    let call = CallOptions::new().durability(Durability::Local);
    let mut written = Latencies::default();
    let progress = progress::bar(globals, args.writes.into(), "writes", "lag");
    for number in 1..=args.writes {
        let mark = (number, Instant::now());
        let edit = trine_protocol::Edit::Set(Bytes::from(number.to_string()));
        writer.object_edit_with(&call, &namespace, &key, edit).await?;
        written.push(mark.1.elapsed());
        sent.send_replace(mark);
        progress.inc(1);
        tokio::time::sleep(args.interval).await;
    }
    progress.finish_and_clear();
    drop(sent);
    let mut lags = Vec::new();
    for (to, reader) in readers {
        let seen = reader.await.map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        lags.push(seen.figures(&from, &to));
    }
    load.iter().for_each(tokio::task::JoinHandle::abort);
    let (write_p50_ms, write_p99_ms) = (written.quantile_ms(500), written.quantile_ms(990));
    Ok(shown_lags(Lags { load_clients: args.load, load_rate: args.rate, write_p50_ms, write_p99_ms, lags }))
}

/// When a client of the load writes, if not as soon as it can: clients take turns.
fn pace(args: &LagArgs, number: u32) -> Option<Interval> {
    let between = Duration::from_secs(1).checked_div(args.rate)?;
    let mut pace = interval_at(tokio::time::Instant::now() + between * number, between * args.load);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(pace)
}

/// A client of one region's nodes only.
fn client_of(globals: &Globals, nodes: &[NodeView], region: &RegionId) -> Result<Client, Failure> {
    let mut builder = builder(globals, cluster(globals)?.as_ref())?.region(region.clone()).retries(0).pinned();
    let node = nodes.iter().find(|node| node.region == *region && !node.addresses.is_empty());
    let node = node.ok_or_else(|| Failure::new(Exit::Unhealthy, format!("no node of {region} has an address")))?;
    builder = builder.seed(&node.addresses[0])?;
    Ok(builder.build()?)
}

/// What a reader has seen.
#[derive(Default)]
struct Watched {
    lags: Latencies,
    reads: Latencies,
    missed: u64,
}

/// Reads until each write is seen, or a later one.
async fn watch_for(
    client: Client,
    namespace: String,
    key: String,
    mut marks: watch::Receiver<Mark>,
    patience: Duration,
) -> Watched {
    let call = CallOptions::new().consistency(Consistency::Eventual);
    let mut watched = Watched::default();
    while marks.changed().await.is_ok() {
        let (number, sent) = *marks.borrow_and_update();
        loop {
            let started = Instant::now();
            let read = client.object_get_with(&call, &namespace, &key).await;
            watched.reads.push(started.elapsed());
            if read.is_ok_and(|object| object.is_some_and(|object| shows(&object.views, number))) {
                watched.lags.push(sent.elapsed());
                break;
            }
            if sent.elapsed() > patience {
                watched.missed += 1;
                break;
            }
            tokio::time::sleep(BETWEEN_READS).await;
        }
    }
    watched
}

/// Whether a register shows this write or a later one.
fn shows(views: &[View], number: u32) -> bool {
    let [View::Register(value)] = views else { return false };
    std::str::from_utf8(value).ok().and_then(|text| text.parse::<u32>().ok()).is_some_and(|shown| shown >= number)
}

impl Watched {
    fn figures(mut self, from: &RegionId, to: &RegionId) -> Lag {
        Lag {
            from: from.to_string(),
            to: to.to_string(),
            writes: self.lags.count(),
            missed: self.missed,
            p50_ms: self.lags.quantile_ms(500),
            p99_ms: self.lags.quantile_ms(990),
            max_ms: self.lags.quantile_ms(1000),
            read_p50_ms: self.reads.quantile_ms(500),
        }
    }
}

fn shown_lags(lags: Lags) -> Output {
    let rows = lags.lags.iter().map(|lag| {
        vec![
            lag.from.clone(),
            lag.to.clone(),
            lag.writes.to_string(),
            lag.missed.to_string(),
            shown(lag.p50_ms),
            shown(lag.p99_ms),
            shown(lag.max_ms),
            shown(lag.read_p50_ms),
        ]
    });
    let people = table(&["from", "to", "writes", "missed", "p50", "p99", "max", "a read"], rows);
    let missed = lags.lags.iter().any(|lag| lag.missed > 0);
    let write =
        format!("a write was acknowledged after {} (p99 {})", shown(lags.write_p50_ms), shown(lags.write_p99_ms));
    Output::new(&lags, people).note(write).exit(if missed { Exit::Unhealthy } else { Exit::Done })
}
