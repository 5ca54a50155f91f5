//! `trine-chaos bitrot`: one bit turned in a file of a running node, again and again, under load.
//!
//! Each round picks a node and, in turn, a kind of file, and turns one bit in it. A node that does not meet it by itself
//! within a while is killed and started again, so that it reads what the disk says. Then either it serves, and the whole cluster
//! has nothing wrong within the bound; or it does not start and says which file and what to do, which is then done: its
//! directory is emptied, and it joins anew. All the while clients write and read through all nodes: no value may be
//! read that was not written last, and none that was acknowledged may be gone at a node that serves.

mod load;
pub(super) mod nodes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;

use load::Load;
use nodes::{Nodes, Setting, Spot};

/// How long damage may take to be met by itself; a look at all tables takes about ten seconds.
const MET_WITHIN: Duration = Duration::from_secs(15);

#[derive(Debug, Args)]
pub struct Bitrot {
    /// How many bits
    #[arg(long, default_value_t = 100)]
    rounds: usize,
    /// Where the cluster's files are to be; a directory that is not there yet
    #[arg(long, value_name = "DIR", default_value = "trine-bitrot-data")]
    data: PathBuf,
    /// The first port
    #[arg(long, default_value_t = 27_400)]
    port: u16,
    /// The `trine` binary; otherwise the one beside this program
    #[arg(long, value_name = "PATH")]
    trine: Option<PathBuf>,
    /// How long all may take to be well again, in seconds
    #[arg(long, default_value_t = 60)]
    bound: u64,
    /// What chance starts from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What the rounds of one kind of file came to.
#[derive(Debug, Default)]
struct Tally {
    rounds: usize,
    /// It was met while the node ran.
    met: usize,
    /// It made no difference, or was cut off with what nobody had been promised.
    unfelt: usize,
    healed: usize,
    refused: usize,
    worst: Duration,
}

impl Bitrot {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let trine = match &self.trine {
            Some(trine) => trine.clone(),
            None => std::env::current_exe()?.with_file_name("trine"),
        };
        let setting = Setting { small_tables: true, descriptors: None };
        let mut nodes = Nodes::started(&trine, &self.data, self.port, setting)?;
        let load = Load::start(nodes.addresses());
        let mut chance = self.seed;
        let mut tallies: BTreeMap<&'static str, Tally> = BTreeMap::new();
        for round in 0..self.rounds {
            let node = round % nodes.count();
            let Some(spot) = nodes.spot(node, round, &mut chance) else { continue };
            let tally = tallies.entry(spot.kind).or_default();
            tally.rounds += 1;
            let said = self.round(&mut nodes, node, &spot, tally).with_context(|| format!("round {round}: {spot}"))?;
            println!("{round:4} {spot}: {said}");
            ensure!(load.wrong().is_empty(), "round {round}: {spot}: {:?}", load.wrong());
        }
        let (writes, reads) = load.check_all(Duration::from_secs(self.bound));
        println!("\n{writes} writes acknowledged, {reads} reads, wrong: {:?}", load.wrong());
        println!(
            "{:24} {:>6} {:>6} {:>6} {:>6} {:>7} {:>9}",
            "FILE", "ROUNDS", "MET", "UNFELT", "HEALED", "REFUSED", "WORST"
        );
        for (kind, of) in &tallies {
            println!(
                "{kind:24} {:>6} {:>6} {:>6} {:>6} {:>7} {:>8.1}s",
                of.rounds,
                of.met,
                of.unfelt,
                of.healed,
                of.refused,
                of.worst.as_secs_f64()
            );
        }
        Ok(if load.wrong().is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    /// One bit; what became of it.
    fn round(&self, nodes: &mut Nodes, node: usize, spot: &Spot, tally: &mut Tally) -> anyhow::Result<String> {
        let bound = Duration::from_secs(self.bound);
        let before = nodes.healed(node);
        spot.flip()?;
        let flipped = Instant::now();
        while flipped.elapsed() < MET_WITHIN && nodes.found(node) == before && nodes.lives(node) {
            std::thread::sleep(Duration::from_millis(200));
        }
        let met = nodes.found(node) > before || !nodes.lives(node);
        tally.met += usize::from(met);
        let since = Instant::now();
        if !met {
            nodes.kill(node);
        }
        if !nodes.lives(node) {
            nodes.start(node)?;
        }
        loop {
            if let Some(words) = nodes.refusal(node) {
                ensure!(words.contains("data"), "it ended and did not say which file: {words}");
                ensure!(
                    ["empty", "restore", "wipe", "Wipe", "delete"].iter().any(|way| words.contains(way)),
                    "no way out: {words}"
                );
                tally.refused += 1;
                nodes.wipe(node)?;
                nodes.start(node)?;
                nodes.wait_well(bound)?;
                return Ok(format!("refused: {words}"));
            }
            if nodes.ready(node) && nodes.well()? {
                break;
            }
            ensure!(since.elapsed() < bound, "not well after {bound:?}: {}", nodes.ills()?);
            std::thread::sleep(Duration::from_millis(200));
        }
        tally.worst = tally.worst.max(since.elapsed());
        let healed = nodes.healed(node) > before;
        let count = if healed { &mut tally.healed } else { &mut tally.unfelt };
        *count += 1;
        let how = if healed { "healed" } else { "no difference" };
        Ok(format!(
            "{how}, {} in {:.1} s",
            if met { "met at once" } else { "met at the start" },
            since.elapsed().as_secs_f64()
        ))
    }
}
