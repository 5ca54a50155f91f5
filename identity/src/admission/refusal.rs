//! Why a connection is refused, as a closed list that metrics can be labelled with.

/// Why a connection was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The other side hung up, or sent another thing where its certificate was due.
    #[error(
        "the other side hung up where its certificate was due: perhaps it refused the one shown to it, as it does with one that \
         has expired or is of another cluster"
    )]
    NoCertificate,
    /// The certificate is longer than any of ours.
    #[error("a certificate of {bytes} bytes")]
    TooLarge {
        /// How long it claimed to be.
        bytes: usize,
    },
    /// The certificate is not what our authority issues, or not signed by it.
    #[error("certificate not acceptable: {what}")]
    Certificate {
        /// What is wrong with it.
        what: String,
    },
    /// The certificate is not valid at this time.
    #[error("certificate expired or not yet valid")]
    Expired,
    /// The certificate belongs to another cluster.
    #[error("certificate of another cluster")]
    Cluster,
    /// The certificate belongs to another key than the connection's.
    #[error("certificate of another key")]
    Key,
    /// The certificate's role does not allow what was tried.
    #[error("role not allowed here")]
    Role,
    /// What was said contradicts the certificate, or the conversation's rules.
    #[error("{what}")]
    Conversation {
        /// What was wrong.
        what: &'static str,
    },
}

impl Refusal {
    /// All of the stable words.
    pub const REASONS: &[&str] =
        &["no_certificate", "too_large", "certificate", "expired", "cluster", "key", "role", "conversation"];

    /// The stable word for metrics and logs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::TooLarge { .. } => "too_large",
            Self::Certificate { .. } => "certificate",
            Self::Expired => "expired",
            Self::Cluster => "cluster",
            Self::Key => "key",
            Self::Role => "role",
            Self::Conversation { .. } => "conversation",
        }
    }
}
