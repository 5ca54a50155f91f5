//! `trine use`: which cluster the commands mean.

use std::path::PathBuf;

use clap::Args;

use super::args::Globals;
use super::connect::{found, unusable};
use super::exit::Failure;
use super::output::{Output, table};
use crate::up::choice;
use crate::up::cluster::Cluster;

/// `trine use`.
#[derive(Debug, Args)]
pub struct UseArgs {
    /// The directory of a cluster that `trine up` runs here; without it, all that are known are listed
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Choose none again: the place decides
    #[arg(long, conflicts_with = "directory")]
    none: bool,
}

/// Runs the command.
///
/// # Errors
/// When the directory holds no cluster, or the choice cannot be kept.
pub fn run(globals: &Globals, args: &UseArgs) -> Result<Output, Failure> {
    if let Some(directory) = &args.directory {
        choice::choose(Some(directory)).map_err(unusable)?;
        let json = serde_json::json!({ "chosen": directory });
        let said = format!("commands ask the cluster in {} unless a nearer one is there", directory.display());
        return Ok(Output::new(&json, said).ids([directory.display().to_string()]).changed());
    }
    if args.none {
        choice::choose(None).map_err(unusable)?;
        return Ok(Output::new(&serde_json::json!({ "chosen": null }), "no cluster is chosen").changed());
    }
    let used = found(globals)?;
    let mut directories = choice::known();
    if let Some(used) = used.as_ref().filter(|used| !directories.contains(&used.directory)) {
        directories.insert(0, used.directory.clone());
    }
    let clusters: Vec<(PathBuf, Cluster)> =
        directories.into_iter().filter_map(|path| Some((path.clone(), Cluster::read(&path).ok()?))).collect();
    let why = |path: &PathBuf| used.as_ref().filter(|used| used.directory == *path).map(|used| used.why.to_string());
    let json: Vec<serde_json::Value> = clusters
        .iter()
        .map(|(path, cluster)| {
            let nodes = cluster.nodes.len();
            serde_json::json!({ "directory": path, "cluster": cluster.cluster, "nodes": nodes, "used": why(path) })
        })
        .collect();
    let rows = clusters.iter().map(|(path, cluster)| {
        vec![path.display().to_string(), cluster.nodes.len().to_string(), why(path).unwrap_or_default()]
    });
    let people = table(&["directory", "nodes", "used here"], rows);
    let used = used.map(|used| used.directory.display().to_string());
    Ok(Output::new(&serde_json::json!({ "clusters": json }), people).ids(used))
}
