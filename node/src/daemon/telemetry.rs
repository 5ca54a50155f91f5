//! Log lines and figures.

use std::io::IsTerminal;

use anyhow::{Context, bail};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSection, nearest};

/// Seconds at which histograms are cut: from a tenth of a millisecond to ten seconds.
const SECONDS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Log lines to stderr, as the configuration says; `RUST_LOG` overrides its filter.
///
/// # Errors
/// When the filter cannot be understood.
pub(super) fn log(section: &LogSection) -> anyhow::Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => filter,
        _ => section.filter.clone(),
    };
    let filter = self::filter(&filter)?;
    // Complaining on a standard error that is gone would panic in whichever thread has something to say.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    // A second node in one process (as in tests) goes on with the first one's.
    let _ = match section.format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
    Ok(())
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
    EnvFilter::try_new(text).with_context(|| format!("log.filter `{text}`"))
}

/// The recorder of this process's figures.
///
/// # Errors
/// When there is one already.
pub(super) fn figures() -> anyhow::Result<PrometheusHandle> {
    Ok(PrometheusBuilder::new().set_buckets(&SECONDS)?.install_recorder()?)
}
