//! The usual check: a certificate that the cluster's authority signed.

use trine_crdt::RegionId;
use trine_ledger::certificate::{self, CertificateError, CertificateRole};
use trine_protocol::Role;

use super::{Claims, Refusal, Verify};

/// One cluster's authority.
#[derive(Debug, Clone)]
pub struct Authority {
    ca: trine_ledger::VerifyingKey,
    cluster: String,
}

impl Authority {
    /// The authority with this key, and the cluster that its certificates must name.
    #[must_use]
    pub fn new(ca: trine_ledger::VerifyingKey, cluster: impl Into<String>) -> Self {
        Self { ca, cluster: cluster.into() }
    }

    /// Its key; signs the genesis.
    #[must_use]
    pub fn key(&self) -> &trine_ledger::VerifyingKey {
        &self.ca
    }

    /// The cluster's id.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }
}

impl Verify for Authority {
    fn verify(&self, der: &[u8], now_unix_s: i64) -> Result<Claims, Refusal> {
        let claims = certificate::verify(der, &self.ca, &self.cluster, now_unix_s).map_err(refusal)?;
        let role = match claims.role {
            CertificateRole::Node => Role::Node,
            CertificateRole::Admin => Role::Admin,
            CertificateRole::Writer => Role::Writer,
            CertificateRole::Reader => Role::Reader,
        };
        Ok(Claims {
            cluster: claims.cluster,
            role,
            region: claims.region.unwrap_or_else(RegionId::genesis),
            name: claims.name,
            peer: claims.peer.parse().map_err(|_| Refusal::Key)?,
            not_after_unix_s: claims.not_after,
        })
    }
}

fn refusal(error: CertificateError) -> Refusal {
    match error {
        CertificateError::NotYet { .. } | CertificateError::Expired { .. } => Refusal::Expired,
        CertificateError::Cluster { .. } => Refusal::Cluster,
        CertificateError::Peer => Refusal::Key,
        other => Refusal::Certificate { what: other.to_string() },
    }
}
