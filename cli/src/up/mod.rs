//! `trine up`: a real cluster on this machine, a process a node.
//!
//! The first time it makes an authority, certificates, a genesis and a configuration for each node; later it starts what
//! is there and goes on where it was. It watches the nodes until it is interrupted and then ends them in order. A
//! node that ends by itself is reported and left alone: what the others do then is what one wants to see.

pub mod choice;
pub mod cluster;
mod limits;
pub mod plan;
pub mod prepare;
mod processes;
mod ready;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::UpArgs;
use crate::output;
use crate::say;
use cluster::{Cluster, ClusterNode};
use limits::{READY_INTERVAL, READY_SLOW};
use processes::{Ended, Process, any_end, last_lines, stop_all};

/// Runs a cluster until it is interrupted; with `--prepare` only writes its files.
///
/// # Errors
/// Why it did not start, or that all its nodes ended.
pub fn run(args: &UpArgs) -> anyhow::Result<()> {
    let cluster = prepare::cluster(args)?;
    if args.prepare {
        return say::result(table(&cluster, &[]).as_bytes()).context("the files are written");
    }
    plan::check_addresses(
        cluster.nodes.iter().map(addresses).collect::<anyhow::Result<Vec<_>>>()?.iter().map(|(name, at)| (*name, *at)),
    )?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(watch(args, &cluster))
}

async fn watch(args: &UpArgs, cluster: &Cluster) -> anyhow::Result<()> {
    // Before the first node starts, so that no interrupt can leave one behind.
    let mut interrupts = Interrupts::new()?;
    let mut processes = Vec::with_capacity(cluster.nodes.len());
    // The nodes share this machine; threads for all of its cores in each of them would only take turns.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = (cores / cluster.nodes.len().max(1)).max(1);
    for node in &cluster.nodes {
        processes.push(Process::start(node, !args.no_gossip, threads)?);
    }
    let mut left: Vec<String> = Vec::new();
    let outcome = loop {
        let outcome = tokio::select! {
            biased;
            () = interrupts.next() => Ok(false),
            () = all_ready(cluster, &left) => Ok(true),
            ended = any_end(&mut processes) => {
                if ended.left {
                    tell_left(&ended, cluster);
                    left.push(ended.name);
                    if left.len() < cluster.nodes.len() {
                        continue;
                    }
                    break Err(anyhow::anyhow!("all nodes have left their regions"));
                }
                let lines = last_lines(&ended.log);
                Err(anyhow::anyhow!("{} ended ({}) before it was ready:\n{lines}", ended.name, ended.how))
            }
        };
        break outcome;
    };
    let outcome = match outcome {
        Ok(true) => {
            choice::remember(&args.data)?;
            // The nodes serve, whether somebody listens or not.
            if let Err(unheard @ say::Unheard::Failed(_)) = say::result(table(cluster, &processes).as_bytes()) {
                say::people(unheard);
            }
            say::people(format_args!(
                "{} nodes are ready. Ctrl-C ends them; the data stays in {}.{}",
                processes.len(),
                args.data.display(),
                elsewhere(args)
            ));
            until_interrupted(&mut interrupts, &mut processes).await
        }
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    };
    if !processes.is_empty() {
        say::people(format_args!("ending {} nodes …", processes.len()));
    }
    let killed = stop_all(processes).await;
    if !killed.is_empty() {
        say::people(format_args!("had to be killed: {}", killed.join(", ")));
    }
    outcome
}

/// How other terminals find a cluster that they would not find by themselves.
fn elsewhere(args: &UpArgs) -> String {
    let (data, working) = (std::path::absolute(&args.data), std::env::current_dir());
    match (data, working) {
        (Ok(data), Ok(working)) if choice::nearest(&working).as_ref() != Some(&data) => {
            format!("\nCommands find it with --cluster {0}, or after `trine use {0}`.", data.display())
        }
        _ => String::new(),
    }
}

async fn until_interrupted(interrupts: &mut Interrupts, processes: &mut Vec<Process>) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            biased;
            () = interrupts.next() => return Ok(()),
            ended = any_end(processes) => {
                if ended.left {
                    say::people(format_args!("{} was removed from its region, has left, and ended", ended.name));
                } else {
                    let log = ended.log.display();
                    say::people(format_args!("{} ended ({}); its log is {log}", ended.name, ended.how));
                }
                if processes.is_empty() {
                    bail!("all nodes have ended");
                }
            }
        }
    }
}

/// Says that a node was removed from its region, and how it comes back; the others go on.
fn tell_left(ended: &Ended, cluster: &Cluster) {
    let node = cluster.nodes.iter().find(|node| node.name == ended.name);
    let data = node.map(|node| node.directory.join("data").display().to_string()).unwrap_or_default();
    say::people(format_args!(
        "{name} was removed from its region and stays out. To let it in again: end this, remove {data}, start this, and say \
         `trine nodes readmit {name}`",
        name = ended.name
    ));
}

/// Waits for all nodes but those that left, and tells how it goes.
async fn all_ready(cluster: &Cluster, left: &[String]) {
    let style = ProgressStyle::with_template("{spinner} {pos} of {len} nodes ready {wide_msg}");
    let bar = ProgressBar::new(cluster.nodes.len() as u64).with_style(style.expect("the template is well-formed"));
    let started = Instant::now();
    let mut told = false;
    let mut missing: Vec<&ClusterNode> = cluster.nodes.iter().filter(|node| !left.contains(&node.name)).collect();
    let mut interval = tokio::time::interval(READY_INTERVAL);
    while !missing.is_empty() {
        interval.tick().await;
        let asked = futures::future::join_all(missing.iter().map(|node| ready::ask(&node.http))).await;
        let reasons: Vec<String> = missing
            .iter()
            .zip(&asked)
            .filter_map(|(node, answer)| Some(format!("{}: {}", node.name, answer.as_ref().err()?)))
            .collect();
        let mut answers = asked.iter();
        missing.retain(|_| answers.next().is_some_and(Result::is_err));
        bar.set_position((cluster.nodes.len() - missing.len()) as u64);
        bar.set_message(reasons.first().cloned().unwrap_or_default());
        if started.elapsed() > READY_SLOW && !told && !reasons.is_empty() {
            told = true;
            bar.suspend(|| say::people(format_args!("this takes longer than usual:\n  {}", reasons.join("\n  "))));
        }
    }
    bar.finish_and_clear();
    tracing::debug!(took = ?started.elapsed().max(Duration::ZERO), "all nodes are ready");
}

/// Ctrl-C, and whatever else asks a program to end. A terminal that is closed does (SIGHUP), unless whoever started this
/// program had the signal ignored, as `nohup` does: then the nodes outlive the terminal.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Interrupts {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: if hangup_ignored() { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }
}

/// Whether this process was started with SIGHUP ignored; a handler of its own would end that.
fn hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 << (libc::SIGHUP - 1) != 0)
}

fn addresses(node: &ClusterNode) -> anyhow::Result<(&str, [SocketAddr; 3])> {
    let config = trine_node::config::Layers::default()
        .load(std::slice::from_ref(&node.config))
        .with_context(|| format!("the configuration of {}", node.name))?
        .config;
    Ok((&node.name, [config.listen.http, config.listen.libp2p, config.listen.raft]))
}

fn table(cluster: &Cluster, processes: &[Process]) -> String {
    let rows = cluster.nodes.iter().map(|node| {
        let pid = processes.iter().find(|process| process.name == node.name).map(|process| process.pid.to_string());
        vec![
            node.name.clone(),
            node.region.to_string(),
            format!("http://{}", node.http),
            node.libp2p.clone(),
            pid.unwrap_or_default(),
        ]
    });
    output::table(&["node", "region", "http", "libp2p", "pid"], rows) + "\n"
}
