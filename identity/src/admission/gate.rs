//! Who was admitted, and what happens to the others.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use libp2p::PeerId;
use trine_protocol::Role;

use super::{Claims, Refusal, Verify};
use crate::limits::CERTIFICATE_BYTES_MAX;

/// A certificate that was verified on a connection.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// What it says.
    pub claims: Claims,
    /// The certificate itself, DER.
    pub certificate: Bytes,
    at: Instant,
}

type Report = dyn Fn(Option<PeerId>, &Refusal) + Send + Sync;

/// One side's door: its own certificate, how it checks others', and who is inside.
pub struct Gate {
    certificate: Bytes,
    verify: Arc<dyn Verify>,
    refused: Box<Report>,
    admitted: RwLock<BTreeMap<PeerId, Admitted>>,
}

impl Gate {
    /// A door. `refused` is called once for each refusal, to log and to count it.
    pub fn new(
        certificate: Bytes,
        verify: Arc<dyn Verify>,
        refused: impl Fn(Option<PeerId>, &Refusal) + Send + Sync + 'static,
    ) -> Self {
        Self { certificate, verify, refused: Box::new(refused), admitted: RwLock::default() }
    }

    /// The own certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> &Bytes {
        &self.certificate
    }

    /// Checks a certificate that was shown on a connection of `peer`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, peer: PeerId, certificate: &[u8]) -> Result<Claims, Refusal> {
        if certificate.len() > CERTIFICATE_BYTES_MAX {
            return Err(Refusal::TooLarge { bytes: certificate.len() });
        }
        let claims = self.verify.verify(certificate, unix_now_s())?;
        if claims.peer == peer { Ok(claims) } else { Err(Refusal::Key) }
    }

    /// Checks and remembers, or reports the refusal. A dialler wants a node at the other end.
    pub(super) fn admit(&self, peer: PeerId, certificate: &[u8], want_node: bool) -> Result<(), Refusal> {
        let outcome = self
            .check(peer, certificate)
            .and_then(|claims| if want_node && claims.role != Role::Node { Err(Refusal::Role) } else { Ok(claims) });
        match outcome {
            Ok(claims) => {
                let admitted =
                    Admitted { claims, certificate: Bytes::copy_from_slice(certificate), at: Instant::now() };
                self.admitted.write().unwrap_or_else(PoisonError::into_inner).insert(peer, admitted);
                Ok(())
            }
            Err(refusal) => {
                self.refuse(Some(peer), &refusal);
                Err(refusal)
            }
        }
    }

    /// Reports a refusal, to be logged and counted once.
    pub fn refuse(&self, peer: Option<PeerId>, refusal: &Refusal) {
        (self.refused)(peer, refusal);
    }

    /// What a peer with a connection was admitted as.
    #[must_use]
    pub fn admitted(&self, peer: &PeerId) -> Option<Admitted> {
        self.admitted.read().unwrap_or_else(PoisonError::into_inner).get(peer).cloned()
    }

    /// Checks every admitted certificate again (it may have expired or been denied since), forgets those that fail,
    /// and returns them. Forgets also who is no longer connected.
    pub fn recheck(&self, connected: impl Fn(&PeerId) -> bool, grace: Duration) -> Vec<PeerId> {
        let mut admitted = self.admitted.write().unwrap_or_else(PoisonError::into_inner);
        admitted.retain(|peer, known| connected(peer) || known.at.elapsed() < grace);
        let mut failed = Vec::new();
        for (peer, known) in admitted.iter() {
            if let Err(refusal) = self.check(*peer, &known.certificate) {
                self.refuse(Some(*peer), &refusal);
                failed.push(*peer);
            }
        }
        for peer in &failed {
            admitted.remove(peer);
        }
        failed
    }
}

/// Seconds since 1970 by the wall clock.
#[must_use]
pub fn unix_now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
