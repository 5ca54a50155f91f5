//! `trine region …`

use clap::Subcommand;
use trine_protocol::Request;
use trine_protocol::reply::Reply;

use super::args::Globals;
use super::connect::Connection;
use super::exit::Failure;
use super::output::{Output, short, table};
use crate::model::{Recovery, Region, Regions};

/// The regions.
#[derive(Debug, Subcommand)]
pub enum RegionCommand {
    /// All regions, as the node asked knows them
    List,
}

/// Does it.
///
/// # Errors
/// As the cluster answers.
pub async fn run(globals: &Globals, command: &RegionCommand) -> Result<Output, Failure> {
    let RegionCommand::List = command;
    let Reply::Regions(views) = Connection::open(globals)?.plain(Request::RegionList).await? else {
        return Err(Failure::unexpected());
    };
    let regions: Vec<Region> = views.iter().map(Region::from).collect();
    let rows = regions.iter().map(|region| {
        vec![
            region.id.clone(),
            region.health.clone(),
            format!("{}/{}", region.reachable, region.nodes),
            region.ledger_size.to_string(),
            short(&region.ledger_root),
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
