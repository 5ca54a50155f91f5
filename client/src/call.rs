//! How one call wants to be served.

use std::time::Duration;

use trine_protocol::{Consistency, Durability};

use crate::Session;

/// How one call wants to be served; [`Default`] takes the client's own settings.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CallOptions {
    /// How fresh a read must be.
    pub consistency: Option<Consistency>,
    /// What a write must survive.
    pub durability: Option<Durability>,
    /// How long the call may take, retries included.
    pub deadline: Option<Duration>,
    /// How often it may be sent again; none: the client's budget.
    pub retries: Option<u32>,
    /// Another session than the client's own.
    pub session: Option<Session>,
    /// The idempotency key of an append; none: one is drawn.
    pub idempotency_key: Option<String>,
}

impl CallOptions {
    /// The client's own settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How fresh a read must be.
    #[must_use]
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = Some(consistency);
        self
    }

    /// What a write must survive.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// How long the call may take, retries included.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// How often the call may be sent again; 0 switches retries off.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }

    /// Another session than the client's own.
    #[must_use]
    pub fn session(mut self, session: Session) -> Self {
        self.session = Some(session);
        self
    }

    /// The idempotency key of an append.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}
