//! Whether the node serves, takes writes and may found its region's group, as the core said last, and how long ago that was.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::watch;
use trine_replica::{Founds, NotReady, NotTaken};

use crate::driver::limits::{READINESS_SILENCE_MAX, READINESS_TOLD_INTERVAL};

/// When the core spoke, and what it said.
#[derive(Debug)]
struct Said {
    at: Instant,
    serves: Result<(), NotReady>,
    writes: Result<(), NotTaken>,
}

/// What was logged last: what changes back and forth is told at most so often.
#[derive(Debug)]
struct Told<E>(Option<(Instant, Result<(), E>)>);

impl<E> Default for Told<E> {
    fn default() -> Self {
        Self(None)
    }
}

impl<E: Clone + PartialEq> Told<E> {
    /// Whether this is to be told now: it is something else, and the last word stands for a while already.
    fn news(&mut self, now: Instant, said: &Result<(), E>) -> bool {
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
    told_serves: Told<NotReady>,
    told_writes: Told<NotTaken>,
}

/// Shared by the driver, which sets it, and `/readyz`, which asks.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    state: Arc<Mutex<State>>,
    founds: Arc<watch::Sender<Founds>>,
}

impl Readiness {
    /// What the core says now.
    pub fn set(&self, serves: Result<(), NotReady>, writes: Result<(), NotTaken>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.told_serves.news(now, &serves) {
            match &serves {
                Ok(()) => tracing::info!("the node serves"),
                Err(reason) => tracing::info!(reason = reason.to_string(), "the node does not serve"),
            }
        }
        if state.told_writes.news(now, &writes) {
            match &writes {
                Ok(()) => tracing::info!("takes writes"),
                Err(reason) => tracing::info!(reason = reason.to_string(), "takes no writes"),
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
    pub fn get(&self) -> Result<(), NotReady> {
        self.said(|said| &said.serves)
    }

    /// Whether it takes writes, as it said last.
    ///
    /// # Errors
    /// Why it does not.
    pub fn writes(&self) -> Result<(), NotTaken> {
        self.said(|said| &said.writes)
    }

    fn said<E: Clone + From<NotReady>>(&self, of: fn(&Said) -> &Result<(), E>) -> Result<(), E> {
        match &self.state.lock().unwrap_or_else(PoisonError::into_inner).said {
            None => Err(NotReady::Starting.into()),
            Some(said) if said.at.elapsed() > READINESS_SILENCE_MAX => {
                Err(NotReady::Stuck { silence: said.at.elapsed() }.into())
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
        let (yes, no) = (Ok(()), Err("no leader"));
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
