//! `trine manifest …`

use clap::{Args, Subcommand};
use trine_crdt::RegionId;
use trine_doors::model::Manifest;
use trine_doors::model::cluster::Segment;
use trine_protocol::Request;
use trine_protocol::reply::Reply;
use trine_protocol::request::ManifestShow;

use super::args::Globals;
use super::connect::Connection;
use super::exit::Failure;
use super::output::{Output, short, table};

/// The sealed segments of the regions' ledgers.
#[derive(Debug, Subcommand)]
pub enum ManifestCommand {
    /// The segments
    Show(ShowArgs),
}

/// `trine manifest show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Only of this region's ledger
    of: Option<RegionId>,
}

/// Runs the command.
///
/// # Errors
/// As the cluster answers.
pub async fn run(globals: &Globals, command: &ManifestCommand) -> Result<Output, Failure> {
    let ManifestCommand::Show(args) = command;
    let request = Request::ManifestShow(ManifestShow { region: args.of.clone() });
    let Reply::Segments(views) = Connection::open(globals)?.plain(request).await? else {
        return Err(Failure::unexpected());
    };
    let segments: Vec<Segment> = views.iter().map(Segment::from).collect();
    let rows = segments.iter().map(|segment| {
        vec![
            segment.region.clone(),
            segment.number.to_string(),
            segment.first.to_string(),
            segment.count.to_string(),
            segment.bytes.to_string(),
            short(&segment.identity),
            short(&segment.root),
        ]
    });
    let people = table(&["region", "segment", "first", "records", "bytes", "identity", "root"], rows);
    let ids: Vec<String> = segments.iter().map(|segment| segment.identity.clone()).collect();
    Ok(Output::new(&Manifest { segments }, people).ids(ids))
}
