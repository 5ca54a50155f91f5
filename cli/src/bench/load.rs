//! `trine bench append|object|read`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use serde::Serialize;
use tokio::time::Interval;
use trine_client::{CallOptions, Client, ClientError};
use trine_protocol::request::{Append, LedgerGet, NamespaceKind, ObjectEdit, ObjectGet};
use trine_protocol::{Consistency, Durability, Edit, Request};

use super::figures::{Latencies, shown};
use super::{EditKind, LoadArgs, ObjectArgs, ReadArgs, place, progress};
use crate::args::Globals;
use crate::connect::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{Output, table};
use crate::say;

/// How many tasks write what is read later.
const FILL_CLIENTS: usize = 64;

/// What is asked for, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A record.
    Append,
    /// A change of an object.
    Edit(EditKind),
    /// A read of a record.
    Record,
    /// A read of an object.
    Object,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Edit(EditKind::Set) => "object set",
            Self::Edit(EditKind::Incr) => "object incr",
            Self::Edit(EditKind::Add) => "object add",
            Self::Record => "record read",
            Self::Object => "object read",
        }
    }

    /// Which namespaces it is for.
    fn namespace(self) -> NamespaceKind {
        match self {
            Self::Append | Self::Record => NamespaceKind::Ledger,
            Self::Edit(_) | Self::Object => NamespaceKind::Objects,
        }
    }

    /// What writes what it reads.
    fn written_by(self) -> Option<Self> {
        match self {
            Self::Append | Self::Edit(_) => None,
            Self::Record => Some(Self::Append),
            Self::Object => Some(Self::Edit(EditKind::Set)),
        }
    }
}

/// How its requests want to be served: in words, and as options.
struct Level {
    words: String,
    call: CallOptions,
}

/// The figures of one run.
#[derive(Debug, Serialize)]
struct Run {
    operation: &'static str,
    level: String,
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

/// Runs `trine bench append`.
///
/// # Errors
/// When the cluster cannot be asked at all.
pub async fn append(globals: &Globals, args: &LoadArgs) -> Result<Output, Failure> {
    run(globals, args, &[Kind::Append], &durable(&[Durability::Region])).await
}

/// Runs `trine bench object`.
///
/// # Errors
/// When the cluster cannot be asked at all.
pub async fn object(globals: &Globals, args: &ObjectArgs) -> Result<Output, Failure> {
    let kinds: Vec<Kind> = args.edit.iter().copied().map(Kind::Edit).collect();
    run(globals, &args.load, &kinds, &durable(&args.durability)).await
}

/// Runs `trine bench read`.
///
/// # Errors
/// When the cluster cannot be asked at all, or what is to be read cannot be written.
pub async fn read(globals: &Globals, args: &ReadArgs) -> Result<Output, Failure> {
    let fresh = |level: &Consistency| Level { words: level.to_string(), call: CallOptions::new().consistency(*level) };
    let levels: Vec<Level> = args.consistency.iter().map(fresh).collect();
    let kind = if args.objects { Kind::Object } else { Kind::Record };
    run(globals, &args.load, &[kind], &levels).await
}

fn durable(levels: &[Durability]) -> Vec<Level> {
    let level = |level: &Durability| Level { words: level.to_string(), call: CallOptions::new().durability(*level) };
    levels.iter().map(level).collect()
}

async fn run(globals: &Globals, args: &LoadArgs, kinds: &[Kind], levels: &[Level]) -> Result<Output, Failure> {
    let connections: Vec<Connection> =
        (0..args.connections).map(|_| Connection::open(globals)).collect::<Result<_, _>>()?;
    let clients: Vec<Client> = connections.iter().map(|connection| connection.client().clone()).collect();
    // A first request connects, so that no run pays for it; and fails early when there is nobody.
    join_all(clients.iter().map(Client::regions)).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let holds = kinds[0].namespace();
    let namespace = place::namespace(globals, args.namespace.as_deref(), holds, &clients).await?;
    if holds == NamespaceKind::Ledger && !globals.quiet {
        say::people(format_args!("records stay for ever: those of this bench stand in the namespace {namespace}"));
    }
    let mut runs = Vec::new();
    for kind in kinds {
        let fresh = || Load::of(*kind, namespace.clone(), args.value, args.keys);
        let filled = match kind.written_by() {
            Some(writer) => Some(Arc::new(fill(globals, fresh(), writer, &clients).await?)),
            None => None,
        };
        for level in levels {
            let call = level.call.clone().retries(0).deadline(globals.timeout);
            for count in &args.clients {
                // What an earlier run wrote would make this one's sets larger and its keys' histories longer.
                let load = filled.clone().unwrap_or_else(|| Arc::new(fresh()));
                runs.push(one(globals, args, (&load, &level.words, &call), *count, &clients).await);
            }
        }
    }
    let failed = runs.iter().all(|run| run.operations == 0);
    let rows = runs.iter().map(|run| {
        vec![
            run.operation.to_owned(),
            run.level.clone(),
            run.clients.to_string(),
            format!("{:.0}", run.ops_per_second),
            shown(run.p50_ms),
            shown(run.p99_ms),
            shown(run.max_ms),
            run.errors.to_string(),
        ]
    });
    let people = table(&["operation", "level", "clients", "ops/s", "p50", "p99", "max", "errors"], rows);
    let first_error = runs.iter().find_map(|run| run.first_error.clone());
    let output = Output::new(&Runs { runs }, people).exit(if failed { Exit::Unhealthy } else { Exit::Done });
    Ok(match first_error {
        Some(error) => output.note(format!("the first error was: {error}")),
        None => output,
    })
}

/// Writes what is read later, and returns the load that reads it.
async fn fill(globals: &Globals, load: Load, writer: Kind, clients: &[Client]) -> Result<Load, Failure> {
    let writing = Arc::new(Load { kind: writer, ..load });
    let progress = progress::bar(globals, writing.keys, "keys,", "writes what it reads");
    let tasks = (0..FILL_CLIENTS).map(|n| {
        let (client, writing, progress) = (clients[n % clients.len()].clone(), Arc::clone(&writing), progress.clone());
        tokio::spawn(async move {
            loop {
                let number = writing.numbers.fetch_add(1, Ordering::Relaxed);
                if number >= writing.keys {
                    return Ok(());
                }
                client.request(&CallOptions::new(), writing.request(number)).await?;
                progress.inc(1);
            }
        })
    });
    for ended in join_all(tasks).await.into_iter().flatten() {
        ended.map_err(|error: ClientError| error)?;
    }
    progress.finish_and_clear();
    let Load { namespace, value, keys, prefix, .. } = &*writing;
    Ok(Load {
        kind: load.kind,
        namespace: namespace.clone(),
        value: value.clone(),
        keys: *keys,
        prefix: prefix.clone(),
        numbers: AtomicU64::new(0),
    })
}

async fn one(
    globals: &Globals,
    args: &LoadArgs,
    (load, level, call): (&Arc<Load>, &str, &CallOptions),
    count: u32,
    clients: &[Client],
) -> Run {
    let started = Instant::now();
    let until = started + Duration::from_secs(args.seconds);
    let tasks: Vec<_> = (0..count)
        .map(|n| {
            let client = clients[n as usize % clients.len()].clone();
            tokio::spawn(Arc::clone(load).work(client, call.clone(), until, None))
        })
        .collect();
    let (what, begun) = (format!("{} by {count} clients", load.kind.name()), load.numbers.load(Ordering::Relaxed));
    let progress = progress::bar(globals, args.seconds, "s,", &what);
    let ticking = async {
        while !progress.is_finished() {
            tokio::time::sleep(Duration::from_millis(200)).await;
            progress.set_position(started.elapsed().as_secs().min(args.seconds));
            progress.set_message(format!("{} begun", load.numbers.load(Ordering::Relaxed) - begun));
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
        operation: load.kind.name(),
        level: level.to_owned(),
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

/// What all clients of a run ask for.
pub struct Load {
    kind: Kind,
    namespace: String,
    value: Bytes,
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

impl Load {
    /// Of values of `value_bytes` under `keys` keys that no earlier run used.
    #[must_use]
    pub fn of(kind: Kind, namespace: String, value_bytes: u64, keys: u64) -> Self {
        Self {
            kind,
            namespace,
            value: random(usize::try_from(value_bytes).unwrap_or(usize::MAX)),
            keys,
            prefix: format!("bench/{}", trine_doors::model::value::hex(&random(4))),
            numbers: AtomicU64::new(0),
        }
    }

    /// Asks for one after the other until it is time, each no sooner than `pace` says.
    pub async fn work(
        self: Arc<Self>,
        client: Client,
        call: CallOptions,
        until: Instant,
        mut pace: Option<Interval>,
    ) -> Seen {
        let mut seen = Seen::default();
        while Instant::now() < until {
            if let Some(pace) = &mut pace {
                pace.tick().await;
            }
            let request = self.request(self.numbers.fetch_add(1, Ordering::Relaxed));
            let started = Instant::now();
            match client.request(&call, request).await {
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

    fn request(&self, number: u64) -> Request {
        let (namespace, key) = (self.namespace.clone(), format!("{}/{}", self.prefix, number % self.keys));
        let edit = match self.kind {
            Kind::Append => {
                return Request::Append(Append {
                    namespace,
                    key,
                    value: self.value.clone(),
                    content_type: "application/octet-stream".to_owned(),
                    metadata: std::collections::BTreeMap::new(),
                    idempotency_key: None,
                    if_match: None,
                    with_proof: false,
                });
            }
            Kind::Record => return Request::LedgerGet(LedgerGet { namespace, key, with_proof: false }),
            Kind::Object => return Request::ObjectGet(ObjectGet { namespace, key }),
            Kind::Edit(EditKind::Set) => Edit::Set(self.value.clone()),
            Kind::Edit(EditKind::Incr) => Edit::Increment(1),
            Kind::Edit(EditKind::Add) => Edit::Add(Bytes::copy_from_slice(&number.to_be_bytes())),
        };
        Request::ObjectEdit(ObjectEdit { namespace, key, edit })
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
