//! `trine-chaos crowd`: strangers stand at every port of every node and say nothing, while honest clients ask.
//!
//! Three nodes of one region have few descriptors. Honest clients ask for health, edit objects, append and read, each on
//! connections that they keep, on new ones, and over libp2p: first alone, then in the crowd, then alone again. Where a node
//! sends a stranger away, another comes. No honest request may fail and no node may end.

mod honest;
mod silent;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use honest::{Honest, Phase};
use silent::Silent;
use trine_chaos::units::parse_time;

use super::bitrot::nodes::{Nodes, Setting};

/// Descriptors that this program needs beside those of the crowd.
const DESCRIPTORS_OWN: u64 = 512;

/// Exit code 0: no honest request failed and no node ended; 1: not so; 2: it could not be measured.
#[derive(Debug, Args)]
pub struct Crowd {
    /// How many say nothing at each port
    #[arg(long, default_value_t = 1100)]
    silent: usize,
    /// At each port, how many of those that were sent away come again in a second
    #[arg(long, default_value_t = 100)]
    again: usize,
    /// How many files each node may have open
    #[arg(long, default_value_t = 1024)]
    descriptors: u64,
    /// How long the crowd stands
    #[arg(long, value_parser = parse_time, default_value = "30s")]
    stands: Duration,
    /// How long the clients are alone, before and after
    #[arg(long, value_parser = parse_time, default_value = "15s")]
    alone: Duration,
    /// Where the cluster's files are to be; a directory that is not there yet
    #[arg(long, value_name = "DIR", default_value = "trine-crowd-data")]
    data: PathBuf,
    /// The first port
    #[arg(long, default_value_t = 27_500)]
    port: u16,
    /// The `trine` binary; otherwise the one beside this program
    #[arg(long, value_name = "PATH")]
    trine: Option<PathBuf>,
}

impl Crowd {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        match self.measure() {
            Ok(well) => Ok(ExitCode::from(u8::from(!well))),
            Err(error) => {
                eprintln!("error: {error:#}");
                Ok(ExitCode::from(2))
            }
        }
    }

    fn measure(&self) -> anyhow::Result<bool> {
        let trine = match &self.trine {
            Some(trine) => trine.clone(),
            None => std::env::current_exe()?.with_file_name("trine"),
        };
        let setting = Setting { small_tables: false, descriptors: Some(self.descriptors) };
        let mut nodes = Nodes::started(&trine, &self.data, self.port, setting)?;
        let ports = nodes.ports()?;
        raise_descriptors((self.silent * ports.len()) as u64 + DESCRIPTORS_OWN)?;
        let load_before = machine_load();
        let honest = Honest::start(&nodes, &self.data)?;
        std::thread::sleep(self.alone);
        honest.enter(Phase::During);
        let crowd = Silent::start(&ports, self.silent, self.again);
        std::thread::sleep(self.stands);
        let (stood, sent_away) = crowd.leave();
        honest.enter(Phase::After);
        std::thread::sleep(self.alone);
        let lives: Vec<bool> = (0..nodes.count()).map(|node| nodes.lives(node)).collect();
        let asked = honest.stop();
        let strangers = self.silent;
        println!(
            "{strangers} that say nothing wanted each of {} ports; {stood} stood in the end, {sent_away} were sent away",
            ports.len()
        );
        println!("{:8} {:22} {:>7} {:>9} {:>9} {:>9} {:>7}", "CROWD", "ASKED", "ASKED", "P50", "P99", "MOST", "FAILED");
        let mut failed = 0;
        for ((phase, what), mut times) in asked.times {
            times.sort_unstable();
            let at = |share: usize| times.get((times.len() * share / 100).min(times.len().saturating_sub(1)));
            let figures = [at(50), at(99), times.last()];
            let [p50, p99, most] = figures.map(|time| time.map_or(0.0, |time| time.as_secs_f64() * 1e3));
            let wrong = asked
                .failures
                .get(&(phase, what))
                .map_or(0, |reasons: &BTreeMap<String, usize>| reasons.values().sum());
            failed += wrong;
            println!(
                "{:8} {what:22} {:>7} {p50:>6.1} ms {p99:>6.1} ms {most:>6.1} ms {wrong:>7}",
                phase.name(),
                times.len() + wrong
            );
        }
        for ((phase, what), reasons) in &asked.failures {
            for (reason, count) in reasons {
                println!("FAILED  {} {what}: {count} times: {reason}", phase.name());
            }
        }
        println!("the machine's load was {load_before} before and {} after", machine_load());
        let ended = lives.iter().filter(|lives| !**lives).count();
        println!("{failed} honest requests failed, {ended} nodes ended");
        Ok(failed == 0 && ended == 0)
    }
}

fn raise_descriptors(wanted: u64) -> anyhow::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("ask how many files may be open")?;
    if soft < wanted {
        ensure!(hard >= wanted, "the crowd needs {wanted} descriptors, and {hard} are allowed: see `ulimit -Hn`");
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).context("raise how many files may be open")?;
    }
    Ok(())
}

/// What waits for a processor, as the system says.
fn machine_load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("unknown").to_owned()
}
