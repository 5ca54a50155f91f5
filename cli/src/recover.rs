//! `trine recover …`: offline, on the disks of stopped nodes.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use trine_node::recover;

use super::exit::{Exit, Failure};
use super::output::Output;
use crate::say;

/// When a majority of a region's nodes is lost for ever.
#[derive(Debug, Subcommand)]
pub enum RecoverCommand {
    /// Go on from one surviving disk of a region whose majority is lost for ever
    ///
    /// Stop all nodes of the region first, and never start those that are given up again: two of them would be a
    /// majority of before, and would write a second history. Name the data directories of all disks that survived; the
    /// one whose log is ahead is taken, and holds whatever was committed and stands on any of them. Appends and edits that
    /// only lost disks held are gone. The disk gets a new node id and is the region's only voter; the ledger records
    /// that this was done (`trine region list`). Start that node; let the others join with empty data directories, under
    /// their names.
    Region(RegionArgs),
}

/// `trine recover region`.
#[derive(Debug, Args)]
pub struct RegionArgs {
    /// The data directory of a stopped node that survived; once for each
    #[arg(long, value_name = "DIR", required = true)]
    data: Vec<PathBuf>,
    /// That a majority of the region's nodes is lost, and that what only they held is given up
    #[arg(long)]
    the_others_are_lost_for_ever: bool,
}

/// Runs the command.
///
/// # Errors
/// Why not.
pub fn run(command: &RecoverCommand) -> Result<Output, Failure> {
    let RecoverCommand::Region(args) = command;
    if !args.the_others_are_lost_for_ever {
        let what = "this gives up all nodes of the region but one, and what only they held";
        return Err(Failure::new(Exit::Refused, what).hint(
            "while a majority can be brought back, bring it back; else stop all nodes of the region and say \
             --the-others-are-lost-for-ever",
        ));
    }
    let fatal: Arc<dyn Fn(String) + Send + Sync> = Arc::new(|reason| {
        say::people(format_args!("error: the log cannot be written: {reason}"));
        std::process::exit(1)
    });
    let done = recover::region(&args.data, &fatal)?;
    let people = format!(
        "{} goes on from {}, whose log ended at {}; its id was {} and is {}\nwritten off: {}\nnow start it, wipe the data \
         directories of the others, and start them: they join by themselves; never start one of them with its old data",
        done.name,
        done.data.display(),
        done.last_index,
        done.survivor,
        done.node,
        done.written_off.join(", ")
    );
    let ids = [done.node.clone()];
    Ok(Output::new(&serde_json::json!(done), people).ids(ids))
}
