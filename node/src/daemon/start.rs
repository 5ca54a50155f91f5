//! The chain of starting and stopping.

use std::os::unix::process::CommandExt as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Context;
use bytes::Bytes;
use trine_crdt::{NodeId, WriterId};
use trine_doors::http::{HttpConfig, HttpServer, HttpsConfig};
use trine_identity::HttpsFiles;
use trine_raft::log::LogError;
use trine_raft::net::processes::Processes;
use trine_raft::{Founder, Group, GroupConfig, LogConfig, LogReader, StartError, Timing};
use trine_replica::store::Store;
use trine_replica::{Input, Outbox, Persistence, Replica, StoreError, rows};

use super::admission::Authority;
use super::backend::NodeBackend;
use super::check::{checked, seeds};
use super::identity::Identity;
use super::limits::{GROUP_STOP_MAX, NET_STOP_MAX, STOP_MAX};
use super::pump::{self, Uptake};
use super::signals::{End, Signals, die};
use super::telemetry;
use super::world::NodeWorld;
use crate::config::{Config, Unasked, check_ports, multiaddr};
use crate::descriptors::Descriptors;
use crate::driver::{Clock, Driver, DriverHandle, Readiness, Stop, channel};
use crate::mutants::{self, Mutant};
use crate::net::frame::Reached;
use crate::net::{Net, NetConfig, NetHandle, Process};
use crate::store::disk::{DiskRoom, DiskWatcher};
use crate::store::scrub::Scrub;
use crate::store::{Committers, Damage, DataDir, Databases, Entries};

/// The node was taken off its region's roster, has left, and stopped in order.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Left(String);

/// What the node was configured with cannot be: `trine config validate` says the same.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(String);

impl Unfit {
    fn of(error: anyhow::Error) -> anyhow::Error {
        Self(format!("{error:#}")).into()
    }
}

/// Runs one node until it is told to stop or may not go on.
///
/// # Errors
/// Why it did not start, or why it could not go on.
pub fn run(config: &Config) -> anyhow::Result<()> {
    telemetry::log(&config.log).map_err(Unfit::of)?;
    #[cfg(feature = "mutants")]
    mutants::choose().map_err(anyhow::Error::msg)?;
    // A second node in one process finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("trine-io").build()?;
    let runtime = Io(Some(runtime));
    let (end, damage) = (Arc::new(End::default()), OnceLock::new());
    let ran = runtime.block_on(node(config, &end, &damage));
    drop(runtime);
    telemetry::flush();
    if damage.get().is_some_and(Damage::calls_for_restart) {
        return Err(again());
    }
    ran?;
    match (end.failure(), end.left()) {
        (Some(reason), _) => Err(anyhow::anyhow!(reason)),
        (None, Some(reason)) => Err(Left(reason).into()),
        (None, None) => Ok(()),
    }
}

/// The threads of connections, which nobody waits for, also when this one panics: some wait for the core, and the core
/// for them.
struct Io(Option<tokio::runtime::Runtime>);

impl Io {
    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.as_ref().expect("there until it is dropped").block_on(future)
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

async fn node(config: &Config, end: &Arc<End>, known: &OnceLock<Damage>) -> anyhow::Result<()> {
    let identity = checked(config).map_err(Unfit::of)?;
    check_ports(config)?;
    let descriptors = Descriptors::raise()?;
    let process = Process::begin().context("the system has no random source")?;
    tracing::info!(
        open_files_max = descriptors.limit,
        http = descriptors.http,
        libp2p = descriptors.libp2p,
        raft = descriptors.raft,
        "connections that the limit of open files leaves room for"
    );
    let directory = DataDir::open(&config.node.data_dir, &identity.genesis.cluster, &identity.name)?;
    // Who is founded alone has nobody to ask for its objects.
    let alone = identity.genesis.regions.iter().map(|region| region.nodes.len()).sum::<usize>() <= 1;
    let damage = known.get_or_init(|| Damage::open(directory.path(), alone)).clone();
    let opening = std::time::Instant::now();
    let databases = Databases::open_healing(directory.path(), &config.storage, &damage)?;
    let databases_ms = opening.elapsed().as_millis();
    let room = DiskRoom::new(directory.path(), config.limits.disk_reserve).context("the disk cannot be measured")?;
    let figures = telemetry::figures()?;
    let founders = identity.region(config)?.nodes.iter().map(|node| node.name.as_str());
    super::figures::begin_peers(founders.filter(|name| *name != identity.name));
    damage.publish();
    let clock = Clock::default();
    let (driver, inbox) = channel();

    let log = Arc::new(OnceLock::new());
    let store = databases.rows(Box::new(LateLog(Arc::clone(&log))));
    let mut outbox = Outbox::default();
    let opening = std::time::Instant::now();
    let core_config = trine_replica::Config { damage: damage.words(), ..core_config(config, &identity, &directory)? };
    let replica = Replica::open(core_config, &store, &mut outbox)
        .with_context(|| format!("cannot start from the rows in {}", directory.path().display()))?;
    tracing::info!(databases_ms, core_ms = opening.elapsed().as_millis(), "opened what the disk holds");
    let membership = store.get(Persistence::Derived, rows::MEMBERSHIP)?;
    let uptake = Uptake { driver: driver.clone(), last: replica.last_applied(), membership };

    let readiness = Readiness::default();
    let links: Arc<OnceLock<NetHandle>> = Arc::default();
    let linked = Arc::clone(&links);
    let answering = Arc::new(move |node| linked.get().and_then(|net| net.answering(NodeId(node))));
    let processes = Processes { own: process.number, answering };
    let own = group_config(config, &identity, &directory, (descriptors, &replica, &readiness, processes))?;
    let group = Group::start(own, Arc::new(uptake)).await;
    let group = group.map_err(|error| way_out(error, &directory))?;
    log.set(group.log_reader()).ok().context("the log was opened twice")?;
    let (net, events) = Net::start(net_config(config, &identity, &directory, (&group, descriptors, process))?).await?;
    let _ = links.set(net.clone());
    let stopping = Arc::new(Mutex::new(false));
    let backend = NodeBackend {
        driver: driver.clone(),
        readiness: readiness.clone(),
        stopping: Arc::clone(&stopping),
        region: config.node.region.clone(),
    };
    let http = HttpServer::bind(http_config(config, &identity, figures, descriptors), Arc::new(backend)).await?;

    let committers = Committers::start(
        &databases,
        &room,
        config.storage.derived_flush,
        (report(&driver, DriverHandle::persisted_synced), report(&driver, DriverHandle::persisted_derived)),
        (fatal(&damage), fatal(&damage)),
    )?;
    let scrub = Scrub::start(directory.path(), damage.clone())?;
    let world = NodeWorld {
        committers,
        net: net.clone(),
        group: group.clone(),
        driver: driver.clone(),
        runtime: tokio::runtime::Handle::current(),
        end: Arc::clone(end),
    };
    let stop = Stop::default();
    let core = Driver::start(replica, outbox, Box::new(store), world, inbox, (stop.clone(), clock, readiness.clone()))?;
    let (told, log, runtime) = (driver.clone(), group.clone(), tokio::runtime::Handle::current());
    let tell_room = move |writable| {
        // A driver that is gone needs no room.
        let _ = told.deliver_blocking(Input::Disk { writable });
        if !writable && !mutants::is(Mutant::FullLeaderStays) {
            // A leader without room refuses the whole region's appends, while another may have room for them.
            let log = log.clone();
            runtime.spawn(async move { log.step_down().await });
        }
    };
    let ends = Arc::clone(end);
    let watcher = DiskWatcher::start(&room, tell_room, move |reason| ends.fail(reason))?;
    tokio::spawn(pump::leadership(group.leadership(), group.voters(), driver.clone()));
    tokio::spawn(pump::held(group.held(), driver.clone()));
    tokio::spawn(pump::foreign(group.foreign(), driver.clone()));
    tokio::spawn(pump::network(events, driver.clone(), Arc::clone(end)));
    tokio::spawn(pump::figures(group.clone()));
    tokio::spawn(pump::healed(damage.clone(), readiness, driver.clone()));
    let mut signals = Signals::take()?;
    let (stop_http, stopped_http) = tokio::sync::oneshot::channel::<()>();
    let http = tokio::spawn(http.serve(async move { drop(stopped_http.await) }));
    let core = tokio::task::spawn_blocking(move || core.join());
    tokio::pin!(core);
    tracing::info!(
        node = %directory.node(), name = identity.name, region = %config.node.region, fresh = directory.fresh(), "started"
    );

    tokio::select! {
        () = end.wait(&mut signals) => {}
        () = pump::damaged(&damage, &driver) => tracing::warn!("stopping, to start anew and heal what is damaged"),
        ended = &mut core => {
            if end.failure().is_none() {
                end.fail(format!("the core ended: {ended:?}"));
            }
            return Ok(());
        }
    }

    *stopping.lock().unwrap_or_else(PoisonError::into_inner) = true;
    let orderly = async {
        drop(stop_http);
        let _ = tokio::time::timeout(GROUP_STOP_MAX, group.shutdown()).await;
        let _ = tokio::time::timeout(NET_STOP_MAX, net.shutdown()).await;
        stop.stop();
        // From here on nobody waits for room: what does not fit was not told to anybody, or stands in the journal.
        drop(watcher);
        // The driver's end drops the committers, which write what they hold.
        let _ = core.await;
        drop(scrub);
        let _ = http.await;
    };
    if tokio::time::timeout(STOP_MAX, orderly).await.is_err() {
        tracing::warn!("stopping took too long: ending as it is");
        telemetry::flush();
        if damage.calls_for_restart() {
            return Err(again());
        }
        std::process::exit(0);
    }
    tracing::info!("stopped");
    Ok(())
}

/// What a committer that may not go on leads to: another process, where that can heal the disk.
fn fatal(damage: &Damage) -> Box<dyn Fn(String) + Send> {
    let damage = damage.clone();
    Box::new(move |reason| {
        if damage.calls_for_restart() {
            tracing::error!(%reason, "the node starts anew at once");
            tracing::error!(error = %again(), "it cannot");
        }
        die(&reason)
    })
}

/// Starts this program anew in this process: whoever watches over it sees none end. Returns only when that fails.
fn again() -> anyhow::Error {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return anyhow::Error::new(error).context("this program's own file is not known"),
    };
    let error = std::process::Command::new(&program).args(std::env::args_os().skip(1)).exec();
    anyhow::Error::new(error).context(format!("cannot start {} anew", program.display()))
}

/// What to do about a log that is not what was written. It may lack what this node promised, so that the node must not vote
/// on it; only another that has it can give it back.
fn way_out(error: StartError, directory: &DataDir) -> anyhow::Error {
    if !matches!(error, StartError::Log(LogError::Damaged { .. }) | StartError::LogShorterThanFloor { .. }) {
        return error.into();
    }
    anyhow::anyhow!(
        "{error}. Where other nodes of the region serve, empty {} whole and start again: the node joins anew and has the \
         log from them; where none does, restore that directory from a copy",
        directory.path().display()
    )
}

fn report(driver: &DriverHandle, tell: fn(&DriverHandle, u64)) -> Box<dyn Fn(u64) + Send> {
    let driver = driver.clone();
    Box::new(move |batch| tell(&driver, batch))
}

/// The log's reader, which exists only once the log is open; the core opens before it and reads entries after.
struct LateLog(Arc<OnceLock<LogReader>>);

impl Entries for LateLog {
    fn entry(&self, index: u64) -> Result<Option<Bytes>, StoreError> {
        let log = self.0.get().ok_or_else(|| StoreError::Failed("the log is not open yet".to_owned()))?;
        log.entry(index).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => StoreError::Damaged(format!("log entry {index}: {error}")),
            _ => StoreError::Failed(format!("log entry {index}: {error}")),
        })
    }
}

fn core_config(config: &Config, identity: &Identity, directory: &DataDir) -> anyhow::Result<trine_replica::Config> {
    let (mut writer, mut salt_seed) = ([0; 16], [0; 32]);
    getrandom::fill(&mut writer).context("the system has no random source")?;
    getrandom::fill(&mut salt_seed).context("the system has no random source")?;
    let region = config.node.region.clone();
    let genesis = identity.genesis.clone();
    let base = trine_replica::Config::new(genesis, directory.node(), &identity.name, region, WriterId(writer));
    let addresses = config.libp2p_advertised();
    Ok(trine_replica::Config {
        addresses: addresses.into_iter().map(|address| with_peer(&address, &identity.peer)).collect(),
        peer: identity.peer.clone(),
        raft: config.raft_advertised(),
        http: Some(config.http_advertised()),
        genesis_document: identity.document.clone(),
        log_key: Some(identity.log_key.seed()),
        salt_seed,
        value_bytes_max: usize::try_from(config.limits.value_max).unwrap_or(usize::MAX),
        gossip: config.cluster.gossip,
        delta_rows_max: config.storage.delta_rows.get(),
        segment_bytes: config.storage.segment,
        unasked_goes_on: config.cluster.unasked == Unasked::GoOn,
        forks_released: config.cluster.forks_released.iter().cloned().collect(),
        ..base
    })
}

fn with_peer(address: &str, peer: &str) -> String {
    if address.contains("/p2p/") { address.to_owned() } else { format!("{address}/p2p/{peer}") }
}

fn group_config(
    config: &Config,
    identity: &Identity,
    directory: &DataDir,
    (descriptors, replica, readiness, processes): (Descriptors, &Replica, &Readiness, Processes),
) -> anyhow::Result<GroupConfig> {
    let region = identity.region(config)?;
    let founders = if identity.founds(region) {
        region.nodes.iter().map(|node| Founder { name: node.name.clone(), raft: node.raft.clone() }).collect()
    } else {
        Vec::new()
    };
    Ok(GroupConfig {
        node: directory.node(),
        name: identity.name.clone(),
        region: config.node.region.clone(),
        directory: directory.raft(),
        listen: config.listen.raft,
        advertise: config.raft_advertised(),
        identity: identity.bundle.clone(),
        roster: replica.roster(),
        writers: replica.own_writers().clone(),
        released: config.cluster.forks_released.contains(&config.node.region),
        founders,
        founds: readiness.founds(),
        timing: Timing::default(),
        log: LogConfig {
            reserve_bytes: config.limits.disk_reserve / crate::store::limits::RESERVE_HOLD_SHARE,
            cache_bytes: usize::try_from(config.storage.cache).unwrap_or(usize::MAX),
            ..LogConfig::default()
        },
        fatal: Arc::new(|reason| die(&reason)),
        connections_max: descriptors.raft,
        processes,
    })
}

fn net_config(
    config: &Config,
    identity: &Identity,
    directory: &DataDir,
    (group, descriptors, process): (&Group, Descriptors, Process),
) -> anyhow::Result<NetConfig> {
    let listen = multiaddr(config.listen.libp2p);
    let (group, region) = (group.clone(), config.node.region.clone());
    Ok(NetConfig {
        node: directory.node(),
        process,
        keypair: identity.bundle.key.libp2p(),
        certificate: identity.certificate(),
        verify: Arc::new(Authority(identity.trust.clone())),
        listen: vec![listen.parse().with_context(|| format!("the address `{listen}`"))?],
        reached: Reached { libp2p: config.libp2p_advertised(), raft: config.raft_advertised() },
        told: Arc::new(move |claims, raft| {
            if claims.region == region {
                group.told(&claims.name, raft);
            }
        }),
        seeds: seeds(config, identity)?,
        gossip: config.cluster.gossip,
        mdns: config.cluster.mdns,
        incoming_max: descriptors.libp2p,
    })
}

/// What HTTPS needs, where the API is reachable from other machines.
pub(super) fn https(config: &Config, identity: &Identity) -> Option<HttpsConfig> {
    (!config.listen.http.ip().is_loopback()).then(|| HttpsConfig {
        ca: identity.bundle.ca.clone(),
        files: HttpsFiles { certificate: config.http.certificate_file.clone(), key: config.http.key_file.clone() },
    })
}

fn http_config(
    config: &Config,
    identity: &Identity,
    figures: metrics_exporter_prometheus::PrometheusHandle,
    descriptors: Descriptors,
) -> HttpConfig {
    let listen = config.listen.http;
    HttpConfig {
        tls: https(config, identity),
        hosts: std::iter::once(&identity.name).chain(&config.http.hosts).cloned().collect(),
        value_bytes_max: usize::try_from(config.limits.value_max).unwrap_or(usize::MAX),
        genesis: Some(Arc::new(identity.genesis.clone())),
        metrics: Some(figures),
        connections_max: descriptors.http,
        ..HttpConfig::plain(listen)
    }
}
