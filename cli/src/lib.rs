//! The command line: `trine <noun> <verb>`.
//!
//! A command is asked of a cluster through the client library and nothing else; only `up`, `node`, `tls`, `config`,
//! `completion` and the offline `ledger verify` do without. Each ends in an [`output::Output`], the same for people and
//! programs, or in an [`exit::Failure`], which says what happened, what to do, and how the process ends.

// Both panic when nobody listens: what is said goes through `say`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod say;

pub mod up;

pub mod args;
pub mod bench;
pub mod choice;
pub mod completion;
pub mod config;
pub mod connect;
pub mod exit;
pub mod help;
pub mod input;
pub mod ledger;
pub mod limits;
pub mod manifest;
pub mod namespace;
pub mod nodes;
pub mod object;
pub mod output;
pub mod recover;
pub mod region;
pub mod session_file;
pub mod status;
pub mod table;
pub mod tls;
pub mod verify;
pub mod yaml;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::FromArgMatches as _;

pub use args::{Cli, Command, Globals, NodeArgs, UpArgs};
use exit::{Exit, Failure};
use output::Output;

/// The programs behind `trine node` and `trine up`, which the daemon provides.
pub struct Programs {
    /// Runs one node until it is told to stop.
    pub node: fn(&NodeArgs) -> anyhow::Result<()>,
    /// Runs a cluster on this machine until it is told to stop.
    pub up: fn(&UpArgs) -> anyhow::Result<()>,
}

/// Runs the command line of this process. `main` does nothing else.
#[must_use]
pub fn run(programs: &Programs) -> ExitCode {
    let cli = match help::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(answer) => return parsed(&answer),
    };
    let outcome = match &cli.command {
        Command::Node(args) => (programs.node)(args).map(|()| Exit::Done).map_err(Failure::from),
        Command::Up(args) => (programs.up)(args).map(|()| Exit::Done).map_err(Failure::from),
        command => execute(&cli.globals, command).and_then(|output| output.print(&cli.globals)),
    };
    // What was done has been told by now.
    let outcome = outcome.and_then(|exit| cli.globals.afterwards.failure().map_or(Ok(exit), Err));
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => told(&failure),
    }
}

/// Tells a failure; that nobody reads on is none to speak of.
fn told(failure: &Failure) -> ExitCode {
    if failure.exit != Exit::Unread {
        say::people(failure);
    }
    failure.exit.into()
}

/// Says what the parser answers instead of a command: help or version, which are results, or what was typed wrongly.
fn parsed(answer: &clap::Error) -> ExitCode {
    if answer.use_stderr() {
        let _ = answer.print();
        return u8::try_from(answer.exit_code()).map_or(Exit::Usage.into(), ExitCode::from);
    }
    let text = answer.render();
    let text = if io::stdout().is_terminal() { text.ansi().to_string() } else { text.to_string() };
    match say::result(text.as_bytes()) {
        Ok(()) => Exit::Done.into(),
        Err(unheard) => told(&unheard.into()),
    }
}

/// Does what one command says, and answers with its result.
///
/// # Errors
/// Why it failed, with the exit code.
pub fn execute(globals: &Globals, command: &Command) -> Result<Output, Failure> {
    match command {
        Command::Tls(command) => return tls::run(globals, command),
        Command::Config(command) => return config::run(command),
        Command::Completion(args) => return Ok(completion::run(args)),
        Command::Recover(command) => return recover::run(command),
        Command::Version => return Ok(version()),
        Command::Options => return Ok(help::options()),
        Command::Use(args) => return choice::run(globals, args),
        Command::Ledger(ledger::LedgerCommand::Verify(args)) => return verify::run(globals, args),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(ask(globals, command));
    // Connections that are still closing are nobody's concern now.
    runtime.shutdown_background();
    outcome
}

/// Does what one command asks of a cluster.
async fn ask(globals: &Globals, command: &Command) -> Result<Output, Failure> {
    match command {
        Command::Status(args) => Ok(place(globals, status::run(globals, args).await?)),
        Command::Nodes(command) => nodes::run(globals, command).await,
        Command::Region(command) => region::run(globals, command).await,
        Command::Namespace(command) => namespace::run(globals, command).await,
        Command::Ledger(command) => ledger::run(globals, command).await,
        Command::Object(command) => object::run(globals, command).await,
        Command::Manifest(command) => manifest::run(globals, command).await,
        Command::Bench(command) => bench::run(globals, command).await,
        Command::Up(_)
        | Command::Node(_)
        | Command::Tls(_)
        | Command::Config(_)
        | Command::Use(_)
        | Command::Options
        | Command::Recover(_)
        | Command::Version
        | Command::Completion(_) => unreachable!("done without a cluster"),
    }
}

/// A status says whose it is, when nobody named the cluster.
fn place(globals: &Globals, output: Output) -> Output {
    match connect::found(globals) {
        Ok(Some(found)) if globals.endpoint.is_none() => {
            output.also(format!("the cluster is the one in {} ({})", found.directory.display(), found.why))
        }
        _ => output,
    }
}

fn version() -> Output {
    let version = env!("CARGO_PKG_VERSION");
    let json = serde_json::json!({ "name": "trine", "version": version });
    Output::new(&json, format!("trine {version}")).ids([version])
}
