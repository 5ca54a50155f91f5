//! `trine status`: whether all nodes serve, whether they hold the same, and whether each region takes records.
//!
//! One node says who the others are; each is then asked itself, because nobody's word about another counts here. What
//! is wrong is one list of sentences (`judge`): what the nodes say of themselves and each other, and what only shows
//! when their answers are laid side by side.

pub mod ask;
pub mod judge;
mod shown;

use clap::Args;

use super::args::Globals;
use super::connect::Connection;
use super::exit::Failure;
use super::nodes::list;
use super::output::Output;

/// `trine status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Ask all nodes, also when --endpoint names one
    #[arg(long)]
    all: bool,
}

/// Runs the command.
///
/// # Errors
/// When no node answers.
pub async fn run(globals: &Globals, args: &StatusArgs) -> Result<Output, Failure> {
    let connection = Connection::open(globals)?;
    let one = globals.endpoint.as_ref().is_some_and(|endpoint| !endpoint.contains(','));
    if one && !args.all {
        return Ok(shown::node(&ask::one(&connection).await?));
    }
    let mut nodes = list(&connection).await?;
    nodes.sort_by(|a, b| (&a.region, &a.name).cmp(&(&b.region, &b.name)));
    let survey = ask::all(globals, &nodes).await;
    Ok(shown::cluster(&judge::judge(survey)))
}
