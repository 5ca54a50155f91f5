//! `trine bench append|object`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use serde::Serialize;
use tokio::time::Interval;
use trine_client::{CallOptions, Client};
use trine_protocol::request::{Append, NamespaceKind, ObjectEdit};
use trine_protocol::{Durability, Edit, Request};

use super::figures::{Latencies, shown};
use super::{LoadArgs, place, progress};
use crate::args::Globals;
use crate::connect::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{Output, table};
use crate::say;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Records.
    Append,
    /// Objects: registers.
    Object,
}

/// The figures of one run.
#[derive(Debug, Serialize)]
struct Run {
    operation: &'static str,
    durability: String,
    clients: u32,
    connections: u32,
    value_bytes: u64,
    seconds: f64,
    operations: u64,
    errors: u64,
    first_error: Option<String>,
    ops_per_second: f64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    max_ms: Option<f64>,
}

/// All runs.
#[derive(Debug, Serialize)]
struct Runs {
    runs: Vec<Run>,
}

/// Runs the command.
///
/// # Errors
/// When the cluster cannot be asked at all.
pub async fn run(globals: &Globals, args: &LoadArgs, kind: Kind) -> Result<Output, Failure> {
    let connections: Vec<Connection> =
        (0..args.connections).map(|_| Connection::open(globals)).collect::<Result<_, _>>()?;
    let clients: Vec<Client> = connections.iter().map(|connection| connection.client().clone()).collect();
    // A first request connects, so that no run pays for it; and fails early when there is nobody.
    join_all(clients.iter().map(Client::regions)).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let (levels, holds) = match kind {
        Kind::Append => (&[Durability::Region][..], NamespaceKind::Ledger),
        Kind::Object => (&args.durability[..], NamespaceKind::Objects),
    };
    let namespace = place::namespace(globals, args.namespace.as_deref(), holds, &clients).await?;
    if kind == Kind::Append && !globals.quiet {
        say::people(format_args!("records stay for ever: those of this bench stand in the namespace {namespace}"));
    }
    let mut runs = Vec::new();
    for level in levels {
        for count in &args.clients {
            runs.push(one(globals, args, (kind, &namespace), *level, *count, &clients).await);
        }
    }
    let failed = runs.iter().all(|run| run.operations == 0);
    let rows = runs.iter().map(|run| {
        vec![
            run.operation.to_owned(),
            run.durability.clone(),
            run.clients.to_string(),
            format!("{:.0}", run.ops_per_second),
            shown(run.p50_ms),
            shown(run.p99_ms),
            shown(run.max_ms),
            run.errors.to_string(),
        ]
    });
    let people = table(&["operation", "durability", "clients", "ops/s", "p50", "p99", "max", "errors"], rows);
    let first_error = runs.iter().find_map(|run| run.first_error.clone());
    let output = Output::new(&Runs { runs }, people).exit(if failed { Exit::Unhealthy } else { Exit::Done });
    Ok(match first_error {
        Some(error) => output.note(format!("the first error was: {error}")),
        None => output,
    })
}

async fn one(
    globals: &Globals,
    args: &LoadArgs,
    (kind, namespace): (Kind, &str),
    durability: Durability,
    count: u32,
    clients: &[Client],
) -> Run {
    let writer = Writer::of(kind, namespace.to_owned(), args.value, args.keys, durability, globals.timeout);
    let writer = Arc::new(writer);
    let started = Instant::now();
    let until = started + Duration::from_secs(args.seconds);
    let tasks: Vec<_> = (0..count)
        .map(|n| {
            let client = clients[n as usize % clients.len()].clone();
            tokio::spawn(Arc::clone(&writer).work(client, until, None))
        })
        .collect();
    let what = format!("{} by {count} clients", writer.operation());
    let progress = progress::bar(globals, args.seconds, "s,", &what);
    let ticking = async {
        while !progress.is_finished() {
            tokio::time::sleep(Duration::from_millis(200)).await;
            progress.set_position(started.elapsed().as_secs().min(args.seconds));
            progress.set_message(format!("{} done", writer.numbers.load(Ordering::Relaxed)));
        }
    };
    let (mut latencies, mut errors, mut first_error) = (Latencies::default(), 0, None);
    let working = async {
        for ended in join_all(tasks).await.into_iter().flatten() {
            latencies.append(ended.latencies);
            errors += ended.errors;
            first_error = first_error.take().or(ended.first_error);
        }
        progress.finish_and_clear();
    };
    tokio::join!(working, ticking);
    let seconds = started.elapsed().as_secs_f64();
    let operations = latencies.count() as u64;
    Run {
        operation: writer.operation(),
        durability: durability.to_string(),
        clients: count,
        connections: args.connections,
        value_bytes: args.value,
        seconds,
        operations,
        errors,
        first_error,
        ops_per_second: operations as f64 / seconds,
        p50_ms: latencies.quantile_ms(500),
        p99_ms: latencies.quantile_ms(990),
        max_ms: latencies.quantile_ms(1000),
    }
}

/// What all clients of a run write.
pub struct Writer {
    kind: Kind,
    namespace: String,
    value: Bytes,
    call: CallOptions,
    keys: u64,
    prefix: String,
    numbers: AtomicU64,
}

/// What one client has seen.
#[derive(Default)]
pub struct Seen {
    latencies: Latencies,
    errors: u64,
    first_error: Option<String>,
}

impl Writer {
    /// Writers of values of `value_bytes` under `keys` keys that no earlier run used.
    #[must_use]
    pub fn of(
        kind: Kind,
        namespace: String,
        value_bytes: u64,
        keys: u64,
        durability: Durability,
        deadline: Duration,
    ) -> Self {
        Self {
            kind,
            namespace,
            value: random(usize::try_from(value_bytes).unwrap_or(usize::MAX)),
            call: CallOptions::new().durability(durability).retries(0).deadline(deadline),
            keys,
            prefix: format!("bench/{}", trine_doors::model::value::hex(&random(4))),
            numbers: AtomicU64::new(0),
        }
    }

    fn operation(&self) -> &'static str {
        match self.kind {
            Kind::Append => "append",
            Kind::Object => "object set",
        }
    }

    /// Writes one after the other until it is time, each no sooner than `pace` says.
    pub async fn work(self: Arc<Self>, client: Client, until: Instant, mut pace: Option<Interval>) -> Seen {
        let mut seen = Seen::default();
        while Instant::now() < until {
            if let Some(pace) = &mut pace {
                pace.tick().await;
            }
            let request = self.request();
            let started = Instant::now();
            match client.request(&self.call, request).await {
                Ok(_) => seen.latencies.push(started.elapsed()),
                Err(error) => {
                    seen.errors += 1;
                    seen.first_error.get_or_insert_with(|| error.to_string());
                    // A refusal comes at once; asking again at once would only measure refusals.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
        seen
    }

    fn request(&self) -> Request {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let key = format!("{}/{}", self.prefix, number % self.keys);
        match self.kind {
            Kind::Append => Request::Append(Append {
                namespace: self.namespace.clone(),
                key,
                value: self.value.clone(),
                content_type: "application/octet-stream".to_owned(),
                metadata: std::collections::BTreeMap::new(),
                idempotency_key: None,
                if_match: None,
                with_proof: false,
            }),
            Kind::Object => Request::ObjectEdit(ObjectEdit {
                namespace: self.namespace.clone(),
                key,
                edit: Edit::Set(self.value.clone()),
            }),
        }
    }
}

/// This many random bytes: nothing on the way can make them smaller.
///
/// # Panics
/// When the system has no random source.
#[must_use]
pub fn random(bytes: usize) -> Bytes {
    let mut value = vec![0; bytes];
    getrandom::fill(&mut value).expect("the system has a random source");
    value.into()
}
