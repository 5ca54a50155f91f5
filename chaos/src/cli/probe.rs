//! `trine-chaos probe`: what the arena's network itself adds.

use std::process::ExitCode;

use clap::Args;

use trine_chaos::arena::network::{Network, NetworkConfig, RegionPlan, privilege, probe};

/// The regions of the default world.
pub const REGIONS: [&str; 3] = ["us-east-1", "eu-west-1", "ap-southeast-1"];

#[derive(Debug, Args)]
pub struct Probe {
    /// Round trips a pair of places.
    #[arg(long, default_value_t = 500)]
    pings: usize,
    /// Packets of the flood; 0: none.
    #[arg(long, default_value_t = 180_000)]
    flood: u64,
    /// Prints JSON.
    #[arg(short, long, value_parser = ["table", "json"], default_value = "table")]
    output: String,
}

impl Probe {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        privilege::acquire()?;
        let regions = REGIONS.map(|name| RegionPlan { name: name.to_owned(), nodes: 1 }).to_vec();
        let network = Network::start(&NetworkConfig { regions, ..NetworkConfig::default() })?;
        let report = probe::run(&network, self.pings, self.flood)?;
        if self.output == "json" {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            print(&report);
        }
        let whole = report.crossed_cut == 0
            && report.crossed_heal > 0
            && report.round_trips.iter().all(|trips| trips.early == 0 && trips.back == trips.sent);
        Ok(ExitCode::from(u8::from(!whole)))
    }
}

fn print(report: &probe::Report) {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["FROM", "TO", "ROUND TRIP", "LATE P50", "P99", "MAX", "EARLY", "BACK"]);
    for trips in &report.round_trips {
        table.add_row([
            trips.from.clone(),
            trips.to.clone(),
            format!("{:.0} ms", trips.expected_ms),
            format!("{:.0} us", trips.late_p50_us),
            format!("{:.0} us", trips.late_p99_us),
            format!("{:.0} us", trips.late_max_us),
            trips.early.to_string(),
            format!("{}/{}", trips.back, trips.sent),
        ]);
    }
    println!("{table}");
    if let Some(flood) = &report.flood {
        println!(
            "flood: {:.0} packets/s arrived, {:.3}% missing, router {:.1}% of a processor ({:.2}% per 10,000/s)",
            flood.packets_per_second,
            flood.missing * 100.0,
            flood.cpu * 100.0,
            flood.cpu_per_10k * 100.0
        );
    }
    println!("cut: {} of 10 crossed; healed: {} of 10 crossed", report.crossed_cut, report.crossed_heal);
}
