//! `trine bench load`: a node with many objects.
//!
//! Each object is a register that is written once, under a key of twenty bytes. What is refused is written again until
//! it is taken, so that in the end exactly that many objects are there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use indicatif::ProgressBar;
use serde::Serialize;
use trine_client::{CallOptions, Client, ClientError};
use trine_protocol::request::{NamespaceKind, ObjectEdit};
use trine_protocol::{Edit, Request};

use super::figures::{Latencies, shown};
use super::load::random;
use super::{FillArgs, place, progress};
use crate::args::Globals;
use crate::connect::Connection;
use crate::exit::Failure;
use crate::output::{Output, table};

/// How long to wait before what was refused is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// What it came to.
#[derive(Debug, Serialize)]
struct Filled {
    objects: u64,
    value_bytes: u64,
    clients: u32,
    durability: String,
    seconds: f64,
    objects_per_second: f64,
    refused: u64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
}

/// What all clients share.
struct Filling {
    args: FillArgs,
    namespace: String,
    progress: ProgressBar,
    call: CallOptions,
    value: Bytes,
    next: AtomicU64,
    patience: Duration,
}

/// What one client has seen.
#[derive(Default)]
struct Seen {
    latencies: Latencies,
    refused: u64,
}

/// Runs the command.
///
/// # Errors
/// When the cluster cannot be asked, or refuses one object for longer than the time-out.
pub async fn run(globals: &Globals, args: &FillArgs) -> Result<Output, Failure> {
    let connections: Vec<Connection> =
        (0..args.connections).map(|_| Connection::open(globals)).collect::<Result<_, _>>()?;
    let clients: Vec<Client> = connections.iter().map(|connection| connection.client().clone()).collect();
    let namespace = place::namespace(globals, args.namespace.as_deref(), NamespaceKind::Objects, &clients).await?;
    let filling = Arc::new(Filling {
        args: args.clone(),
        namespace,
        progress: progress::bar(globals, args.objects, "objects", "load"),
        call: CallOptions::new().durability(args.durability).retries(0).deadline(globals.timeout),
        value: random(usize::try_from(args.value).unwrap_or(usize::MAX)),
        next: AtomicU64::new(0),
        patience: globals.timeout,
    });
    let started = Instant::now();
    let tasks = (0..args.clients as usize).map(|number| {
        let client = clients[number % clients.len()].clone();
        tokio::spawn(Arc::clone(&filling).work(client))
    });
    let mut all = Seen::default();
    for ended in join_all(tasks).await.into_iter().flatten() {
        let seen = ended?;
        all.latencies.append(seen.latencies);
        all.refused += seen.refused;
    }
    filling.progress.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    Ok(shown_filled(&Filled {
        objects: all.latencies.count() as u64,
        value_bytes: args.value,
        clients: args.clients,
        durability: args.durability.to_string(),
        seconds,
        objects_per_second: all.latencies.count() as f64 / seconds,
        refused: all.refused,
        p50_ms: all.latencies.quantile_ms(500),
        p99_ms: all.latencies.quantile_ms(990),
    }))
}

impl Filling {
    /// Writes one after the other until all have been begun.
    async fn work(self: Arc<Self>, client: Client) -> Result<Seen, ClientError> {
        let mut seen = Seen::default();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.args.objects {
                return Ok(seen);
            }
            self.write(&client, number, &mut seen).await?;
        }
    }

    /// Writes one object until it is taken. Setting a register twice to the same does no harm.
    async fn write(&self, client: &Client, number: u64, seen: &mut Seen) -> Result<(), ClientError> {
        let begun = Instant::now();
        loop {
            let started = Instant::now();
            let request = Request::ObjectEdit(ObjectEdit {
                namespace: self.namespace.clone(),
                key: format!("load/{number:015}"),
                edit: Edit::Set(self.value.clone()),
            });
            match client.request(&self.call, request).await {
                Ok(_) => {
                    seen.latencies.push(started.elapsed());
                    self.progress.inc(1);
                    return Ok(());
                }
                Err(error) if begun.elapsed() > self.patience => return Err(error),
                Err(_) => seen.refused += 1,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn shown_filled(filled: &Filled) -> Output {
    let row = vec![
        filled.objects.to_string(),
        format!("{:.1} s", filled.seconds),
        format!("{:.0}", filled.objects_per_second),
        shown(filled.p50_ms),
        shown(filled.p99_ms),
        filled.refused.to_string(),
    ];
    let people = table(&["objects", "took", "objects/s", "p50", "p99", "refused"], std::iter::once(row));
    Output::new(filled, people)
}
