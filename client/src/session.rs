//! A session: what its owner has seen and written, so that no later read goes behind it.
//!
//! It is shared by clone, grows with each answer, and can be written as text and handed to another process.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use trine_crdt::codec;
use trine_protocol::SessionToken;
use trine_protocol::limits::SESSION_BYTES_MAX;

/// What a session must not read behind of.
#[derive(Debug, Clone, Default)]
pub struct Session {
    token: Arc<Mutex<SessionToken>>,
}

/// The text is no session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a session: use the text that a session printed")]
pub struct SessionTextError;

impl Session {
    /// A session that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What it has seen so far.
    #[must_use]
    pub fn token(&self) -> SessionToken {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes in what an answer showed.
    pub fn see(&self, token: &SessionToken) {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).merge(token);
    }
}

impl From<SessionToken> for Session {
    fn from(token: SessionToken) -> Self {
        Self { token: Arc::new(Mutex::new(token)) }
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        codec::encode(&self.token()).iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Session {
    type Err = SessionTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.as_bytes();
        if !text.len().is_multiple_of(2) || text.len() / 2 > 4 * SESSION_BYTES_MAX {
            return Err(SessionTextError);
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let bytes: Option<Vec<u8>> =
            text.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect();
        let token: SessionToken = codec::decode(&bytes.ok_or(SessionTextError)?).map_err(|_| SessionTextError)?;
        Ok(Self::from(token))
    }
}
