//! How far a bench is, for a person at a terminal.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::Globals;

/// A bar of `length` steps, or of seconds and the like when `unit` says so; hidden when nobody looks.
#[must_use]
pub fn bar(globals: &Globals, length: u64, unit: &str, what: &str) -> ProgressBar {
    let shown = std::io::stderr().is_terminal() && !globals.quiet;
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length), target).with_prefix(what.to_owned());
    let style = ProgressStyle::with_template(&format!("{{prefix}} [{{bar:30}}] {{pos}}/{{len}} {unit} {{msg}}"));
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
