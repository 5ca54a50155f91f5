//! Links and clients are admitted by the cluster's authority.

use libp2p::PeerId;
use trine_crdt::RegionId;
use trine_identity::admission::{Claims, Refusal, Verify};
use trine_identity::tls::{Trust, role_of};
use trine_ledger::certificate::CertificateError;

/// Checks certificates against the cluster's authority.
pub(super) struct Authority(pub(super) Trust);

impl Verify for Authority {
    fn verify(&self, certificate: &[u8], now_unix_s: i64) -> Result<Claims, Refusal> {
        let claims = self.0.claims_at(certificate, now_unix_s).map_err(|error| match error {
            CertificateError::NotYet { .. } | CertificateError::Expired { .. } => Refusal::Expired,
            CertificateError::Cluster { .. } => Refusal::Cluster,
            CertificateError::Peer => Refusal::Key,
            other => Refusal::Certificate { what: other.to_string() },
        })?;
        let peer: PeerId = claims.peer.parse().map_err(|_| Refusal::Key)?;
        let role = role_of(&claims);
        Ok(Claims {
            cluster: claims.cluster,
            role,
            region: claims.region.unwrap_or_else(RegionId::genesis),
            name: claims.name,
            peer,
            not_after_unix_s: claims.not_after,
        })
    }
}
