//! `trine completion SHELL`

use clap::{Args, CommandFactory as _, ValueEnum};

use super::args::Cli;
use super::output::Output;

/// `trine completion`.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// The shells for which there is a script.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    /// bash: `trine completion bash > /etc/bash_completion.d/trine`
    Bash,
    /// zsh: `trine completion zsh > "${fpath[1]}/_trine"`
    Zsh,
    /// fish: `trine completion fish > ~/.config/fish/completions/trine.fish`
    Fish,
}

/// The script.
#[must_use]
pub fn run(args: &CompletionArgs) -> Output {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "trine", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    Output::new(&serde_json::json!({ "script": script }), script.clone()).value(script.as_bytes())
}
