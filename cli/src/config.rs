//! `trine config …`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use trine_node::config::{CheckError, Layers, Loaded, ports_in_use};
use trine_node::daemon;

use super::exit::Failure;
use super::output::{Output, table};

/// A node's configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Whether a node would start with it
    Validate(ValidateArgs),
    /// Every value and where it came from
    Show(FilesArgs),
}

/// `trine config validate`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    #[command(flatten)]
    files: FilesArgs,
    /// The node is another machine's: leave out whether its addresses can be listened at here
    #[arg(long)]
    elsewhere: bool,
}

/// The layers.
#[derive(Debug, Args)]
pub struct FilesArgs {
    /// The node's own files, each overriding those before it
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What comes before and after them.
    #[command(flatten)]
    layers: Layers,
}

/// Runs the command.
///
/// # Errors
/// When the configuration is wrong.
pub fn run(command: &ConfigCommand) -> Result<Output, Failure> {
    let loaded = |args: &FilesArgs| args.layers.load(&args.files).map_err(|error| Failure::usage(error.to_string()));
    match command {
        ConfigCommand::Validate(args) => {
            let Loaded { config, .. } = loaded(&args.files)?;
            daemon::check(&config).map_err(|error| Failure::usage(format!("{error:#}")))?;
            let in_use = if args.elsewhere { Ok(Vec::new()) } else { ports_in_use(&config) };
            let in_use = in_use.map_err(|error| {
                let failure = Failure::usage(error.to_string());
                let elsewhere = matches!(error, CheckError::Address { .. });
                if elsewhere {
                    failure.hint("with --elsewhere another machine's file is checked as far as it can be here")
                } else {
                    failure
                }
            })?;
            let (name, region) = (&config.node.name, &config.node.region);
            let json = serde_json::json!({ "valid": true, "node": name, "region": region, "in_use": in_use });
            let output = Output::new(&json, format!("valid: {name} in {region}")).ids([name]);
            Ok(match in_use.is_empty() {
                true => output,
                false => output.note(format!("in use now, by this node if it runs: {}", in_use.join(", "))),
            })
        }
        ConfigCommand::Show(args) => {
            let Loaded { values, .. } = loaded(args)?;
            let json: Vec<serde_json::Value> = values
                .iter()
                .map(|value| {
                    let parsed: serde_json::Value =
                        serde_json::from_str(&value.value).unwrap_or_else(|_| value.value.clone().into());
                    serde_json::json!({ "key": value.key, "value": parsed, "source": value.source })
                })
                .collect();
            let rows = values.iter().map(|value| vec![value.key.clone(), value.value.clone(), value.source.clone()]);
            let people = table(&["key", "value", "source"], rows);
            Ok(Output::new(&serde_json::json!({ "values": json }), people).ids(values.iter().map(|value| &value.key)))
        }
    }
}
