//! What a cluster was founded with: its regions, their log keys and first nodes, signed by the cluster's CA.
//!
//! JSON has no canonical form, so nothing is ever signed over a re-encoding. The document is JSON that holds the
//! payload's exact bytes, and these are what the signature covers and what is read after it holds:
//!
//! ```text
//! { "format": 1, "payload": base64(JSON of Genesis), "ca": base64(key), "signature": base64(Ed25519) }
//! signature over "trine/genesis/1\0" ‖ payload
//! ```

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use trine_crdt::RegionId;

use crate::checkpoint::decode;
use crate::limits::GENESIS_BYTES_MAX;

const FORMAT: u32 = 1;
const DOMAIN: &[u8] = b"trine/genesis/1\0";

/// The founding document. It travels as signed bytes; see the functions of this module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The cluster's id: 32 hexadecimal digits, drawn once.
    pub cluster: String,
    /// The regions, in order.
    pub regions: Vec<GenesisRegion>,
}

/// One region at the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisRegion {
    /// Its id.
    pub id: RegionId,
    /// The Ed25519 public key that signs its ledger's checkpoints.
    #[serde(with = "key_text")]
    pub log_key: [u8; 32],
    /// The nodes that found its Raft group, all of them.
    pub nodes: Vec<GenesisNode>,
}

/// One founding node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisNode {
    /// Its name, such as `us-east-1-a`.
    pub name: String,
    /// Its libp2p peer id.
    pub peer: String,
    /// Its libp2p addresses.
    pub addresses: Vec<String>,
    /// Where its Raft connections arrive, `host:port`.
    pub raft: String,
}

/// Why a document founds no cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// Not the form of a genesis document.
    #[error("not a genesis document: {0}")]
    Malformed(&'static str),
    /// Signed by another CA than the one that is trusted.
    #[error("the genesis document names another CA than the trusted one")]
    OtherCa,
    /// The signature does not verify.
    #[error("the genesis document's signature does not verify")]
    Signature,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    payload: String,
    ca: String,
    signature: String,
}

impl Genesis {
    /// The signed document.
    ///
    /// # Errors
    /// [`GenesisError::Malformed`] when the contents found no cluster.
    pub fn sign(&self, ca: &SigningKey) -> Result<Bytes, GenesisError> {
        self.check()?;
        let payload = serde_json::to_vec_pretty(self).map_err(|_| GenesisError::Malformed("contents"))?;
        let signature = ca.sign(&[DOMAIN, &payload].concat());
        let document = Document {
            format: FORMAT,
            payload: BASE64.encode(payload),
            ca: BASE64.encode(ca.verifying_key().as_bytes()),
            signature: BASE64.encode(signature.to_bytes()),
        };
        let mut bytes = serde_json::to_vec_pretty(&document).map_err(|_| GenesisError::Malformed("contents"))?;
        bytes.push(b'\n');
        if bytes.len() > GENESIS_BYTES_MAX { Err(GenesisError::Malformed("too long")) } else { Ok(bytes.into()) }
    }

    /// Reads a document that `ca` signed.
    ///
    /// # Errors
    /// [`GenesisError`] for anything else.
    pub fn open(document: &[u8], ca: &VerifyingKey) -> Result<Self, GenesisError> {
        let document = Document::read(document)?;
        if document.key()? != ca.to_bytes() {
            return Err(GenesisError::OtherCa);
        }
        let payload = decode(&document.payload).ok_or(GenesisError::Malformed("payload"))?;
        let signature = decode(&document.signature).ok_or(GenesisError::Malformed("signature"))?;
        let signature = Signature::from_slice(&signature).map_err(|_| GenesisError::Malformed("signature"))?;
        let signed = [DOMAIN, &payload].concat();
        ca.verify_strict(&signed, &signature).map_err(|_| GenesisError::Signature)?;
        let genesis: Self = serde_json::from_slice(&payload).map_err(|_| GenesisError::Malformed("contents"))?;
        genesis.check()?;
        Ok(genesis)
    }

    /// The CA key that a document names; trust comes from elsewhere.
    ///
    /// # Errors
    /// [`GenesisError::Malformed`] when it is none.
    pub fn signer(document: &[u8]) -> Result<VerifyingKey, GenesisError> {
        let key = Document::read(document)?.key()?;
        VerifyingKey::from_bytes(&key).map_err(|_| GenesisError::Malformed("CA key"))
    }

    /// The region of an id.
    #[must_use]
    pub fn region(&self, id: &RegionId) -> Option<&GenesisRegion> {
        self.regions.iter().find(|region| region.id == *id)
    }

    fn check(&self) -> Result<(), GenesisError> {
        let malformed = GenesisError::Malformed;
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if self.cluster.len() != 32 || !self.cluster.bytes().all(hex) {
            return Err(malformed("the cluster's id is not 32 hexadecimal digits"));
        }
        if self.regions.is_empty() {
            return Err(malformed("no region"));
        }
        let (mut ids, mut keys) = (BTreeSet::new(), BTreeSet::new());
        let (mut names, mut peers) = (BTreeSet::new(), BTreeSet::new());
        for region in &self.regions {
            if region.id == RegionId::genesis() || !ids.insert(&region.id) {
                return Err(malformed("a region is named twice, or `_`"));
            }
            region.key().ok_or(malformed("a log key is none"))?;
            if !keys.insert(region.log_key) {
                return Err(malformed("two regions share a log key"));
            }
            if region.nodes.is_empty() {
                return Err(malformed("a region without nodes"));
            }
            for node in &region.nodes {
                if node.name.is_empty() || !names.insert(&node.name) || !peers.insert(&node.peer) {
                    return Err(malformed("a node is named twice, or not at all"));
                }
            }
        }
        Ok(())
    }
}

impl GenesisRegion {
    /// The key that signs its checkpoints; none when the bytes are no key.
    #[must_use]
    pub fn key(&self) -> Option<VerifyingKey> {
        VerifyingKey::from_bytes(&self.log_key).ok().filter(|key| !key.is_weak())
    }
}

impl Document {
    fn read(bytes: &[u8]) -> Result<Self, GenesisError> {
        if bytes.len() > GENESIS_BYTES_MAX {
            return Err(GenesisError::Malformed("too long"));
        }
        let document: Self = serde_json::from_slice(bytes).map_err(|_| GenesisError::Malformed("JSON"))?;
        if document.format == FORMAT { Ok(document) } else { Err(GenesisError::Malformed("another format")) }
    }

    fn key(&self) -> Result<[u8; 32], GenesisError> {
        decode(&self.ca).and_then(|key| key.try_into().ok()).ok_or(GenesisError::Malformed("CA key"))
    }
}

/// Keys as base64 text.
mod key_text {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(key: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(key))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let key = crate::checkpoint::decode(&String::deserialize(deserializer)?);
        key.and_then(|key| key.try_into().ok()).ok_or_else(|| de::Error::custom("not 32 bytes of base64"))
    }
}
