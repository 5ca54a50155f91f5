//! Failures: what is said, what to do about it, and the exit code.

use std::fmt;
use std::process::ExitCode;

use trine_client::{BuildError, ClientError};
use trine_crdt::RegionId;
use trine_node::config::{ConfigError, nearest};
use trine_node::daemon::{Left, Unfit};
use trine_protocol::RequestError;

use crate::say::Unheard;

/// How a command ended, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Typed wrongly, or configured with what cannot be.
    Usage = 2,
    /// Not found.
    NotFound = 3,
    /// The cluster cannot serve it, or a bound on lag is broken.
    Unhealthy = 4,
    /// Refused by policy or permission; of a node, that it was removed or replaced and has left.
    Refused = 5,
    /// A precondition did not hold.
    Conflict = 6,
    /// Done; but the result could not be printed, or what follows it (the session file) could not be written.
    DoneUntold = 7,
    /// Timed out.
    TimedOut = 124,
    /// The reader of standard output went away before all was said: the code that SIGPIPE gives other tools.
    Unread = 141,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What happened.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with an exit code.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), hint: None }
    }

    /// Something was typed wrongly.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The cluster answered another question than it was asked.
    #[must_use]
    pub fn unexpected() -> Self {
        Self::new(Exit::Failed, "the node answered another question than it was asked; is it of another version?")
    }
}

/// As it is printed: the failure, and what to do about it on a line of its own.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        // A configuration is typed like an option, and a mistake in it ends the same way.
        let exit = match error.downcast_ref::<Unheard>() {
            Some(Unheard::Gone) => Exit::Unread,
            // Only what was done is told this way.
            Some(Unheard::Failed(_)) => Exit::DoneUntold,
            None if error.is::<ConfigError>() || error.is::<Unfit>() => Exit::Usage,
            None if error.is::<Left>() => Exit::Refused,
            None => Exit::Failed,
        };
        Self::new(exit, format!("{error:#}"))
    }
}

impl From<Unheard> for Failure {
    fn from(unheard: Unheard) -> Self {
        let exit = if matches!(unheard, Unheard::Gone) { Exit::Unread } else { Exit::Failed };
        Self::new(exit, unheard.to_string())
    }
}

/// The hint for a region that the cluster does not have.
fn meant(failure: Failure, region: &str, known: &[RegionId]) -> Failure {
    match nearest(region, known.iter().map(RegionId::as_str)) {
        Some(name) => failure.hint(format!("did you mean `{name}`?")),
        None => failure,
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        let failure = Self::new(Exit::Usage, error.to_string());
        match error {
            BuildError::File { .. } => failure.hint(
                "name the directory of ca.crt, tls.crt and tls.key with --identity; `trine tls client` makes one",
            ),
            BuildError::Region { region, known } => meant(failure, &region, &known),
            _ => failure,
        }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        let what = error.to_string();
        match error {
            RequestError::Invalid { .. } => Self::usage(what),
            RequestError::NotFound { .. } => Self::new(Exit::NotFound, what),
            RequestError::Forbidden { .. } => Self::new(Exit::Refused, what)
                .hint("use an identity with a larger role: --identity DIR; `trine tls client` issues one"),
            RequestError::Conflict { what: conflict } if conflict.of_precondition() => {
                Self::new(Exit::Conflict, what).hint("read the key again and decide on what stands there now")
            }
            RequestError::Conflict { .. } => Self::new(Exit::Conflict, what),
            RequestError::Ambiguous { .. } => Self::new(Exit::Conflict, what).hint(
                "`trine namespace list` shows names and ids; `trine namespace rename ID NAME` gives one another name",
            ),
            RequestError::WrongKind { .. } => {
                Self::new(Exit::Conflict, what).hint("an object keeps the kind of its first change: use another key")
            }
            RequestError::TooLarge { .. } | RequestError::Standstill { .. } | RequestError::NotEmpty { .. } => {
                Self::new(Exit::Refused, what)
            }
            RequestError::Overloaded { .. } | RequestError::Unavailable { .. } | RequestError::Stale { .. } => {
                Self::new(Exit::Unhealthy, what).hint("`trine status` shows which nodes serve")
            }
            RequestError::DiskFull | RequestError::Damaged { .. } => Self::new(Exit::Unhealthy, what),
            RequestError::Unknown => {
                Self::new(Exit::TimedOut, what).hint("read before writing again, or raise --timeout")
            }
            _ => Self::new(Exit::Failed, what),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let what = error.to_string();
        match error {
            ClientError::Request(error) => error.into(),
            ClientError::Unreachable { .. } => Self::new(Exit::Unhealthy, what)
                .hint("start a cluster here with `trine up`, or name a node with --endpoint HOST:PORT"),
            ClientError::UnknownRegion { region, known } => meant(Self::usage(what), region.as_str(), &known),
            ClientError::RegionNeeded { .. } => Self::usage(what).hint("say --region"),
            ClientError::RegionUnreachable { .. } => Self::new(Exit::Unhealthy, what)
                .hint("`trine status` shows which nodes serve; without --region the nearest one takes the write"),
            ClientError::TooShort { .. } => Self::new(Exit::TimedOut, what).hint("--timeout tries longer"),
            ClientError::TimedOut { .. } => {
                Self::new(Exit::TimedOut, what).hint("`trine status` shows which nodes serve; --timeout tries longer")
            }
            ClientError::Lost => Self::new(Exit::Failed, what).hint("read before writing again"),
            ClientError::Refused(_) => Self::new(Exit::Refused, what).hint(
                "the certificate must be of this cluster and valid: --identity DIR; `trine tls client` issues one",
            ),
            ClientError::Proof(_) => {
                Self::new(Exit::Failed, what).hint("keep the answer: it is evidence against the node that gave it")
            }
            _ => Self::new(Exit::Failed, what),
        }
    }
}
