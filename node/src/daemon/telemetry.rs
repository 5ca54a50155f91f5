//! Log lines and figures.

use std::io::IsTerminal;
use std::sync::OnceLock;

use anyhow::{Context, anyhow, bail};
use metrics_exporter_prometheus::PrometheusHandle;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::FilterExt as _;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::figures::{begin, builder, describe};
use super::lines::{Lines, Sink};
use super::log_file::LogFile;
use super::quiet::Quiet;
use crate::config::{LogFormat, LogSection, nearest};

/// The lines of this process, once it says anything.
static LINES: OnceLock<Lines> = OnceLock::new();

/// Log lines to stderr or a file, as the configuration says; `RUST_LOG` overrides its filter.
///
/// # Errors
/// When the filter cannot be understood, or the file cannot be written.
pub(super) fn log(section: &LogSection) -> anyhow::Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => filter,
        _ => section.filter.clone(),
    };
    let filter = self::filter(&filter)?;
    if LINES.get().is_some() {
        // A second node in one process (as in tests) goes on with the first one's.
        return Ok(());
    }
    let to_file = !section.file.as_os_str().is_empty();
    let sink = if to_file {
        let file = LogFile::open(&section.file, section.file_bytes, section.file_age, section.files_kept);
        Sink::File(file.with_context(|| unwritable(section))?)
    } else {
        Sink::Stderr
    };
    let lines = Lines::start(sink).context("no thread for log lines")?;
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(lines.clone())
        .with_ansi(!to_file && std::io::stderr().is_terminal());
    let layer = match section.format {
        LogFormat::Json => layer.json().boxed(),
        LogFormat::Text => layer.boxed(),
    };
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter.and(Quiet::default()))).try_init();
    let _ = LINES.set(lines);
    Ok(())
}

/// Refuses a file that could not be written; makes none.
///
/// # Errors
/// As [`log`] about the file.
pub(super) fn check_file(section: &LogSection) -> anyhow::Result<()> {
    if section.file.as_os_str().is_empty() {
        return Ok(());
    }
    LogFile::check(&section.file).with_context(|| unwritable(section))
}

fn unwritable(section: &LogSection) -> String {
    format!("log.file: cannot write {}", section.file.display())
}

/// Sees to it that what was said last is written, before the process ends.
pub(super) fn flush() {
    if let Some(lines) = LINES.get() {
        lines.flush();
    }
}

/// What is said, as `log.filter` and `RUST_LOG` write it.
///
/// # Errors
/// When it cannot be understood, or names a part of the program where it surely means a level: that would say nothing.
pub(super) fn filter(text: &str) -> anyhow::Result<EnvFilter> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for word in text.split(',').map(str::trim) {
        let part = word.is_empty() || word.contains(['=', ':', '[']) || LEVELS.contains(&&*word.to_ascii_lowercase());
        if let (false, Some(level)) = (part, nearest(word, LEVELS)) {
            bail!("log.filter `{text}`: `{word}` is no level; did you mean `{level}`?");
        }
    }
    // Its words hold those of what caused it.
    EnvFilter::try_new(text).map_err(|error| anyhow!("log.filter `{text}`: {error}"))
}

/// The recorder of this process's figures.
///
/// # Errors
/// When there is one already.
pub(super) fn figures() -> anyhow::Result<PrometheusHandle> {
    let recorder = builder()?.install_recorder()?;
    describe();
    begin();
    Ok(recorder)
}
