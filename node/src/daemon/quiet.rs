//! Libraries that say the same again and again are heard once, then counted.
//!
//! A Raft leader whose follower is dead hears of it with each heartbeat, six times a second, for as long as it is dead; so it
//! is with every library that reports what it tries again. The first warning of a place in a library's code passes,
//! those of the next [`LIBRARY_QUIET`] are counted. What this program says of such things it says itself, in its own words.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use metrics::counter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata};
use tracing_subscriber::layer::{Context, Filter};

use super::limits::LIBRARY_QUIET;

/// When each place in a library was heard last. There are as many as the libraries have places that warn.
#[derive(Debug, Default)]
pub(super) struct Quiet(Mutex<BTreeMap<(&'static str, u32), Instant>>);

impl Quiet {
    /// Whether a warning of this place is told now.
    fn passes(&self, metadata: &'static Metadata<'static>, now: Instant) -> bool {
        let place = (metadata.file().unwrap_or(metadata.target()), metadata.line().unwrap_or_default());
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.get(&place).is_some_and(|last| now.saturating_duration_since(*last) < LIBRARY_QUIET) {
            return false;
        }
        heard.insert(place, now);
        true
    }
}

/// Whether it is a library's warning.
fn is_warning(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::WARN && !metadata.target().starts_with("trine")
}

impl<S> Filter<S> for Quiet {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_warning(metadata) { Interest::sometimes() } else { Interest::always() }
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let passes = !is_warning(metadata) || self.passes(metadata, Instant::now());
        if !passes {
            counter!("trine_log_lines_repeated_total", "target" => metadata.target()).increment(1);
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Arc;

    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

    use super::*;

    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<u8>>>);

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("alive").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Told {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_library_that_repeats_itself_is_heard_once_and_this_program_always() {
        let told = Told::default();
        let layer = tracing_subscriber::fmt::layer().with_writer(told.clone()).with_filter(Quiet::default());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            for number in 0..100 {
                tracing::warn!(target: "openraft::core::heartbeat", number, "no answer");
                tracing::info!(target: "openraft::core::heartbeat", "by the way");
                tracing::warn!(target: "trine_node::raft", "ours");
            }
            tracing::warn!(target: "openraft::core::heartbeat", "something else");
        });
        let told = String::from_utf8(told.0.lock().expect("alive").clone()).expect("text");
        let count = |words: &str| told.matches(words).count();
        assert_eq!((count("no answer"), count("by the way"), count("ours"), count("something else")), (1, 100, 100, 1));
    }
}
