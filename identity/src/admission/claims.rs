//! What a certificate says of its holder, and the seam through which it is checked.

use libp2p::PeerId;
use trine_crdt::RegionId;
use trine_protocol::Role;

use super::Refusal;

/// What a verified certificate says of its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The cluster's id.
    pub cluster: String,
    /// What the holder may do.
    pub role: Role,
    /// The holder's region; `_` for clients.
    pub region: RegionId,
    /// The holder's name, such as `us-east-1-a`.
    pub name: String,
    /// The only libp2p key that may show this certificate.
    pub peer: PeerId,
    /// When the certificate ends, in seconds since 1970.
    pub not_after_unix_s: i64,
}

/// Checks certificates against one cluster's authority. Called on every connection, from many tasks.
pub trait Verify: Send + Sync + 'static {
    /// Checks signature, validity and form of a DER certificate at the given time.
    ///
    /// # Errors
    /// A [`Refusal`] that says what is wrong with it.
    fn verify(&self, certificate: &[u8], now_unix_s: i64) -> Result<Claims, Refusal>;
}
