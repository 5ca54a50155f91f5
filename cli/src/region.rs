//! `trine region …`

use clap::{Args, Subcommand};
use trine_crdt::RegionId;
use trine_doors::model::{Recovered, Recovery, Region, Regions};
use trine_protocol::Request;
use trine_protocol::reply::{self, Reply};
use trine_protocol::request::RegionRecover;

use super::args::Globals;
use super::connect::Connection;
use super::exit::Failure;
use super::output::{Output, short, table};

/// The regions.
#[derive(Debug, Subcommand)]
pub enum RegionCommand {
    /// All regions, as the node asked knows them
    List,
    /// Bring back the records that a region's disks lost and other regions kept
    Recover(RecoverArgs),
}

/// Which region.
#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// The region, such as us-east-1
    region: RegionId,
}

/// Runs the command.
///
/// # Errors
/// As the cluster answers.
pub async fn run(globals: &Globals, command: &RegionCommand) -> Result<Output, Failure> {
    if let RegionCommand::Recover(args) = command {
        return recover(globals, &args.region).await;
    }
    let Reply::Regions(views) = Connection::open(globals)?.plain(Request::RegionList).await? else {
        return Err(Failure::unexpected());
    };
    let regions: Vec<Region> = views.iter().map(Region::from).collect();
    let rows = regions.iter().map(|region| {
        // A ledger that is said to have records, none of which is here, is no empty one.
        let here = region.ledger_size > 0 || region.checkpoint_size == 0;
        vec![
            region.id.clone(),
            region.health.clone(),
            format!("{}/{}", region.reachable, region.nodes),
            if here { region.ledger_size.to_string() } else { "-".to_owned() },
            if here { short(&region.ledger_root) } else { "not mirrored here".to_owned() },
            region.checkpoint_size.to_string(),
            match &region.fork {
                Some(fork) if fork.quarantined => "found, quarantined".to_owned(),
                Some(_) => "found, released".to_owned(),
                None => String::new(),
            },
        ]
    });
    let mut people = table(&["region", "health", "nodes", "records", "root", "signed", "fork"], rows);
    for region in &regions {
        for Recovery { time, survivor, records, .. } in &region.recoveries {
            let lost = "a majority of its nodes was written off";
            people.push_str(&format!("\n{}: {lost} at {time}, when {survivor} held {records} records", region.id));
        }
    }
    let ids: Vec<String> = regions.iter().map(|region| region.id.clone()).collect();
    Ok(Output::new(&Regions { regions }, people).ids(ids))
}

/// Asked of a node of that region, where there is one: its leader proposes what it lacks.
async fn recover(globals: &Globals, region: &RegionId) -> Result<Output, Failure> {
    let globals = Globals { region: Some(region.clone()), ..globals.clone() };
    let request = Request::RegionRecover(RegionRecover { region: region.clone() });
    let Reply::Recovered(reply::Recovered { size, restored }) = Connection::open(&globals)?.plain(request).await?
    else {
        return Err(Failure::unexpected());
    };
    let people = format!("{region} has {size} records; {restored} were put back since its leader started");
    Ok(Output::new(&Recovered { region: region.to_string(), size, restored }, people).ids([region.as_str()]))
}
