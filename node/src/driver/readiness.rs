//! Whether the node serves, takes writes and may found its region's group, as the core said last, and how long ago that was.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::watch;
use trine_replica::Founds;

use crate::driver::limits::{READINESS_SILENCE_MAX, READINESS_TOLD_INTERVAL};

/// When the core spoke, and what it said.
#[derive(Debug)]
struct Said {
    at: Instant,
    serves: Result<(), String>,
    writes: Result<(), String>,
}

/// What was logged last: what changes back and forth is told at most so often.
#[derive(Debug, Default)]
struct Told(Option<(Instant, Result<(), String>)>);

impl Told {
    /// Whether this is to be told now: it is something else, and the last word stands for a while already.
    fn news(&mut self, now: Instant, said: &Result<(), String>) -> bool {
        let due = match &self.0 {
            None => true,
            Some((at, before)) => before != said && now.duration_since(*at) >= READINESS_TOLD_INTERVAL,
        };
        if due {
            self.0 = Some((now, said.clone()));
        }
        due
    }
}

/// What was said and told.
#[derive(Debug, Default)]
struct State {
    said: Option<Said>,
    told_serves: Told,
    told_writes: Told,
}

/// Shared by the driver, which sets it, and `/readyz`, which asks.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    state: Arc<Mutex<State>>,
    founds: Arc<watch::Sender<Founds>>,
}

impl Readiness {
    /// What the core says now.
    pub fn set(&self, serves: Result<(), String>, writes: Result<(), String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.told_serves.news(now, &serves) {
            match &serves {
                Ok(()) => tracing::info!("the node serves"),
                Err(reason) => tracing::info!(reason, "the node does not serve"),
            }
        }
        if state.told_writes.news(now, &writes) {
            match &writes {
                Ok(()) => tracing::info!("takes writes"),
                Err(reason) => tracing::info!(reason, "takes no writes"),
            }
        }
        state.said = Some(Said { at: now, serves, writes });
    }

    /// What the core says of founding.
    pub fn set_founds(&self, founds: Founds) {
        self.founds.send_if_modified(|before| {
            let news = *before != founds;
            *before = founds;
            news
        });
    }

    /// What the core says of founding, to be watched.
    #[must_use]
    pub fn founds(&self) -> watch::Receiver<Founds> {
        self.founds.subscribe()
    }

    /// Whether it serves, as it said last.
    ///
    /// # Errors
    /// Why it does not serve.
    pub fn get(&self) -> Result<(), String> {
        self.said(|said| &said.serves)
    }

    /// Whether it takes writes, as it said last.
    ///
    /// # Errors
    /// Why it does not.
    pub fn writes(&self) -> Result<(), String> {
        self.said(|said| &said.writes)
    }

    fn said(&self, of: fn(&Said) -> &Result<(), String>) -> Result<(), String> {
        match &self.state.lock().unwrap_or_else(PoisonError::into_inner).said {
            None => Err("the node is starting".to_owned()),
            Some(said) if said.at.elapsed() > READINESS_SILENCE_MAX => {
                Err(format!("the core is stuck for {:?}", said.at.elapsed()))
            }
            Some(said) => of(said).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Told;
    use crate::driver::limits::READINESS_TOLD_INTERVAL;

    #[test]
    fn what_changes_back_at_once_is_told_once() {
        let (mut told, began) = (Told::default(), Instant::now());
        let (yes, no) = (Ok(()), Err("no leader".to_owned()));
        let moments = [(0, &no, true), (100, &yes, false), (200, &no, false), (900, &yes, false), (990, &no, false)];
        for (ms, said, news) in moments {
            assert_eq!(told.news(began + Duration::from_millis(ms), said), news, "after {ms} ms");
        }
        // What lasts is told all the same.
        let later = began + READINESS_TOLD_INTERVAL;
        assert!(!told.news(later, &no));
        assert!(told.news(later, &yes));
        assert!(!told.news(later + Duration::from_millis(1), &no));
    }
}
