//! Whether the node serves and takes writes, as the core said last, and how long ago that was.

use crate::driver::limits::READINESS_SILENCE_MAX;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// When the core spoke, and what it said.
#[derive(Debug)]
struct Said {
    at: Instant,
    serves: Result<(), String>,
    writes: Result<(), String>,
}

/// Shared by the driver, which sets it, and `/readyz`, which asks.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<Option<Said>>>);

impl Readiness {
    /// What the core says now.
    pub fn set(&self, serves: Result<(), String>, writes: Result<(), String>) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.as_ref().map(|said| &said.writes);
        if before != Some(&writes) {
            match &writes {
                Ok(()) => tracing::info!("takes writes"),
                Err(reason) => tracing::info!(reason, "takes no writes"),
            }
        }
        *last = Some(Said { at: Instant::now(), serves, writes });
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
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Err("the node is starting".to_owned()),
            Some(said) if said.at.elapsed() > READINESS_SILENCE_MAX => {
                Err(format!("the core is stuck for {:?}", said.at.elapsed()))
            }
            Some(said) => of(said).clone(),
        }
    }
}
