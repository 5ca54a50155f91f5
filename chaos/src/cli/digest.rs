//! `trine-chaos digest`: what stopped nodes hold.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use trine_chaos::arena::digest::{self, Report};

#[derive(Debug, Args)]
pub struct Digest {
    /// Directories of clusters or of single nodes; none of them may run
    #[arg(required = true)]
    directories: Vec<PathBuf>,
    /// How the answer looks
    #[arg(short, long, value_parser = ["table", "json"], default_value = "table")]
    output: String,
}

impl Digest {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut places = Vec::new();
        for directory in &self.directories {
            places.extend(digest::places(directory)?);
        }
        let report = digest::read(&places)?;
        if self.output == "json" {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            print(&report);
        }
        Ok(ExitCode::from(u8::from(!report.equal())))
    }
}

/// Prints the report for people.
pub fn print(report: &Report) {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["NODE", "WHAT", "COUNT", "DIGEST"]);
    for (node, holding) in &report.nodes {
        for (namespace, sum) in &holding.objects {
            table.add_row([node, &format!("objects {namespace}"), &sum.count.to_string(), &sum.digest]);
        }
        for (region, head) in &holding.ledgers {
            table.add_row([node, &format!("ledger {region}"), &head.size.to_string(), &head.root]);
        }
    }
    println!("{table}\n");
    let say = |equal| if equal { "equal" } else { "DIFFERENT" };
    for (ledger, holders) in &report.ledger_holders {
        println!("ledger {ledger}: held whole by {holders} nodes");
    }
    for difference in &report.differences {
        println!("difference: {difference}");
    }
    println!("objects: {}; ledgers: {}", say(report.objects_equal), say(report.ledgers_equal));
}
