//! Whether the node serves, as the core said last, and how long ago that was.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A core that said nothing for so long is stuck: it is called at least every second while it lives.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// When the core spoke, and what it said.
type Said = (Instant, Result<(), String>);

/// Shared by the driver, which sets it, and `/readyz`, which asks.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<Option<Said>>>);

impl Readiness {
    /// What the core says now.
    pub fn set(&self, ready: Result<(), String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), ready));
    }

    /// What it said last.
    ///
    /// # Errors
    /// Why it does not serve.
    pub fn get(&self) -> Result<(), String> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Err("the node is starting".to_owned()),
            Some((at, _)) if at.elapsed() > SILENCE_MAX => Err(format!("the core is stuck for {:?}", at.elapsed())),
            Some((_, ready)) => ready.clone(),
        }
    }
}
