//! Help that says what is particular to a command.
//!
//! The options of every command would fill a screen below each of them. They are shown once, below the commands and by
//! `trine options`; elsewhere a line says so.

use clap::builder::Resettable;
use clap::{Arg, Args as _, Command, CommandFactory as _};

use super::args::{Cli, Globals};
use super::output::Output;

const ELSEWHERE: &str = "`trine options` shows the options of every command, such as --region, --output and --cluster.";

const EXITS: &str = "Exit codes: 0 done; 1 failed; 2 typed or configured wrongly; 3 not found; 4 the cluster cannot serve it, or is not
well; 5 refused; 6 a precondition or the object's kind stands against it; 7 done, but the result or the session file could not be
written; 124 no answer in time, so it may have been done; 141 the reader of standard output went away.";

/// The command line with its help tidied.
#[must_use]
pub fn command() -> Command {
    let command =
        Cli::command().mut_args(unset_if_empty).mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg });
    command.mut_subcommands(tidy).after_help(format!("{}\n\n{EXITS}", text()))
}

fn tidy(command: Command) -> Command {
    command.mut_args(unset_if_empty).mut_subcommands(tidy).after_help(ELSEWHERE)
}

/// A variable that is set to nothing says nothing, as everywhere in a shell.
fn unset_if_empty(arg: Arg) -> Arg {
    let empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if empty { arg.env(Resettable::Reset) } else { arg }
}

/// `trine options`.
#[must_use]
pub fn options() -> Output {
    let text = text();
    Output::new(&serde_json::json!({ "options": text }), text.clone()).value(format!("{text}\n").as_bytes())
}

/// The options of every command, as help shows them.
fn text() -> String {
    let all = Globals::augment_args(Command::new("trine").disable_help_flag(true));
    all.help_template("{all-args}").term_width(120).render_help().to_string().trim_end().to_owned()
}
