//! From settings to a [`Client`].

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use trine_crdt::RegionId;
use trine_ledger::Genesis;
use trine_protocol::{Consistency, Durability};

use crate::admission::{Authority, Verify};
use crate::error::BuildError;
use crate::limits::{DEADLINE_DEFAULT, RETRIES_DEFAULT};
use crate::{Client, Session};

/// Gathers what a [`Client`] needs.
#[derive(Clone)]
pub struct Builder {
    pub(crate) seeds: Vec<Multiaddr>,
    pub(crate) keypair: Option<Keypair>,
    pub(crate) certificate: Option<Bytes>,
    pub(crate) verify: Option<Arc<dyn Verify>>,
    pub(crate) authority: Option<Authority>,
    pub(crate) genesis: Option<Genesis>,
    pub(crate) region: Option<RegionId>,
    pub(crate) region_only: bool,
    /// Whether writes go to the region and no other.
    pub(crate) region_writes: bool,
    /// What was named as a region and is none's name; told when the client is built.
    pub(crate) region_wrong: Option<String>,
    pub(crate) consistency: Consistency,
    pub(crate) durability: Durability,
    pub(crate) deadline: Duration,
    pub(crate) retries: u32,
    pub(crate) session: Session,
    pub(crate) pinned: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            seeds: Vec::new(),
            keypair: None,
            certificate: None,
            verify: None,
            authority: None,
            genesis: None,
            region: None,
            region_only: false,
            region_writes: false,
            region_wrong: None,
            consistency: Consistency::default(),
            durability: Durability::default(),
            deadline: DEADLINE_DEFAULT,
            retries: RETRIES_DEFAULT,
            session: Session::new(),
            pinned: false,
        }
    }
}

impl Builder {
    /// A node's address, with or without `/p2p/…`. Call it once for each seed.
    ///
    /// # Errors
    /// [`BuildError::Address`] when the text is no multiaddr.
    pub fn seed(mut self, address: &str) -> Result<Self, BuildError> {
        let parsed = address.parse().map_err(|_| BuildError::Address { address: address.to_owned() })?;
        self.seeds.push(parsed);
        Ok(self)
    }

    /// The client's key and the DER certificate issued for it.
    #[must_use]
    pub fn identity(mut self, keypair: Keypair, certificate: impl Into<Bytes>) -> Self {
        self.keypair = Some(keypair);
        self.certificate = Some(certificate.into());
        self
    }

    /// How certificates of nodes are checked; normally set by [`Self::pem`] or [`Self::directory`].
    #[must_use]
    pub fn verify(mut self, verify: Arc<dyn Verify>) -> Self {
        self.verify = Some(verify);
        self
    }

    /// Accepts the certificates that this authority signed.
    #[must_use]
    pub fn authority(mut self, authority: Authority) -> Self {
        self.verify = Some(Arc::new(authority.clone()));
        self.authority = Some(authority);
        self
    }

    /// The cluster's founding document as signed bytes; checked against the authority, which must be known by now.
    ///
    /// # Errors
    /// [`BuildError`] when the authority has not signed it.
    pub fn genesis_document(self, document: &[u8]) -> Result<Self, BuildError> {
        crate::identity::open_genesis(self, document)
    }

    /// The cluster's founding document, verified by the caller: the log keys that proofs are checked with.
    #[must_use]
    pub fn genesis(mut self, genesis: Genesis) -> Self {
        self.genesis = Some(genesis);
        self
    }

    /// Prefers nodes of this region, such as `"eu-west-1"`, while one of them serves; without it, the nearest by round
    /// trip. Appends with a precondition or an idempotency key of the caller's stay in it, because they count there only. A
    /// region that the cluster does not have is an error: of [`Self::build`] when the genesis is known, otherwise of the first call.
    #[must_use]
    pub fn region<R: TryInto<RegionId> + ToString>(mut self, region: R) -> Self {
        let name = region.to_string();
        self.region = region.try_into().ok();
        self.region_wrong = self.region.is_none().then_some(name);
        self
    }

    /// Uses nodes of this region only: when none of them serves, calls fail instead of going elsewhere.
    #[must_use]
    pub fn region_only<R: TryInto<RegionId> + ToString>(self, region: R) -> Self {
        Self { region_only: true, ..self.region(region) }
    }

    /// Sends writes to the region that was named and to no other: while none of its nodes can be reached they fail, and reads go
    /// on elsewhere.
    #[must_use]
    pub fn writes_stay(self) -> Self {
        Self { region_writes: true, ..self }
    }

    /// Uses the first seed's node only, and never fails over: for asking one node about itself.
    #[must_use]
    pub fn pinned(mut self) -> Self {
        self.pinned = true;
        self
    }

    /// How fresh reads must be, unless a call says otherwise.
    #[must_use]
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = consistency;
        self
    }

    /// What writes must survive, unless a call says otherwise.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long a call may take, retries included, unless a call says otherwise.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How often a call may be sent again; 0 switches retries off.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Goes on with a session, perhaps of another process.
    #[must_use]
    pub fn session(mut self, session: Session) -> Self {
        self.session = session;
        self
    }

    /// Certificates and key as PEM: the authority's certificate, the client's own, its PKCS#8 key.
    ///
    /// # Errors
    /// [`BuildError::Identity`] when one of them cannot be understood or does not belong to the others.
    pub fn pem(self, ca: &[u8], certificate: &[u8], key: &[u8]) -> Result<Self, BuildError> {
        crate::identity::from_pem(self, ca, certificate, key)
    }

    /// Reads `ca.crt`, `tls.crt`, `tls.key` and, when it is there, `genesis.json` from a directory.
    ///
    /// # Errors
    /// [`BuildError`] when a file is missing or unusable.
    pub fn directory(self, directory: &Path) -> Result<Self, BuildError> {
        crate::identity::from_directory(self, directory)
    }

    /// Builds the client. Connections are made when the first call needs one.
    ///
    /// # Errors
    /// [`BuildError`] when something is missing or unusable.
    pub fn build(self) -> Result<Client, BuildError> {
        Client::start(self)
    }
}
