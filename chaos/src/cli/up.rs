//! `trine-chaos up`: the arena in the foreground, until Ctrl-C.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use trine_chaos::arena::control::{self, Command, LINE_BYTES_MAX, Response};
use trine_chaos::arena::network::limits::MTU_BYTES_DEFAULT;
use trine_chaos::arena::network::privilege::{self, Privilege};
use trine_chaos::arena::{Arena, ArenaConfig, DiskKind};
use trine_chaos::plan::Nodes;

/// Commands that wait for the arena.
const COMMANDS_WAITING_MAX: usize = 64;

/// How the arena is to be; shared by all commands that start one.
#[derive(Debug, Args)]
pub struct ArenaArgs {
    /// Where the cluster's files are; a cluster that is there goes on where it was
    #[arg(long, value_name = "DIR", default_value = "trine-chaos-data")]
    pub data: PathBuf,
    /// How many regions
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=24))]
    pub regions: u16,
    /// How many nodes in each
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub nodes: u16,
    /// The `trine` binary; otherwise the one beside this program
    #[arg(long, value_name = "PATH")]
    pub trine: Option<PathBuf>,
    /// Start the nodes without gossip
    #[arg(long)]
    pub no_gossip: bool,
    /// What chance starts from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The largest packet between regions, in bytes
    #[arg(long, default_value_t = MTU_BYTES_DEFAULT)]
    pub mtu: u16,
    /// What the nodes' data are on; `forgetful`: disks of our own, which can lose power and fail (needs FUSE)
    #[arg(long, value_parser = ["plain", "forgetful"], default_value = "plain")]
    pub disk: String,
    /// Give each node a clock that `trine-chaos skew` can set wrong (needs libfaketime)
    #[arg(long)]
    pub clocks: bool,
    /// Keep the network to itself, so that other arenas can run beside it; clients must be started by `trine-chaos exec`
    #[arg(long)]
    pub private: bool,
    /// How long the nodes may take to be ready, in seconds
    #[arg(long, default_value_t = 60)]
    pub patience: u64,
}

impl ArenaArgs {
    /// Makes the arena; must be called before any thread starts.
    pub fn arena(&self) -> anyhow::Result<Arena> {
        let config = ArenaConfig {
            directory: self.data.clone(),
            regions: self.regions.into(),
            nodes: self.nodes.into(),
            trine: self.trine.clone(),
            settings: Nodes { gossip: !self.no_gossip, ..Nodes::default() },
            seed: self.seed,
            mtu_bytes: self.mtu,
            disk: if self.disk == "forgetful" { DiskKind::Forgetful } else { DiskKind::Plain },
            clocks: self.clocks,
            joins: 0,
        };
        let privilege = if self.private { privilege::acquire_private()? } else { privilege::acquire()? };
        Arena::new(&config, privilege)
    }

    /// Starts all nodes and waits for them.
    pub async fn start_all(&self, arena: &mut Arena) -> anyhow::Result<Duration> {
        let (cluster, network) = arena.parts();
        cluster.start_all(network)?;
        let names = cluster.names();
        cluster.wait_ready(network, &names, Duration::from_secs(self.patience)).await
    }
}

#[derive(Debug, Args)]
pub struct Up {
    #[command(flatten)]
    arena: ArenaArgs,
}

impl Up {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut arena = self.arena.arena()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let served = self.serve(&mut arena).await;
            let stopped = arena.parts().0.stop_all().await;
            served.and(stopped)
        })?;
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(&self, arena: &mut Arena) -> anyhow::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let path = control::socket_path(arena.directory());
        let listener = listen(&path).await?;
        let took = tokio::select! {
            took = self.arena.start_all(arena) => took?,
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        };
        announce(arena, took);
        let (asks, mut asked) = mpsc::channel(COMMANDS_WAITING_MAX);
        let result = loop {
            tokio::select! {
                _ = interrupt.recv() => break Ok(()),
                _ = terminate.recv() => break Ok(()),
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => drop(tokio::spawn(converse(stream, asks.clone()))),
                    Err(error) => break Err(error).context("the control socket failed"),
                },
                Some((command, answer)) = asked.recv() => {
                    let answer: oneshot::Sender<Response> = answer;
                    if answer.send(arena.obey(command).await).is_err() {
                        tracing::debug!("who asked has gone");
                    }
                }
            }
        };
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!("{}: {error}", path.display());
        }
        eprintln!("stopping");
        result
    }
}

async fn listen(path: &Path) -> anyhow::Result<UnixListener> {
    if UnixStream::connect(path).await.is_ok() {
        bail!("an arena runs already with this directory ({} answers)", path.display());
    }
    if path.exists() {
        std::fs::remove_file(path).with_context(|| format!("remove {}", path.display()))?;
    }
    let listener = UnixListener::bind(path).with_context(|| format!("listen at {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn converse(stream: UnixStream, asks: mpsc::Sender<(Command, oneshot::Sender<Response>)>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read.take(LINE_BYTES_MAX)).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let response = match serde_json::from_str(&line) {
            Ok(command) => {
                let (answer, answered) = oneshot::channel();
                if asks.send((command, answer)).await.is_err() {
                    return;
                }
                answered.await.unwrap_or_else(|_| Response::Failed("the arena is stopping".to_owned()))
            }
            Err(error) => Response::Failed(format!("not a command: {error}")),
        };
        let Ok(mut bytes) = serde_json::to_vec(&response) else { return };
        bytes.push(b'\n');
        if write.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

fn announce(arena: &Arena, took: Duration) {
    let nodes = &arena.cluster().layout().nodes;
    eprintln!("{} nodes are ready after {:.1} s", nodes.len(), took.as_secs_f64());
    for node in nodes {
        eprintln!("  {:<20} {}", node.name, node.libp2p);
    }
    eprintln!("  identity for clients: {}", arena.cluster().layout().client.display());
    let data = arena.directory().display();
    if arena.privilege() != Privilege::Machine {
        eprintln!("in a private namespace: reach them with trine-chaos exec --data {data} _client -- COMMAND");
    }
    eprintln!("trine-chaos split REGION --data {data} cuts a region off; Ctrl-C ends everything");
}
